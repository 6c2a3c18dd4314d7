"""Figure and places to SVG text: the same look whichever program placed the boxes."""

from __future__ import annotations

import math
import textwrap
from xml.sax.saxutils import escape, quoteattr

from dslc.program.draw.figure import (
    CAPTION_SIZE,
    CELL_GAP,
    EDGE_SIZE,
    HEAD_HEIGHT,
    LINE_SIZE,
    LINE_STEP,
    NAME_SIZE,
    NOTE_SIZE,
    PADDING,
    VALUE_SIZE,
    Box,
    Figure,
    show_text,
    text_width,
)
from dslc.program.draw.layout import Placement, Point, Route
from dslc.program.draw.palette import FAINT_INK, INK, OUTSIDE, Kind, style_sheet

_FONT = "Helvetica,Arial,sans-serif"
_MARGIN = 12
_TITLE_SIZE = 13
_TITLE_STEP = 18
_TITLE_COLUMNS = 88
_TITLE_LINES = 6


def write_svg(figure: Figure, placement: Placement) -> str:
    """SVG text of a placed figure, ready to stand in a page or in a file of its own.

    Sizes are in pixels, the background is transparent, colours follow the reader's light or dark mode, and the title is
    the accessible name.
    """
    title = show_text(figure.title) if figure.title else "drawing"
    title_lines = textwrap.wrap(title, _TITLE_COLUMNS, max_lines=_TITLE_LINES, placeholder=" …") if figure.title else []
    left, top, right, bottom = _extent(figure, placement)
    right = max(right, left + max((text_width(line, _TITLE_SIZE) for line in title_lines), default=0.0))
    top -= _TITLE_STEP * len(title_lines) + (8 if title_lines else 0)
    width, height = right - left + 2 * _MARGIN, bottom - top + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dslc-drawing" role="img" aria-label={quoteattr(title)}'
        f' width="{math.ceil(width)}" height="{math.ceil(height)}" font-family="{_FONT}"'
        f' viewBox="{_number(left - _MARGIN)} {_number(top - _MARGIN)} {math.ceil(width)} {math.ceil(height)}">',
        f"<title>{escape(title)}</title>",
        f"<style>{style_sheet()}</style>",
    ]
    for number, line in enumerate(title_lines):
        parts.append(_text(left, top + _TITLE_STEP * (number + 0.75), line, _TITLE_SIZE, fill=OUTSIDE, anchor="start"))
    for arrow, route in zip(figure.arrows, placement.routes, strict=True):
        if figure.is_tree:
            parts.append(_draw_branch(figure, placement, arrow.tail, arrow.head))
        else:
            parts.extend(_draw_route(route))
        if arrow.text and route.text_at:
            x, y = route.text_at
            parts.append(_text(x, y + 0.35 * EDGE_SIZE, show_text(arrow.text), EDGE_SIZE, fill=OUTSIDE))
    for box, center in zip(figure.boxes, placement.centers, strict=True):
        parts.extend(_draw_box(box, center))
    return "\n".join([*parts, "</svg>"])


