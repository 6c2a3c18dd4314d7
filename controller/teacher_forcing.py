"""Log-probabilities and entropies of recorded steps, once differentiable: what every update of a search costs.

Autograd knows nothing of the network here. It is told the gradient of the whole pass, which `dslc.controller.network`
has written out. There is no second derivative; `RecurrentPolicy.forward` has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from dslc.controller.network import DistinctInputs, FoldedWeights, Tape, differentiate


@dataclass(frozen=True, slots=True)
class RecordedSteps:
    """What the pass reads besides weights; time is the first axis."""

    inputs: DistinctInputs
    place: Int64[Tensor, "row"]
    """Which of them each step has."""
    starts: Float[Tensor, "time batch token"]
    """Logits to which those of the network are added, -inf where a token is not allowed."""
    tokens: Int64[Tensor, "time batch"]


@dataclass(frozen=True, slots=True)
class ScoredSteps:
    """What one pass came to, and what its gradient needs; good until the tape is written on again."""

    chosen: Float[Tensor, "time batch"]
    """Log-probabilities of the tokens, in nats."""
    entropies: Float[Tensor, "time batch"]
    """Of the distributions, in nats."""
    probs: Float[Tensor, "row token"]
    surprises: Float[Tensor, "row token"]
    """-p log p, 0 where p is."""
    recorded: RecordedSteps
    weights: FoldedWeights
    tape: Tape
    version: int
    """Of the tape."""

    def differentiate(
        self, by_chosen: Float[Tensor, "time batch"], by_entropies: Float[Tensor, "time batch"]
    ) -> list[Tensor]:
        """Gradients by all weights, in the order of `fold_weights`, from those by the two figures."""
        assert self.version == self.tape.version, "the tape has been written on again"
        by_log_prob, by_entropy = (each.reshape(-1, 1) for each in (by_chosen, by_entropies))
        # d log p_k / d z_j = [j = k] - p_j, and d H / d z_j = -p_j (log p_j + H).
        by_logits = self.surprises * by_entropy
        by_logits.addcmul_(self.probs, by_log_prob + by_entropy * self.entropies.view(-1, 1), value=-1)
        by_logits.scatter_add_(1, self.recorded.tokens.view(-1, 1), by_log_prob)
        inputs, place, time = self.recorded.inputs, self.recorded.place, len(self.chosen)
        return differentiate(self.tape, self.weights, inputs, place, by_logits, time)


@torch.no_grad()
def score_steps(
    recorded: RecordedSteps, weights: FoldedWeights, tape: Tape, *, is_written: bool = False
) -> ScoredSteps:
    """Log-probabilities of the recorded tokens and entropies of the distributions.

    Args:
        recorded: The steps.
        weights: The policy's.
        tape: Where the network's way is written.
        is_written: It is there already: these steps were sampled on this tape with these weights.
    """
    time, batch = recorded.tokens.shape
    assert (tape.rows, tape.time >= time, tape.is_rolling) == (batch, True, False), "the tape is of another batch"
    if not is_written:
        torch.index_select(recorded.inputs.fold(weights), 0, recorded.place, out=tape.gates[0][:time].flatten(0, 1))
        torch.add(recorded.starts, weights.bias, out=tape.logits[:time])
        for t in range(time):
            tape.step(weights, t)
    tape.version += 1
    log_probs = torch.log_softmax(tape.logits[:time].view(time * batch, -1), -1)
    chosen = log_probs.gather(1, recorded.tokens.view(-1, 1)).view(time, batch)
    probs = log_probs.exp()
    # -p log p, as torch.special.entr gives it in ten times the time; finite where p is 0.
    surprises = log_probs.clamp_(min=torch.finfo(log_probs.dtype).min).mul_(probs).neg_()
    entropies = surprises.sum(-1).view(time, batch)
    return ScoredSteps(chosen, entropies, probs, surprises, recorded, weights, tape, tape.version)


def follow_steps(
    recorded: RecordedSteps,
    parameters: Sequence[Tensor],
    weights: FoldedWeights,
    tape: Tape,
    *,
    is_written: bool = False,
) -> tuple[Float[Tensor, "time batch"], Float[Tensor, "time batch"]]:
    """The figures of `score_steps`, once differentiable by `parameters`, see `fold_weights`."""
    scored: tuple[Tensor, Tensor] = _Pass.apply(recorded, weights, tape, is_written, *parameters)  # type: ignore[no-untyped-call]
    return scored


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        recorded: RecordedSteps,
        weights: FoldedWeights,
        tape: Tape,
        is_written: bool,
        *parameters: Tensor,  # noqa: ARG004
    ) -> tuple[Tensor, Tensor]:
        ctx.scored = score_steps(recorded, weights, tape, is_written=is_written)
        return ctx.scored.chosen, ctx.scored.entropies.clone()  # it is read on the way back, so not what is given out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *by_scores: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, None, *ctx.scored.differentiate(*by_scores)
