"""Many uniform sentences at once: by chi-square over all sentences and against exact next-token probabilities."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

import dslc
from dslc.automaton import sample_batch
from dslc.automaton.count import Counts
from dslc.automaton.sample_batch import BatchSampler, make_alias
from dslc.automaton.uniform import Lengths, uniform_log_prob, uniform_next
from dslc.automaton.variation_batch import BatchVariation
from dslc.diagnostics import DslcError
from tests.dslc.random_grammars import lower_text, random_grammar

GRAMMARS = Path(__file__).parents[1] / "bench" / "grammars"
ARITHMETIC = 'start: start OP atom | atom\natom: N | "(" start ")"\nOP: "+" | "*"\nN: "1" | "2"\n'
Cell = TypeVar("Cell")
MODES: tuple[Lengths, ...] = ("uniform", "even")


def counts_of(text: str, budget: int) -> Counts:
    return Counts(lower_text(text, budget)[1].automaton, budget)


def bench(name: str, budget: int) -> Counts:
    return counts_of((GRAMMARS / f"{name}.lark").read_text(encoding="utf-8"), budget)


def draw(counts: Counts, number: int, seed: int, lengths: Lengths) -> list[tuple[int, ...]]:
    rows = BatchSampler(counts).sample(number, np.random.default_rng(seed), lengths)
    assert rows.shape == (number, counts.budget)
    assert rows.dtype == np.int32
    pad_id = counts.automaton.pad_id
    sentences = []
    for row in rows.tolist():
        length = row.index(pad_id) if pad_id in row else len(row)
        assert set(row[length:]) <= {pad_id}
        sentences.append(tuple(row[:length]))
    return sentences


@pytest.mark.parametrize("lengths", MODES)
@pytest.mark.parametrize("name", ["arithmetic", "arith", "optim"])
def test_slots_and_ends_are_those_of_a_walk(name: str, lengths: Lengths) -> None:
    counts = counts_of(ARITHMETIC, 12) if name == "arithmetic" else bench(name, 30)
    sampler, automaton = BatchSampler(counts), counts.automaton
    variation = BatchVariation(automaton, counts.budget, np.random.default_rng(0))
    tokens = sampler.sample(300, np.random.default_rng(1), lengths)
    found = sampler.sample_sentences(300, np.random.default_rng(1), lengths)
    wanted = variation.mark_ends(variation.trace(tokens))
    np.testing.assert_array_equal(found.tokens, tokens)
    np.testing.assert_array_equal(found.slots, wanted.slots)
    is_token = tokens != automaton.pad_id
    assert found.ends is not None
    assert wanted.ends is not None
    np.testing.assert_array_equal(found.ends[is_token], wanted.ends[is_token])
    assert {str(part.dtype) for part in (found.tokens, found.slots, found.ends)} == {"int16"}


def check_chi_square(seen: Mapping[Cell, int], expected: Mapping[Cell, float], number: int) -> None:
    """Cells that are expected fewer than 5 times are taken together. Five deviations: one false alarm in 3 million."""
    assert set(seen) <= set(expected)
    assert math.isclose(sum(expected.values()), 1.0)
    cells = [(number * p, seen.get(key, 0)) for key, p in expected.items() if number * p >= 5]
    rare = [(number * p, seen.get(key, 0)) for key, p in expected.items() if number * p < 5]
    if sum(p for p, _ in rare) >= 5:
        cells.append((sum(p for p, _ in rare), sum(k for _, k in rare)))
    statistic = sum((k - p) ** 2 / p for p, k in cells)
    degrees = len(cells) - 1
    if degrees:
        bound = degrees * (1 - 2 / (9 * degrees) + 5 * math.sqrt(2 / (9 * degrees))) ** 3
        assert statistic < bound, f"chi-square {statistic:.1f} on {degrees} degrees of freedom, bound {bound:.1f}"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lengths", MODES)
def test_chi_square_over_all_sentences(seed: int, lengths: Lengths) -> None:
    counts = counts_of(ARITHMETIC, 8)
    number = 40 * counts.total
    expected = {t: math.exp(uniform_log_prob(counts, t, lengths)) for t in map(counts.unrank, range(counts.total))}
    check_chi_square(Counter(draw(counts, number, seed, lengths)), expected, number)


@pytest.mark.parametrize("lengths", MODES)
@pytest.mark.parametrize(
    ("name", "budget"), [("rules3", 29), ("arith", 40), ("lstm", 30), ("conv", 100), ("optim", 63)]
)
def test_chi_square_of_first_tokens_and_of_lengths(name: str, budget: int, lengths: Lengths) -> None:
    counts = bench(name, budget)
    number = 20_000
    sentences = draw(counts, number, 7, lengths)
    expected: dict[tuple[int, ...], float] = {}
    for first, p in uniform_next(counts, (), lengths).items():
        for second, q in uniform_next(counts, (first,), lengths).items():
            expected[first, second] = float(p * q)
        if not uniform_next(counts, (first,), lengths):
            expected[first,] = float(p)
    check_chi_square(Counter(tokens[:2] for tokens in sentences), expected, number)
    occurring = [n for n, ways in enumerate(counts.by_tokens) if ways]
    if len(occurring) > 1:
        by_length = {
            n: counts.by_tokens[n] / counts.total if lengths == "uniform" else 1 / len(occurring) for n in occurring
        }
        check_chi_square(Counter(map(len, sentences)), by_length, number)


def test_random_grammars_by_chi_square() -> None:
    compared = 0
    for seed in range(60):
        grammar = random_grammar(seed, operators=seed % 2 == 0)
        try:
            counts = counts_of(grammar.text(), 7)
        except DslcError:
            continue  # the shortest sentence is longer
        if not 30 <= counts.total <= 400:
            continue
        lengths = MODES[seed % 2]
        expected = {t: math.exp(uniform_log_prob(counts, t, lengths)) for t in map(counts.unrank, range(counts.total))}
        check_chi_square(Counter(draw(counts, 30 * counts.total, seed, lengths)), expected, 30 * counts.total)
        compared += 1
    assert compared >= 8


def test_a_table_past_its_limit_samples_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = counts_of(ARITHMETIC, 8)
    monkeypatch.setattr(sample_batch, "MAX_SAMPLER_CELLS", 3)
    assert not BatchSampler(counts).has_tables
    number = 20 * counts.total
    expected = {counts.unrank(i): 1 / counts.total for i in range(counts.total)}
    check_chi_square(Counter(draw(counts, number, 1, "uniform")), expected, number)


def test_a_language_without_decisions_and_an_empty_batch() -> None:
    counts = counts_of('start: "a"\n', 3)
    assert draw(counts, 4, 0, "uniform") == [()] * 4
    assert BatchSampler(counts_of(ARITHMETIC, 8)).sample(0, np.random.default_rng(0)).shape == (0, 8)


def test_a_space_past_what_a_float_holds() -> None:
    counts = counts_of('start: A~1100\nA: "a" | "b"\n', 1100)
    rows = BatchSampler(counts).sample(200, np.random.default_rng(0))
    assert abs(rows.mean() - 0.5) < 5 * 0.5 / math.sqrt(rows.size)


def test_alias_tables_are_exact() -> None:
    for weights in ([1], [5, 5], [1, 3], [7, 1, 1, 9, 2], [10**400, 3 * 10**400, 10**399], list(range(1, 200))):
        thresholds, aliases = make_alias(weights)
        shares = [Fraction(0)] * len(weights)
        for i, (threshold, alias) in enumerate(zip(thresholds, aliases, strict=True)):
            shares[i] += Fraction(threshold) / len(weights)
            shares[alias] += (1 - Fraction(threshold)) / len(weights)
        assert sum(shares) == 1
        for share, weight in zip(shares, weights, strict=True):
            assert abs(share - Fraction(weight, sum(weights))) < Fraction(1, 2**50)


def test_from_a_space_the_seed_decides() -> None:
    space = dslc.compile("rnn_cell", start="base_2")
    first, again, other = (space.sample_tokens(50, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    for row in first.tolist():
        space.decode(row)
