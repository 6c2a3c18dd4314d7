"""REINFORCE with a moving-average baseline, as the papers have it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dslc.diagnostics import DslcError
from dslc.search.losses import entropy, reinforce_loss
from dslc.search.outcome import Candidate
from dslc.search.strategies.learner import PolicyLearner, choose_preset
from dslc.search.strategies.options import bad_value
from dslc.search.strategies.policy_options import DEFAULT_PRESET
from dslc.search.strategies.schedule import linear_to_zero
from dslc.search.strategies.start_options import check_start, choose_table
from dslc.space import Space

EXPLORATION = 0.6
"""Measured on trees of 3,369 programs, 12 seeds: with 0, 0.3, 0.6 and 1 the optimum is found in none, 10, 12 and 7."""


@dataclass(frozen=True, slots=True)
class ReinforceOptions:
    """Options of `reinforce`."""

    preset: str = "small"
    """Controller: `small`, or `zoph2017` for the paper's."""
    learning_rate: float = 0.0
    """Of Adam; 0 means the preset's (0.01, or the paper's 6e-4)."""
    baseline_decay: float = 0.5
    """Share of the baseline that one batch keeps, in [0, 1). Zoph and Le give no number; 0.95 of Bello et al. 2017
    looks back 20 batches, in which a search of some hundred samples is over."""
    entropy_weight: float = 0.0
    """Times the summed entropy of a sequence, nats; 0 in Zoph and Le."""
    exploration: float = -1.0
    """The same at the start, in units of the rewards: times the entropy and the moving average of how far a reward is
    from the baseline; falls linearly to 0 over the evaluations. -1: EXPLORATION with preset `small`, 0 with those of
    the papers."""
    start_table: str = "projected"
    """Where the policy starts: `projected` or `local`, see `Space.starting_table`."""
    target_length: float = 0.0
    """Expected tokens of a sentence of the fresh policy; 0: not tuned."""
    target_shares: str = ""
    """NAME=SHARE,NAME=SHARE: expected shares of tokens among those of a sentence; empty: not tuned."""

    def __post_init__(self) -> None:
        problems = check_start(self, "reinforce")
        if not (self.learning_rate >= 0 and math.isfinite(self.learning_rate)):
            problems.append(bad_value("reinforce", "learning_rate", self.learning_rate, "give a positive number"))
        if not 0 <= self.baseline_decay < 1:
            problems.append(bad_value("reinforce", "baseline_decay", self.baseline_decay, "give a number in [0, 1)"))
        if not (self.entropy_weight >= 0 and math.isfinite(self.entropy_weight)):
            problems.append(bad_value("reinforce", "entropy_weight", self.entropy_weight, "give 0 or more"))
        if not (self.exploration == -1 or (self.exploration >= 0 and math.isfinite(self.exploration))):
            remedy = "give 0 or more, or -1 for the preset's"
            problems.append(bad_value("reinforce", "exploration", self.exploration, remedy))
        if problems:
            raise DslcError(problems)


class Reinforce:
    """One step of gradient ascent a batch: sum over tokens of log P times (reward - exponential moving average of
    earlier rewards), and entropy that fades.

    The first batch, which has no earlier rewards, is measured against its own mean.

    Source:
        williams1992; zoph2017, section 3.2.
    """

    name = "reinforce"
    figures = ("loss", "entropy", "baseline")
    options_type = ReinforceOptions

    def __init__(
        self,
        space: Space,
        *,
        evaluations: int,
        batch: int,  # noqa: ARG002
        seed: int,
        device: str,
        options: ReinforceOptions,
    ) -> None:
        self._options = options
        preset = choose_preset(self._options.preset, self.name)
        table = choose_table(space, self._options, preset, self.name)
        rate = self._options.learning_rate or preset.learning_rate
        self._learner = PolicyLearner(space, preset, rate, seed, device, table)
        self._baseline: float | None = None
        self._distance: float | None = None
        """Moving average of |reward - baseline|."""
        self._evaluations, self._told = evaluations, 0
        self._exploration = options.exploration
        if options.exploration == -1:
            self._exploration = EXPLORATION if preset.name == DEFAULT_PRESET else 0.0

    def ask(self, count: int) -> list[Candidate]:
        """The next `count` samples of the policy."""
        return self._learner.sample(count, along=())

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """One update; returns loss, entropy (nats a token) and the baseline that was used."""
        if not results:
            return {}
        values = [reward for _, reward in results]
        rewards = self._learner.rewards(values)
        mean = math.fsum(value / len(values) for value in values)
        baseline = mean if self._baseline is None else self._baseline
        steps = self._learner.record([candidate.tokens for candidate, _ in results])
        score = self._learner.look(steps)
        # Subtracted in float64: rewards of any size may differ by little.
        advantages = (rewards - baseline).to(score.log_probs.dtype)
        loss = reinforce_loss(score.log_probs, advantages, 0.0)
        decay = self._options.baseline_decay
        distance = math.fsum(abs(value - baseline) / len(values) for value in values)
        self._distance = distance if self._distance is None else decay * self._distance + (1 - decay) * distance
        exploration = linear_to_zero(self._exploration, self._told, self._evaluations)
        weight = self._options.entropy_weight + exploration * self._distance
        is_token, number = steps.is_token, len(values)
        if weight:
            loss = loss - weight * entropy(score.entropies, is_token)
        self._learner.descend_along(is_token * (advantages / -number)[:, None], is_token * (-weight / number))
        self._baseline = mean if self._baseline is None else decay * self._baseline + (1 - decay) * mean
        self._told += len(values)
        return {
            "loss": float(loss),
            "entropy": float(score.entropies.sum()) / max(int(steps.lengths.sum()), 1),
            "baseline": baseline,
        }

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        averages = {"baseline": self._baseline, "distance": self._distance}
        return {**self._learner.state_dict(), **averages, "told": self._told}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        self._learner.load_state_dict(state)
        self._baseline, self._distance = state["baseline"], state["distance"]
        self._told = state["told"]


STRATEGY = Reinforce
