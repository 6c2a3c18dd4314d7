"""Log-probabilities and entropies of recorded steps, once differentiable: what every update of a search costs.

Autograd knows nothing of the network here. It is told the gradient of the whole pass, which
`dslc.controller.backward_pass` has written out. There is no second derivative; `RecurrentPolicy.forward` has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor

from dslc.controller.backward_pass import differentiate
from dslc.controller.network import DistinctInputs, FoldedWeights
from dslc.controller.paths import Paths
from dslc.controller.tape import NodeTape


@dataclass(frozen=True, slots=True)
class SeenSteps:
    """What the network is given at some steps, besides its weights and its own states."""

    inputs: DistinctInputs
    place: Int64[Tensor, "node"]
    """Which of them each step has."""
    table: Float[Tensor, "mask_row token"]
    """Logits to which those of the network are added, -inf where a token is not allowed."""
    rows: Int32[Tensor, "node"]
    """Of the table."""
    allowed: Bool[Tensor, "node token"] | None
    """What counters allow too, where the space has some."""

    def write(
        self, weights: FoldedWeights, gates: Float[Tensor, "node gate"], logits: Float[Tensor, "node token"]
    ) -> None:
        """Write x U + b of the lowest layer, and what the logits start at."""
        torch.index_select(self.inputs.fold(weights), 0, self.place, out=gates)
        torch.index_select(self.table + weights.bias, 0, self.rows, out=logits)
        if self.allowed is not None:
            logits.masked_fill_(~self.allowed, -torch.inf)


@dataclass(frozen=True, slots=True)
class RecordedSteps:
    """What the pass reads besides weights; time is the first axis."""

    seen: SeenSteps
    """A step of each node."""
    paths: Paths
    cells: Int64[Tensor, "time batch"]
    """Of each token its place in a table [node, token], laid out flat."""


@dataclass(frozen=True, slots=True)
class ScoredSteps:
    """What one pass came to, and what its gradient needs; good until the tape is written on again."""

    chosen: Float[Tensor, "time batch"]
    """Log-probabilities of the tokens, in nats."""
    entropies: Float[Tensor, "time batch"]
    """Of the distributions, in nats."""
    probs: Float[Tensor, "node token"]
    surprises: Float[Tensor, "node token"]
    """-p log p, 0 where p is."""
    certainties: Float[Tensor, "node"]
    """Of the distributions minus the entropies."""
    recorded: RecordedSteps
    weights: FoldedWeights
    tape: NodeTape
    version: int
    """Of the tape."""

    @torch.inference_mode()
    def differentiate(
        self, by_chosen: Float[Tensor, "time batch"], by_entropies: Float[Tensor, "time batch"]
    ) -> list[Tensor]:
        """Gradients by all weights, in the order of `fold_weights`, from those by the two figures."""
        assert self.version == self.tape.version, "the tape has been written on again"
        recorded, count = self.recorded, len(self.probs)
        nodes, shares = recorded.paths.nodes.view(-1), by_chosen.reshape(-1)
        by_log_prob, by_entropy = (
            self.probs.new_zeros(count).index_add_(0, nodes, each.reshape(-1))[:, None]
            for each in (by_chosen, by_entropies)
        )
        # d log p_k / d z_j = [j = k] - p_j, and d H / d z_j = -p_j (log p_j + H).
        by_logits = self.surprises * by_entropy
        by_logits.addcmul_(self.probs, by_log_prob - by_entropy * self.certainties[:, None], value=-1)
        by_logits.view(-1).index_add_(0, recorded.cells.view(-1), shares)
        seen, paths = recorded.seen, recorded.paths
        return differentiate(self.tape, self.weights, seen.inputs, seen.place, by_logits, paths)


@torch.inference_mode()
def score_steps(
    recorded: RecordedSteps, weights: FoldedWeights, tape: NodeTape, *, is_written: bool = False
) -> ScoredSteps:
    """Log-probabilities of the recorded tokens and entropies of the distributions.

    Args:
        recorded: The steps.
        weights: The policy's.
        tape: Where the network's way is written.
        is_written: It is there already, with these weights.
    """
    paths, count = recorded.paths, len(recorded.paths.picked)
    assert tape.num_nodes >= count, "the tape is of a smaller batch"
    if not is_written:
        recorded.seen.write(weights, tape.gates[0][:count], tape.logits[:count])
        tape.follow(weights, paths)
    log_probs = torch.log_softmax(tape.logits[:count], -1)
    chosen = log_probs.view(-1).take(recorded.cells)
    probs = log_probs.exp()
    # -p log p, as torch.special.entr gives it in ten times the time; finite where p is 0.
    surprises = log_probs.clamp_(min=torch.finfo(log_probs.dtype).min).mul_(probs).neg_()
    entropies = surprises.sum(-1)
    return ScoredSteps(
        chosen, entropies.take(paths.nodes), probs, surprises, -entropies, recorded, weights, tape, tape.version
    )


def follow_steps(
    recorded: RecordedSteps,
    parameters: Sequence[Tensor],
    weights: FoldedWeights,
    tape: NodeTape,
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
        tape: NodeTape,
        is_written: bool,
        *parameters: Tensor,  # noqa: ARG004
    ) -> tuple[Tensor, Tensor]:
        ctx.scored = score_steps(recorded, weights, tape, is_written=is_written)
        return ctx.scored.chosen.clone(), ctx.scored.entropies.clone()  # autograd takes no tensors of inference

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *by_scores: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, None, *(each.clone() for each in ctx.scored.differentiate(*by_scores))
