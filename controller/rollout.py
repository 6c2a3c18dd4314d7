"""Sampling token sequences from a policy, and scoring recorded ones in one teacher-forced pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor

from dslc.controller.heads import HeadStepper
from dslc.controller.masking import masked_divergence, masked_entropy, masked_log_softmax
from dslc.controller.policy import RecurrentPolicy
from dslc.controller.stepper import Stepper
from dslc.controller.tracking import make_tracker

CHECK_EVERY = 16
"""Steps between two looks whether all sequences are done; on a GPU each look waits for the device."""


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

    @property
    def is_token(self) -> Bool[Tensor, "batch time"]:
        """False after the end of a sequence."""
        return torch.arange(self.tokens.shape[1], device=self.tokens.device) < self.lengths[:, None]

    def token_tuples(self) -> list[tuple[int, ...]]:
        """The sequences without padding."""
        lengths = self.lengths.tolist()
        return [tuple(row[:length]) for row, length in zip(self.tokens.tolist(), lengths, strict=True)]


@dataclass(frozen=True, slots=True)
class Rollout:
    """A batch of sampled sequences."""

    steps: Steps
    log_probs: Float[Tensor, "batch time"]
    """Of the sampled tokens, in nats; 0 after the end."""
    entropies: Float[Tensor, "batch time"]
    """Of the distributions sampled from, in nats; 0 after the end."""

    @property
    def tokens(self) -> Int32[Tensor, "batch time"]:
        """Filled up with the padding id."""
        return self.steps.tokens

    @property
    def lengths(self) -> Int64[Tensor, "batch"]:
        """Number of tokens of each sequence."""
        return self.steps.lengths


@dataclass(frozen=True, slots=True)
class Score:
    """What a policy says of recorded sequences; differentiable unless made under `no_grad`."""

    log_probs: Float[Tensor, "batch time"]
    """Of the recorded tokens, in nats; 0 after the end."""
    entropies: Float[Tensor, "batch time"]
    """Of the policy's distributions, in nats; 0 after the end."""
    divergences: Float[Tensor, "batch time"] | None = None
    """KL(policy || reference) in nats, where a reference was given."""


@torch.no_grad()
def sample_rollout(policy: RecurrentPolicy, batch_size: int, generator: torch.Generator) -> Rollout:
    """Independent sequences from the policy, step by step, one uniform number a token.

    Args:
        policy: Where they come from; its budget bounds their length.
        batch_size: How many.
        generator: On the policy's device; all randomness comes from it.
    """
    runtime = policy.make_runtime(batch_size)
    stepper = Stepper(policy, batch_size)
    heads = None
    if policy.automaton.heads is not None:
        heads = HeadStepper(policy.heads, policy.automaton.num_tokens, batch_size, policy.budget, policy.device)
    start_logits = policy.blocked_logits
    previous = torch.full((batch_size,), policy.automaton.pad_id, dtype=torch.int32, device=policy.device)
    inputs, rows, tokens, log_probs, entropies = [], [], [], [], []
    masks: list[Tensor] = []
    finished: list[Tensor] = []
    for start in range(0, policy.budget, CHECK_EVERY):
        if start >= policy.automaton.min_tokens and bool(runtime.is_done().all()):
            break
        steps = range(start, min(start + CHECK_EVERY, policy.budget))
        draws = torch.rand((len(steps), batch_size, 1), generator=generator, device=policy.device)
        distributions = []
        for position in steps:
            seen, row = runtime.observe(previous)
            if heads is None:
                logits = stepper.step(seen, position, row)
            else:
                logits = stepper.step(seen, position)
                finished.append(heads.tracker.finished)
                heads.write_logits(logits, stepper.hidden, previous, position)
                logits += start_logits.index_select(0, row)
            if policy.automaton.registers is not None:
                masks.append(runtime.mask().clone())
                logits.masked_fill_(~masks[-1], -torch.inf)
            probs = torch.softmax(logits, -1)
            previous = draw_tokens(probs, draws[position - start])
            runtime.advance(previous)
            if heads is not None:
                heads.tracker.advance(previous)
            inputs.append(seen)
            rows.append(row)
            tokens.append(previous)
            distributions.append(probs)
        # What needs no recurrence is done for many steps at once.
        probs = torch.stack(distributions, 1)
        chosen = torch.stack(tokens[start:], 1).to(torch.int64)
        log_probs.append(probs.gather(2, chosen[:, :, None])[:, :, 0].log_())
        entropies.append(torch.special.entr(probs).sum(-1))
    assert bool(runtime.is_done().all()), "the mask let a sequence pass its budget unfinished"
    recorded = _gather_steps(policy, tokens, inputs, rows, masks, finished, batch_size)
    time = recorded.tokens.shape[1]
    if not time:
        nothing = torch.zeros((batch_size, 0), device=policy.device)
        return Rollout(recorded, nothing, nothing)
    return Rollout(recorded, torch.cat(log_probs, 1)[:, :time], torch.cat(entropies, 1)[:, :time])


def draw_tokens(probs: Float[Tensor, "batch token"], uniform: Float[Tensor, "batch 1"]) -> Int32[Tensor, "batch"]:
    """One token a row by inverting the cumulative distribution; never one of probability 0.

    Args:
        probs: Not negative, and no row zero everywhere.
        uniform: In [0, 1).
    """
    cumulative = probs.cumsum(-1)
    if probs.device.type == "cpu":
        # Summed in order, so it grows exactly where a probability is not 0, and a number below 1 stays below the total.
        return torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True, out_int32=True)[:, 0]
    return _draw_from_unordered(probs, cumulative, uniform)


