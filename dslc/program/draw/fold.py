"""A tall figure folded into columns, so that it can be read as a whole."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from dslc.program.draw.figure import EDGE_SIZE, Arrow, Direction, Figure, text_width
from dslc.program.draw.layout import Placement, Point, Route, draw_branch

TALLEST = 1400
"""Pixels; a taller figure is folded where that is possible."""
_SHAPE = 1.4
"""Width of a folded figure by its height, about that of a screen or page turned sideways."""
_LEAST = 0.25
"""Height of the last column, as a share of what a column should have, from which it is worth one of its own."""
_GAP = 56
_RISE = 34
"""How far above the columns the way to the next one runs, in pixels: a line of text stands below it."""
_FALL = 14
"""How far below a column it begins."""
_HEAD = 7
_CURB = 8
"""Length of an arrow's head, and radius of a corner, in pixels."""


_Extent = tuple[float, float, float, float]
_Crossing = tuple[Arrow, bool]
"""An arrow across a cut, and whether it leads from the boxes right above to those right below."""


def fold_placement(figure: Figure, placement: Placement) -> Placement:
    """The placement, in several columns where it is taller than TALLEST and parts of it hang together at one box.

    A figure that grows downwards goes on at the top of the next column; of a tree that grows to the right, the children
    of the widest node stand in columns beside it.
    """
    if figure.direction is Direction.DOWN:
        return _fold_chain(figure, placement)
    if figure.direction is Direction.RIGHT and figure.is_tree and figure.arrows:
        return _fold_tree(figure, placement)
    return placement


@dataclass
class _Columns:
    """Which column each box is in, and how far each column moves."""

    number: dict[int, int]
    shifts: list[Point]
    lefts: list[float]
    rights: list[float]
    bottoms: list[float]
    """Edges of the columns after the move."""
    top: float

    def move(self, point: Point, column: int) -> Point:
        """The point, moved with its column."""
        return point[0] + self.shifts[column][0], point[1] + self.shifts[column][1]


def _fold_chain(figure: Figure, placement: Placement) -> Placement:
    columns = _find_columns(figure, placement, range(len(figure.boxes)), _is_crossed_from_one)
    if columns is None:
        return placement
    centers = tuple(columns.move(center, columns.number[i]) for i, center in enumerate(placement.centers))
    routes = []
    for arrow, route in zip(figure.arrows, placement.routes, strict=True):
        column = columns.number[arrow.tail]
        if columns.number[arrow.head] == column and figure.is_tree:
            routes.append(draw_branch(figure, centers, arrow))
            continue
        if columns.number[arrow.head] == column:
            points = tuple(columns.move(point, column) for point in route.points)
            tip, text_at = (point and columns.move(point, column) for point in (route.tip, route.text_at))
            routes.append(Route(points, tip, text_at))
            continue
        (x0, y0), (x1, y1) = centers[arrow.tail], centers[arrow.head]
        y0 += figure.boxes[arrow.tail].height / 2
        y1 -= figure.boxes[arrow.head].height / 2
        rail, rise = columns.rights[column] + _GAP / 2, columns.top - _RISE
        fall = columns.bottoms[column] + _FALL
        end = y1 if figure.is_tree else y1 - _HEAD
        corners = [(x0, y0), (x0, fall), (rail, fall), (rail, rise), (x1, rise), (x1, end)]
        text_at = (x1 + text_width(arrow.text, EDGE_SIZE) / 2 + 8, y1 - _RISE / 2)
        routes.append(Route(_round_corners(corners), None if figure.is_tree else (x1, y1), text_at))
    return Placement(centers, tuple(routes))


def _is_crossed_from_one(crossing: list[_Crossing]) -> bool:
    """True if the arrows across come from one box, and nothing stands in their way round."""
    return len({arrow.tail for arrow, _ in crossing}) == 1 and all(is_next for _, is_next in crossing)


def _fold_tree(figure: Figure, placement: Placement) -> Placement:
    hub = Counter(arrow.tail for arrow in figure.arrows).most_common(1)[0][0]
    hub_right = placement.centers[hub][0] + figure.boxes[hub].width / 2
    beyond = [i for i, (x, _) in enumerate(placement.centers) if x > hub_right]
    columns = _find_columns(figure, placement, beyond, lambda crossing: all(arrow.tail == hub for arrow, _ in crossing))
    if columns is None:
        return placement
    # What stands left of the columns moves to the middle of the first one.
    stay = (0.0, (columns.top + max(columns.bottoms)) / 2 - placement.centers[hub][1])
    centers = tuple(
        columns.move((x, y), columns.number[i]) if i in columns.number else (x + stay[0], y + stay[1])
        for i, (x, y) in enumerate(placement.centers)
    )
    routes = []
    for arrow in figure.arrows:
        if arrow.tail != hub:
            routes.append(draw_branch(figure, centers, arrow))
            continue
        column = columns.number[arrow.head]
        (x0, y0), (x1, y1) = centers[hub], centers[arrow.head]
        first, gutter = columns.lefts[0] - _GAP / 2, columns.lefts[column] - _GAP / 2
        corners = [(x0 + figure.boxes[hub].width / 2, y0), (first, y0)]
        if column:
            corners += [(first, columns.top - _RISE / 2), (gutter, columns.top - _RISE / 2)]
        corners += [(gutter, y1), (x1 - figure.boxes[arrow.head].width / 2, y1)]
        routes.append(Route(_round_corners(corners), None, None))
    return Placement(centers, tuple(routes))


