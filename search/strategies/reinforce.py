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
from dslc.search.strategies.start_options import check_start, choose_table
from dslc.space import Space


@dataclass(frozen=True, slots=True)
class ReinforceOptions:
    """Options of `reinforce`."""

    preset: str = "small"
    """Controller: `small`, or `zoph2017` for the paper's."""
    learning_rate: float = 0.0
    """Of Adam; 0 means the preset's (0.01, or the paper's 6e-4)."""
    baseline_decay: float = 0.95
    """Share of the baseline that one batch keeps, in [0, 1). Zoph and Le give no number; 0.95 is that of Bello et al.
    2017."""
    entropy_weight: float = 0.0
    """Times the summed entropy of a sequence, nats; 0 in Zoph and Le."""
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
        if problems:
            raise DslcError(problems)


class Reinforce:
    """One step of gradient ascent a batch: sum over tokens of log P times (reward - exponential moving average of
    earlier rewards).

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
        evaluations: int,  # noqa: ARG002
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

    def ask(self, count: int) -> list[Candidate]:
        """The next `count` samples of the policy."""
        return self._learner.sample(count)

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """One update; returns loss, entropy (nats a token) and the baseline that was used."""
        if not results:
            return {}
        values = [reward for _, reward in results]
        rewards = self._learner.rewards(values)
        mean = math.fsum(value / len(values) for value in values)
        baseline = mean if self._baseline is None else self._baseline
        steps = self._learner.record([candidate.tokens for candidate, _ in results])
        score = self._learner.score(steps)
        # Subtracted in float64: rewards of any size may differ by little.
        loss = reinforce_loss(score.log_probs, (rewards - baseline).to(score.log_probs.dtype), 0.0)
        if self._options.entropy_weight:
            loss = loss - self._options.entropy_weight * entropy(score.entropies, steps.is_token)
        if loss.requires_grad:
            self._learner.descend(loss)
        decay = self._options.baseline_decay
        self._baseline = mean if self._baseline is None else decay * self._baseline + (1 - decay) * mean
        return {
            "loss": float(loss.detach()),
            "entropy": float(score.entropies.detach().sum()) / max(int(steps.lengths.sum()), 1),
            "baseline": baseline,
        }

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {**self._learner.state_dict(), "baseline": self._baseline}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        self._learner.load_state_dict(state)
        self._baseline = state["baseline"]


STRATEGY = Reinforce
