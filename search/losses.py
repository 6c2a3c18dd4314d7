"""Losses of policy search: pure functions of log-probabilities, to be minimised.

Conventions, as in the papers: a sequence's terms are summed over its tokens and averaged over the sequences of the
batch. Log-probabilities are in nats with 0 after the end of a sequence, those of the masked, renormalised distribution;
`is_token` is False after the end. The batch's m sequences are the first axis.
"""

from __future__ import annotations

import math
import sys

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor


def reinforce_loss(
    log_probs: Float[Tensor, "batch time"], rewards: Float[Tensor, "batch"], baseline: Float[Tensor, ""] | float
) -> Float[Tensor, ""]:
    """-(1/m) sum_k sum_t log P(a_t | a_<t) (R_k - b): its gradient is minus the estimate of that of the expected
    reward.

    Args:
        log_probs: Of the sampled tokens.
        rewards: R.
        baseline: b; unbiased if it does not depend on this batch.

    Source:
        williams1992; zoph2017, section 3.2.

    Example:
        >>> reinforce_loss(torch.tensor([[-1.0, -2.0], [-3.0, 0.0]]), torch.tensor([1.0, 0.0]), 0.0)
        tensor(1.5000)
    """
    return -(log_probs.sum(1) * (rewards - baseline)).mean()


def normalise_advantages(rewards: Float[Tensor, "batch"]) -> Float32[Tensor, "batch"]:
    """(R - mean) / standard deviation over the batch; zeros if all rewards are equal.

    The scale of the rewards then does not matter, and neither does their sign. In float64, so that a spread far below
    the rewards' size survives.

    Example:
        >>> normalise_advantages(torch.tensor([3.0, 1.0], dtype=torch.float64))
        tensor([ 1., -1.])
    """
    exact = rewards.to(torch.float64)
    scaled = exact / max(float(exact.abs().max()), sys.float_info.min)
    centred = scaled - scaled.mean()
    deviation = math.sqrt(float(centred.square().mean()))
    rounding = 1e-12
    return (centred / deviation if deviation > rounding else torch.zeros_like(centred)).to(torch.float32)


def keep_best(rewards: Float[Tensor, "batch"], share: float) -> tuple[list[int], Float32[Tensor, "kept"]]:
    """The indices k with R_k >= R_e, R_e the (1 - e) quantile of a batch, and their advantages R_k - R_e over s.

    s is the mean of the advantages, so that the size of the rewards does not matter; where all are 0 it is 1. The
    quantile is interpolated, so that of a small batch the best is still above it.

    Args:
        rewards: R.
        share: e, in (0, 1].

    Source:
        petersen2021, equation 2; s is ours.

    Example:
        >>> keep_best(torch.tensor([1.0, 4.0, 3.0, 0.0, 2.0], dtype=torch.float64), 0.5)
        ([1, 2, 4], tensor([2., 1., 0.]))
    """
    exact = rewards.to(torch.float64)
    scaled = exact / exact.abs().max().clamp(min=torch.finfo(torch.float64).tiny)
    rank = (1 - share) * (len(scaled) - 1)
    ascending = scaled.sort().values  # torch.quantile takes three times as long
    quantile = torch.lerp(ascending[math.floor(rank)], ascending[math.ceil(rank)], rank % 1)
    advantages = scaled - torch.minimum(quantile, ascending[-1])
    kept = (advantages >= 0).nonzero()[:, 0].tolist()
    above = advantages[kept]
    size = above.mean() if kept else above.sum()
    rounding = 1e-12
    return kept, torch.where(size > rounding, above / size, 0.0).to(torch.float32)


