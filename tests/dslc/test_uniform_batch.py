"""Log-probabilities of the uniform distribution for batches, against the exact fractions and against counting."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

import dslc
from dslc.automaton import uniform_batch
from dslc.automaton.count import Counts
from dslc.automaton.sample_batch import BatchSampler
from dslc.automaton.uniform import Lengths, sample_uniform, uniform_log_prob, uniform_next
from dslc.automaton.uniform_batch import uniform_next_log_probs
from dslc.diagnostics import DslcError
from tests.dslc.random_grammars import random_grammar
from tests.dslc.test_sample_batch import ARITHMETIC, MODES, bench, counts_of


def pack(counts: Counts, sentences: list[tuple[int, ...]]) -> NDArray[np.int32]:
    rows = np.full((len(sentences), counts.budget), counts.automaton.pad_id, np.int32)
    for row, tokens in zip(rows, sentences, strict=True):
        row[: len(tokens)] = tokens
    return rows


def check_rows(counts: Counts, sentences: list[tuple[int, ...]], lengths: Lengths) -> None:
    found = uniform_next_log_probs(counts, pack(counts, sentences), lengths)
    assert found.shape == (len(sentences), counts.budget + 1, counts.automaton.num_tokens + 1)
    for row, tokens in zip(found, sentences, strict=True):
        for place in range(counts.budget + 1):
            expected = np.full(row.shape[1], -np.inf)
            if place >= len(tokens):
                expected[-1] = 0.0
            else:
                for token, p in uniform_next(counts, tokens[:place], lengths).items():
                    expected[token] = math.log(p.numerator) - math.log(p.denominator)
            np.testing.assert_allclose(row[place], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("lengths", MODES)
def test_rows_equal_the_fractions(lengths: Lengths) -> None:
    generator = random.Random(0)
    for counts in (counts_of(ARITHMETIC, 9), bench("arith", 24), counts_of("start: start start |\n", 8)):
        check_rows(counts, [sample_uniform(counts, generator, "even") for _ in range(6)], lengths)


@pytest.mark.parametrize("lengths", MODES)
def test_first_rows_equal_a_count_of_all_sentences(lengths: Lengths) -> None:
    counts = counts_of(ARITHMETIC, 7)
    sentences = [counts.unrank(i) for i in range(counts.total)]
    weights = {tokens: math.exp(uniform_log_prob(counts, tokens, lengths)) for tokens in sentences}
    found = uniform_next_log_probs(counts, pack(counts, sentences), lengths)
    for place in range(4):
        total: Counter[tuple[int, ...]] = Counter()
        for tokens, weight in weights.items():
            if len(tokens) > place:
                total[tokens[: place + 1]] += weight  # type: ignore[assignment]
        before: Counter[tuple[int, ...]] = Counter()
        for prefix, weight in total.items():
            before[prefix[:-1]] += weight
        for row, tokens in zip(found, sentences, strict=True):
            if len(tokens) > place:
                share = total[tokens[: place + 1]] / before[tokens[:place]]
                assert math.isclose(math.exp(row[place, tokens[place]]), share, rel_tol=1e-9)


def test_random_grammars() -> None:
    compared = 0
    for seed in range(40):
        grammar = random_grammar(seed, operators=seed % 2 == 0)
        try:
            counts = counts_of(grammar.text(), 7)
        except DslcError:
            continue  # the shortest sentence is longer
        generator = random.Random(seed)
        check_rows(counts, [sample_uniform(counts, generator, "even") for _ in range(3)], MODES[seed % 2])
        compared += 1
    assert compared >= 30


def test_whole_sentences_far_past_what_a_float_holds() -> None:
    counts = bench("arith300", 160)
    assert counts.total > 10**310
    rows = BatchSampler(counts).sample(20, np.random.default_rng(0))
    found = uniform_next_log_probs(counts, rows)
    taken = np.take_along_axis(found[:, :-1], rows[:, :, None].astype(np.intp), 2)[:, :, 0].sum(1)
    np.testing.assert_allclose(taken, -math.log(counts.total), rtol=1e-12)


def test_a_batch_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = bench("arith", 20)
    rows = BatchSampler(counts).sample(30, np.random.default_rng(0))
    whole = uniform_next_log_probs(counts, rows)
    monkeypatch.setattr(uniform_batch, "MAX_VECTOR_CELLS", 1)
    np.testing.assert_allclose(uniform_next_log_probs(counts, rows), whole)


def test_from_a_space_and_prefixes() -> None:
    space = dslc.compile("expression")
    prefixes = np.array([[program.tokens[0]] for program in space.samples(5, seed=0)])
    found = space.next_log_probs(prefixes)
    for row, prefix in zip(found, prefixes.tolist(), strict=True):
        exact = space.next_probabilities(prefix)
        assert {int(t) for t in np.isfinite(row[1]).nonzero()[0]} == set(exact)
        for token, p in exact.items():
            assert math.isclose(math.exp(row[1, token]), p, rel_tol=1e-9)
    assert space.next_log_probs(np.zeros((2, 0), np.int64)).shape == (2, 1, len(space.vocabulary) + 1)


@pytest.mark.parametrize("rows", [[[0, 0]], [[-1, 0]], [[99, 0]]])
def test_what_is_no_prefix_is_refused(rows: list[list[int]]) -> None:
    with pytest.raises(DslcError, match="of row 1 is not allowed there"):
        uniform_next_log_probs(counts_of(ARITHMETIC, 8), np.array(rows))


def test_a_language_without_decisions() -> None:
    counts = counts_of('start: "a"\n', 2)
    found = uniform_next_log_probs(counts, np.full((1, 2), counts.automaton.pad_id))
    assert (found == 0.0).all()
