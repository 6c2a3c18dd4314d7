"""Samples without records: each sentence as often as its probability says, and with any batch that is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dslc.automaton.batch import BatchRuntime
from dslc.controller import replay, sample_rollout, score_rollout
from dslc.controller.sample_tokens import StepRecord, sample_tokens
from tests.controller.small_spaces import FORCED, LISTS, MENUS, SIZES, TREES, list_sentences, make_policy, make_space

SAMPLES = 15_000
COUNTED = '//! at_most 2 c\nstart: c start | d\nc: "a" | "b"\nd: "e" | "f"\n'


@pytest.mark.parametrize("preset", ["small", "dso", "zoph2017"])
@pytest.mark.parametrize("text", [MENUS, TREES, LISTS])
def test_each_sentence_is_as_frequent_as_it_is_probable(text: str, preset: str) -> None:
    space = make_space(text, SIZES[text])
    policy = make_policy(space, preset, shake=2.0)
    sentences = list_sentences(space)
    with torch.no_grad():
        probs = score_rollout(policy, replay(policy, sentences)).log_probs.sum(1).exp().numpy().astype(np.float64)
    tokens = sample_tokens(policy, SAMPLES, torch.Generator().manual_seed(3))
    assert tokens.shape == (SAMPLES, policy.budget)
    number = {sentence: place for place, sentence in enumerate(sentences)}
    pad = policy.automaton.pad_id
    counts = np.zeros(len(sentences))
    for row in tokens.tolist():
        counts[number[tuple(token for token in row if token != pad)]] += 1
    # Pearson's statistic has mean k - 1 and variance 2 (k - 1) where many of each are expected.
    is_common = probs * SAMPLES >= 5
    expected = np.append(probs[is_common], probs[~is_common].sum()) * SAMPLES
    found = np.append(counts[is_common], counts[~is_common].sum())
    kept = expected > 0
    statistic = ((found[kept] - expected[kept]) ** 2 / expected[kept]).sum()
    freedom = kept.sum() - 1
    assert statistic < freedom + 5 * np.sqrt(2 * freedom) + 5


def test_where_the_space_counts_nodes_and_where_it_has_one_sentence() -> None:
    space = make_space(COUNTED, 8)
    policy = make_policy(space, "small")
    tokens = sample_tokens(policy, 50, torch.Generator().manual_seed(0))
    whole = sample_rollout(policy, 50, torch.Generator().manual_seed(0)).tokens.numpy()
    np.testing.assert_array_equal(tokens[:, : whole.shape[1]], whole)
    assert (tokens[:, whole.shape[1] :] == policy.automaton.pad_id).all()
    assert sample_tokens(make_policy(make_space(FORCED), "small"), 3, torch.Generator()).shape[0] == 3


def test_the_same_generator_state_gives_the_same_sample() -> None:
    policy = make_policy(make_space(TREES, 40), "dso")
    first, same, other = (sample_tokens(policy, 60, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@pytest.mark.parametrize("preset", ["small", "dso"])
def test_the_record_is_what_replaying_gives(preset: str) -> None:
    policy = make_policy(make_space(TREES, 40), preset, shake=1.0)
    record = StepRecord(policy)
    tokens = sample_tokens(policy, 80, torch.Generator().manual_seed(4), record)
    chosen = [3, 70, 11, 12]
    found = record.steps(tokens, chosen)
    pad = policy.automaton.pad_id
    wanted = replay(policy, [[token for token in tokens[row].tolist() if token != pad] for row in chosen])
    live = wanted.is_token
    assert found.tokens.equal(wanted.tokens)
    assert found.lengths.equal(wanted.lengths)
    assert found.inputs[live].equal(wanted.inputs[live])
    assert found.rows[live].equal(wanted.rows[live])
    with torch.no_grad():
        scores = [score_rollout(policy, steps) for steps in (found, wanted)]
    assert scores[0].log_probs.equal(scores[1].log_probs)
    assert scores[0].entropies.equal(scores[1].entropies)


def test_a_runtime_goes_on_with_some_of_its_sequences() -> None:
    automaton = make_space(TREES, 30).lowering.automaton
    generator = np.random.default_rng(0)
    whole, some = (BatchRuntime(automaton, 64, 30, track=True) for _ in range(2))
    rows = np.arange(64)
    for _ in range(30):
        mask = whole.mask()
        tokens = (generator.random(mask.shape) * mask).argmax(1).astype(np.int32)
        np.testing.assert_array_equal(some.mask(), mask[rows])
        np.testing.assert_array_equal(some.features(tokens[rows]), whole.features(tokens)[rows])
        whole.advance(tokens)
        some.advance(tokens[rows])
        left = np.flatnonzero(~some.is_done())[::-1]
        rows = rows[left]
        some.keep(left)
    assert not len(rows)
    assert whole.is_done().all()