def _extent(figure: Figure, placement: Placement) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of everything but the title."""
    xs, ys = [], []
    for box, (x, y) in zip(figure.boxes, placement.centers, strict=True):
        xs += [x - box.width / 2, x + box.width / 2]
        ys += [y - box.height / 2, y + box.height / 2]
    for arrow, route in zip(figure.arrows, placement.routes, strict=True):
        if not figure.is_tree:
            xs += [x for x, _ in route.points]
            ys += [y for _, y in route.points]
        if arrow.text and route.text_at:
            half = text_width(arrow.text, EDGE_SIZE) / 2
            xs += [route.text_at[0] - half, route.text_at[0] + half]
    return min(xs, default=0.0), min(ys, default=0.0), max(xs, default=0.0), max(ys, default=0.0)


def _draw_branch(figure: Figure, placement: Placement, tail: int, head: int) -> str:
    """A line of a tree: from the middle of the parent's side to the middle of the child's."""
    (x0, y0), (x1, y1) = placement.centers[tail], placement.centers[head]
    if figure.top_down:
        y0 += figure.boxes[tail].height / 2
        y1 -= figure.boxes[head].height / 2
        middle = (y0 + y1) / 2
        return _path([(x0, y0), (x0, middle), (x1, middle), (x1, y1)])
    x0 += figure.boxes[tail].width / 2
    x1 -= figure.boxes[head].width / 2
    middle = (x0 + x1) / 2
    return _path([(x0, y0), (middle, y0), (middle, y1), (x1, y1)])


def _draw_route(route: Route) -> list[str]:
    parts = [_path(route.points)]
    if route.tip is not None:
        (x, y), (tip_x, tip_y) = route.points[-1], route.tip
        side_x, side_y = (tip_y - y) * 0.4, -(tip_x - x) * 0.4
        corners = [(tip_x, tip_y), (x + side_x, y + side_y), (x - side_x, y - side_y)]
        parts.append(f'<polygon fill="{OUTSIDE}" points="{" ".join(map(_pair, corners))}"/>')
    return parts


def _draw_box(box: Box, center: Point) -> list[str]:
    x, y = center
    left, top = x - box.width / 2, y - box.height / 2
    parts = [f"<g><title>{escape(show_text(box.tooltip))}</title>" if box.tooltip else "<g>"]
    parts.append(_rectangle(left, top, box.width, box.height, box.kind, radius=8))
    top += PADDING / 2
    if box.name:
        name = f'<tspan font-weight="bold">{escape(show_text(box.name))}</tspan>'
        if box.note:
            name += (
                f'<tspan class="faint" fill="{FAINT_INK.light}" font-size="{NOTE_SIZE}" dx="6">'
                f"{escape(show_text(box.note))}</tspan>"
            )
        parts.append(_text(x, top + 14, name, NAME_SIZE, ink="ink", is_markup=True))
        top += HEAD_HEIGHT
    else:
        top += CELL_GAP if box.rows else 0
    for line in box.lines:
        parts.append(_text(x, top + 11, show_text(line), LINE_SIZE, ink="faint", fill=FAINT_INK.light))
        top += LINE_STEP
    for row in box.rows:
        cell_left = x - box.cells_width / 2
        for cell, width in zip(row, box.column_widths, strict=False):
            parts.append(_rectangle(cell_left, top, width, box.cell_height, Kind.LEAF, radius=4))
            middle = cell_left + width / 2
            if cell.caption:
                parts.append(_text(middle, top + 11, cell.caption, CAPTION_SIZE, ink="faint", fill=FAINT_INK.light))
            parts.append(_text(middle, top + box.cell_height - 6, cell.shown, VALUE_SIZE, ink="ink"))
            cell_left += width + CELL_GAP
        top += box.cell_height + CELL_GAP
    return [*parts, "</g>"]


def _rectangle(x: float, y: float, width: float, height: float, kind: Kind, *, radius: int) -> str:
    tone = kind.value
    colors = f'class="{kind.class_name}" fill="{tone.fill.light}" stroke="{tone.line.light}"'
    place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
    return f'<rect {colors} {place} rx="{radius}"/>'


def _text(
    x: float,
    y: float,
    text: str,
    size: int,
    *,
    ink: str = "",
    fill: str = INK.light,
    anchor: str = "middle",
    is_markup: bool = False,
) -> str:
    name = f' class="{ink}"' if ink else ""
    inner = text if is_markup else escape(text)
    place = f'x="{_number(x)}" y="{_number(y)}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text{name} fill="{fill}" {place}>{inner}</text>'


def _path(points: list[Point] | tuple[Point, ...]) -> str:
    curve = " ".join(map(_pair, points[1:]))
    return f'<path fill="none" stroke="{OUTSIDE}" d="M{_pair(points[0])} C{curve}"/>'


def _pair(point: Point) -> str:
    return f"{_number(point[0])},{_number(point[1])}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
