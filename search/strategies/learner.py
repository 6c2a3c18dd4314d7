"""A policy that is being trained: what the strategies by gradient share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dslc.automaton.starting import StartingTable
from dslc.controller.masking import masked_log_softmax
from dslc.controller.policy import RecurrentPolicy
from dslc.controller.presets import PRESETS, Preset
from dslc.controller.rollout import Score, Steps, join_steps, replay, sample_rollout, score_rollout, select_steps
from dslc.controller.sample_tokens import StepRecord, can_record, sample_tokens
from dslc.diagnostics import DslcError
from dslc.search.outcome import Candidate
from dslc.search.rows import unpad_rows
from dslc.search.strategies.options import bad_value
from dslc.search.strategies.policy_options import PolicyOptions
from dslc.search.strategies.start_options import choose_table
from dslc.space import Space


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
        self._optimizer = torch.optim.Adam(self._weights, lr=learning_rate, fused=True)
        self._generator = torch.Generator(device).manual_seed(derive_seed(seed, "sampling"))
        # So as not to walk the automaton twice; no part of the state, since `replay` gives the same.
        self._sampled: tuple[tuple[tuple[int, ...], ...], Steps] | None = None
        self._sampled_tokens: tuple[NDArray[np.int16], StepRecord] | None = None
        self._recorded: dict[tuple[tuple[int, ...], ...], Steps] = {}

    def sample(self, count: int) -> list[Candidate]:
        """Independent samples of the policy with their log-probabilities."""
        rollout = sample_rollout(self.policy, count, self._generator)
        sequences = rollout.steps.token_tuples()
        self._sampled = (tuple(sequences), rollout.steps)
        log_probs = rollout.log_probs.sum(1).tolist()
        return [Candidate(tokens, log_prob) for tokens, log_prob in zip(sequences, log_probs, strict=True)]

    def sample_tokens(self, count: int) -> NDArray[np.int16]:
        """Independent samples of the policy [count, budget], filled up with V; of many the cheapest way."""
        record = StepRecord(self.policy, count) if can_record(self.policy) else None
        tokens = sample_tokens(self.policy, count, self._generator, record)
        self._sampled_tokens = None if record is None else (tokens, record)
        return tokens

    def record_rows(self, tokens: NDArray[np.int16], chosen: Sequence[int]) -> Steps:
        """What the policy saw on the way to the chosen rows; nothing is walked if `sample_tokens` gave this array."""
        if self._sampled_tokens is not None and self._sampled_tokens[0] is tokens:
            return self._sampled_tokens[1].steps(tokens, chosen)
        return replay(self.policy, unpad_rows(tokens[np.array(chosen, np.intp)], self.policy.automaton.pad_id))

    def record(self, *groups: Sequence[tuple[int, ...]]) -> Steps:
        """What the policy saw on the way to these sequences, the groups one after the other in one batch."""
        keys = [tuple(group) for group in groups if group]
        known = dict([*self._recorded.items(), *([self._sampled] if self._sampled else [])])
        self._recorded = {key: known[key] if key in known else replay(self.policy, key) for key in keys}
        steps = self._recorded[keys[0]]
        for key in keys[1:]:
            steps = join_steps(steps, self._recorded[key], self.policy.automaton.pad_id)
        return steps

    def record_some(self, batch: Sequence[tuple[int, ...]], chosen: Sequence[int]) -> Steps:
        """What the policy saw on the way to the chosen ones of a batch; nothing is walked if it sampled the batch."""
        if self._sampled is not None and self._sampled[0] == tuple(batch):
            return select_steps(self._sampled[1], chosen)
        return replay(self.policy, [batch[index] for index in chosen])

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
        self._optimizer.state.clear()

    def score(self, steps: Steps) -> Score:
        """Differentiable log-probabilities and entropies."""
        return score_rollout(self.policy, steps)

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
        rewards = torch.tensor(values, dtype=torch.float64)
        assert bool(rewards.isfinite().all()), "a strategy is told finite rewards only"
        return rewards.to(self.policy.device)

    def descend(self, loss: Tensor) -> None:
        """One step of the optimiser."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Flat: weights, moments of the optimiser, state of the generator."""
        state: dict[str, Any] = {f"policy.{name}": weight.clone() for name, weight in self.policy.state_dict().items()}
        for index, weight in enumerate(self._weights):
            for name, value in self._optimizer.state.get(weight, {}).items():
                state[f"optimizer.{index}.{name}"] = value.clone()
        state["generator"] = self._generator.get_state()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        prefix = "policy."
        self.policy.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )
        self._optimizer.state.clear()
        for index, weight in enumerate(self._weights):
            prefix = f"optimizer.{index}."
            moments = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            self._optimizer.state[weight] = {
                name: value.to(weight.device, copy=True) for name, value in moments.items()
            }
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
