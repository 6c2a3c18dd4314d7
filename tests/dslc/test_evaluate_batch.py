"""Populations as arrays give what the interpreter of each program's graph gives, to the last bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import dslc
from dslc.program.elementwise import ElementwiseTables, NotElementwiseError, compile_elementwise
from dslc.program.evaluate_batch import BatchEvaluator
from dslc.program.interpret import interpret_graph
from dslc.search.evaluate_torch import TorchBatchEvaluator
from dslc.space import Space

LISTS = """//! target generic(t, T)
//! op gauss(a) = exp(-a * a)
//! op blend(a, b, c) = a * b + c
//! op two() = 2
//! max_tokens 30
start: sum
sum: sum "+" product -> add | sum "-" product -> sub | product
product: atom "*" product -> mul | atom
atom: "(" sum ")" | "gauss" atom -> gauss | "blend" sum sum sum -> blend | VALUE | "n" atom -> negate | "two" -> two
VALUE: "t" | "T" | "2" | "0.5"
"""
CORES = """//! target activation
//! max_tokens 15
start: core
core: input input unary unary binary
input: "x" -> x | "(" core ")"
unary: "sin" -> sin | "exp" -> exp | "relu" -> relu | "erf" -> erf | "identity" -> identity
binary: "sub" -> sub | "div" -> div | "max" -> max
"""
OPERANDS_FIRST = """//! target generic(x)
//! max_tokens 20
start: "start" sum sum -> sub
sum: VALUE VALUE sum "add" -> blend | VALUE
//! op blend(a, b, c) = a * b - c
VALUE: "x" | "3"
"""
SPACES: dict[str, tuple[Callable[[], dslc.Space], Any, str]] = {
    "expression": (lambda: dslc.compile("expression"), "x", "prefix"),
    "two variables": (lambda: dslc.compile("expression", start="two_variables", max_tokens=20), "xy", "prefix"),
    "numbers": (lambda: dslc.compile("expression", start="numbers"), "x", "prefix"),
    "constrained": (lambda: dslc.compile("expression_constrained", start="two_variables"), "xy", "prefix"),
    "lists": (lambda: dslc.compile_text(LISTS), "tT", "other"),
    "cores": (lambda: dslc.compile_text(CORES), "x", "other"),
    "operands first": (lambda: dslc.compile_text(OPERANDS_FIRST), "x", "other"),
}


def interpret_all(space: Space, tokens: np.ndarray, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The oracle: tree, graph and interpreter, one program after the other."""
    rows = []
    points = len(next(iter(inputs.values())))
    for row in tokens.tolist():
        graph = space.decode([token for token in row if token != len(space.vocabulary)]).graph
        with np.errstate(all="ignore"):
            (values,) = interpret_graph(graph, inputs)
        rows.append(np.broadcast_to(values, (points,)))
    return np.array(rows)


def tables_of(space: Space) -> ElementwiseTables:
    tables = space.elementwise
    assert isinstance(tables, ElementwiseTables), tables
    return tables


