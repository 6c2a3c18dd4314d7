"""The two arms of a run, the strategy's samples and the uniform control, read from the database into arrays."""

from __future__ import annotations

import math
import sqlite3
from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What the programs of a run came to; all arrays have one entry a program, in the order of `number_by_hash`."""

    number_by_hash: dict[str, int]
    """Place of each program in the arrays."""
    rewards: Floats
    """Of the longest training, in the task's unit; NaN where it failed."""
    fidelities: Floats
    """Share of full training of the longest training."""
    seconds: Floats
    """Child-seconds in s, all trainings of the program together."""
    codes: list[str | None]
    """Why there is no reward."""
    rows: Integers
    """Row of the longest training in the table of evaluations."""

    @property
    def is_full(self) -> npt.NDArray[np.bool_]:
        """Which programs were trained as long as any: where children are promoted, the rewards that compare."""
        longest: float = self.fidelities.max(initial=0.0)
        full: npt.NDArray[np.bool_] = self.fidelities == longest
        return full


@dataclass(frozen=True, slots=True)
class Arm:
    """Samples of one kind, in the order in which they were proposed; all arrays have one entry a sample."""

    ids: Integers
    """Sample ids."""
    batches: Integers
    """Number of the batch."""
    programs: Integers
    """Equal for samples of the same program."""
    rewards: Floats
    """In the task's unit; NaN where the child failed."""
    seconds: Floats
    """Child-seconds in s at the first sample of a program in this arm, 0 at its repeats."""
    is_full: npt.NDArray[np.bool_]
    """Whether the program was trained as long as any of the run: only such rewards count as best."""

    @property
    def num_samples(self) -> int:
        """How many samples, repeats and failures included."""
        return len(self.ids)

    @property
    def num_programs(self) -> int:
        """How many distinct programs."""
        return len(np.unique(self.programs))

    @property
    def scored(self) -> Floats:
        """The rewards there are, repeats included."""
        return self.rewards[~np.isnan(self.rewards)]

    @property
    def mean(self) -> float | None:
        """Mean of the scored samples, None if there are none."""
        return float(self.scored.mean()) if len(self.scored) else None

    @property
    def best(self) -> float | None:
        """Best reward, None if there is none."""
        return self.best_of(self.num_samples)

    def best_of(self, count: int) -> float | None:
        """Best reward of the first `count` samples, None if none of them has one."""
        rewards = self.comparable[:count]
        rewards = rewards[~np.isnan(rewards)]
        return float(rewards.max()) if len(rewards) else None

    @property
    def comparable(self) -> Floats:
        """The rewards of programs trained as long as any, NaN for the others."""
        return np.where(self.is_full, self.rewards, np.nan)

    def best_so_far(self) -> Floats:
        """Best reward up to each sample; NaN before the first."""
        return np.fmax.accumulate(self.comparable)


def read_outcomes(database: sqlite3.Connection) -> Outcomes:
    """What every program evaluated so far came to; nothing is written to the run.

    What is read afterwards over this connection is the run at this moment, also while a search goes on writing.
    """
    database.execute("BEGIN")
    number_by_hash: dict[str, int] = {}
    code_by_name: dict[str | None, str | None] = {}  # each text once, not once a row
    codes: list[str | None] = []
    numbers, rows, figures = array("q"), array("q"), array("d")
    for row, program_hash, fidelity, reward, seconds, code in database.execute(
        "SELECT rowid, program_hash, fidelity, reward, seconds, code FROM evaluations"
    ):
        numbers.append(number_by_hash.setdefault(program_hash, len(number_by_hash)))
        rows.append(row)
        figures.extend((fidelity, math.nan if reward is None else reward, seconds))
        codes.append(code_by_name.setdefault(code, code))
    programs = np.array(numbers, dtype=np.int64)
    fidelities, rewards, durations = np.array(figures, dtype=np.float64).reshape(-1, 3).T
    ordered = np.lexsort((fidelities, programs))
    is_longest = np.append(programs[ordered][1:] != programs[ordered][:-1], True)[: len(programs)]
    longest = ordered[is_longest]  # of each program the place of its longest training
    return Outcomes(
        number_by_hash,
        rewards[longest],
        fidelities[longest],
        np.bincount(programs, durations, len(number_by_hash)).astype(np.float64),
        [codes[place] for place in longest],
        np.array(rows, dtype=np.int64)[longest],
    )


def read_arms(database: sqlite3.Connection, outcomes: Outcomes) -> tuple[Arm, Arm]:
    """The strategy's samples, and the control's."""
    cells = array("q")
    for sample, batch, is_uniform, program_hash in database.execute(
        "SELECT id, batch, origin = 'uniform', program_hash FROM samples ORDER BY id"
    ):
        cells.extend((sample, batch, is_uniform, outcomes.number_by_hash[program_hash]))
    ids, batches, origins, programs = np.array(cells, dtype=np.int64).reshape(-1, 4).T
    is_control = origins.astype(np.bool_)
    strategy, control = (
        _make_arm(ids[chosen], batches[chosen], programs[chosen], outcomes) for chosen in (~is_control, is_control)
    )
    return strategy, control


def _make_arm(ids: Integers, batches: Integers, programs: Integers, outcomes: Outcomes) -> Arm:
    first = np.unique(programs, return_index=True)[1]
    seconds = np.zeros(len(ids))
    seconds[first] = outcomes.seconds[programs[first]]
    return Arm(ids, batches, programs, outcomes.rewards[programs], seconds, outcomes.is_full[programs])


def window_ends(arm: Arm, most: int) -> list[int]:
    """Ends of at most `most` windows of neighbouring batches, as numbers of samples; the last is the whole arm."""
    if not arm.num_samples:
        return []
    ends = np.flatnonzero(np.append(arm.batches[1:] != arm.batches[:-1], True)) + 1
    step = -(-len(ends) // most)
    windows: list[int] = ends[::-1][::step][::-1].tolist()  # counted from the end, so that the last is the whole
    return windows


def merge_batches(arm: Arm, most_points: int) -> list[dict[str, float | int | None]]:
    """The curve of an arm: at most `most_points` points, each a batch or as many neighbouring batches as that needs.

    A point has `evaluations` and `seconds` (samples and child-seconds up to its end), `mean` (of its scored samples,
    None if all failed) and `best` (best reward so far).
    """
    if not arm.num_samples:
        return []
    best, seconds = arm.best_so_far(), np.cumsum(arm.seconds)
    points: list[dict[str, float | int | None]] = []
    begin = 0
    for end in window_ends(arm, most_points):
        rewards = arm.rewards[begin:end]
        rewards = rewards[~np.isnan(rewards)]
        points.append(
            {
                "evaluations": end,
                "seconds": float(seconds[end - 1]),
                "mean": float(rewards.mean()) if len(rewards) else None,
                "best": None if np.isnan(best[end - 1]) else float(best[end - 1]),
            }
        )
        begin = end
    return points