def _find_columns(
    figure: Figure, placement: Placement, boxes: range | list[int], may_cut: Callable[[list[_Crossing]], bool]
) -> _Columns | None:
    """Columns of about the same height that give the figure the shape of a screen, or None if it stays as it is."""
    extents = _find_extents(figure, placement, boxes)
    bands = _find_bands(extents)
    top, bottom = (min(e[1] for e in extents.values()), max(e[3] for e in extents.values())) if extents else (0, 0)
    if bottom - top <= TALLEST:
        return None
    width = max(e[2] for e in extents.values()) - min(e[0] for e in extents.values()) + _GAP
    wanted = max(2, round(math.sqrt(_SHAPE * (bottom - top) / width)))
    band_of = {i: number for number, band in enumerate(bands) for i in band}
    ends = [(band_of.get(arrow.tail, 0), band_of.get(arrow.head, 0)) for arrow in figure.arrows]
    parts: list[list[int]] = []
    for number, band in enumerate(bands):
        is_full = bool(parts) and (
            max(extents[i][3] for i in band) - min(extents[i][1] for i in parts[-1]) > (bottom - top) / wanted * 1.02
        )
        if is_full:
            crossing = [
                (arrow, tail == number - 1 and head == number)
                for arrow, (tail, head) in zip(figure.arrows, ends, strict=True)
                if min(tail, head) < number <= max(tail, head)
            ]
        if not parts or (is_full and may_cut(crossing)):
            parts.append([])
        parts[-1] += band
    last_height = max(extents[i][3] for i in parts[-1]) - min(extents[i][1] for i in parts[-1])
    if len(parts) > 1 and last_height < _LEAST * (bottom - top) / wanted:
        last = parts.pop()
        parts[-1] += last
    if len(parts) == 1:
        return None
    columns = _Columns({i: number for number, part in enumerate(parts) for i in part}, [], [], [], [], top)
    cursor = min(extents[i][0] for i in parts[0])
    for part in parts:
        left, right = min(extents[i][0] for i in part), max(extents[i][2] for i in part)
        part_top, part_bottom = min(extents[i][1] for i in part), max(extents[i][3] for i in part)
        columns.shifts.append((cursor - left, top - part_top))
        columns.lefts.append(cursor)
        columns.rights.append(cursor + right - left)
        columns.bottoms.append(top + part_bottom - part_top)
        cursor += right - left + _GAP
    return columns


def _find_extents(figure: Figure, placement: Placement, boxes: range | list[int]) -> dict[int, _Extent]:
    """Left, top, right and bottom of each box with the texts of the arrows that lead to it."""
    extents = {}
    for number in boxes:
        (x, y), box = placement.centers[number], figure.boxes[number]
        extents[number] = (x - box.width / 2, y - box.height / 2, x + box.width / 2, y + box.height / 2)
    for arrow, route in zip(figure.arrows, placement.routes, strict=True):
        if arrow.text and route.text_at and arrow.head in extents:
            half = text_width(arrow.text, EDGE_SIZE) / 2
            left, top, right, bottom = extents[arrow.head]
            extents[arrow.head] = (min(left, route.text_at[0] - half), top, max(right, route.text_at[0] + half), bottom)
    return extents


def _find_bands(extents: dict[int, _Extent]) -> list[list[int]]:
    """Boxes that stand beside one another, from top to bottom."""
    bands: list[list[int]] = []
    reach = -math.inf
    for number in sorted(extents, key=lambda i: extents[i][1]):
        if extents[number][1] >= reach:
            bands.append([])
        bands[-1].append(number)
        reach = max(reach, extents[number][3])
    return bands


def _round_corners(corners: list[Point]) -> tuple[Point, ...]:
    """The way from corner to corner as a chain of cubic Bézier curves."""
    points = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        radius = min(_CURB, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        enter, leave = _toward(corner, before, radius), _toward(corner, after, radius)
        points += [points[-1], enter, enter]
        points += [_toward(enter, corner, radius * 0.55), _toward(leave, corner, radius * 0.55), leave]
    return (*points, points[-1], corners[-1], corners[-1])


def _toward(start: Point, end: Point, length: float) -> Point:
    """The point `length` away from `start` on the way to `end`."""
    whole = math.dist(start, end)
    share = length / whole if whole else 0.0
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
