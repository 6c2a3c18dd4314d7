"""Curves: the function's own values, gaps where it has none, and a picture of them."""

import math
import re

import numpy as np
import pytest

from dslc.program.draw.curve import NUM_POINTS, Curve, trace_curve
from dslc.program.draw.write_curve import PLOT_HEIGHT, PLOT_WIDTH, choose_ticks, write_curve
from dslc.program.graph import GraphBuilder, Node
from dslc.program.tensor_type import REST, Symbol, TensorType
from dslc.space import compile


def make_curve(*ops: str, interval: tuple[float, float] = (-5.0, 5.0)) -> Curve:
    builder = GraphBuilder()
    value: Node = builder.add_input("x", TensorType((Symbol("batch"), Symbol("channels"), REST)))
    for op in ops:
        value = builder.add(op, value)
    curve = trace_curve(builder.finish(value), interval)
    assert curve is not None
    return curve


@pytest.mark.parametrize(
    ("sentence", "function"),
    [
        ("x x identity sigmoid mul", lambda x: x / (1 + math.exp(-x))),
        ("x x scale sigmoid mul", lambda x: x / (1 + math.exp(-x))),
        ("x x sin constant max", lambda x: max(math.sin(x), 1.0)),
        ("x x shift cos add", lambda x: x + 1 + math.cos(x)),
    ],
)
def test_points_are_the_functions(sentence: str, function: object) -> None:
    space = compile("activation")
    program = space.parse(sentence)
    interval = space.meaning().plot_inputs(program.graph)
    assert interval is not None
    curve = trace_curve(program.graph, interval)
    assert curve is not None
    assert callable(function)
    assert len(curve.points) == NUM_POINTS
    assert curve.x_limits == interval
    np.testing.assert_allclose([y for _, y in curve.points], [function(x) for x, _ in curve.points], rtol=1e-12)


def test_points_of_given_hinges() -> None:
    space = compile("activation_piecewise_linear")
    program = space.parse("max(0,x) + 0.2 * max(0,-x + 0.5 ) + -1 * max(0,-x + -0.5 )")
    curve = trace_curve(program.graph, (-3.0, 3.0))
    assert curve is not None
    for x, y in curve.points:
        assert y == pytest.approx(max(0, x) + 0.2 * max(0, -x + 0.5) - max(0, -x - 0.5), abs=1e-12)


def test_trained_values_are_said_to_be_initial() -> None:
    assert make_curve("scale").note == "trained values as they start"
    assert make_curve("sin").note == ""


def test_a_gap_where_there_is_no_value() -> None:
    curve = make_curve("sqrt")
    (line,) = curve.lines()
    assert line[0] == (0.0, 0.0)
    assert line[-1] == (5.0, math.sqrt(5))
    assert all(math.isnan(y) for x, y in curve.points if x < 0)


def test_a_gap_in_the_middle() -> None:
    curve = Curve("x", tuple((float(x), math.nan if x == 3 else float(x)) for x in range(7)))
    assert [[x for x, _ in line] for line in curve.lines()] == [[0, 1, 2], [4, 5, 6]]


def test_a_pole_is_no_line() -> None:
    points = tuple((x, 1 / x) for x in np.linspace(-1, 1, 400).tolist())
    curve = Curve("x", points)
    low, high = curve.y_limits
    assert -50 < low < high < 50
    for line in curve.lines():
        assert len({x > 0 for x, _ in line}) == 1
        assert all(low <= y <= high for _, y in line)


def test_no_value_at_all() -> None:
    curve = Curve("x", ((0.0, math.nan), (1.0, math.inf)))
    assert list(curve.lines()) == []
    assert any("no finite value" in part for part in write_curve(curve, 0, 0))


def test_a_flat_curve_and_huge_values() -> None:
    low, high = Curve("x", ((0.0, 2.0), (1.0, 2.0))).y_limits
    assert low < 2 < high
    curve = make_curve("exp", "exp", interval=(-2.0, 3.0))
    low, high = curve.y_limits
    assert high < curve.points[-1][1]
    assert all(y <= high for line in curve.lines() for _, y in line)


def test_the_picture_maps_points_straight() -> None:
    curve = make_curve("tanh")
    (line,) = (part for part in write_curve(curve, 10, 20) if part.startswith("<polyline"))
    found = re.search(r'points="([^"]*)"', line)
    assert found is not None
    drawn = np.array([[float(number) for number in pair.split(",")] for pair in found[1].split()])
    points = np.array(curve.points)
    low, high = curve.y_limits
    assert np.ptp(drawn[:, 0]) == pytest.approx(PLOT_WIDTH, abs=0.02)
    np.testing.assert_allclose(drawn[:, 0] - drawn[0, 0], (points[:, 0] + 5) / 10 * PLOT_WIDTH, atol=0.02)
    heights = (high - points[:, 1]) / (high - low) * PLOT_HEIGHT
    np.testing.assert_allclose(drawn[:, 1] - drawn[0, 1], heights - heights[0], atol=0.02)


@pytest.mark.parametrize("limits", [(-5, 5), (0, 1e-7), (-3e9, 4e12), (0.98, 1.02), (-1, 1)])
def test_ticks_are_round_and_few(limits: tuple[float, float]) -> None:
    ticks = choose_ticks(*limits)
    assert 3 <= len(ticks) <= 10
    room = 1e-9 * (limits[1] - limits[0])
    assert all(limits[0] - room <= tick <= limits[1] + room for tick in ticks)


def test_what_has_no_curve() -> None:
    builder = GraphBuilder()
    x, y = (builder.add_input(name, TensorType((Symbol("batch"),))) for name in "xy")
    assert trace_curve(builder.finish(builder.add("add", x, y)), (0.0, 1.0)) is None
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((Symbol("batch"), 1)))
    graph = builder.finish(builder.add("linear", x, attributes={"out_features": 1}))
    assert trace_curve(graph, (0.0, 1.0)) is None


def test_drawings_with_a_curve() -> None:
    svg = compile("activation").parse("x x identity sigmoid mul").draw().svg
    assert svg.count('class="curve"') == 1
    assert "svg.dslc-drawing .curve{stroke:" in svg
    assert "f(x) = x · sigmoid(x)" in svg
    assert "polyline" not in compile("conv_net").sample(seed=0).draw().svg
