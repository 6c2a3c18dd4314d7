"""Does a search propose better programs at its end than uniform samples are? Read from run folders alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from dslc.search.store import connect_for_reading

LAST = 50
"""Samples at the end of a run whose mean is compared with the control's."""
RESAMPLES = 10_000


def read_rewards(run: Path) -> tuple[list[float], list[float]]:
    """Rewards of the strategy's samples and of the control's, in order; a failed child counts as the task's floor."""
    floor = json.loads((run / "run.json").read_bytes())["task"]["floor"]
    assert floor is not None, f"the task of {run} names no floor, so its failed children have no value"
    with closing(connect_for_reading(run)) as connection:  # which shows samples that were recorded as populations too
        rows = connection.execute(
            "SELECT s.origin, coalesce(e.reward, ?) FROM samples s "
            "JOIN evaluations e USING (program_hash) ORDER BY s.id",
            (floor,),
        ).fetchall()
    strategy = [reward for origin, reward in rows if origin != "uniform"]
    return strategy, [reward for origin, reward in rows if origin == "uniform"]


def bootstrap_interval(*runs: tuple[Sequence[float], Sequence[float]]) -> tuple[float, float]:
    """95% percentile interval of the difference of means between two arms, averaged over runs; 10,000 resamples.

    Every arm of every run is resampled by itself: the interval is that of these runs, with other draws.

    Args:
        runs: a pair for each run: rewards of the samples looked at, and of the control.
    """
    generator = np.random.default_rng(0)
    differences = np.zeros(RESAMPLES)
    for last, control in runs:
        one = generator.choice(np.array(last), (RESAMPLES, len(last))).mean(1)
        other = generator.choice(np.array(control), (RESAMPLES, len(control))).mean(1)
        differences += (one - other) / len(runs)
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(low), float(high)
