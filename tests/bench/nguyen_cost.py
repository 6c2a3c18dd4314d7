"""CPU time a thousand expressions of symbolic regression: the evaluator alone, and whole runs.

`python -m tests.bench.nguyen_cost` prints milliseconds of this process, the least and the median of several, taken in
turns; of whole runs also what the evaluator takes of them. Importing, building the space and a first run of each kind
come before the clock starts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from dslc.search.fit_arrays import FitArrays
from dslc.search.read_points import Points
from tests.bench import run_nguyen
from tests.bench.nguyen import TARGET_BY_NAME, TARGETS, Target, make_data
from tests.bench.run_nguyen import BATCH, compile_space, run_target

SEED = 1000
RUNS = (
    ("niches, aimed", "niches", True, ("12", "4")),
    ("niches, rewards only", "niches", False, ("12", "4")),
    ("hybrid, preset dso", "hybrid", False, ("12", "4")),
    ("risk_seeking, preset dso", "risk_seeking", False, ("12", "4")),
)
"""Name, strategy, whether it sees values, and rows that it does not solve in so few evaluations."""


def measure_evaluator(target: Target, repeats: int) -> list[float]:
    """Milliseconds of scoring each of some populations of uniform sentences, lengths evenly."""
    space = compile_space(target.num_variables)
    data, outputs = make_data(target)
    task = FitArrays(space, Points(("x", "y")[: target.num_variables], np.ascontiguousarray(data.T), outputs, ""))
    times = []
    for seed in range(repeats + 2):
        tokens = space.sample_tokens(BATCH, seed=seed, lengths="even")
        began = time.process_time()
        task.score(tokens)
        times.append((time.process_time() - began) * 1e6 / BATCH)
    return times[2:]


class TimedArrays(FitArrays):
    """Adds up what scoring takes."""

    seconds = 0.0

    def score(self, tokens: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """See `FitArrays`."""
        began = time.process_time()
        rewards = super().score(tokens)
        TimedArrays.seconds += time.process_time() - began
        return rewards


def measure_run(row: str, strategy: str, evaluations: int, *, is_aimed: bool) -> tuple[float, float]:
    """Milliseconds a thousand expressions of one search, and those of them that scoring takes."""
    TimedArrays.seconds = 0.0
    with patch.object(run_nguyen, "FitArrays", TimedArrays):
        run = run_target(TARGET_BY_NAME[f"Nguyen-{row}"], SEED, strategy, 20, evaluations, is_aimed=is_aimed)
    return run["seconds"] * 1e6 / run["evaluations"], TimedArrays.seconds * 1e6 / run["evaluations"]


def describe(name: str, times: list[float]) -> str:
    """One row."""
    return f"| {name} | {min(times):.2f} | {statistics.median(times):.2f} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=25, help="populations a target")
    parser.add_argument("--runs", type=int, default=5, help="of each kind and row")
    parser.add_argument("--evaluations", type=int, default=10_000, help="of a run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| ms of CPU a thousand expressions | least | median |\n|---|---|---|")
    for target in TARGETS:
        print(describe(f"evaluator, {target.name}", measure_evaluator(target, arguments.repeats)), flush=True)
    times: dict[tuple[str, str], list[float]] = {}
    for number in range(arguments.runs + 1):
        for name, strategy, is_aimed, rows in RUNS:
            for row in rows:
                evaluations = arguments.evaluations if number else BATCH
                whole, scoring = measure_run(row, strategy, evaluations, is_aimed=is_aimed)
                if number:
                    times.setdefault((name, row), []).append(whole)
                    times.setdefault((f"of it the evaluator: {name}", row), []).append(scoring)
    for (name, row), found_times in times.items():
        print(describe(f"{name}, row {row}", found_times))


if __name__ == "__main__":
    main()
