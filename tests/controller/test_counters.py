"""Counted constraints in the controller: the torch runtime, sampling, scoring and replaying."""

from __future__ import annotations

import pytest
import torch

from dslc.controller import join_steps, replay, sample_rollout, score_rollout
from tests.controller.small_spaces import LISTS, TREES, list_sentences, make_policy, make_space
from tests.controller.test_torch_runtime import compare_runtimes

COUNTED = [
    ("//! at_most 2 LEAF.x\n//! at_least 1 inner" + TREES, 9),
    (
        "//! ref SKIP: layer increasing\n//! ref IN: layer after 1\n//! at_most 3 SKIP\n"
        'start: layer+\nlayer: "l" IN SKIP*\nSKIP: "0" | "1"\nIN: "0" | "1" | "2"\n',
        12,
    ),
    ("//! at_least 2 VALUE\n//! at_most 2 KIND.l\n//! at_least 1 KIND.k" + LISTS, 9),
]


@pytest.mark.parametrize(("text", "budget"), COUNTED)
def test_all_runtimes_agree(text: str, budget: int) -> None:
    automaton = make_space(text, budget).lowering.automaton
    for seed in range(5):
        assert compare_runtimes(automaton, budget, seed) > 8


@pytest.mark.gpu
def test_counts_agree_on_a_gpu() -> None:
    text, budget = COUNTED[-1]
    assert compare_runtimes(make_space(text, budget).lowering.automaton, budget, 0, "cuda") > 8


@pytest.mark.parametrize(("text", "budget"), COUNTED)
def test_a_policy_samples_and_scores_what_the_counts_allow(text: str, budget: int) -> None:
    space = make_space(text, budget)
    policy = make_policy(space, shake=0.7)
    sentences = list_sentences(space)
    rollout = sample_rollout(policy, 100, torch.Generator().manual_seed(0))
    assert set(rollout.steps.token_tuples()) <= set(sentences)
    with torch.no_grad():
        score = score_rollout(policy, rollout.steps)
        replayed = score_rollout(policy, replay(policy, rollout.steps.token_tuples()))
        totals = score_rollout(policy, replay(policy, sentences)).log_probs.double().sum(1)
    torch.testing.assert_close(score.log_probs, rollout.log_probs, rtol=0, atol=1e-5)
    torch.testing.assert_close(score.entropies, rollout.entropies, rtol=0, atol=1e-5)
    torch.testing.assert_close(replayed.log_probs, rollout.log_probs, rtol=0, atol=1e-5)
    assert totals.exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_joined_steps_keep_their_masks() -> None:
    text, budget = COUNTED[-1]
    space = make_space(text, budget)
    policy = make_policy(space, shake=0.7)
    sentences = sorted(list_sentences(space), key=len)
    joined = join_steps(replay(policy, sentences[:2]), replay(policy, sentences[-2:]), policy.automaton.pad_id)
    with torch.no_grad():
        together = score_rollout(policy, joined).log_probs.sum(1)
        apart = torch.cat(
            [score_rollout(policy, replay(policy, part)).log_probs.sum(1) for part in (sentences[:2], sentences[-2:])]
        )
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)
