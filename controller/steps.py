"""What a policy needs to know of sequences in order to score them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int32, Int64
from torch import Tensor
from torch.nn import functional

from dslc.controller.policy import RecurrentPolicy


@dataclass(frozen=True, slots=True)
class Steps:
    """What a policy needs in order to score sequences: their tokens, and what it saw at every step."""

    tokens: Int32[Tensor, "batch time"]
    """Filled up with the padding id."""
    lengths: Int64[Tensor, "batch"]
    """Number of tokens of each sequence."""
    inputs: Int32[Tensor, "batch time feature"]
    """In the order of `dslc.controller.policy.FEATURES`."""
    rows: Int32[Tensor, "batch time"]
    """Rows of the policy's mask."""
    allowed: Bool[Tensor, "batch time token"] | None = None
    """The mask itself, where the space counts nodes: then its rows allow more than the counters do."""
    finished: Int32[Tensor, "batch time rule"] | None = None
    """Nodes of each rule that a head asks about, finished before each step; None in a space without heads."""
    states: Int64[Tensor, "batch time"] | None = None
    """States of the unrolled automaton, where the policy has one: all of the above but the tokens follows from it."""

    @property
    def is_token(self) -> Bool[Tensor, "batch time"]:
        """False after the end of a sequence."""
        return torch.arange(self.tokens.shape[1], device=self.tokens.device) < self.lengths[:, None]

    def token_tuples(self) -> list[tuple[int, ...]]:
        """The sequences without padding."""
        lengths = self.lengths.tolist()
        return [tuple(row[:length]) for row, length in zip(self.tokens.tolist(), lengths, strict=True)]


def select_steps(steps: Steps, chosen: Sequence[int]) -> Steps:
    """The steps of some sequences of a batch, cut after the longest of them."""
    index = torch.tensor(list(chosen), dtype=torch.int64, device=steps.tokens.device)
    lengths = steps.lengths.index_select(0, index)
    time = int(lengths.max()) if len(index) else 0
    tokens, inputs, rows = (part.index_select(0, index)[:, :time] for part in (steps.tokens, steps.inputs, steps.rows))
    allowed, finished, states = (
        None if part is None else part.index_select(0, index)[:, :time]
        for part in (steps.allowed, steps.finished, steps.states)
    )
    return Steps(tokens, lengths, inputs, rows, allowed, finished, states)


def join_steps(first: Steps, second: Steps, pad_id: int) -> Steps:
    """Both batches as one, the shorter filled up with steps after the end."""
    time = max(first.tokens.shape[1], second.tokens.shape[1])

    def fill(steps: Steps) -> tuple[Tensor, Tensor, Tensor]:
        missing = time - steps.tokens.shape[1]
        if not missing:
            return steps.tokens, steps.inputs, steps.rows
        # Row 0 allows padding only, so that nothing after the end has a gradient, whatever its inputs.
        return (
            functional.pad(steps.tokens, (0, missing), value=pad_id),
            functional.pad(steps.inputs, (0, 0, 0, missing)),
            functional.pad(steps.rows, (0, missing)),
        )

    tokens, inputs, rows = (torch.cat(pair) for pair in zip(fill(first), fill(second), strict=True))
    allowed = None
    if first.allowed is not None and second.allowed is not None:
        longer = []
        for mask in (first.allowed, second.allowed):
            filled = torch.zeros((len(mask), time, mask.shape[2]), dtype=torch.bool, device=mask.device)
            filled[:, : mask.shape[1]] = mask
            filled[:, mask.shape[1] :, pad_id] = True
            longer.append(filled)
        allowed = torch.cat(longer)
    finished = None
    if first.finished is not None and second.finished is not None:
        finished = torch.cat([_stay(numbers, time) for numbers in (first.finished, second.finished)])
    states = None
    if first.states is not None and second.states is not None:
        parts = [functional.pad(each, (0, time - each.shape[1])) for each in (first.states, second.states)]
        states = torch.cat(parts)
    lengths = torch.cat((first.lengths, second.lengths))
    return Steps(tokens, lengths, inputs, rows, allowed, finished, states)


def _stay(finished: Int32[Tensor, "batch short rule"], time: int) -> Int32[Tensor, "batch time rule"]:
    """After the end nothing more is finished."""
    batch, short, rules = finished.shape
    last = finished[:, -1:] if short else finished.new_zeros(batch, 1, rules)
    return torch.cat((finished, last.expand(-1, time - short, -1)), 1)


def gather_steps(
    policy: RecurrentPolicy,
    tokens: list[Tensor],
    inputs: list[Tensor],
    rows: list[Tensor],
    masks: list[Tensor],
    finished: list[Tensor],
    batch_size: int,
) -> Steps:
    """Time-major lists as [batch, time], cut after the longest sequence."""
    is_counting = policy.automaton.registers is not None
    heads = policy.automaton.heads
    if not tokens or not batch_size:
        empty = torch.zeros((batch_size, 0), dtype=torch.int32, device=policy.device)
        lengths = torch.zeros(batch_size, dtype=torch.int64, device=policy.device)
        nothing = torch.zeros((batch_size, 0, policy.automaton.num_tokens + 1), dtype=torch.bool, device=policy.device)
        return Steps(
            empty,
            lengths,
            empty[:, :, None].expand(-1, -1, 4),
            empty,
            nothing if is_counting else None,
            None if heads is None else empty[:, :, None].expand(-1, -1, len(heads.marks.rules)),
        )
    all_tokens = torch.stack(tokens, 1)
    lengths = (all_tokens != policy.automaton.pad_id).sum(1)
    time = int(lengths.max())
    return Steps(
        tokens=all_tokens[:, :time].contiguous(),
        lengths=lengths,
        inputs=torch.stack(inputs, 1)[:, :time].contiguous(),
        rows=torch.stack(rows, 1)[:, :time].contiguous(),
        allowed=torch.stack(masks, 1)[:, :time].contiguous() if is_counting else None,
        finished=None if heads is None else torch.stack(finished, 1)[:, :time].to(torch.int32),
    )
