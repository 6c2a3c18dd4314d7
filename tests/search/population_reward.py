"""A user's reward with a population function, in a module of its own, as a search by name needs it."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.search import Context
from dslc.search.population_task import Scorer
from dslc.space import Program, Space

KILL_VARIABLE = "DSLC_TEST_KILL_AT"
"""The process kills itself at the population of this number, from 1."""


def reward(program: Program, context: Context) -> float:  # noqa: ARG001
    """Sum of the token ids; sentences whose sum is 7 fail."""
    total = float(sum(program.tokens))
    return total if total != 7 else float("nan")


def population(space: Space, context: Context) -> Scorer | str:  # noqa: ARG001
    """The same of many."""
    calls = 0

    def score(tokens: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        nonlocal calls
        calls += 1
        if calls == int(os.environ.get(KILL_VARIABLE, "0")):
            os.kill(os.getpid(), signal.SIGKILL)
        totals = np.where(tokens == len(space.vocabulary), 0, tokens).sum(1).astype(float)
        return np.where(totals == 7, np.nan, totals)

    return score


reward.population = population  # type: ignore[attr-defined]
