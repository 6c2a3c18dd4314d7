"""Sampling token sequences from a policy, and scoring recorded ones in one teacher-forced pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from dslc.controller.masking import masked_divergence, masked_entropy, masked_log_softmax
from dslc.controller.network import FoldedWeights, tell_apart
from dslc.controller.paths import find_paths
from dslc.controller.policy import RecurrentPolicy
from dslc.controller.steps import Steps, gather_steps
from dslc.controller.tape import NodeTape, RowTape
from dslc.controller.teacher_forcing import RecordedSteps, SeenSteps, follow_steps
from dslc.controller.walks import start_table_walk, start_walk

CHECK_EVERY = 16
"""Steps between two looks whether all sequences are done; on a GPU each look waits for the device."""


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
    weights = policy.fold()
    tape = RowTape(weights, policy.budget, batch_size, is_rolling=True)
    steps, all_log_probs = sample_steps(policy, batch_size, generator, weights, tape)
    log_probs = _choose(all_log_probs, steps.tokens.t())
    with torch.inference_mode():
        entropies = torch.special.entr(all_log_probs.exp_()).sum(-1)
    return Rollout(steps, log_probs.t().contiguous(), entropies.t().clone(memory_format=torch.contiguous_format))


def sample_steps(
    policy: RecurrentPolicy,
    batch_size: int,
    generator: torch.Generator,
    weights: FoldedWeights,
    tape: RowTape,
    along: Sequence[Sequence[int]] = (),
) -> tuple[Steps, Float[Tensor, "time batch token"]]:
    """As `sample_rollout`, with the network's way written on the tape.

    Args:
        policy: Where sequences come from.
        batch_size: How many.
        generator: All randomness comes from it.
        weights: The policy's.
        tape: Of as many sequences as there are in all.
        along: Sequences that are known already and go the same way behind the samples, for little more; on a CPU.

    Returns:
        The steps of all, and the log-probabilities of all tokens at all of them, -inf where one is not allowed; these
        are not for autograd.
    """
    pad_id, budget = policy.automaton.pad_id, policy.budget
    tokens = torch.full((budget, tape.rows), pad_id, dtype=torch.int32, device=policy.device)
    if along:
        rows = tokens.numpy()
        for row, sequence in enumerate(along, start=batch_size):
            rows[: len(sequence), row] = sequence
    rolled: list[Tensor] = []
    with torch.inference_mode():
        walk = start_walk(policy, weights, tokens)
        drawer = TokenDrawer(weights.bias, batch_size)
        own_logits = tape.logits[:, :batch_size].unbind(0)
        for start in range(0, budget, CHECK_EVERY):
            if start >= policy.automaton.min_tokens and walk.are_done():
                break
            done = min(start + CHECK_EVERY, budget)
            draws = torch.rand((done - start, batch_size, 1), generator=generator, device=policy.device).unbind(0)
            to_draw = tokens[start:done, :batch_size, None].unbind(0)
            for position, drawn, draw in zip(range(start, done), to_draw, draws, strict=True):
                walk.begin(position, tape)
                _, logits = tape.open(position)
                walk.restrict(logits, tape.step(weights, position))
                own = own_logits[position] if along else logits
                drawer.draw(torch.softmax(own, -1), draw, drawn)
                walk.advance(position)
                if tape.is_rolling:
                    rolled.append(logits.clone())
        assert walk.are_done(), "the mask let a sequence pass its budget unfinished"
    steps = walk.gather()  # outside: autograd may read them
    # What needs no recurrence is done for all steps at once.
    with torch.inference_mode():
        time = steps.tokens.shape[1]
        all_logits = torch.stack(rolled[:time]) if tape.is_rolling and time else tape.logits[:time]
        rolled.clear()
        return steps, torch.log_softmax(all_logits, -1)


@torch.inference_mode()
def sum_log_probs(steps: Steps, log_probs: Float[Tensor, "time batch token"]) -> list[float]:
    """Log-probability of each sampled sequence, in nats; those of all tokens are what `sample_steps` gave."""
    return _choose(log_probs, steps.tokens.t()).sum(0).tolist()


def _choose(log_probs: Float[Tensor, "*steps token"], tokens: Int32[Tensor, "*steps"]) -> Float[Tensor, "*steps"]:
    return log_probs.gather(-1, tokens.to(torch.int64)[..., None])[..., 0]


def draw_tokens(probs: Float[Tensor, "batch token"], uniform: Float[Tensor, "batch 1"]) -> Int32[Tensor, "batch"]:
    """One token a row by inverting the cumulative distribution; never one of probability 0.

    Args:
        probs: Not negative, and no row zero everywhere.
        uniform: In [0, 1).
    """
    tokens = torch.empty((len(probs), 1), dtype=torch.int32, device=probs.device)
    TokenDrawer(probs.new_empty(probs.shape[1]), len(probs)).draw(probs, uniform, tokens)
    return tokens[:, 0]


class TokenDrawer:
    """`draw_tokens` for many steps, into buffers that are made once."""

    def __init__(self, like: Float[Tensor, "token"], batch_size: int) -> None:
        """`like` has the type, the device and as many numbers as the distributions."""
        self._cumulative = like.new_empty(batch_size, len(like))
        self._total = self._cumulative[:, -1:]
        self._threshold = like.new_empty(batch_size, 1)
        self._is_ordered = like.device.type == "cpu"

    def draw(
        self,
        probs: Float[Tensor, "batch token"],
        uniform: Float[Tensor, "batch 1"],
        tokens: Int32[Tensor, "batch 1"],
    ) -> None:
        """Draw into `tokens`."""
        cumulative = torch.cumsum(probs, -1, out=self._cumulative)
        if self._is_ordered:
            # Summed in order, so it grows exactly where a probability is not 0, and a number below 1 stays below the
            # total.
            threshold = torch.mul(uniform, self._total, out=self._threshold)
            torch.searchsorted(cumulative, threshold, right=True, out_int32=True, out=tokens)
        else:
            tokens[:, 0] = _draw_from_unordered(probs, cumulative, uniform)


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
    if policy.states is not None:
        walk = start_table_walk(policy, None, columns)
        for position in range(longest):
            walk.advance(position)
        assert walk.are_done(), "a replayed sequence is not a whole sentence"
        return walk.gather()
    runtime = policy.make_runtime(len(padded))
    previous = torch.full((len(padded),), pad_id, dtype=torch.int32, device=policy.device)
    inputs, rows = [], []
    masks: list[Tensor] = []
    finished: list[Tensor] = []
    tracker = None
    if policy.automaton.heads is not None:
        tracker = policy.heads.make_tracker(len(padded), policy.budget, policy.device)
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
    return gather_steps(policy, list(columns), inputs, rows, masks, finished, len(padded))


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
    if reference is None and policy.automaton.heads is None and policy.device.type == "cpu":
        return _score_by_hand(policy, steps)
    mask = policy.mask[steps.rows] if steps.allowed is None else steps.allowed
    log_probs = masked_log_softmax(policy(steps.inputs, steps.rows, steps.finished), mask)
    chosen = _choose(log_probs, steps.tokens)
    divergences = None
    if reference is not None:
        other = masked_log_softmax(reference(steps.inputs, steps.rows, steps.finished), mask)
        divergences = masked_divergence(log_probs, other, mask)
    return Score(chosen, masked_entropy(log_probs, mask), divergences)


def read_steps(policy: RecurrentPolicy, steps: Steps) -> RecordedSteps:
    """Recorded steps as the hand-written pass reads them."""
    paths = find_paths(steps.tokens.t().numpy(), policy.automaton.pad_id)
    cells = paths.nodes * (policy.automaton.num_tokens + 1) + steps.tokens.t()
    return RecordedSteps(_pick_steps(policy, steps, paths.picked), paths, cells)


@torch.inference_mode()
def walk_again(policy: RecurrentPolicy, steps: Steps, weights: FoldedWeights, tape: RowTape) -> None:
    """Write recorded steps on a tape as they were written when they were sampled, to the last bit."""
    batch, time = steps.tokens.shape
    seen = _pick_steps(policy, steps, torch.arange(time * batch))
    seen.write(weights, tape.gates[0][:time].flatten(0, 1), tape.logits[:time].flatten(0, 1))
    for t in range(time):
        tape.step(weights, t)


def _pick_steps(policy: RecurrentPolicy, steps: Steps, picked: Int64[Tensor, "node"]) -> SeenSteps:
    """What the network is given at some steps, numbered position * batch + sequence."""

    def pick(part: Tensor) -> Tensor:
        return part.transpose(0, 1).flatten(0, 1).index_select(0, picked)

    if policy.states is not None and steps.states is not None:
        inputs, place = policy.states.inputs, pick(steps.states)
    else:
        ids, positions = policy.feature_ids(pick(steps.inputs)), picked // max(len(steps.tokens), 1)
        inputs, place = tell_apart(ids, positions, policy.feature_sizes, len(policy.position))
    allowed = None if steps.allowed is None else pick(steps.allowed)
    return SeenSteps(inputs, place, policy.blocked_logits, pick(steps.rows), allowed)


def _score_by_hand(policy: RecurrentPolicy, steps: Steps) -> Score:
    """The same by the hand-written pass, several times cheaper on a CPU."""
    weights, recorded = policy.fold(), read_steps(policy, steps)
    tape = NodeTape(weights, len(recorded.paths.picked))
    chosen, entropies = follow_steps(recorded, policy.network_parameters, weights, tape)
    return Score(chosen.t(), entropies.t())
