"""Curve to SVG elements: a frame, axes where they cross it, numbers beside it, and the curve."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from dslc.program.draw.curve import Curve, Point
from dslc.program.draw.figure import text_width
from dslc.program.draw.palette import CURVE, OUTSIDE

PLOT_WIDTH = 300
PLOT_HEIGHT = 220
_LEFT = 54
_RIGHT = 16
_ABOVE = 22
_BELOW = 24
_NOTE = 18
_NUMBER_SIZE = 11
CURVE_WIDTH = _LEFT + PLOT_WIDTH + _RIGHT
CURVE_HEIGHT = _ABOVE + PLOT_HEIGHT + _BELOW + _NOTE
"""Size of the whole, in pixels."""


def write_curve(curve: Curve, left: float, top: float) -> list[str]:
    """SVG elements of a curve whose upper left corner is at (left, top); colours follow the figure's style sheet."""
    x_limits, y_limits = curve.x_limits, curve.y_limits
    plot_left, plot_top = left + _LEFT, top + _ABOVE

    def place(point: Point) -> Point:
        x = plot_left + PLOT_WIDTH * (point[0] - x_limits[0]) / (x_limits[1] - x_limits[0])
        return x, plot_top + PLOT_HEIGHT * (y_limits[1] - point[1]) / (y_limits[1] - y_limits[0])

    parts = [
        '<g class="curve-panel">',
        f"<title>{escape(f'the value over {curve.name} from {x_limits[0]:g} to {x_limits[1]:g}')}</title>",
        f'<rect fill="none" stroke="{OUTSIDE}" stroke-opacity="0.5" x="{plot_left:.1f}" y="{plot_top:.1f}"'
        f' width="{PLOT_WIDTH}" height="{PLOT_HEIGHT}" rx="3"/>',
    ]
    for value in choose_ticks(*x_limits):
        x, bottom = place((value, y_limits[0]))
        parts.append(_line(x, plot_top, x, bottom, is_axis=value == 0))
        parts.append(_text(x, bottom + 16, f"{value:g}", "middle"))
    for value in choose_ticks(*y_limits):
        x, y = place((x_limits[0], value))
        parts.append(_line(x, y, x + PLOT_WIDTH, y, is_axis=value == 0))
        parts.append(_text(x - 6, y + 4, f"{value:g}", "end"))
    parts.append(_text(plot_left, top + 14, f"f({curve.name})", "start"))
    parts.append(_text(plot_left + PLOT_WIDTH, plot_top + PLOT_HEIGHT + _BELOW + 14, curve.name, "end"))
    note = curve.note
    lines = list(curve.lines())
    if not lines:
        note = "no finite value here"
    if note:
        parts.append(_text(plot_left, plot_top + PLOT_HEIGHT + _BELOW + 14, note, "start"))
    for line in lines:
        points = " ".join(f"{x:.2f},{y:.2f}" for x, y in map(place, line))
        parts.append(
            f'<polyline class="curve" fill="none" stroke="{CURVE.light}" stroke-width="2" stroke-linejoin="round"'
            f' points="{points}"/>'
        )
    return [*parts, "</g>"]


def choose_ticks(low: float, high: float) -> list[float]:
    """Four to nine round numbers between two limits.

    Example:
        >>> choose_ticks(-5, 5), choose_ticks(0, 0.3)
        ([-4.0, -2.0, 0.0, 2.0, 4.0], [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
    """
    size = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(factor * size for factor in (5.0, 2.0, 1.0) if (high - low) / (factor * size) >= 3.8)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _line(x0: float, y0: float, x1: float, y1: float, *, is_axis: bool) -> str:
    opacity = "0.9" if is_axis else "0.22"
    place = f'x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
    return f'<line stroke="{OUTSIDE}" stroke-opacity="{opacity}" {place}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    # A long number is made smaller, so that it stays beside the frame.
    size = min(_NUMBER_SIZE, _NUMBER_SIZE * (_LEFT - 8) / max(1.0, text_width(text, _NUMBER_SIZE)))
    size = size if anchor == "end" and len(text) > 1 else _NUMBER_SIZE
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:.3g}" text-anchor="{anchor}"'
    return f'<text fill="{OUTSIDE}" {place}>{escape(text)}</text>'
