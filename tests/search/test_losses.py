"""Values and gradients of the losses, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dslc.search.losses import entropy, normalise_advantages, ppo_clip_loss, priority_queue_loss, reinforce_loss

ONE = torch.tensor([[True]])


def test_reinforce_sums_over_tokens_and_averages_over_sequences() -> None:
    log_probs = torch.tensor([[-1.0, -2.0], [-0.5, 0.0]], requires_grad=True)
    loss = reinforce_loss(log_probs, torch.tensor([2.0, 0.0]), 0.5)
    assert loss.item() == pytest.approx(-((-3.0) * 1.5 + (-0.5) * (-0.5)) / 2)
    (gradient,) = torch.autograd.grad(loss, log_probs)
    assert gradient.tolist() == [[-0.75, -0.75], [0.25, 0.25]]


def ppo_gradient(ratio: float, advantage: float) -> float:
    """Derivative of the loss by the log-probability of one token."""
    log_prob = torch.tensor([[math.log(ratio)]], requires_grad=True)
    loss = ppo_clip_loss(log_prob, torch.zeros(1, 1), torch.tensor([advantage]), ONE, 0.2)
    gradient: Tensor = torch.autograd.grad(loss, log_prob)[0]
    return gradient.item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.0, 2.0, -2.0),  # good: more of it
        (1.1, 2.0, -2.2),
        (1.5, 2.0, 0.0),  # already much likelier: no more
        (0.5, 2.0, -1.0),  # good but rarer by now: still more of it
        (1.0, -2.0, 2.0),  # bad: less of it
        (0.5, -2.0, 0.0),  # already much rarer: no less
        (0.9, -2.0, 1.8),
        (1.5, -2.0, 3.0),  # bad and likelier by now: less of it, by the unclipped ratio
    ],
)
def test_ppo_stops_only_where_the_sample_has_gained_enough(ratio: float, advantage: float, expected: float) -> None:
    assert ppo_gradient(ratio, advantage) == pytest.approx(expected)


@pytest.mark.parametrize("ratio", [0.1, 0.79, 0.81, 1.0, 1.19, 1.21, 4.0])
@pytest.mark.parametrize("advantage", [-3.0, -0.5, 0.5, 3.0])
def test_ppo_never_promises_more_than_the_plain_ratio(ratio: float, advantage: float) -> None:
    log_prob = torch.tensor([[math.log(ratio)]])
    loss = ppo_clip_loss(log_prob, torch.zeros(1, 1), torch.tensor([advantage]), ONE, 0.2).item()
    assert -loss <= ratio * advantage + 1e-5


def test_ppo_at_equal_policies_has_the_gradient_of_reinforce() -> None:
    generator = torch.Generator().manual_seed(0)
    log_probs = (-torch.rand(4, 3, generator=generator)).requires_grad_()
    advantages = torch.randn(4, generator=generator)
    ppo = ppo_clip_loss(log_probs, log_probs.detach(), advantages, torch.ones(4, 3, dtype=torch.bool), 0.2)
    plain = reinforce_loss(log_probs, advantages, 0.0)
    torch.testing.assert_close(*(torch.autograd.grad(loss, log_probs)[0] for loss in (ppo, plain)))


def test_padding_counts_nowhere() -> None:
    is_token = torch.tensor([[True, False]])
    loss = ppo_clip_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([1.0]), is_token, 0.2)
    assert loss.item() == -1.0
    assert entropy(torch.tensor([[0.3, 0.7]]), is_token).item() == pytest.approx(0.3)


def test_priority_queue_is_the_mean_negative_log_probability() -> None:
    assert priority_queue_loss(torch.tensor([[-1.0, -1.0], [-4.0, 0.0]])).item() == 3.0


@pytest.mark.parametrize("scale", [1.0, -1.0, 1e-30, 1e300, 5e8])
def test_advantages_have_mean_zero_and_deviation_one(scale: float) -> None:
    rewards = scale * torch.tensor([0.1, 0.4, 0.2, 0.9], dtype=torch.float64)
    advantages = normalise_advantages(rewards)
    assert advantages.mean().abs() < 1e-6
    assert advantages.square().mean().item() == pytest.approx(1.0, abs=1e-5)
    assert (advantages.argmax() if scale > 0 else advantages.argmin()) == 3


def test_advantages_see_a_small_spread_on_a_large_reward() -> None:
    advantages = normalise_advantages(torch.tensor([1e6, 1e6 + 1e-3], dtype=torch.float64))
    assert advantages.tolist() == pytest.approx([-1.0, 1.0], abs=1e-3)


@pytest.mark.parametrize("rewards", [[0.7], [0.1, 0.1, 0.1], [0.0, 0.0], [1e300, 1e300]])
def test_equal_rewards_teach_nothing(rewards: list[float]) -> None:
    assert normalise_advantages(torch.tensor(rewards, dtype=torch.float64)).eq(0).all()
