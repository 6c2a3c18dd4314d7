"""The control: uniform, and what it says of its own probabilities."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from dslc.search.strategies import make_strategy
from tests.controller.small_spaces import LISTS, list_sentences, make_space

SPACE = make_space(LISTS, 5)


@pytest.mark.parametrize("lengths", ["even", "uniform"])
def test_probabilities_are_those_of_the_samples_and_sum_to_one(lengths: str) -> None:
    strategy = make_strategy("random", SPACE, evaluations=1, batch=1, seed=0, options={"lengths": lengths})
    sentences = list_sentences(SPACE)
    number = 60 * len(sentences)
    drawn = strategy.ask(number)
    assert {candidate.origin for candidate in drawn} == {"uniform"}
    log_probs = {candidate.tokens: candidate.log_prob or 0.0 for candidate in drawn}
    assert set(log_probs) == set(sentences)
    assert math.fsum(math.exp(value) for value in log_probs.values()) == pytest.approx(1.0)
    counts = Counter(candidate.tokens for candidate in drawn)
    statistic = sum(
        (counts[sentence] - number * math.exp(log_prob)) ** 2 / (number * math.exp(log_prob))
        for sentence, log_prob in log_probs.items()
    )
    freedom = len(sentences) - 1
    assert abs(statistic - freedom) < 4 * math.sqrt(2 * freedom)


def test_lengths_are_even_unless_asked_otherwise() -> None:
    strategy = make_strategy("random", SPACE, evaluations=1, batch=1, seed=0)
    lengths = Counter(len(candidate.tokens) for candidate in strategy.ask(6000))
    occurring = [tokens for tokens, count in enumerate(SPACE.counts()) if count]
    assert sorted(lengths) == occurring
    expected = 6000 / len(occurring)
    assert all(abs(count - expected) < 5 * math.sqrt(expected) for count in lengths.values())


def test_it_learns_nothing() -> None:
    one, other = (make_strategy("random", SPACE, evaluations=9, batch=3, seed=5) for _ in range(2))
    assert one.tell([(candidate, 1.0) for candidate in one.ask(3)]) == {}
    other.ask(3)
    assert one.ask(3) == other.ask(3)
