"""A policy that is being trained: what the strategies by gradient share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dslc.automaton.starting import StartingTable
from dslc.controller.masking import masked_log_softmax
from dslc.controller.network import FoldedWeights
from dslc.controller.policy import RecurrentPolicy
from dslc.controller.presets import PRESETS, Preset
from dslc.controller.rollout import (
    Score,
    read_steps,
    replay,
    sample_steps,
    score_rollout,
    sum_log_probs,
    walk_again,
)
from dslc.controller.sample_tokens import StepRecord, can_record, sample_tokens
from dslc.controller.steps import Steps, join_steps, select_steps
from dslc.controller.tape import LARGEST_TAPE, NodeTape, RowTape, count_numbers
from dslc.controller.teacher_forcing import RecordedSteps, ScoredSteps, follow_steps, score_steps
from dslc.diagnostics import DslcError
from dslc.search.outcome import Candidate
from dslc.search.rows import unpad_rows
from dslc.search.strategies.adam import Adam
from dslc.search.strategies.options import bad_value
from dslc.search.strategies.policy_options import PolicyOptions
from dslc.search.strategies.start_options import choose_table
from dslc.space import Space

MOST_TAPES = 8
"""Tapes of different numbers of sequences that are kept."""
_Sequences: TypeAlias = "tuple[tuple[int, ...], ...]"


class PolicyLearner:
    """A recurrent policy over a space, its optimiser and its random generator."""

    def __init__(
        self,
        space: Space,
        preset: Preset,
        learning_rate: float,
        seed: int,
        device: str,
        table: StartingTable | None = None,
    ) -> None:
        """Build it; without a table it starts at the space's own, where the preset starts at one."""
        self.policy = RecurrentPolicy(
            space.lowering.automaton,
            space.max_tokens,
            preset,
            table=(table or space.starting_table()) if preset.starts_at_table else None,
            seed=derive_seed(seed, "weights"),
            device=device,
        )
        self._weights: list[Tensor] = [weight for weight in self.policy.parameters() if weight.requires_grad]
        self._optimizer = Adam(self._weights, learning_rate)
        self._generator = torch.Generator(device).manual_seed(derive_seed(seed, "sampling"))
        self._is_by_hand = self.policy.device.type == "cpu" and self.policy.automaton.heads is None
        # None of this is part of the state: made anew it is the same.
        self._sampled: tuple[_Sequences, _Sequences, Steps] | None = None
        self._sampled_tokens: tuple[NDArray[np.int16], StepRecord] | None = None
        self._recorded: dict[_Sequences, Steps] = {}
        self._read: tuple[Steps, RecordedSteps] | None = None
        self._batch: Steps | None = None
        """What `record` gave last, until it has been looked at."""
        self._looked_at: Score | ScoredSteps | None = None
        self._folded: tuple[list[int], FoldedWeights] | None = None
        self._row_tapes: dict[int, RowTape] = {}
        """By number of sequences."""
        self._tape: NodeTape | None = None
        """The one used last, if it is free."""
        self._lent: list[NodeTape] = []
        """Those of scores whose gradient may still be asked for: until the weights change."""
        self._on_tape: tuple[Steps, FoldedWeights, RowTape] | None = None
        """What was sampled, with which weights and on which tape, as long as nothing else is written there."""

    def sample(self, count: int, *, along: Sequence[tuple[int, ...]] | None = None) -> list[Candidate]:
        """Independent samples of the policy with their log-probabilities.

        Args:
            count: How many.
            along: Sequences that will be recorded behind the samples in one batch. What the network goes through is
                then kept for the first pass, theirs too. None if not all of the samples will be recorded.
        """
        weights, taught, tape = self._fold(), tuple(along or ()), None
        if along is not None and self._is_by_hand:
            tape = self._find_row_tape(weights, self.policy.budget, count + len(taught))
        if tape is None:
            taught, tape = (), RowTape(weights, self.policy.budget, count, is_rolling=True)
        steps, log_probs = sample_steps(self.policy, count, self._generator, weights, tape, taught)
        if not tape.is_rolling:
            self._on_tape = steps, weights, tape
        sequences = steps.token_tuples()[:count]
        self._sampled = tuple(sequences), taught, steps
        totals = sum_log_probs(steps, log_probs)
        return [Candidate(tokens, log_prob) for tokens, log_prob in zip(sequences, totals, strict=False)]

    def sample_tokens(self, count: int) -> NDArray[np.int16]:
        """Independent samples of the policy [count, budget], filled up with V; of many the cheapest way."""
        record = StepRecord(self.policy) if can_record(self.policy) else None
        tokens = sample_tokens(self.policy, count, self._generator, record, self._fold())
        self._sampled_tokens = None if record is None else (tokens, record)
        return tokens

    def record_rows(self, tokens: NDArray[np.int16], chosen: Sequence[int]) -> Steps:
        """What the policy saw on the way to the chosen rows; nothing is walked if `sample_tokens` gave this array."""
        if self._sampled_tokens is not None and self._sampled_tokens[0] is tokens:
            return self._sampled_tokens[1].steps(tokens, chosen)
        return replay(self.policy, unpad_rows(tokens[np.array(chosen, np.intp)], self.policy.automaton.pad_id))

    def record(self, *groups: Sequence[tuple[int, ...]]) -> Steps:
        """What the policy saw on the way to its last batch, the groups one after the other.

        The first pass over it is to the last bit that of sampling it, whether or not it was sampled here.
        """
        self._batch = self._record(*groups)
        return self._batch

    def _record(self, *groups: Sequence[tuple[int, ...]]) -> Steps:
        keys = [tuple(group) for group in groups if group]
        known = dict(self._recorded)
        if self._sampled is not None:
            own, taught, steps = self._sampled
            if keys == ([own, taught] if taught else [own]):
                return steps
            if not taught:
                known[own] = steps
        self._recorded = {key: known[key] if key in known else replay(self.policy, key) for key in keys}
        steps = self._recorded[keys[0]]
        for key in keys[1:]:
            steps = join_steps(steps, self._recorded[key], self.policy.automaton.pad_id)
        return steps

    def _fold(self) -> FoldedWeights:
        """The folded weights, anew if they have changed: by this class, which says so, or where they lie, by others."""
        places = [weight.data_ptr() for weight in self.policy.network_parameters]
        if self._folded is None or self._folded[0] != places:
            self._folded = places, self.policy.fold()
            free = [tape for tape in (*self._lent, self._tape) if tape is not None]
            self._tape = max(free, key=lambda tape: tape.num_nodes, default=None)
            self._lent.clear()
        return self._folded[1]

    def _find_row_tape(self, weights: FoldedWeights, time: int, rows: int) -> RowTape | None:
        """A tape that is there if it fits, else a new one, which is kept; None if that would be too large."""
        tape = self._row_tapes.pop(rows, None)
        if tape is None or tape.steps < time:
            if count_numbers(weights, time, rows) > LARGEST_TAPE:
                return None
            tape = RowTape(weights, time, rows)
        self._row_tapes[rows] = tape  # behind all others: the one used last
        if len(self._row_tapes) > MOST_TAPES:
            del self._row_tapes[next(iter(self._row_tapes))]
        return tape

    def record_some(self, batch: Sequence[tuple[int, ...]], chosen: Sequence[int]) -> Steps:
        """What the policy saw on the way to the chosen ones of a batch; nothing is walked if it sampled the batch."""
        if self._sampled is not None and self._sampled[0] == tuple(batch):
            return select_steps(self._sampled[2], chosen)
        return replay(self.policy, [batch[index] for index in chosen])

    def replay(self, sentences: Sequence[tuple[int, ...]]) -> Steps:
        """What the policy sees on the way to sentences of anyone."""
        return replay(self.policy, sentences)

    def join(self, steps: Steps, *groups: Sequence[tuple[int, ...]]) -> Steps:
        """Recorded steps with those of other sequences after them, in one batch."""
        others = [tokens for group in groups for tokens in group]
        if not others:
            return steps
        return join_steps(steps, replay(self.policy, others), self.policy.automaton.pad_id)

    def restart(self) -> None:
        """Fresh weights, of a seed that the generator of the samples draws; the optimiser forgets its moments."""
        seed = torch.randint(2**62, (), generator=self._generator, device=self._generator.device)
        self.policy.start_again(int(seed))
        self._folded = None
        self._optimizer.state.clear()

    def score(self, steps: Steps) -> Score:
        """Differentiable log-probabilities and entropies; of several scores one loss can be made."""
        if not (self._is_by_hand and steps.tokens.shape[1]):
            return score_rollout(self.policy, steps)
        recorded, weights, tape, is_written = self._prepare(steps)
        parameters = self.policy.network_parameters
        chosen, entropies = follow_steps(recorded, parameters, weights, tape, is_written=is_written)
        if chosen.requires_grad:  # the way back reads it
            self._lent.append(tape)
            self._tape = None
        return Score(chosen.t(), entropies.t())

    def look(self, steps: Steps) -> Score:
        """As `score`, for a loss whose derivatives are known without autograd, see `descend_along`."""
        if not (self._is_by_hand and steps.tokens.shape[1]):
            self._looked_at = score_rollout(self.policy, steps)
            return Score(self._looked_at.log_probs.detach(), self._looked_at.entropies.detach())
        recorded, weights, tape, is_written = self._prepare(steps)
        self._looked_at = score_steps(recorded, weights, tape, is_written=is_written)
        return Score(self._looked_at.chosen.t(), self._looked_at.entropies.t())

    @torch.inference_mode()
    def _prepare(self, steps: Steps) -> tuple[RecordedSteps, FoldedWeights, NodeTape, bool]:
        """What a pass by hand takes; whether it is on the tape already."""
        weights = self._fold()
        if self._read is None or self._read[0] is not steps:
            self._read = steps, read_steps(self.policy, steps)
        recorded = self._read[1]
        nodes = len(recorded.paths.picked)
        if self._tape is None or self._tape.num_nodes < nodes:
            self._tape = NodeTape(weights, 1 << (nodes - 1).bit_length())  # the next batch has some more or less
        tape, is_batch = self._tape, self._batch is steps
        if is_batch:
            tape.pick(self._find_rows(steps, weights), recorded.paths)
            self._batch = None
        return recorded, weights, tape, is_batch

    def _find_rows(self, steps: Steps, weights: FoldedWeights) -> RowTape:
        """What the network went through with a batch: as sampling left it, or by going the same way again."""
        on_tape, self._on_tape = self._on_tape, None
        if on_tape is not None and on_tape[0] is steps and on_tape[1] is weights:
            return on_tape[2]
        batch, time = steps.tokens.shape
        tape = self._find_row_tape(weights, time, batch) or RowTape(weights, time, batch)
        walk_again(self.policy, steps, weights, tape)
        return tape

    @property
    def device(self) -> torch.device:
        """Where the policy lives."""
        return self.policy.device

    @property
    def weights(self) -> list[Tensor]:
        """What learns."""
        return self._weights

    def distributions(self, steps: Steps) -> tuple[Tensor, Tensor]:
        """Log-probabilities of all tokens at recorded steps, and which are allowed; twice differentiable."""
        mask = self.policy.mask[steps.rows] if steps.allowed is None else steps.allowed
        with torch.backends.cudnn.flags(enabled=False):  # whose LSTM has no second derivative
            logits = self.policy(steps.inputs, steps.rows, steps.finished, is_twice_differentiable=True)
        return masked_log_softmax(logits, mask), mask

    def rewards(self, values: Sequence[float]) -> Tensor:
        """Rewards as float64 [batch], where the policy is."""
        assert all(map(math.isfinite, values)), "a strategy is told finite rewards only"
        return torch.tensor(values, dtype=torch.float64, device=self.policy.device)

    def descend(self, loss: Tensor) -> None:
        """One step of the optimiser."""
        self._optimizer.forget()
        loss.backward()  # type: ignore[no-untyped-call]
        self._take_step()

    def descend_along(self, by_log_probs: Tensor, by_entropies: Tensor) -> None:
        """One step of the optimiser on a loss with these derivatives, [batch, time], by what `look` gave last."""
        scored, self._looked_at = self._looked_at, None
        assert scored is not None, "the network is looked at before each step"
        if isinstance(scored, ScoredSteps):
            gradients = scored.differentiate(by_log_probs.t(), by_entropies.t())
            for weight, gradient in zip(self.policy.network_parameters, gradients, strict=True):
                weight.grad = gradient if weight.requires_grad else None
        elif scored.log_probs.requires_grad:
            self._optimizer.forget()
            figures, derivatives = (scored.log_probs, scored.entropies), (by_log_probs, by_entropies)
            torch.autograd.backward(figures, derivatives)
        else:  # sentences without a choice
            return
        self._take_step()

    def _take_step(self) -> None:
        self._optimizer.step()
        self._folded = None

    def state_dict(self) -> dict[str, Any]:
        """Flat: weights, moments of the optimiser, state of the generator."""
        state: dict[str, Any] = {f"policy.{name}": weight.clone() for name, weight in self.policy.state_dict().items()}
        for index, moments in sorted(self._optimizer.state.items()):
            state.update({f"optimizer.{index}.{name}": value.clone() for name, value in moments.items()})
        state["generator"] = self._generator.get_state()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        prefix = "policy."
        self.policy.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )
        self._folded = None
        self._optimizer.state.clear()
        for index, weight in enumerate(self._weights):
            prefix = f"optimizer.{index}."
            moments = {
                name.removeprefix(prefix): value.to(weight.device, copy=True)
                for name, value in state.items()
                if name.startswith(prefix)
            }
            if moments:
                self._optimizer.state[index] = moments
        self._generator.set_state(state["generator"])


def make_learner(space: Space, options: PolicyOptions, strategy: str, seed: int, device: str) -> PolicyLearner:
    """The learner that the options of a strategy ask for.

    Raises:
        DslcError: DSLC605 for a preset that is not there or starts at no table where one is asked for, DSLC335 for
            targets that are not met.
    """
    preset = choose_preset(options.preset, strategy)
    table = choose_table(space, options, preset, strategy)
    return PolicyLearner(space, preset, options.learning_rate or preset.learning_rate, seed, device, table)


def derive_seed(seed: int, purpose: str) -> int:
    """A seed for one purpose, in 0 .. 2^63 - 1, so that generators of one run are independent.

    Example:
        >>> derive_seed(0, "weights") == derive_seed(0, "sampling")
        False
    """
    digest = sha256(f"{purpose} {seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def choose_preset(name: str, strategy: str) -> Preset:
    """The preset of that name.

    Raises:
        DslcError: DSLC605 if there is none.
    """
    if name not in PRESETS:
        known = " or ".join(f"`{preset}`" for preset in PRESETS)
        raise DslcError(bad_value(strategy, "preset", name, f"use {known}"))
    return PRESETS[name]
