"""What policies sample against what they should."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import pytest
import torch

from dslc.controller import RecurrentPolicy, replay, sample_rollout, score_rollout
from tests.controller.small_spaces import LISTS, MENUS, SIZES, TREES, list_sentences, make_policy, make_space

SPACES = [MENUS, TREES, LISTS]
NUMBER = 8_000


def check_frequencies(policy: RecurrentPolicy, log_probs: Mapping[tuple[int, ...], float], seed: int) -> None:
    """Chi-square of NUMBER samples, sentences that are expected fewer than 5 times taken together."""
    rollout = sample_rollout(policy, NUMBER, torch.Generator().manual_seed(seed))
    counts = Counter(rollout.steps.token_tuples())
    assert counts.keys() <= log_probs.keys()
    cells: list[tuple[float, int]] = []
    rare_expected, rare_seen = 0.0, 0
    for sentence, log_prob in log_probs.items():
        expected = NUMBER * math.exp(log_prob)
        if expected < 5:
            rare_expected, rare_seen = rare_expected + expected, rare_seen + counts[sentence]
        else:
            cells.append((expected, counts[sentence]))
    if rare_expected >= 5:
        cells.append((rare_expected, rare_seen))
    statistic = sum((seen - expected) ** 2 / expected for expected, seen in cells)
    freedom = len(cells) - 1
    assert freedom >= 5
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("text", SPACES)
def test_a_fresh_policy_samples_the_starting_table(text: str) -> None:
    space = make_space(text, SIZES[text])
    table = space.starting_table()
    log_probs = {sentence: table.log_prob(sentence) for sentence in list_sentences(space)}
    check_frequencies(make_policy(space), log_probs, seed=1)


@pytest.mark.parametrize("preset", ["small", "zoph2017"])
@pytest.mark.parametrize("text", SPACES)
def test_a_policy_samples_what_it_scores(text: str, preset: str) -> None:
    space = make_space(text, SIZES[text])
    policy = make_policy(space, preset, shake=0.5)
    sentences = list_sentences(space)
    with torch.no_grad():
        totals = score_rollout(policy, replay(policy, sentences)).log_probs.sum(1).tolist()
    check_frequencies(policy, dict(zip(sentences, totals, strict=True)), seed=2)