@pytest.mark.parametrize("name", SPACES)
def test_values_are_those_of_the_interpreter(name: str) -> None:
    make, names, order = SPACES[name]
    space = make()
    tables = tables_of(space)
    assert (tables.code_by_token is not None) == (order == "prefix")
    generator = np.random.default_rng(1)
    inputs = {each: generator.uniform(-1, 2, 20) for each in names}
    evaluator = BatchEvaluator(tables, inputs)
    for seed in range(2):
        tokens = space.sample_tokens(150, seed=seed, lengths="even")
        wanted = interpret_all(space, tokens, inputs)
        np.testing.assert_array_equal(evaluator.evaluate(tokens), wanted)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_torch_gives_the_same_where_nothing_is_magnified(name: str, device: str) -> None:
    make, names, _ = SPACES[name]
    space = make()
    generator = np.random.default_rng(2)
    inputs = {each: generator.uniform(0.5, 1.5, 10) for each in names}
    tokens = space.sample_tokens(150, seed=0, lengths="even")
    tokens = tokens[(tokens != len(space.vocabulary)).sum(1) <= 9]
    assert len(tokens) > 10
    wanted = BatchEvaluator(tables_of(space), inputs).evaluate(tokens)
    found = TorchBatchEvaluator(tables_of(space), {k: torch.tensor(v, device=device) for k, v in inputs.items()})
    np.testing.assert_allclose(found.evaluate(tokens).cpu().numpy(), wanted, rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("name", SPACES)
def test_places_are_those_of_a_walk_over_each_program(name: str) -> None:
    make, names, _ = SPACES[name]
    space = make()
    tables = tables_of(space)
    schedule = BatchEvaluator(tables, dict.fromkeys(names, np.ones(3))).schedule(
        space.sample_tokens(100, seed=3, lengths="even")
    )
    codes, numbers = schedule.instructions.tolist(), schedule.numbers.tolist()
    owners, columns = schedule.owners().tolist(), schedule.columns().tolist()
    afters = [0] * len(codes)
    heights = dict.fromkeys(range(len(numbers)), 0)
    operands_of = {}
    behind: list[int] = []
    for place in range(len(codes) - 1, -1, -1):
        begins = [behind.pop() for _ in range(int(tables.arity[codes[place]]))]
        afters[place] = afters[begins[-1]] if begins else place + 1
        heights[place] = 1 + max((heights[begin] for begin in begins), default=-1)
        operands_of[place] = [numbers[begin] for begin in begins]
        behind.append(place)
    assert schedule.afters.tolist() == afters
    assert (schedule.sizes() == np.array(afters) - np.arange(len(codes))).all()
    assert behind == sorted(schedule.begins.tolist(), reverse=True), "each program begins behind another"
    for place, (owner, column) in enumerate(zip(owners, columns, strict=True)):
        assert place == schedule.begins[owner] + column == schedule.places(np.array([owner]), np.array([column]))[0]
    assert schedule.roots.tolist() == [numbers[place] for place in schedule.begins.tolist()]
    first = max(numbers) + 1 - len(schedule.codes)
    height_of = np.repeat(schedule.heights, np.diff(schedule.bounds)).tolist()
    is_reversed = tables.code_by_token is None
    for place, number in enumerate(numbers):
        if number >= first:
            assert schedule.codes[number - first] == codes[place]
            assert height_of[number - first] == heights[place]
            found = schedule.operands[: len(operands_of[place]), number - first].tolist()
            assert found[:: -1 if is_reversed else 1] == operands_of[place]


def test_long_programs_and_high_ones() -> None:
    space = dslc.compile("expression", max_tokens=300)
    tokens = space.sample_tokens(6, seed=0, lengths="even")
    chain = space.parse("sin ( " * 299 + "x" + " )" * 299).tokens
    tokens = np.concatenate((tokens, np.full((1, 300), len(space.vocabulary))))
    tokens[-1, : len(chain)] = chain
    inputs = {"x": np.linspace(0.5, 1.5, 3)}
    wanted = interpret_all(space, tokens, inputs)
    np.testing.assert_array_equal(BatchEvaluator(tables_of(space), inputs).evaluate(tokens), wanted)


def test_no_program_and_programs_without_ops() -> None:
    space = dslc.compile("expression", start="two_variables", max_tokens=20)
    evaluator = BatchEvaluator(tables_of(space), {"x": np.array([1.0, 2.0]), "y": np.array([3.0, 4.0])})
    assert evaluator.evaluate(np.empty((0, 20), np.int16)).shape == (0, 2)
    tokens = np.full((3, 20), len(space.vocabulary))
    tokens[:, 0] = [space.parse(text).tokens[0] for text in ("y", "x", "y")]
    np.testing.assert_array_equal(evaluator.evaluate(tokens), [[3, 4], [1, 2], [3, 4]])


def test_one_program_and_equal_programs() -> None:
    space = dslc.compile("expression")
    inputs = {"x": np.linspace(0.5, 1.5, 7)}
    evaluator = BatchEvaluator(tables_of(space), inputs)
    texts = ["x", "sin ( x )", "add ( sin ( x ) , sin ( x ) )", "sin ( x )"]
    rows = [space.parse(text).tokens for text in texts]
    tokens = np.full((4, 8), len(space.vocabulary))
    for row, sentence in zip(tokens, rows, strict=True):
        row[: len(sentence)] = sentence
    schedule = evaluator.schedule(tokens)
    assert len(schedule.codes) == 2, "sin(x) is computed once, the sum once"
    assert schedule.roots[1] == schedule.roots[3]
    x = inputs["x"]
    np.testing.assert_array_equal(evaluator.evaluate(tokens), [x, np.sin(x), np.sin(x) + np.sin(x), np.sin(x)])


@pytest.mark.parametrize(
    ("grammar", "start", "reason"),
    [
        ("expression", "fitted", "`fit` needs more than its values"),
        ("activation", "start", "`scale` needs more than its values"),
        ("conv_net", "start", "the target `conv_net` builds no elementwise functions"),
    ],
)
def test_what_is_not_elementwise_says_why(grammar: str, start: str, reason: str) -> None:
    space = dslc.compile(grammar, start=start)
    assert space.elementwise == reason
    with pytest.raises(NotElementwiseError):
        compile_elementwise(space.lowering, space.meaning())


def test_a_space_without_a_target_says_why() -> None:
    assert dslc.compile_text('start: "a" | "b"').elementwise == "it has no target"
