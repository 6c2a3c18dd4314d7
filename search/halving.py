"""Cheap children by asynchronous successive halving: little training for all, more for the best so far.

A program is trained with the first of a few shares of full training, its first rung. Whenever it is among the best
1/eta of all that have been trained on its rung so far, it is promoted to the next, eta being how much longer that
trains. No rung waits until it is full. In the second half of a training it is stopped where it goes worse than every
one of the best third before it, so that what a child reports stops nothing where it says nothing of the end.

A strategy is told what full training is expected to give, by least squares on the programs that have been trained on
two rungs: who learns fast at first need not be good in the end, and a strategy that is told early rewards finds those.

Sources:
    li2020 (promotion). The stopping rule and what is expected are ours: docs/results.md has what they were chosen by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

BEST_SHARE = 3
"""One in so many of the trainings on a rung is among its best, which the stopping rule compares with."""
FEWEST_BEST = 3
"""So many of the best must be known before the stopping rule says anything."""
FEWEST_PAIRS = 3
"""Programs trained on two rungs from which on the reward on one says anything of that on the next."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A program that is to be trained longer."""

    program_hash: str
    rung: int
    """Where to: a position in the rungs."""


class _Line(NamedTuple):
    """What training on a rung is expected to give after that on the one below."""

    mean_low: float
    mean_high: float
    slope: float


def _fit_line(low: Mapping[str, float], high: Mapping[str, float]) -> _Line | None:
    """By least squares of the programs that have a reward on both rungs; None if there is none."""
    pairs = [(low.get(h, -math.inf), after) for h, after in high.items()]
    pairs = [pair for pair in pairs if min(pair) > -math.inf]
    if not pairs:
        return None
    mean_low, mean_high = (math.fsum(values) / len(pairs) for values in zip(*pairs, strict=True))
    spread = math.fsum((before - mean_low) ** 2 for before, _ in pairs)
    slope = 0.0
    if len(pairs) >= FEWEST_PAIRS and spread > 0:
        slope = math.fsum((before - mean_low) * (after - mean_high) for before, after in pairs) / spread
    return _Line(mean_low, mean_high, min(max(slope, 0.0), 1.0))


