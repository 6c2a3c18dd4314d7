"""Children made by the thousand: every one is a sentence within the budget, and its slots are those of its tokens."""

import numpy as np
import pytest

import dslc
from dslc.automaton.variation_batch import BatchVariation, Sentences
from dslc.space import Space


@pytest.fixture(params=["expression", "expression_constrained", "activation", "cnn"])
def space(request: pytest.FixtureRequest) -> Space:
    if request.param == "cnn":
        return dslc.compile("conv_net")
    start = "nested" if request.param == "activation" else None
    return dslc.compile(request.param, start=start, max_tokens=15 if start else 20)


@pytest.mark.parametrize("way", ["graft", "shrink", "change", "insert"])
def test_children_are_sentences(space: Space, way: str) -> None:
    variation = BatchVariation(space.lowering.automaton, space.max_tokens, np.random.default_rng(0))
    parents, donors = (variation.trace(space.sample_tokens(200, seed=seed, lengths="even")) for seed in (0, 1))
    made = getattr(variation, way)
    children, is_child = made(parents, donors) if way in ("graft", "insert") else made(parents)
    assert isinstance(children, Sentences)
    assert len(children.tokens) == is_child.sum()
    for row in children.tokens.tolist():
        space.decode([token for token in row if token != len(space.vocabulary)])
    np.testing.assert_array_equal(variation.trace(children.tokens).slots, children.slots)
    parents = parents.take(is_child)
    if way == "change":
        assert ((children.tokens != parents.tokens).sum(1) == 1).all()
    elif way == "shrink":
        assert (children.lengths() < parents.lengths()).all()
    elif way == "insert":
        assert (children.lengths() > parents.lengths()).all()
    else:
        assert len(children.tokens) > 50


def test_marked_ends_are_those_of_the_parts(space: Space) -> None:
    one, other = (
        BatchVariation(space.lowering.automaton, space.max_tokens, np.random.default_rng(1)) for _ in range(2)
    )
    parents, donors = (one.trace(space.sample_tokens(200, seed=seed, lengths="even")) for seed in (0, 1))
    marked = [one.mark_ends(group) for group in (parents, donors)]
    for name in ("graft", "insert"):
        children, is_child = getattr(one, name)(*marked)
        wanted, are_children = getattr(other, name)(parents, donors)
        np.testing.assert_array_equal(children.tokens, wanted.tokens)
        np.testing.assert_array_equal(is_child, are_children)


def test_every_part_of_a_parent_is_exchanged() -> None:
    """The place is drawn evenly: with a donor of one token, each place of `add ( x , mul ( x , x ) )` is met."""
    space = dslc.compile("expression")
    variation = BatchVariation(space.lowering.automaton, 10, np.random.default_rng(3))
    sentence = np.array([space.parse("add ( x , mul ( x , x ) )").tokens] * 500)
    donor = np.array([space.parse("x").tokens] * 500)
    children, is_child = variation.graft(variation.trace(sentence), variation.trace(donor))
    assert is_child.all()
    pad = len(space.vocabulary)
    texts = [space.decode([t for t in row if t != pad]).text for row in children.tokens.tolist()]
    counts = {text: texts.count(text) for text in set(texts)}
    # x at the root; x for the product; x for one of the three leaves gives the parent again.
    assert set(counts) == {"x", "add ( x , x )", "add ( x , mul ( x , x ) )"}
    assert abs(counts["x"] - 100) < 5 * 9
    assert abs(counts["add ( x , x )"] - 100) < 5 * 9
