"""What each strategy's loss descends, against the enumerated expectation, and TRPO's parts against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dslc.controller import RecurrentPolicy, replay, sample_rollout, score_rollout, select_steps
from dslc.controller.masking import masked_divergence, masked_log_softmax
from dslc.search.losses import keep_best, ppo_clip_loss, priority_queue_loss, risk_seeking_loss
from dslc.search.strategies import make_strategy
from dslc.search.strategies.trpo import solve
from tests.controller.small_spaces import LISTS, MENUS, SIZES, TREES, list_sentences, make_policy, make_space

SPACES = [MENUS, TREES, LISTS]


def reward_of(tokens: tuple[int, ...]) -> float:
    """Any function of the sentence, of both signs."""
    return ((sum((place + 2) * (token + 1) for place, token in enumerate(tokens)) * 37) % 101) / 50 - 0.7


def gradient_of(value: Tensor, policy: RecurrentPolicy) -> Tensor:
    """All partial derivatives in one vector."""
    parts = torch.autograd.grad(value, list(policy.parameters()), retain_graph=True)
    return torch.cat([part.reshape(-1) for part in parts])


@pytest.mark.parametrize("text", SPACES)
def test_the_clipped_loss_descends_the_expected_reward_exactly(text: str) -> None:
    """ppo, policy_gradient, hybrid and trpo at the policy that sampled."""
    space = make_space(text, SIZES[text])
    policy, sentences = make_policy(space, shake=0.7), list_sentences(space)
    steps = replay(policy, sentences)
    score = score_rollout(policy, steps)
    log_probs = score.log_probs.sum(1)
    rewards = torch.tensor([reward_of(sentence) for sentence in sentences])
    exact = gradient_of((log_probs.exp() * rewards).sum(), policy)
    # Each sentence as often as it comes up: the loss is linear in the advantages where no ratio is clipped.
    advantages = log_probs.detach().exp() * (rewards - 0.3) * len(sentences)
    loss = ppo_clip_loss(score.log_probs, score.log_probs.detach(), advantages, steps.is_token, 0.2)
    torch.testing.assert_close(-gradient_of(loss, policy), exact, rtol=1e-3, atol=3e-5)


@pytest.mark.parametrize("text", SPACES)
def test_the_risk_seeking_loss_descends_the_expectation_of_the_best_share(text: str) -> None:
    space = make_space(text, SIZES[text])
    policy, sentences = make_policy(space, shake=0.7), list_sentences(space)
    share = 0.3
    log_probs = score_rollout(policy, replay(policy, sentences)).log_probs.sum(1)
    probabilities, rewards = log_probs.exp(), torch.tensor([reward_of(sentence) for sentence in sentences])
    # The quantile of the enumerated distribution; its own derivative adds nothing where it is held (petersen2021).
    order = rewards.argsort(descending=True)
    above = probabilities.detach()[order].cumsum(0)
    quantile = rewards[order[int((above < share).sum())]]
    exact = gradient_of((probabilities * (rewards - quantile).clamp(min=0)).sum(), policy)
    generator = torch.Generator().manual_seed(3)
    batches, along, direction = 12, [], exact / exact.norm()
    for _ in range(batches):
        steps = sample_rollout(policy, 2000, generator).steps
        sampled = torch.tensor([reward_of(tokens) for tokens in steps.token_tuples()], dtype=torch.float64)
        kept, advantages = keep_best(sampled, share)
        loss = risk_seeking_loss(score_rollout(policy, select_steps(steps, kept)).log_probs, advantages)
        estimate = -gradient_of(loss, policy)
        assert torch.cosine_similarity(estimate, exact, dim=0) > 0.8
        # Back to sums over the batch: the loss is a mean over the kept, divided by the mean of their differences.
        differences = (sampled - torch.quantile(sampled, 1 - share)).clamp(min=0)
        along.append(float(estimate @ direction) * float(differences.sum()) / 2000)
    mean, spread = torch.tensor(along).mean(), torch.tensor(along).std() / batches**0.5
    # The sampled quantile differs from the enumerated one by its own error, so a share of the norm is allowed too.
    assert (mean - exact.norm()).abs() < 4 * spread + 0.05 * exact.norm()


@pytest.mark.parametrize("text", SPACES)
def test_the_queue_loss_descends_the_divergence_from_its_members(text: str) -> None:
    """pqt: the gradient of KL(uniform over the queue || policy), written out over the whole space."""
    space = make_space(text, SIZES[text])
    policy, sentences = make_policy(space, shake=0.7), list_sentences(space)
    queue = sentences[:: max(1, len(sentences) // 5)]
    log_probs = score_rollout(policy, replay(policy, sentences)).log_probs.sum(1)
    target = torch.tensor([float(sentence in queue) / len(queue) for sentence in sentences])
    divergence = (torch.special.xlogy(target, target) - target * log_probs).sum()
    loss = priority_queue_loss(score_rollout(policy, replay(policy, queue)).log_probs)
    torch.testing.assert_close(gradient_of(loss, policy), gradient_of(divergence, policy), rtol=1e-3, atol=3e-5)


@pytest.mark.parametrize("text", SPACES)
def test_the_curvature_of_the_divergence_is_the_fisher_matrix(text: str) -> None:
    """trpo: second derivatives of KL(old || new) against the sum over all sentences of P times s s', s the score."""
    space = make_space(text, SIZES[text])
    policy, sentences = make_policy(space, shake=0.7), list_sentences(space)
    weights = list(policy.output.parameters())
    steps = replay(policy, sentences)
    log_probs = score_rollout(policy, steps).log_probs.sum(1)
    generator = torch.Generator().manual_seed(5)
    vector = torch.cat([torch.randn(weight.numel(), generator=generator) for weight in weights])

    def flat(parts: tuple[Tensor, ...]) -> Tensor:
        return torch.cat([part.reshape(-1) for part in parts])

    scores = torch.stack([flat(torch.autograd.grad(each, weights, retain_graph=True)) for each in log_probs])
    probabilities = log_probs.detach().exp()
    exact = scores.t() @ (probabilities * (scores @ vector))
    mask = policy.mask[steps.rows]
    rows = masked_log_softmax(policy(steps.inputs, steps.rows, is_twice_differentiable=True), mask)
    torch.testing.assert_close(rows, masked_log_softmax(policy(steps.inputs, steps.rows), mask))
    per_step = masked_divergence(rows.detach(), rows, mask) * steps.is_token
    divergence = (per_step.sum(1) * probabilities).sum()
    slope = flat(torch.autograd.grad(divergence, weights, create_graph=True))
    curved = flat(torch.autograd.grad(slope @ vector, weights))
    torch.testing.assert_close(curved, exact, rtol=2e-3, atol=1e-4)


def test_conjugate_gradient_solves() -> None:
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(8, 8, generator=generator, dtype=torch.float64)
    matrix = root @ root.t() + torch.eye(8, dtype=torch.float64)
    right = torch.randn(8, generator=generator, dtype=torch.float64)
    found = solve(lambda vector: matrix @ vector, right, 8)
    torch.testing.assert_close(found, torch.linalg.solve(matrix, right))


@pytest.mark.parametrize("bound", [0.001, 0.02, 0.2])
def test_an_update_of_trpo_gains_within_its_bound(bound: float) -> None:
    space = make_space(TREES, 9)
    strategy = make_strategy("trpo", space, evaluations=100, batch=20, seed=1, options={"most_divergence": bound})
    for _ in range(3):
        candidates = strategy.ask(20)
        figures = strategy.tell([(candidate, reward_of(candidate.tokens)) for candidate in candidates])
        assert figures["objective"] > 0
        assert 0 < figures["divergence"] <= bound
