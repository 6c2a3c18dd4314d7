"""Figure and places to SVG text: the same look whichever program placed the boxes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
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
    Cell,
    Figure,
    show_text,
    text_width,
)
from dslc.program.draw.layout import Placement, Point, Route
from dslc.program.draw.palette import FAINT_INK, INK, OUTSIDE, Kind, style_sheet
from dslc.program.draw.write_curve import CURVE_HEIGHT, CURVE_WIDTH, write_curve

FONT = "Helvetica,Arial,DejaVu Sans,sans-serif"
"""DejaVu Sans is the font that pictures without a browser are made with."""
_MARGIN = 12
_TITLE_SIZE = 13
_FORMULA_SIZE = 15
_TITLE_STEP = 18
_FORMULA_STEP = 21
_NOTE_STEP = 16
_TITLE_COLUMNS = 88
_TITLE_LINES = 6
_CURVE_GAP = 30
_WIDEST = 1200
"""Pixels up to which a curve stands beside its figure; beyond it stands below."""


def write_svg(figure: Figure, placement: Placement) -> str:
    """SVG text of a placed figure, ready to stand in a page or in a file of its own.

    Sizes are in pixels, the background is transparent, colours follow the reader's light or dark mode, and the title is
    the accessible name.
    """
    header = [(line, _TITLE_SIZE, _TITLE_STEP) for line in _wrap(figure.title, _TITLE_COLUMNS)]
    header += [(line, _FORMULA_SIZE, _FORMULA_STEP) for line in _wrap(figure.formula, _TITLE_COLUMNS * 4 // 5)]
    header += [(line, LINE_SIZE, _NOTE_STEP) for line in _wrap(figure.note, _TITLE_COLUMNS * 5 // 4)]
    left, top, right, bottom = _extent(figure, placement)
    parts: list[str] = []
    if figure.curve is not None:
        is_beside = right - left + _CURVE_GAP + CURVE_WIDTH <= _WIDEST
        corner = (right + _CURVE_GAP, top) if is_beside else (left, bottom + _CURVE_GAP)
        parts += write_curve(figure.curve, *corner)
        right, bottom = max(right, corner[0] + CURVE_WIDTH), max(bottom, corner[1] + CURVE_HEIGHT)
    for arrow, route in zip(figure.arrows, placement.routes, strict=True):
        parts += _draw_route(route, is_dashed=arrow.is_dashed)
        if arrow.text and route.text_at:
            x, y = route.text_at
            parts.append(draw_text(x, y + 0.35 * EDGE_SIZE, show_text(arrow.text), EDGE_SIZE, fill=OUTSIDE))
    for box, center in zip(figure.boxes, placement.centers, strict=True):
        parts += _draw_box(box, center)
    right = max(right, left + max((text_width(line, size) for line, size, _ in header), default=0.0))
    y = top = top - sum(step for _, _, step in header) - (8 if header else 0)
    for line, size, step in header:
        parts.append(draw_text(left, y + 0.75 * step, line, size, fill=OUTSIDE, anchor="start"))
        y += step
    return write_document(figure.title, parts, (left, top, right, bottom))


def write_document(title: str, parts: Iterable[str], extent: tuple[float, float, float, float]) -> str:
    """SVG text of elements that lie within an extent (left, top, right, bottom), under an accessible name."""
    left, top, right, bottom = extent
    title = show_text(title) if title else "drawing"
    width, height = math.ceil(right - left + 2 * _MARGIN), math.ceil(bottom - top + 2 * _MARGIN)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="dslc-drawing" role="img" aria-label={quoteattr(title)}'
            f' width="{width}" height="{height}" font-family="{FONT}"'
            f' viewBox="{_number(left - _MARGIN)} {_number(top - _MARGIN)} {width} {height}">',
            f"<title>{escape(title)}</title>",
            f"<style>{style_sheet()}</style>",
            *parts,
            "</svg>",
        ]
    )


def _wrap(text: str, columns: int) -> list[str]:
    return textwrap.wrap(show_text(text), columns, max_lines=_TITLE_LINES, placeholder=" …") if text else []


def _extent(figure: Figure, placement: Placement) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of everything but the title."""
    xs, ys = [], []
    for box, (x, y) in zip(figure.boxes, placement.centers, strict=True):
        xs += [x - box.width / 2, x + box.width / 2]
        ys += [y - box.height / 2, y + box.height / 2]
    for arrow, route in zip(figure.arrows, placement.routes, strict=True):
        xs += [x for x, _ in route.points]
        ys += [y for _, y in route.points]
        if arrow.text and route.text_at:
            half = text_width(arrow.text, EDGE_SIZE) / 2
            xs += [route.text_at[0] - half, route.text_at[0] + half]
    return min(xs, default=0.0), min(ys, default=0.0), max(xs, default=0.0), max(ys, default=0.0)


