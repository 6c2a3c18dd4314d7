"""Tokens to derivations and back: lists nested as written, fusions undone, errors, long sentences."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dslc.automaton.count import Counts
from dslc.automaton.derivation import Derivation, Scanned
from dslc.automaton.derive import derivation_to_tokens, tokens_to_derivation
from dslc.automaton.lower import Lowering
from dslc.automaton.uniform import sample_uniform
from dslc.diagnostics import Code, DslcError
from tests.dslc.random_grammars import lower_text

GRAMMARS = Path(__file__).parents[1] / "bench" / "grammars"


def lower(text: str, budget: int = 64) -> Lowering:
    return lower_text(text, budget)[1]


def ids(lowering: Lowering, *labels: str) -> tuple[int, ...]:
    id_of = {token.label: token.id for token in lowering.automaton.vocabulary}
    return tuple(id_of[label] for label in labels)


def both_ways(lowering: Lowering, *labels: str) -> Derivation:
    tokens = ids(lowering, *labels)
    derivation = tokens_to_derivation(lowering, tokens)
    assert derivation_to_tokens(lowering, derivation) == tokens
    return derivation


def test_a_left_list_nests_to_the_left() -> None:
    lowering = lower('start: start "+" A | A\nA: "a" | "b"\n')
    plus = next(t.name for t in lowering.bnf.terminals if t.is_anonymous)
    inner = Derivation("start", 1, (Scanned("A", 0),))
    assert both_ways(lowering, "A.a", '"+"', "A.b", "<stop start>") == Derivation(
        "start", 0, (inner, Scanned(plus, 0), Scanned("A", 1))
    )


def test_a_right_list_nests_to_the_right() -> None:
    lowering = lower('start: A "," start | A\nA: "a" | "b"\n')
    comma = next(t.name for t in lowering.bnf.terminals if t.is_anonymous)
    inner = Derivation("start", 1, (Scanned("A", 1),))
    assert both_ways(lowering, "A.a", '","', "A.b", "<stop start>") == Derivation(
        "start", 0, (Scanned("A", 0), Scanned(comma, 0), inner)
    )


def test_a_list_with_several_bases_and_steps() -> None:
    lowering = lower('start: start A | B | start C A | D\nA: "a"\nB: "b"\nC: "c"\nD: "d"\n')
    base = Derivation("start", 3, (Scanned("D", 0),))
    once = Derivation("start", 2, (base, Scanned("C", 0), Scanned("A", 0)))
    assert both_ways(lowering, "D.d", "C.c", "A.a", "<stop start>") == Derivation("start", 0, (once, Scanned("A", 0)))


def test_fused_rules_are_undone_outermost_first() -> None:
    lowering = lower('start: p "!" | C\np: q A | B\nq: A | D\nA: "a" | "A"\nB: "b"\nC: "c"\nD: "d"\n')
    derivation = both_ways(lowering, "D.d", "A.A")
    assert derivation.production == 0
    inner = derivation.children[0]
    assert inner == Derivation("p", 0, (Derivation("q", 1, (Scanned("D", 0),)), Scanned("A", 1)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("A.a",), "unfinished"),
        ((), "unfinished"),
        (("A.a", "A.a"), "token 2, `A.a`, is not allowed there"),
        (("<stop start>",), "token 1"),
        (("A.a", "<stop start>", "A.a"), "finished after 2 of 3 tokens"),
    ],
)
def test_tokens_that_are_no_sentence(labels: tuple[str, ...], message: str) -> None:
    lowering = lower('start: start "+" A | A\nA: "a" | "b"\n')
    with pytest.raises(DslcError, match=message) as caught:
        tokens_to_derivation(lowering, ids(lowering, *labels))
    assert caught.value.diagnostics[0].code is Code.TOKENS_NOT_A_SENTENCE


@pytest.mark.parametrize("token", [-1, 99])
def test_ids_outside_the_vocabulary(token: int) -> None:
    with pytest.raises(DslcError, match=f"id {token}"):
        tokens_to_derivation(lower('start: A\nA: "a" | "b"\n'), (token,))


@pytest.mark.parametrize("name", ["arith", "optim", "conv", "lstm", "rules3"])
def test_samples_go_both_ways(name: str) -> None:
    lowering = lower((GRAMMARS / f"{name}.lark").read_text(encoding="utf-8"), 100)
    counts = Counts(lowering.automaton, 100)
    generator = random.Random(0)
    for _ in range(30):
        tokens = sample_uniform(counts, generator, "even")
        assert derivation_to_tokens(lowering, tokens_to_derivation(lowering, tokens)) == tokens


@pytest.mark.parametrize(
    "text",
    [
        'start: A "," start | A\nA: "a" | "b"\n',
        'start: start "," A | A\nA: "a" | "b"\n',
        'start: A*\nA: "a" | "b"\n',
        'start: "(" start ")" | "x"\n',
        "start: start | A\n" + 'A: "a" | "b"\n',
    ],
)
def test_long_sentences_need_no_recursion(text: str) -> None:
    lowering = lower(text, 4000)
    counts = Counts(lowering.automaton, 4000)
    tokens = counts.unrank(counts.total - 1)
    assert len(tokens) >= 3999
    derivation = tokens_to_derivation(lowering, tokens)
    assert derivation_to_tokens(lowering, derivation) == tokens
