"""The uniform sampler and its next-token probabilities: exact, without a second draw, uniform by chi-square."""

from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from dslc.automaton.count import Counts
from dslc.automaton.uniform import Lengths, sample_uniform, uniform_log_prob, uniform_next
from dslc.diagnostics import DslcError
from tests.dslc.random_grammars import lower_text, random_grammar

GRAMMARS = Path(__file__).parents[1] / "bench" / "grammars"
ARITHMETIC = 'start: start OP atom | atom\natom: N | "(" start ")"\nOP: "+" | "*"\nN: "1" | "2"\n'
MODES: tuple[Lengths, ...] = ("uniform", "even")


def counts_of(text: str, budget: int) -> Counts:
    return Counts(lower_text(text, budget)[1].automaton, budget)


class CountingRandom(random.Random):
    """Counts the integers that are drawn."""

    num_draws = 0

    def randrange(self, *arguments: int) -> int:  # type: ignore[override]
        self.num_draws += 1
        return super().randrange(*arguments)


@pytest.mark.parametrize(("lengths", "draws"), [("uniform", 1), ("even", 2)])
def test_no_draw_is_thrown_away(lengths: Lengths, draws: int) -> None:
    counts = counts_of((GRAMMARS / "arith.lark").read_text(encoding="utf-8"), 40)
    generator = CountingRandom(0)
    for number in range(1, 200):
        sample_uniform(counts, generator, lengths)
        assert generator.num_draws == number * draws


def chi_square_bound(degrees: int, deviations: float) -> float:
    """Quantile of the chi-square distribution that many standard deviations out, after Wilson and Hilferty."""
    return degrees * (1 - 2 / (9 * degrees) + deviations * math.sqrt(2 / (9 * degrees))) ** 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lengths", MODES)
def test_chi_square_over_all_sentences(seed: int, lengths: Lengths) -> None:
    counts = counts_of(ARITHMETIC, 8)
    assert 100 < counts.total < 2000
    expected = {}
    for i in range(counts.total):
        tokens = counts.unrank(i)
        expected[tokens] = math.exp(uniform_log_prob(counts, tokens, lengths))
    assert math.isclose(sum(expected.values()), 1.0)
    num_samples = 40 * counts.total
    generator = random.Random(seed)
    seen = Counter(sample_uniform(counts, generator, lengths) for _ in range(num_samples))
    assert set(seen) <= set(expected)
    statistic = sum((seen[t] - num_samples * p) ** 2 / (num_samples * p) for t, p in expected.items())
    # Five deviations: one false alarm in three million runs; and not suspiciously even either.
    assert chi_square_bound(counts.total - 1, -5) < statistic < chi_square_bound(counts.total - 1, 5)


def test_even_lengths_are_even() -> None:
    counts = counts_of(ARITHMETIC, 40)
    occurring = [n for n, ways in enumerate(counts.by_tokens) if ways]
    generator = random.Random(0)
    num_samples = 300 * len(occurring)
    seen = Counter(len(sample_uniform(counts, generator, "even")) for _ in range(num_samples))
    assert set(seen) == set(occurring)
    statistic = sum((seen[n] - 300) ** 2 / 300 for n in occurring)
    assert statistic < chi_square_bound(len(occurring) - 1, 5)


@pytest.mark.parametrize("lengths", MODES)
@pytest.mark.parametrize("text", [ARITHMETIC, "start: start start |\n", 'start: A~0..3 [B]\nA: "a" | "b"\nB: "c"\n'])
def test_next_token_probabilities_multiply_to_that_of_the_sentence(text: str, lengths: Lengths) -> None:
    counts = counts_of(text, 7)
    num_lengths = sum(1 for ways in counts.by_tokens if ways)
    for index in range(0, counts.total, 1 + counts.total // 80):
        tokens = counts.unrank(index)
        product = Fraction(1)
        for place, token in enumerate(tokens):
            probabilities = uniform_next(counts, tokens[:place], lengths)
            assert sum(probabilities.values()) == 1
            product *= probabilities[token]
        assert uniform_next(counts, tokens, lengths) == {}
        whole = counts.total if lengths == "uniform" else num_lengths * counts.by_tokens[len(tokens)]
        assert product == Fraction(1, whole)
        assert math.isclose(uniform_log_prob(counts, tokens, lengths), -math.log(whole))


def test_next_token_probabilities_of_random_grammars() -> None:
    compared = 0
    for seed in range(60):
        grammar = random_grammar(seed, operators=seed % 2 == 0)
        try:
            counts = counts_of(grammar.text(), 7)
        except DslcError:
            continue  # the shortest sentence is longer
        generator = random.Random(seed)
        for _ in range(4):
            tokens = sample_uniform(counts, generator)
            product = Fraction(1)
            for place, token in enumerate(tokens):
                product *= uniform_next(counts, tokens[:place])[token]
            assert product == Fraction(1, counts.total)
            compared += 1
    assert compared >= 150


def test_next_tokens_after_what_is_no_prefix_are_refused() -> None:
    with pytest.raises(DslcError):
        uniform_next(counts_of(ARITHMETIC, 8), (2, 2))


def test_a_space_past_what_a_float_holds() -> None:
    counts = counts_of('start: A~1100\nA: "a" | "b"\n', 1100)
    assert counts.total == 2**1100
    assert math.isclose(uniform_log_prob(counts, sample_uniform(counts, random.Random(0))), -1100 * math.log(2))