def _draw_route(route: Route, *, is_dashed: bool) -> list[str]:
    parts = [_path(route.points, is_dashed=is_dashed)]
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
        parts.append(draw_text(x, top + 14, name, NAME_SIZE, ink="ink", is_markup=True))
        top += HEAD_HEIGHT
    else:
        top += CELL_GAP if box.all_blocks else 0
    for line in box.lines:
        parts.append(draw_text(x, top + 11, show_text(line), LINE_SIZE, ink="faint", fill=FAINT_INK.light))
        top += LINE_STEP
    for block in box.all_blocks:
        for row in block.rows:
            cell_left = x - block.cells_width / 2
            for cell, width in zip(row, block.column_widths, strict=False):
                parts.extend(_draw_cell(cell, cell_left, top, width, block.cell_height))
                cell_left += width + CELL_GAP
            top += block.cell_height + CELL_GAP
        if block.line:
            parts.append(draw_text(x, top + 8, show_text(block.line), LINE_SIZE, ink="faint", fill=FAINT_INK.light))
            top += LINE_STEP
    return [*parts, "</g>"]


def _draw_cell(cell: Cell, left: float, top: float, width: float, height: float) -> list[str]:
    middle = left + width / 2
    parts = [_rectangle(left, top, width, height, Kind.LEAF, radius=4)]
    if cell.caption:
        parts.append(draw_text(middle, top + 11, cell.caption, CAPTION_SIZE, ink="faint", fill=FAINT_INK.light))
    return [*parts, draw_text(middle, top + height - 6, cell.shown, VALUE_SIZE, ink="ink")]


def _rectangle(x: float, y: float, width: float, height: float, kind: Kind, *, radius: int) -> str:
    tone = kind.value
    colors = f'class="{kind.class_name}" fill="{tone.fill.light}" stroke="{tone.line.light}"'
    place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
    return f'<rect {colors} {place} rx="{radius}"/>'


def draw_text(
    x: float,
    y: float,
    text: str,
    size: int,
    *,
    ink: str = "",
    fill: str = INK.light,
    anchor: str = "middle",
    is_markup: bool = False,
    is_bold: bool = False,
) -> str:
    """A line of text; `ink` is a class whose colour follows the mode, `fill` the colour without one."""
    name = f' class="{ink}"' if ink else ""
    inner = text if is_markup else escape(text)
    place = f'x="{_number(x)}" y="{_number(y)}" font-size="{size}" text-anchor="{anchor}"'
    place += ' font-weight="bold"' if is_bold else ""
    return f'<text{name} fill="{fill}" {place}>{inner}</text>'


def _path(points: tuple[Point, ...], *, is_dashed: bool) -> str:
    curve = " ".join(map(_pair, points[1:]))
    dashes = ' stroke-dasharray="5 4"' if is_dashed else ""
    return f'<path fill="none" stroke="{OUTSIDE}"{dashes} d="M{_pair(points[0])} C{curve}"/>'


def _pair(point: Point) -> str:
    return f"{_number(point[0])},{_number(point[1])}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
