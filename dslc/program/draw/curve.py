"""Curve: a program of one input as points, with the part of the plane that shows it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dslc.program.graph import Graph
from dslc.program.interpret import interpret_graph
from dslc.program.tensor_type import REST

Point = tuple[float, float]

NUM_POINTS = 401
"""Odd, so that the middle of an interval around 0 is 0 itself."""
_WIDEST = 4.0
"""How many times as high as the middle 90 percent of the values a picture may be before it leaves the rest out."""


@dataclass(frozen=True)
class Curve:
    """Points (x, y) from left to right; y is nan or infinite where the program has no finite value."""

    name: str
    """Of the input."""
    points: tuple[Point, ...]
    note: str = ""
    """What a reader must know about it, such as the values of trained tensors."""

    @property
    def x_limits(self) -> tuple[float, float]:
        """Where the picture begins and ends."""
        return self.points[0][0], self.points[-1][0]

    @cached_property
    def y_limits(self) -> tuple[float, float]:
        """Lowest and highest value that is shown: all of them, unless a few are far away from the others."""
        values = np.array([y for _, y in self.points if math.isfinite(y)])
        if not len(values):
            return -1.0, 1.0
        low, high = float(values.min()), float(values.max())
        usual_low, usual_high = (float(value) for value in np.percentile(values, (5, 95)))
        spread = usual_high - usual_low
        if spread > 0 and high - low > _WIDEST * spread:
            low, high = max(low, usual_low - spread), min(high, usual_high + spread)
        room = 0.06 * (high - low)
        # A flat curve stands in the middle of a picture of its own size.
        room = room if room > 1e-9 * max(abs(low), abs(high)) else 0.5 * abs(high) or 1.0
        return low - room, high + room

    def lines(self) -> Iterator[tuple[Point, ...]]:
        """The visible curve: one line between two gaps, cut where it leaves the limits.

        A gap stands where a value is not finite, and where the curve jumps from below the limits to above them.
        """
        low, high = self.y_limits
        line: list[Point] = []
        for (x0, y0), (x1, y1) in zip(self.points, self.points[1:], strict=False):
            is_finite = math.isfinite(y0) and math.isfinite(y1)
            is_seen = is_finite and max(y0, y1) >= low and min(y0, y1) <= high
            if not is_seen or (min(y0, y1) < low and max(y0, y1) > high):
                if line:
                    yield tuple(line)
                line = []
                continue
            if not line:
                line.append(_cut(x0, y0, x1, y1, low, high))
            line.append(_cut(x1, y1, x0, y0, low, high))
            if not low <= y1 <= high:
                yield tuple(line)
                line = []
        if line:
            yield tuple(line)


def _cut(x: float, y: float, other_x: float, other_y: float, low: float, high: float) -> Point:
    """The point, or where the way to the other one enters the limits."""
    limit = min(max(y, low), high)
    return (x, y) if limit == y else (x + (limit - y) / (other_y - y) * (other_x - x), limit)


def trace_curve(graph: Graph, interval: tuple[float, float]) -> Curve | None:
    """The graph's value over an interval of its one input, trained tensors at their initial values.

    None where the graph is no function of one number to one number, or a trained tensor has no fixed initial value.

    Example:
        >>> from dslc.program.graph import GraphBuilder
        >>> from dslc.program.tensor_type import Symbol, TensorType
        >>> builder = GraphBuilder()
        >>> x = builder.add_input("x", TensorType((Symbol("batch"),)))
        >>> curve = trace_curve(builder.finish(builder.add("square", x)), (-2.0, 2.0))
        >>> curve.points[0], curve.points[200]
        ((-2.0, 4.0), (0.0, 0.0))
    """
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return None
    parameters = [parameter for node in graph for parameter in node.parameters]
    if not all(isinstance(parameter.initial, int | float | tuple) for parameter in parameters):
        return None
    (node,) = graph.inputs
    name = str(node.attribute("name"))
    # One example a point, one channel, one place: the curve of a channel is that of every other at the start.
    other_axes = max(0, sum(dim != REST for dim in node.type.shape) - 1)
    xs = np.linspace(*interval, NUM_POINTS)
    with np.errstate(all="ignore"):
        (values,) = interpret_graph(graph, {name: xs.reshape(-1, *[1] * other_axes)})
    values = np.asarray(values, dtype=np.float64)
    if values.size not in (1, NUM_POINTS):
        return None
    ys = np.broadcast_to(values.reshape(-1), NUM_POINTS)
    note = "trained values as they start" if parameters else ""
    return Curve(name, tuple(zip(xs.tolist(), ys.tolist(), strict=True)), note)
