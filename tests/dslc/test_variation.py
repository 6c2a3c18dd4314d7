"""Sentences made from others: each is one within budget and constraints, and all can be reached."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from dslc.automaton.scalar import ScalarRuntime
from dslc.automaton.variation import GROWTH, Parent, Variation
from dslc.pipeline import compile_grammar
from dslc.source import SourceFile
from dslc.space import Space
from tests.controller.small_spaces import FORCED, LISTS, MENUS, SIZES, TREES, list_sentences, make_space
from tests.dslc.random_grammars import random_grammar

ROOT = Path(__file__).parents[2]
INHERITED = """
//! forbid sin inside sin
//! max_depth 3 add
start: e
e: "(" e "+" e ")" -> add | "(" e "*" e ")" -> mul | "s" e -> sin | X -> x
X: "x" | "y"
"""
COUNTED = """
//! at_most 2 mul
//! at_least 1 sin
start: e
e: "(" e "+" e ")" -> add | "(" e "*" e ")" -> mul | "s" e -> sin | X -> x
X: "x" | "y"
"""
SPACES = {
    "menus": (MENUS, 3),
    "trees": (TREES, 9),
    "lists": (LISTS, 7),
    "inherited": (INHERITED, 14),
    "counted": (COUNTED, 12),
}


def is_sentence(space: Space, tokens: tuple[int, ...]) -> bool:
    """As the scalar automaton, which has its own oracles, says."""
    runtime = ScalarRuntime(space.lowering.automaton, space.max_tokens)
    allowed = runtime.first
    for token in tokens:
        if token not in allowed:
            return False
        allowed = runtime.step(token)
    return not allowed


def check(space: Space, variation: Variation, child: Parent) -> None:
    """A sentence with the positions that walking it gives."""
    assert is_sentence(space, child.tokens)
    assert list(variation.trace(child.tokens).positions) == list(child.positions)


def check_space(space: Space, rounds: int, seed: int) -> None:
    """Children of children, for a while."""
    random = Random(seed)
    variation = Variation(space.exact_counts(), random)
    parents = [variation.trace(variation.sample()) for _ in range(6)]
    for _ in range(rounds):
        one, other = random.choice(parents), random.choice(parents)
        children = [variation.mutate(one), variation.cross(one, other), variation.graft(one, other)]
        for child in children:
            check(space, variation, child)
        parents[random.randrange(6)] = random.choice(children)


@pytest.mark.parametrize("name", SPACES)
def test_children_are_sentences(name: str) -> None:
    check_space(make_space(*SPACES[name]), 300, seed=1)


@pytest.mark.parametrize("path", ["conv_net", "expression_constrained", "rnn_cell", "optimizer"])
def test_children_are_sentences_of_shipped_grammars(path: str) -> None:
    file = ROOT / "grammars" / f"{path}.lark"
    check_space(Space(compile_grammar(SourceFile(path, file.read_text()), max_tokens=40)), 100, seed=2)


@pytest.mark.parametrize("seed", range(40))
def test_children_are_sentences_of_random_grammars(seed: int) -> None:
    space = make_space(random_grammar(seed, operators=seed % 2 == 0).text(), 12)
    check_space(space, 20, seed)


@pytest.mark.parametrize("name", SPACES)
def test_mutation_reaches_every_sentence(name: str) -> None:
    text, budget = SPACES[name]
    space = make_space(text, min(budget, 7))
    variation = Variation(space.exact_counts(), Random(3))
    sentences = set(list_sentences(space))
    assert len(sentences) < 2000
    parent = variation.trace(variation.sample())
    seen = {parent.tokens}
    for _ in range(60 * len(sentences)):
        parent = variation.mutate(parent)
        seen.add(parent.tokens)
    assert seen == sentences


def test_samples_have_even_lengths_and_are_uniform_in_each() -> None:
    space = make_space(TREES, SIZES[TREES])
    variation = Variation(space.exact_counts(), Random(4))
    number = 40_000
    drawn = [variation.sample() for _ in range(number)]
    by_length: dict[int, list[tuple[int, ...]]] = {}
    for tokens in list_sentences(space):
        by_length.setdefault(len(tokens), []).append(tokens)
    for sentences in by_length.values():
        share = 1 / len(by_length) / len(sentences)
        for tokens in sentences[:5]:
            error = (number * share * (1 - share)) ** 0.5
            assert abs(drawn.count(tokens) - number * share) < 5 * error


def test_a_mutation_changes_one_part() -> None:
    space = make_space(TREES, 15)
    variation = Variation(space.exact_counts(), Random(5))
    for _ in range(300):
        parent = variation.trace(variation.sample())
        child = variation.mutate(parent)
        assert child.tokens != parent.tokens
        assert len(child.tokens) <= len(parent.tokens) + GROWTH
        begin = next(i for i in range(len(parent.tokens)) if child.tokens[: i + 1] != parent.tokens[: i + 1])
        ends = {variation.find_end(parent, index): index for index in range(begin + 1)}
        rests = [
            end for end in ends if parent.tokens[end:] == child.tokens[len(child.tokens) - len(parent.tokens) + end :]
        ]
        assert rests, "what follows the part is as it was"


def test_mixing_sentences_of_one_shape_takes_each_token_from_either_evenly() -> None:
    space = make_space(MENUS)
    variation = Variation(space.exact_counts(), Random(6))
    one, other = (variation.trace(tokens) for tokens in (space.parse("ada").tokens, space.parse("bec").tokens))
    number = 4000
    children = [variation.cross(one, other).tokens for _ in range(number)]
    for index in range(3):
        from_other = sum(child[index] == other.tokens[index] for child in children)
        assert abs(from_other - number / 2) < 5 * (number / 4) ** 0.5
        assert {child[index] for child in children} == {one.tokens[index], other.tokens[index]}
    assert len(set(children)) == 8


def test_nothing_varies_where_there_is_one_sentence() -> None:
    for text in (FORCED, 'start: A\nA: "a"'):
        space = make_space(text)
        variation = Variation(space.exact_counts(), Random(7))
        parent = variation.trace(variation.sample())
        assert [variation.mutate(parent).tokens, variation.cross(parent, parent).tokens] == [parent.tokens] * 2
        assert variation.graft(parent, parent).tokens == parent.tokens
