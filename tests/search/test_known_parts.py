"""Known parts: their values are those of the interpreter, and what is found among them is what a plain search finds."""

import numpy as np
import pytest

import dslc
from dslc.automaton.variation_batch import BatchVariation
from dslc.program.evaluate_batch import BatchEvaluator
from dslc.program.interpret import interpret_graph
from dslc.search.known_parts import LARGEST, SMALLEST, KnownParts
from dslc.search.semantic_variation import SemanticVariation
from dslc.space import Space

X = np.linspace(0.2, 1.7, 9)
OPS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}


def learn(space: Space, batches: int = 3) -> tuple[SemanticVariation, KnownParts]:
    """What three batches teach, 300 parts at most."""
    assert not isinstance(space.elementwise, str)
    generator = np.random.default_rng(0)
    variation = BatchVariation(space.lowering.automaton, space.max_tokens, generator)
    evaluator = BatchEvaluator(space.elementwise, {"x": X})
    guide = SemanticVariation(variation, evaluator, np.sin(X) + X * X, generator, most_parts=300, longest=7)
    for seed in range(batches):
        sentences = variation.trace(space.sample_tokens(200, seed=seed, lengths="even"))
        schedule = evaluator.schedule(sentences.tokens)
        guide.remember(sentences, schedule, evaluator.compute(schedule))
    return guide, guide.parts


def texts(space: Space, parts: KnownParts) -> list[str]:
    pad = len(space.vocabulary)
    return [
        " ".join(str(space.vocabulary[token].text) for token in row if token != pad)
        for row in parts.sentences.tokens.tolist()
    ]


@pytest.fixture(scope="module")
def space() -> Space:
    return dslc.compile("expression", max_tokens=15)


def test_values_are_those_of_the_interpreter_and_no_two_are_equal(space: Space) -> None:
    _, parts = learn(space)
    assert len(parts) == 300
    pad = len(space.vocabulary)
    for row, values in zip(parts.sentences.tokens.tolist(), parts.values, strict=True):
        graph = space.decode([token for token in row if token != pad]).graph  # every part is a whole expression here
        with np.errstate(all="ignore"):
            (wanted,) = interpret_graph(graph, {"x": X})
        np.testing.assert_array_equal(values, np.broadcast_to(wanted, X.shape))
        assert SMALLEST <= np.abs(values).max() <= LARGEST
    assert len(np.unique(parts.values.round(12), axis=0)) >= 299
    assert (parts.lengths <= 7).all()
    assert {"x", "mul x x", "sin x"} <= set(texts(space, parts))


def test_pairs_are_those_of_a_plain_search(space: Space) -> None:
    _, parts = learn(space)
    wanted = np.stack((np.sin(X) + X * X, X * X, np.full(len(X), np.nan)))
    (slot,) = parts.stretches
    found = parts.find_pairs(wanted, slot)
    pairs = {tuple(row) for row in found.tolist()}
    names = {token.text: number for number, token in enumerate(space.vocabulary)}
    expected = set()
    values = parts.values
    for name, op in OPS.items():
        with np.errstate(all="ignore"):
            results = op(values[:, None], values[None, :])
            for row, each in enumerate(wanted):
                close = np.isclose(results, each, rtol=1e-9, atol=1e-11).all(2)
                expected |= {(row, names[name], left, right) for left, right in np.argwhere(close).tolist()}
    # Two parts may share a cell of the table, and then one of them is not found.
    assert len(expected) > 10
    assert len(pairs & expected) >= 0.9 * len(expected)
    for row, token, left, right in pairs:
        with np.errstate(all="ignore"):
            result = OPS[str(space.vocabulary[token].text)](values[left], values[right])
        np.testing.assert_allclose(result, wanted[row], rtol=1e-6, atol=1e-9)


def test_distances_order_parts_as_they_are_near(space: Space) -> None:
    _, parts = learn(space)
    (stretch,) = parts.stretches.values()
    wanted = np.stack((np.cos(X), X + 1))
    squares = ((wanted[:, None] - parts.values[None]) ** 2).sum(2)
    distances = parts.distances(wanted, stretch)
    np.testing.assert_allclose(2 * distances + (wanted**2).sum(1)[:, None], squares, rtol=1e-6, atol=1e-6)


def test_children_are_sentences_and_some_are_exact(space: Space) -> None:
    guide, _ = learn(space)
    variation = BatchVariation(space.lowering.automaton, space.max_tokens, np.random.default_rng(1))
    assert not isinstance(space.elementwise, str)
    evaluator = BatchEvaluator(space.elementwise, {"x": X})
    parents = variation.trace(space.sample_tokens(60, seed=9, lengths="even"))
    completed, aimed = guide.breed(parents.take(np.arange(20)), parents.take(np.arange(20, 60)))
    assert len(completed.tokens)
    assert len(aimed.tokens) > 10
    for children in (completed, aimed):
        np.testing.assert_array_equal(variation.trace(children.tokens).slots, children.slots)
    errors = np.abs(evaluator.evaluate(completed.tokens) - (np.sin(X) + X * X)).max(1)
    assert (errors < 1e-6).mean() > 0.9


def test_a_state_goes_on(space: Space) -> None:
    _, parts = learn(space)
    _, other = learn(space, batches=1)
    other.load_state_dict(parts.state_dict())
    np.testing.assert_array_equal(other.values, parts.values)
    wanted = (X * X)[None]
    (slot,) = parts.stretches
    np.testing.assert_array_equal(other.find_pairs(wanted, slot), parts.find_pairs(wanted, slot))
