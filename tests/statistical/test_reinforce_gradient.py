"""REINFORCE's gradient against autograd of the expectation over all sentences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dslc.controller import RecurrentPolicy, replay, sample_rollout, score_rollout
from dslc.search.losses import reinforce_loss
from tests.controller.small_spaces import LISTS, MENUS, SIZES, TREES, list_sentences, make_policy, make_space

SPACES = [MENUS, TREES, LISTS]


def reward_of(tokens: tuple[int, ...]) -> float:
    """Any function of the sentence, of both signs."""
    return ((sum((place + 2) * (token + 1) for place, token in enumerate(tokens)) * 37) % 101) / 50 - 0.7


def gradient_of(loss: Tensor, policy: RecurrentPolicy) -> Tensor:
    """All partial derivatives in one vector."""
    parts = torch.autograd.grad(loss, list(policy.parameters()), retain_graph=True)
    return torch.cat([part.reshape(-1) for part in parts])


def exact_gradient(policy: RecurrentPolicy, sentences: list[tuple[int, ...]]) -> Tensor:
    """Of the expected reward: sum over all sentences of probability times reward, differentiated as it stands."""
    log_probs = score_rollout(policy, replay(policy, sentences)).log_probs.sum(1)
    rewards = torch.tensor([reward_of(sentence) for sentence in sentences])
    return gradient_of((log_probs.exp() * rewards).sum(), policy)


@pytest.mark.parametrize("baseline", [0.0, 0.4, -5.0])
@pytest.mark.parametrize("text", SPACES)
def test_the_estimator_is_unbiased_exactly(text: str, baseline: float) -> None:
    space = make_space(text, SIZES[text])
    policy = make_policy(space, shake=0.7)
    sentences = list_sentences(space)
    score = score_rollout(policy, replay(policy, sentences))
    probabilities = score.log_probs.detach().sum(1).exp()
    rewards = torch.tensor([reward_of(sentence) for sentence in sentences])
    # The estimate that each sentence alone gives, weighted by how often it comes up. reinforce_loss is linear in R - b,
    # so one call with weighted differences is that sum; the mean over sequences is undone.
    weighted = probabilities * (rewards - baseline) * len(sentences)
    expected_estimate = -gradient_of(reinforce_loss(score.log_probs, weighted, 0.0), policy)
    exact = exact_gradient(policy, sentences)
    assert exact.norm() > 1e-3
    torch.testing.assert_close(expected_estimate, exact, rtol=1e-3, atol=2e-5 * (1 + abs(baseline)))


@pytest.mark.parametrize("text", [MENUS, TREES])
def test_sampled_estimates_average_to_the_gradient(text: str) -> None:
    space = make_space(text, SIZES[text])
    policy = make_policy(space, shake=0.7)
    exact = exact_gradient(policy, list_sentences(space))
    direction = exact / exact.norm()
    generator = torch.Generator().manual_seed(11)
    along, whole = [], torch.zeros_like(exact)
    batches, batch = 100, 40
    for _ in range(batches):
        steps = sample_rollout(policy, batch, generator).steps
        rewards = torch.tensor([reward_of(tokens) for tokens in steps.token_tuples()])
        estimate = -gradient_of(reinforce_loss(score_rollout(policy, steps).log_probs, rewards, 0.1), policy)
        along.append(estimate @ direction)
        whole += estimate / batches
    projected = torch.stack(along)
    error = projected.std() / batches**0.5
    assert (projected.mean() - exact.norm()).abs() < 4 * error
    assert error < 0.25 * exact.norm(), "too few samples to tell"
    assert torch.cosine_similarity(whole, exact, dim=0) > 0.9
