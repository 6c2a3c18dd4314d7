"""Every strategy finds the same with its children in this process, on one worker and on four.

A worker takes seconds to start, so all strategies share one pool of each size.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dslc.saved_space import pack_space
from dslc.search import Context, run
from dslc.search.executors.messages import WorkerSetup
from dslc.search.executors.pool import PoolExecutor
from dslc.search.strategies import STRATEGY_NAMES
from dslc.space import Program
from tests.search.toy_search import history, sum_of_digits, toy_run, toy_space

TASK = "tests.search.test_workers_and_strategies:reward"
WORKERS = (1, 4)


def reward(program: Program, context: Context) -> float:
    """Depends on the child's seed, and sometimes fails."""
    if program.text.endswith("4"):
        raise ValueError(f"{program.text} is not wanted")
    return sum_of_digits(program, context) + context.seed / 2**32


class LentPool:
    """A pool that outlives the search that uses it."""

    def __init__(self, pool: PoolExecutor) -> None:
        self.run_jobs, self.run_test = pool.run_jobs, pool.run_test

    def close(self) -> None:
        """Nothing: others go on with it."""


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[int, PoolExecutor]]:
    """By number of workers."""
    setup = WorkerSetup(TASK, os.getcwd(), {}, "cpu", 1, None)
    content = pack_space(toy_space().compilation)
    with ExitStack() as stack:
        found = {workers: PoolExecutor(setup, content, workers) for workers in WORKERS}
        for pool in found.values():
            stack.callback(pool.close)
        yield found


@pytest.mark.parametrize("name", STRATEGY_NAMES)
def test_the_history_is_the_same_wherever_children_run(
    name: str, pools: dict[int, PoolExecutor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"strategy": name, "evaluations": 24, "control": 6, "batch": 8}
    toy_run(tmp_path / "0", TASK, **settings)
    for workers in WORKERS:
        lent = LentPool(pools[workers])
        monkeypatch.setattr(run, "make_executor", lambda *_, lent=lent, **__: lent)
        assert toy_run(tmp_path / str(workers), TASK, workers=workers, **settings).status == "finished"
    histories = [history(tmp_path / str(workers)) for workers in (0, *WORKERS)]
    assert len(histories[0]["samples"]) == 30
    assert histories[0] == histories[1] == histories[2]
