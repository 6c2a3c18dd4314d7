"""The parser against a brute-force count of trees and against lark's Earley parser."""

from __future__ import annotations

import random

import pytest
from lark.exceptions import LarkError

from dslc.language.earley import TextParser
from dslc.language.forest import Readings, extract_readings
from dslc.language.reading import Reading, Scan
from tests.dslc.plain_grammar import (
    PlainGrammar,
    Shape,
    count_trees,
    is_cyclic,
    plain_grammar,
    random_grammar,
    texts_up_to,
)


def read(grammar: PlainGrammar, text: str) -> Readings | None:
    chart = TextParser(grammar.bnf, grammar.start).parse(text)
    return extract_readings(chart) if chart.ends else None


def shape(grammar: PlainGrammar, reading: Reading) -> Shape:
    """The reading as a nested tuple, every production checked on the way."""
    stack: list[Shape] = []
    for step in reversed(reading):
        if isinstance(step, Scan):
            stack.append((step.terminal, step.literal))
        else:
            symbols = grammar.rules[step.rule][step.production]
            children = tuple(stack.pop() for _ in symbols)
            assert tuple(child[0] for child in children) == symbols
            stack.append((step.rule, step.production, *children))
    (root,) = stack
    assert root[0] == grammar.start
    return root


def spelled(grammar: PlainGrammar, reading: Reading) -> str:
    return "".join(grammar.terminals[step.terminal][step.literal] for step in reading if isinstance(step, Scan))


@pytest.mark.parametrize("ignores_blank", [False, True])
@pytest.mark.parametrize("overlapping", [False, True])
def test_acceptance_and_uniqueness_equal_brute_force(ignores_blank: bool, overlapping: bool) -> None:
    generator = random.Random(7)
    num_ambiguous = num_accepted = num_cyclic = 0
    for _ in range(60):
        grammar = random_grammar(generator, overlapping=overlapping)
        grammar = PlainGrammar(grammar.rules, grammar.terminals, ignores_blank)
        num_cyclic += is_cyclic(grammar)
        texts = texts_up_to(grammar, 3)
        for text in generator.sample(texts, min(20, len(texts))):
            expected = count_trees(grammar, text)
            readings = read(grammar, text)
            assert (readings is not None) == (expected > 0), (grammar, text)
            if readings is None:
                continue
            num_accepted += 1
            num_ambiguous += readings.is_ambiguous
            assert readings.is_ambiguous == (expected > 1), (grammar, text)
            first = shape(grammar, readings.first)
            assert spelled(grammar, readings.first) == text.replace(" ", "")
            if readings.second is not None:
                assert shape(grammar, readings.second) != first
                assert spelled(grammar, readings.second) == text.replace(" ", "")
                assert len(readings.first) <= len(readings.second)
    assert min(num_accepted, num_ambiguous * 5, num_cyclic * 10) >= 100


def test_trees_equal_lark() -> None:
    generator = random.Random(11)
    num_grammars = num_accepted = 0
    while num_grammars < 100:
        grammar = random_grammar(generator, max_rules=3)
        if is_cyclic(grammar):
            continue  # lark does not list the trees of cyclic rules
        num_grammars += 1
        texts = texts_up_to(grammar, 3)
        for text in generator.sample(texts, min(8, len(texts))):
            readings = read(grammar, text)
            try:
                trees = grammar.lark_trees(text)
            except LarkError:
                assert readings is None, (grammar, text)
                continue
            assert readings is not None, (grammar, text)
            num_accepted += 1
            assert readings.is_ambiguous == (len(trees) > 1), (grammar, text)
            assert shape(grammar, readings.first) in trees
            if readings.second is not None:
                assert shape(grammar, readings.second) in trees
    assert num_accepted >= 100


def test_the_first_tree_has_the_fewest_nodes_then_the_lowest_production() -> None:
    grammar = plain_grammar('start: wrap | "a" | x\nwrap: "a"\nx: "a" |')
    readings = read(grammar, "a")
    assert readings is not None
    assert shape(grammar, readings.first) == ("start", 1, ('"a"', 0))
    assert shape(grammar, readings.second) == ("start", 0, ("wrap", 0, ('"a"', 0)))  # type: ignore[arg-type]


def test_a_cycle_ends_in_the_finite_tree_and_the_second_turns_once() -> None:
    readings = read(plain_grammar('start: start | "a"'), "a")
    assert readings is not None
    assert readings.second is not None
    assert [step.production for step in readings.first if not isinstance(step, Scan)] == [1]
    assert [step.production for step in readings.second if not isinstance(step, Scan)] == [0, 1]


def test_blanks_that_could_stand_at_two_places_are_one_derivation() -> None:
    grammar = plain_grammar("start: e N e N e\ne:", ignores_blank=True, N="n")
    for text in ("n n", "  n   n  ", "nn"):
        readings = read(grammar, text)
        assert readings is not None
        assert not readings.is_ambiguous


def test_a_literal_of_blanks_is_taken_where_it_first_fits() -> None:
    grammar = plain_grammar("start: N B N", ignores_blank=True, N="n")
    grammar = PlainGrammar(grammar.rules, grammar.terminals | {"B": (" ",)}, True)
    for text, is_sentence in (("n n", True), ("n    n", True), ("nn", False)):
        readings = read(grammar, text)
        assert (readings is not None) == is_sentence
        assert readings is None or not readings.is_ambiguous


def test_blanks_written_as_rules() -> None:
    grammar = plain_grammar('start: "f" | "(" start blanks start ")"\nblanks: B | blanks B', B="")
    grammar = PlainGrammar(grammar.rules, grammar.terminals | {"B": (" ",)})
    readings = read(grammar, "(f (f f))")
    assert readings is not None
    assert not readings.is_ambiguous
    assert read(grammar, "(ff)") is None


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ('start: start "a" | "a"', "a" * 4000),
        ('start: "a" start | "a"', "a" * 4000),
        ('start: "(" start ")" |', "(" * 1500 + ")" * 1500),
        ('start: one "." one\none: "a" one |', "a" * 1500 + "." + "a" * 1500),
    ],
)
def test_long_sentences_take_work_in_proportion(rules: str, text: str) -> None:
    grammar = plain_grammar(rules)
    chart = TextParser(grammar.bnf, grammar.start).parse(text)
    assert not extract_readings(chart).is_ambiguous
    assert chart.num_items <= 12 * len(text)