class Halving:
    """Who has been trained how long, and who comes next; the same trainings in the same order give the same answers."""

    def __init__(self, rungs: Sequence[float]) -> None:
        """Begin with nothing trained.

        Args:
            rungs: shares of full training, rising to 1.
        """
        assert rungs, "at least full training"
        assert rungs[-1] == 1, "the last rung is full training"
        assert all(low < high for low, high in pairwise(rungs)), "rungs rise"
        self.rungs = tuple(rungs)
        self._rewards: list[dict[str, float]] = [{} for _ in rungs]  # of a failed child: minus infinity
        self._promoted: list[set[str]] = [set() for _ in rungs]
        self._curves: list[dict[str, dict[int, float]]] = [{} for _ in rungs]  # the best so far, by step

    def note(self, program_hash: str, rung: int, reward: float | None, curve: Mapping[int, float]) -> None:
        """Take up a training that has ended; `curve` has what it reported, the larger the better, by step."""
        self._rewards[rung][program_hash] = -math.inf if reward is None else reward
        best = -math.inf
        running: dict[int, float] = {}
        for step in sorted(curve):
            best = max(best, curve[step])
            running[step] = best
        if running:
            self._curves[rung][program_hash] = running

    def trained(self) -> dict[str, int]:
        """The highest rung that each program has been trained on."""
        return {program_hash: rung for rung, rewards in enumerate(self._rewards) for program_hash in rewards}

    def expect(self, hashes: Sequence[str]) -> list[float | None]:
        """The reward that full training is expected to give each; its own once it has been; None if it failed.

        From rung to rung by the straight line that fits best, which neither falls nor rises faster than the reward; a
        horizontal one where few have been on both.
        """
        lines = [_fit_line(low, high) for low, high in pairwise(self._rewards)]
        trained = self.trained()
        expected: list[float | None] = []
        for program_hash in hashes:
            rung = trained[program_hash]
            reward = self._rewards[rung][program_hash]
            if reward == -math.inf:
                expected.append(None)
                continue
            for line in lines[rung:]:
                if line is None:
                    break
                reward = line.mean_high + line.slope * (reward - line.mean_low)
            expected.append(reward)
        return expected

    def count_full(self) -> int:
        """How many programs have been trained in full and have a reward."""
        return sum(reward > -math.inf for reward in self._rewards[-1].values())

    def promotions(self) -> list[Promotion]:
        """Programs that have earned the next rung and are not there yet, best first; noted as promoted."""
        found = []
        for rung, (low, high) in enumerate(pairwise(self.rungs)):
            rewards, promoted = self._rewards[rung], self._promoted[rung]
            ranked = sorted(rewards, key=rewards.__getitem__, reverse=True)  # stable: of equals the earlier first
            places = math.floor(len(ranked) * low / high + 1e-9)
            chosen = [h for h in ranked[:places] if h not in promoted and rewards[h] > -math.inf]
            promoted.update(chosen)
            found += [Promotion(program_hash, rung + 1) for program_hash in chosen]
        return found

    def last_promotion(self) -> Promotion | None:
        """The best of the highest rung reached one further, for a search that ends with nothing fully trained."""
        for rung in range(len(self.rungs) - 1, -1, -1):
            rewards = {h: reward for h, reward in self._rewards[rung].items() if reward > -math.inf}
            if not rewards:
                continue
            if rung == len(self.rungs) - 1:
                return None
            best = max(rewards, key=rewards.__getitem__)
            self._promoted[rung].add(best)
            return Promotion(best, rung + 1)
        return None

    def cutoffs(self, rung: int) -> dict[int, float]:
        """By step, the worst of what the best trainings on a rung had reached by then; empty while few are known.

        The first half of the steps is left out: early values say little of what a training comes to.
        """
        curves, rewards = self._curves[rung], self._rewards[rung]
        ranked = sorted(curves, key=rewards.__getitem__, reverse=True)
        best = [curves[program_hash] for program_hash in ranked[: len(ranked) // BEST_SHARE]]
        if len(best) < FEWEST_BEST:
            return {}
        steps = sorted({step for curve in best for step in curve})
        values = {step: [curve[step] for curve in best if step in curve] for step in steps[len(steps) // 2 :]}
        return {step: min(found) for step, found in values.items() if len(found) >= FEWEST_BEST}

    def to_json(self) -> dict[str, Any]:
        """The state, for a checkpoint."""
        return {
            "rewards": [
                {program_hash: None if reward == -math.inf else reward for program_hash, reward in rewards.items()}
                for rewards in self._rewards
            ],
            "promoted": [sorted(promoted) for promoted in self._promoted],
            "curves_by_program": [
                {h: {str(step): value for step, value in curve.items()} for h, curve in curves.items()}
                for curves in self._curves
            ],
        }

    def load_json(self, state: Mapping[str, Any]) -> None:
        """Go on from `to_json`."""
        self._rewards = [
            {program_hash: -math.inf if reward is None else reward for program_hash, reward in rewards.items()}
            for rewards in state["rewards"]
        ]
        self._promoted = [set(promoted) for promoted in state["promoted"]]
        self._curves = [
            {h: {int(step): value for step, value in curve.items()} for h, curve in curves.items()}
            for curves in state.get("curves_by_program", self._curves)  # an older dslc noted none
        ]


class Reporter:
    """`Context.report` of one child: keeps what it reports and answers by the cutoffs of its rung."""

    def __init__(self, cutoffs: Mapping[int, float]) -> None:
        """Nothing reported yet."""
        self.curve: dict[int, float] = {}
        self._cutoffs = cutoffs
        self._best = -math.inf

    def __call__(self, step: int, value: float) -> bool:
        """Whether to go on: False if the best value so far is below the cutoff of this step."""
        if not math.isfinite(value):
            return True  # the task itself says what becomes of a loss that is not finite
        self.curve[step] = value
        self._best = max(self._best, value)
        return self._best >= self._cutoffs.get(step, -math.inf)


REPORTED = "reported at step "
"""What the metrics of a child begin with that tell what it reported."""


def curve_to_metrics(curve: Mapping[int, float]) -> dict[str, float]:
    """What a child reported, as metrics for the record.

    Example:
        >>> curve_to_metrics({0: -1.5})
        {'reported at step 0': -1.5}
    """
    return {f"{REPORTED}{step}": value for step, value in curve.items()}


def curve_from_metrics(metrics: Mapping[str, float]) -> dict[int, float]:
    """The inverse of `curve_to_metrics`; other metrics are left out."""
    return {int(name.removeprefix(REPORTED)): value for name, value in metrics.items() if name.startswith(REPORTED)}