def risk_seeking_loss(log_probs: Float[Tensor, "kept time"], advantages: Float[Tensor, "kept"]) -> Float[Tensor, ""]:
    """-(1/k) sum over the k kept sequences of (R - R_e) log P: its gradient is minus the estimate of that of the
    expected reward of the best share e.

    Args:
        log_probs: Of the sequences whose reward is at least R_e.
        advantages: R - R_e, see `keep_best`.

    Source:
        petersen2021, equation 3, with 1/k for 1/(e N): the same where no two rewards are equal.

    Example:
        >>> risk_seeking_loss(torch.tensor([[-1.0, -2.0], [-3.0, 0.0]]), torch.tensor([1.0, 0.0]))
        tensor(1.5000)
    """
    return -(log_probs.sum(1) * advantages).mean()


def ppo_clip_loss(
    log_probs: Float[Tensor, "batch time"],
    old_log_probs: Float[Tensor, "batch time"],
    advantages: Float[Tensor, "batch"],
    is_token: Bool[Tensor, "batch time"],
    clip: float,
) -> Float[Tensor, ""]:
    """-(1/m) sum_k sum_t min(r A_k, clip(r, 1 - e, 1 + e) A_k), with r the ratio of new to old probability of a token.

    The minimum bounds how much a sample can gain, whatever the sign of its advantage: r stops mattering above 1 + e
    where A > 0 and below 1 - e where A < 0, and never in the direction that makes the objective worse.

    Args:
        log_probs: Under the policy being improved.
        old_log_probs: Under the policy that sampled, without gradient.
        advantages: A.
        is_token: Which of them count.
        clip: e.

    Source:
        schulman2017, equation 7.

    Example:
        >>> ppo_clip_loss(torch.tensor([[0.5]]), torch.zeros(1, 1), torch.ones(1), torch.tensor([[True]]), 0.2)
        tensor(-1.2000)
    """
    ratio = (log_probs - old_log_probs).exp()
    advantage = advantages[:, None]
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    return -(gain * is_token).sum(1).mean()


def differentiate_ppo_clip(
    log_probs: Float[Tensor, "batch time"],
    old_log_probs: Float[Tensor, "batch time"],
    advantages: Float[Tensor, "batch"],
    is_token: Bool[Tensor, "batch time"],
    clip: float,
) -> Float[Tensor, "batch time"]:
    """Derivatives of `ppo_clip_loss` by the log-probabilities: -r A / m where r counts, and 0 where it is clipped.

    Example:
        >>> is_token = torch.tensor([[True, True]])
        >>> differentiate_ppo_clip(torch.tensor([[0.5, 0.1]]), torch.zeros(1, 2), torch.ones(1), is_token, 0.2)
        tensor([[-0.0000, -1.1052]])
    """
    ratio = (log_probs - old_log_probs).exp_()
    advantage = advantages[:, None]
    gain = ratio * advantage
    counts = (gain <= ratio.clamp_(1 - clip, 1 + clip).mul_(advantage)) & is_token
    return gain.mul_(counts).div_(-len(advantages))


def priority_queue_loss(log_probs: Float[Tensor, "batch time"]) -> Float[Tensor, ""]:
    """-(1/K) sum_k log P(sequence k) over the K best distinct sequences so far.

    Args:
        log_probs: Of the K sequences, K at least 1.

    Source:
        abolafia2018.

    Example:
        >>> priority_queue_loss(torch.tensor([[-1.0, -2.0], [-3.0, 0.0]]))
        tensor(3.)
    """
    return -log_probs.sum(1).mean()


def entropy(entropies: Float[Tensor, "batch time"], is_token: Bool[Tensor, "batch time"]) -> Float[Tensor, ""]:
    """(1/m) sum_k sum_t H_t, the mean over sequences of their summed entropies; subtracted from a loss times a weight.

    Args:
        entropies: Of the distributions, in nats.
        is_token: Which of them count.

    Example:
        >>> entropy(torch.tensor([[1.0, 2.0], [3.0, 9.0]]), torch.tensor([[True, True], [True, False]]))
        tensor(3.)
    """
    return (entropies * is_token).sum(1).mean()
