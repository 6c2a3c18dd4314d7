"""The two arms of a run, the strategy's samples and the uniform control, read from the database into arrays."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

OUTCOMES = """
    CREATE TEMP TABLE outcomes AS
    SELECT program_hash, reward, SUM(seconds) AS seconds, code, message, MAX(fidelity) AS fidelity FROM evaluations
        GROUP BY program_hash;
    CREATE UNIQUE INDEX temp.outcomes_by_hash ON outcomes(program_hash);
"""
"""One row a program: its evaluation at the highest fidelity, from whose row SQLite takes what is not summed."""


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
        rewards = self.rewards[:count]
        rewards = rewards[~np.isnan(rewards)]
        return float(rewards.max()) if len(rewards) else None

    def best_so_far(self) -> Floats:
        """Best reward up to each sample; NaN before the first."""
        best = np.maximum.accumulate(np.where(np.isnan(self.rewards), -np.inf, self.rewards))
        return np.where(np.isinf(best), np.nan, best)


def gather_outcomes(database: sqlite3.Connection) -> None:
    """Make the table `outcomes` of this connection, one row a program; nothing is written to the run.

    What is read afterwards is the run at this moment, also while a search goes on writing.
    """
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute("BEGIN")
    for statement in OUTCOMES.strip().removesuffix(";").split(";"):
        database.execute(statement)


def read_arms(database: sqlite3.Connection) -> tuple[Arm, Arm]:
    """The strategy's samples, and the control's; after `gather_outcomes`."""
    rows: tuple[list[tuple[int, int, int, float, float]], ...] = ([], [])
    outcome_by_hash = {
        program_hash: (number, reward, seconds)
        for number, (program_hash, reward, seconds) in enumerate(
            database.execute("SELECT program_hash, reward, seconds FROM outcomes")
        )
    }
    seen: tuple[set[int], set[int]] = (set(), set())
    query = "SELECT id, batch, origin = 'uniform', program_hash FROM samples ORDER BY id"
    for sample, batch, is_control, program_hash in database.execute(query):
        number, reward, seconds = outcome_by_hash[program_hash]
        is_first = number not in seen[is_control]
        seen[is_control].add(number)
        rows[is_control].append((sample, batch, number, np.nan if reward is None else reward, seconds * is_first))
    strategy, control = map(_make_arm, rows)
    return strategy, control


def _make_arm(rows: list[tuple[int, int, int, float, float]]) -> Arm:
    ids, batches, programs, rewards, seconds = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return Arm(
        np.array(ids, dtype=np.int64),
        np.array(batches, dtype=np.int64),
        np.array(programs, dtype=np.int64),
        np.array(rewards, dtype=np.float64),
        np.array(seconds, dtype=np.float64),
    )


def merge_batches(arm: Arm, most_points: int) -> list[dict[str, float | int | None]]:
    """The curve of an arm: at most `most_points` points, each a batch or as many neighbouring batches as that needs.

    A point has `evaluations` and `seconds` (samples and child-seconds up to its end), `mean` (of its scored samples,
    None if all failed) and `best` (best reward so far).
    """
    if not arm.num_samples:
        return []
    ends = np.flatnonzero(np.append(arm.batches[1:] != arm.batches[:-1], True)) + 1
    step = -(-len(ends) // most_points)
    ends = ends[::-1][::step][::-1]  # counted from the end, so that the last point is the whole run
    best, seconds = arm.best_so_far(), np.cumsum(arm.seconds)
    points: list[dict[str, float | int | None]] = []
    begin = 0
    for end in map(int, ends):
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
