"""What a learner keeps from sampling to the update changes nothing, and derivatives by hand are those of autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dslc.controller import PRESETS, replay, score_rollout
from dslc.search.losses import differentiate_ppo_clip, ppo_clip_loss
from dslc.search.strategies.learner import PolicyLearner
from dslc.space import Space
from tests.controller.small_spaces import LISTS, TREES, make_space

SPACES = {
    "table of states": (LISTS, 8),
    "runtime": ("//! at_most 3 LEAF.x\n" + TREES, 13),
    "heads": (f"//! anchor VALUE: item\n{LISTS}", 8),
}


def make_learner(space: Space) -> PolicyLearner:
    return PolicyLearner(space, PRESETS["small"], 0.01, 3, "cpu")


def weights_of(learner: PolicyLearner) -> list[Tensor]:
    return [weight.detach().clone() for weight in learner.weights]


def derivatives(steps_shape: torch.Size) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    by_log_probs, by_entropies = (torch.rand(steps_shape, generator=generator) - 0.5 for _ in range(2))
    return by_log_probs, by_entropies


@pytest.mark.parametrize("name", sorted(SPACES))
def test_states_kept_from_sampling_are_those_of_a_pass_of_its_own(name: str) -> None:
    space = make_space(*SPACES[name])
    kept, fresh = make_learner(space), make_learner(space)
    along = tuple(program.tokens for program in space.samples(4, seed=0))
    for _ in range(3):
        sampled = [each.tokens for each in kept.sample(6, along=along)]
        assert sampled == [each.tokens for each in fresh.sample(6)]
        for learner in (kept, fresh):
            steps = learner.record(sampled, along)
            score = learner.look(steps)
            by_log_probs, by_entropies = derivatives(score.log_probs.shape)
            is_token = steps.is_token
            learner.descend_along(by_log_probs * is_token, by_entropies * is_token)
        for one, other in zip(weights_of(kept), weights_of(fresh), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_a_step_along_derivatives_is_one_down_the_loss(name: str) -> None:
    space = make_space(*SPACES[name])
    by_hand, by_autograd = make_learner(space), make_learner(space)
    sampled = [each.tokens for each in by_hand.sample(6)]
    for learner in (by_hand, by_autograd):
        steps = learner.record(sampled)
        by_log_probs, by_entropies = derivatives(steps.tokens.shape)
        if learner is by_hand:
            learner.look(steps)
            learner.descend_along(by_log_probs * steps.is_token, by_entropies * steps.is_token)
        else:
            score = learner.score(steps)
            by_figure = score.log_probs * by_log_probs + score.entropies * by_entropies
            learner.descend((by_figure * steps.is_token).sum())
    for one, other in zip(weights_of(by_hand), weights_of(by_autograd), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_the_clipped_losses_derivatives_are_those_of_autograd() -> None:
    generator = torch.Generator().manual_seed(0)
    old = torch.randn(40, 7, generator=generator)
    new = (old + 0.3 * torch.randn(40, 7, generator=generator)).requires_grad_()
    advantages = torch.randn(40, generator=generator)
    is_token = torch.rand(40, 7, generator=generator) < 0.8
    ppo_clip_loss(new, old, advantages, is_token, 0.2).backward()  # type: ignore[no-untyped-call]
    found = differentiate_ppo_clip(new.detach(), old, advantages, is_token, 0.2)
    assert new.grad is not None
    assert 0.2 < float((found == 0).float().mean()) < 0.8, "some are clipped"
    torch.testing.assert_close(found, new.grad)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_one_loss_of_two_scores_of_as_many_sequences(name: str) -> None:
    space = make_space(*SPACES[name])
    learner, twin = make_learner(space), make_learner(space)
    first, second = ([program.tokens for program in space.samples(4, seed=seed)] for seed in (0, 1))
    for _ in range(2):
        one, other = (learner.score(learner.record(each)).log_probs.sum() for each in (first, second))
        learner.descend(one - 2 * other)
        scores = [score_rollout(twin.policy, replay(twin.policy, each)).log_probs.sum() for each in (first, second)]
        twin.descend(scores[0] - 2 * scores[1])
        for mine, its in zip(weights_of(learner), weights_of(twin), strict=True):
            # Adam makes much of a gradient that is almost zero, and so of its rounding.
            torch.testing.assert_close(mine, its, rtol=1e-5, atol=1e-4)
