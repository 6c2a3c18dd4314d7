"""Exact counts and the numbering: closed forms, order, errors, size."""

from __future__ import annotations

import random
from math import comb
from pathlib import Path

import pytest

from dslc.automaton import count
from dslc.automaton.count import Counts
from dslc.diagnostics import Code, DslcError
from tests.dslc.random_grammars import lower_text

GRAMMARS = Path(__file__).parents[1] / "bench" / "grammars"


def counts_of(text: str, budget: int) -> Counts:
    return Counts(lower_text(text, budget)[1].automaton, budget)


def bench(name: str, budget: int) -> Counts:
    return counts_of((GRAMMARS / f"{name}.lark").read_text(encoding="utf-8"), budget)


def test_catalan_numbers() -> None:
    # Full binary trees with n inner nodes and two kinds of leaf: Catalan(n) * 2^(n + 1), in 2 n + 1 decisions.
    counts = counts_of('start: "(" start start ")" | N\nN: "1" | "2"\n', 41)
    for n in range(21):
        assert counts.by_tokens[2 * n + 1] == comb(2 * n, n) // (n + 1) * 2 ** (n + 1)
    assert counts.total == sum(counts.by_tokens)


def test_counts_of_a_smaller_budget_are_the_first_of_a_larger() -> None:
    large = bench("optim", 60)
    for budget in (2, 7, 31, 60):
        if budget >= large.automaton.min_tokens:
            assert Counts(large.automaton, budget).by_tokens == large.by_tokens[: budget + 1]


@pytest.mark.parametrize(
    ("name", "budget"), [("arith", 64), ("optim", 63), ("conv", 100), ("lstm", 30), ("rules3", 40)]
)
def test_rank_is_the_inverse_of_unrank(name: str, budget: int) -> None:
    counts = bench(name, budget)
    generator = random.Random(0)
    indices = [0, 1, counts.total - 1, *(generator.randrange(counts.total) for _ in range(60))]
    for index in indices:
        tokens = counts.unrank(index)
        assert counts.rank(tokens) == index
        assert len(tokens) <= budget


def test_order_is_by_length_then_by_token() -> None:
    # Every slot has one length, so the numbering is lexicographic.
    counts = counts_of('start: A B C\nA: "a" | "b"\nB: "c" | "d" | "e"\nC: "f" | "g"\n', 3)
    sequences = [counts.unrank(i) for i in range(counts.total)]
    assert sequences == sorted(sequences)
    lists = counts_of('start: A~1..4\nA: "a" | "b"\n', 5)
    sequences = [lists.unrank(i) for i in range(lists.total)]
    assert sequences == sorted(sequences, key=lambda tokens: (len(tokens), tokens))


def test_the_numbering_survives_forgetting_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "MAX_CUMULATIVE_CELLS", 50)
    counts = bench("arith", 40)
    for index in (0, 12345, counts.total - 1):
        assert counts.rank(counts.unrank(index)) == index


def test_indices_outside_are_refused() -> None:
    counts = counts_of('start: A\nA: "a" | "b"\n', 1)
    for index in (-1, 2):
        with pytest.raises(DslcError) as caught:
            counts.unrank(index)
        assert caught.value.diagnostics[0].code is Code.INDEX_OUT_OF_RANGE


@pytest.mark.parametrize("tokens", [(), (0, 0, 0), (0, 9), (9, 0), (-1, 0), (2, 0), (0,)])
def test_tokens_that_are_no_sentence_have_no_rank(tokens: tuple[int, ...]) -> None:
    counts = counts_of('start: A B\nA: "a" | "b"\nB: "c" | "d"\n', 2)
    with pytest.raises(DslcError) as caught:
        counts.rank(tokens)
    assert caught.value.diagnostics[0].code is Code.TOKENS_NOT_A_SENTENCE


def test_a_sentence_over_the_budget_has_no_rank() -> None:
    long = counts_of('start: A+\nA: "a" | "b"\n', 9)
    tokens = long.unrank(long.total - 1)
    with pytest.raises(DslcError):
        Counts(long.automaton, 8).rank(tokens)


def test_a_budget_of_a_thousand_tokens() -> None:
    counts = bench("conv", 1000)
    assert counts.total == sum(576**n for n in range(1, 21))
    nested = counts_of('start: "(" start start ")" | N\nN: "1" | "2"\n', 1001)
    assert nested.by_tokens[1001] == comb(1000, 500) // 501 * 2**501
    tokens = nested.unrank(nested.total - 1)
    assert len(tokens) == 1001
    assert nested.rank(tokens) == nested.total - 1


def test_a_list_of_two_thousand_items() -> None:
    # An item costs its literal and one more decision: the comma before the next, or the stop.
    counts = counts_of('start: N "," start | N\nN: "1" | "2"\n', 4000)
    assert counts.by_tokens[4000] == 2**2000
    assert not any(counts.by_tokens[1::2])
    tokens = counts.unrank(counts.total - 1)
    assert len(tokens) == 4000
    assert counts.rank(tokens) == counts.total - 1