def _draw_from_unordered(
    probs: Float[Tensor, "batch token"], cumulative: Float[Tensor, "batch token"], uniform: Float[Tensor, "batch 1"]
) -> Int32[Tensor, "batch"]:
    """As `draw_tokens`, where a parallel sum need not grow to the last bit.

    Tokens of probability 0 are left out by name, and the number is scaled by the largest sum over the others: one is
    above it.
    """
    cumulative = cumulative.masked_fill(probs == 0, -1.0)
    above = cumulative > uniform * cumulative.amax(-1, keepdim=True)
    return above.to(torch.uint8).argmax(-1).to(torch.int32)


@torch.no_grad()
def replay(policy: RecurrentPolicy, sequences: Sequence[Sequence[int]]) -> Steps:
    """The steps of sequences that are known already, through the automaton.

    Args:
        policy: Whose inputs and rows to record.
        sequences: Token ids of whole sentences within the policy's budget.
    """
    pad_id = policy.automaton.pad_id
    longest = max((len(sequence) for sequence in sequences), default=0)
    padded = [[*sequence, *[pad_id] * (longest - len(sequence))] for sequence in sequences]
    columns = torch.tensor(padded, dtype=torch.int32, device=policy.device).view(len(padded), longest).t().contiguous()
    runtime = policy.make_runtime(len(padded))
    previous = torch.full((len(padded),), pad_id, dtype=torch.int32, device=policy.device)
    inputs, rows = [], []
    masks: list[Tensor] = []
    finished: list[Tensor] = []
    heads = policy.automaton.heads
    tracker = None if heads is None else make_tracker(heads.marks, len(padded), policy.budget, policy.device)
    for column in columns:
        seen, row = runtime.observe(previous)
        if policy.automaton.registers is not None:
            masks.append(runtime.mask().clone())
        runtime.advance(column)
        if tracker is not None:
            finished.append(tracker.finished)
            tracker.advance(column)
        previous = column
        inputs.append(seen)
        rows.append(row)
    assert bool(runtime.is_done().all()), "a replayed sequence is not a whole sentence"
    return _gather_steps(policy, list(columns), inputs, rows, masks, finished, len(padded))


def score_rollout(policy: RecurrentPolicy, steps: Steps, reference: RecurrentPolicy | None = None) -> Score:
    """Log-probabilities and entropies of recorded sequences in one teacher-forced pass, equal to those of sampling.

    Args:
        policy: Who scores.
        steps: What a policy over the same space recorded.
        reference: A policy over the same rows; with it the score has KL(policy || reference) of every step.
    """
    if steps.tokens.shape[1] == 0:
        nothing = torch.zeros(steps.tokens.shape, device=policy.device)
        return Score(nothing, nothing, None if reference is None else nothing)
    mask = policy.mask[steps.rows] if steps.allowed is None else steps.allowed
    log_probs = masked_log_softmax(policy(steps.inputs, steps.rows, steps.finished), mask)
    chosen = log_probs.gather(2, steps.tokens.to(torch.int64)[:, :, None])[:, :, 0]
    divergences = None
    if reference is not None:
        other = masked_log_softmax(reference(steps.inputs, steps.rows, steps.finished), mask)
        divergences = masked_divergence(log_probs, other, mask)
    return Score(chosen, masked_entropy(log_probs, mask), divergences)


def select_steps(steps: Steps, chosen: Sequence[int]) -> Steps:
    """The steps of some sequences of a batch, cut after the longest of them."""
    index = torch.tensor(list(chosen), dtype=torch.int64, device=steps.tokens.device)
    lengths = steps.lengths.index_select(0, index)
    time = int(lengths.max()) if len(index) else 0
    tokens, inputs, rows = (part.index_select(0, index)[:, :time] for part in (steps.tokens, steps.inputs, steps.rows))
    allowed, finished = (
        None if part is None else part.index_select(0, index)[:, :time] for part in (steps.allowed, steps.finished)
    )
    return Steps(tokens, lengths, inputs, rows, allowed, finished)


def join_steps(first: Steps, second: Steps, pad_id: int) -> Steps:
    """Both batches as one, the shorter filled up with steps after the end."""
    time = max(first.tokens.shape[1], second.tokens.shape[1])

    def fill(steps: Steps) -> tuple[Tensor, Tensor, Tensor]:
        missing = time - steps.tokens.shape[1]
        if not missing:
            return steps.tokens, steps.inputs, steps.rows
        # Row 0 allows padding only, so that nothing after the end has a gradient, whatever its inputs.
        return (
            torch.nn.functional.pad(steps.tokens, (0, missing), value=pad_id),
            torch.nn.functional.pad(steps.inputs, (0, 0, 0, missing)),
            torch.nn.functional.pad(steps.rows, (0, missing)),
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
    return Steps(tokens, torch.cat((first.lengths, second.lengths)), inputs, rows, allowed, finished)


def _stay(finished: Int32[Tensor, "batch short rule"], time: int) -> Int32[Tensor, "batch time rule"]:
    """After the end nothing more is finished."""
    batch, short, rules = finished.shape
    last = finished[:, -1:] if short else finished.new_zeros(batch, 1, rules)
    return torch.cat((finished, last.expand(-1, time - short, -1)), 1)


def _gather_steps(
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
