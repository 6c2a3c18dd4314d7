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
_GAP = 56
_RISE = 34
"""How far above the columns the way to the next one runs, in pixels: a line of text stands below it."""
_HEAD = 7
_CURB = 8
"""Length of an arrow's head, and radius of a corner, in pixels."""


def fold_placement(figure: Figure, placement: Placement) -> Placement:
    """The placement, in several columns where it is taller than TALLEST and parts of it hang together by one arrow.

    A graph that grows downwards goes on at the top of the next column; the children of a tree's widest node stand in
    columns beside it.
    """
    if figure.direction is Direction.DOWN and not figure.is_tree:
        return _fold_graph(figure, placement)
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
    """Edges of the columns after the move."""
    top: float
    bottom: float

    def move(self, point: Point, column: int) -> Point:
        """The point, moved with its column."""
        return point[0] + self.shifts[column][0], point[1] + self.shifts[column][1]


def _fold_graph(figure: Figure, placement: Placement) -> Placement:
    columns = _find_columns(figure, placement, range(len(figure.boxes)), lambda crossing: len(crossing) == 1)
    if columns is None:
        return placement
    centers = tuple(columns.move(center, columns.number[i]) for i, center in enumerate(placement.centers))
    routes = []
    for arrow, route in zip(figure.arrows, placement.routes, strict=True):
        column = columns.number[arrow.tail]
        if columns.number[arrow.head] == column:
            points = tuple(columns.move(point, column) for point in route.points)
            tip, text_at = (point and columns.move(point, column) for point in (route.tip, route.text_at))
            routes.append(Route(points, tip, text_at))
            continue
        (x0, y0), (x1, y1) = centers[arrow.tail], centers[arrow.head]
        y0 += figure.boxes[arrow.tail].height / 2
        y1 -= figure.boxes[arrow.head].height / 2
        rail, rise = columns.rights[column] + _GAP / 2, columns.top - _RISE
        corners = [(x0, y0), (x0, y0 + 16), (rail, y0 + 16), (rail, rise), (x1, rise), (x1, y1 - _HEAD)]
        text_at = (x1 + text_width(arrow.text, EDGE_SIZE) / 2 + 8, y1 - _RISE / 2)
        routes.append(Route(_round_corners(corners), (x1, y1), text_at))
    return Placement(centers, tuple(routes))


def _fold_tree(figure: Figure, placement: Placement) -> Placement:
    hub = Counter(arrow.tail for arrow in figure.arrows).most_common(1)[0][0]
    hub_right = placement.centers[hub][0] + figure.boxes[hub].width / 2
    beyond = [i for i, (x, _) in enumerate(placement.centers) if x > hub_right]
    columns = _find_columns(figure, placement, beyond, lambda crossing: all(arrow.tail == hub for arrow in crossing))
    if columns is None:
        return placement
    # What stands left of the columns moves to the middle of the first one.
    stay = (0.0, (columns.top + columns.bottom) / 2 - placement.centers[hub][1])
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
    figure: Figure, placement: Placement, boxes: range | list[int], may_cut: Callable[[list[Arrow]], bool]
) -> _Columns | None:
    """Columns of about the same height that give the figure the shape of a screen, or None if it stays as it is."""
    extents = {i: _extent(figure, placement, i) for i in boxes}
    bands = _find_bands(extents)
    top, bottom = (min(e[1] for e in extents.values()), max(e[3] for e in extents.values())) if extents else (0, 0)
    if bottom - top <= TALLEST:
        return None
    width = max(e[2] for e in extents.values()) - min(e[0] for e in extents.values()) + _GAP
    wanted = max(2, round(math.sqrt(_SHAPE * (bottom - top) / width)))
    band_of = {i: number for number, band in enumerate(bands) for i in band}
    crossing: list[list[Arrow]] = [[] for _ in bands]
    for arrow in figure.arrows:
        ends = sorted((band_of.get(arrow.tail, 0), band_of.get(arrow.head, 0)))
        for cut in range(ends[0] + 1, ends[1] + 1):
            crossing[cut].append(arrow)
    parts: list[list[int]] = []
    for number, band in enumerate(bands):
        is_full = bool(parts) and (
            max(extents[i][3] for i in band) - min(extents[i][1] for i in parts[-1]) > (bottom - top) / wanted * 1.02
        )
        if not parts or (is_full and may_cut(crossing[number])):
            parts.append([])
        parts[-1] += band
    if len(parts) == 1:
        return None
    columns = _Columns({i: number for number, part in enumerate(parts) for i in part}, [], [], [], top, top)
    cursor = min(extents[i][0] for i in parts[0])
    for part in parts:
        left, right = min(extents[i][0] for i in part), max(extents[i][2] for i in part)
        part_top, part_bottom = min(extents[i][1] for i in part), max(extents[i][3] for i in part)
        columns.shifts.append((cursor - left, top - part_top))
        columns.lefts.append(cursor)
        columns.rights.append(cursor + right - left)
        columns.bottom = max(columns.bottom, top + part_bottom - part_top)
        cursor += right - left + _GAP
    return columns


def _extent(figure: Figure, placement: Placement, number: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a box with the texts of the arrows that leave it."""
    (x, y), box = placement.centers[number], figure.boxes[number]
    left, right = x - box.width / 2, x + box.width / 2
    for arrow, route in zip(figure.arrows, placement.routes, strict=True):
        if arrow.head == number and arrow.text and route.text_at:
            half = text_width(arrow.text, EDGE_SIZE) / 2
            left, right = min(left, route.text_at[0] - half), max(right, route.text_at[0] + half)
    return left, y - box.height / 2, right, y + box.height / 2


def _find_bands(extents: dict[int, tuple[float, float, float, float]]) -> list[list[int]]:
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
