"""What a child costs beside itself, and how much faster two workers are than one.

Times of the engine are CPU time, so that what else the machine does is left out; the ratio of two workers to one is of
wall-clock time, in five interleaved pairs. Sleeping children show what the engine can keep at work, busy ones what the
machine's cores give besides.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import dslc
from dslc.saved_space import pack_space
from dslc.search import open_run
from dslc.search.config import make_config
from dslc.search.engine import Engine, Status
from dslc.search.executors.in_process import InProcessExecutor
from dslc.search.executors.job import Executor
from dslc.search.executors.messages import WorkerSetup
from dslc.search.executors.pool import PoolExecutor
from dslc.search.store import RunStore
from dslc.search.strategies import make_strategy
from dslc.search.tasks import get_task

ROOT = Path(__file__).parents[2]
TEXT = 'start: A A A A A A\nA: "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8"\n%ignore " "\n'
TASK = "tests.bench.children:child"
PAIRS = 5
CHILDREN = 40
"""In each arm of a pair."""
INSTANT = 1000
"""Children that do nothing, for the cost of the engine."""


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[int, PoolExecutor]]:
    """A pool of one worker and one of two, all of them up."""
    content = pack_space(dslc.compile_text(TEXT, name="bench.lark").compilation)
    setup = WorkerSetup(TASK, str(ROOT), {}, "cpu", 1, None)
    pools = {workers: PoolExecutor(setup, content, workers) for workers in (1, 2)}
    yield pools
    for pool in pools.values():
        pool.close()


def run_engine(executor: Executor, run_dir: Path, kind: str, evaluations: int) -> tuple[float, float]:
    """Wall-clock and CPU seconds of a search in this process, its workers' not counted."""
    space, task = dslc.compile_text(TEXT, name="bench.lark"), get_task(TASK, directory=ROOT)
    config = make_config(TASK, evaluations=evaluations, control=0, batch=20, options={"kind": kind}, strategy="random")
    grammar = {"file": "bench.lark", "copy": "grammar/bench.lark", "space": None, "sha256": "", "start": "start"}
    info = {"config": config.to_json(), "grammar": {**grammar, "max_tokens": space.max_tokens}, "status": "running"}
    strategy = make_strategy("random", space, evaluations=evaluations, batch=20, seed=evaluations)
    with closing(RunStore.create(run_dir, info, {"bench.lark": TEXT})) as store:
        began = time.perf_counter(), time.process_time()
        assert Engine(space, task, strategy, executor, config, store).run() is Status.FINISHED
        return time.perf_counter() - began[0], time.process_time() - began[1]


def test_what_a_child_costs_beside_itself(pools: dict[int, PoolExecutor], tmp_path: Path) -> None:
    run_engine(pools[1], tmp_path / "warm", "instant", 100)
    _, in_one = run_engine(InProcessExecutor(get_task(TASK, directory=ROOT)), tmp_path / "one", "instant", INSTANT)
    _, in_pool = run_engine(pools[1], tmp_path / "pool", "instant", INSTANT)
    times = [record.metrics["process_time"] for record in open_run(tmp_path / "pool").records()]
    in_worker = max(times) - min(times)
    print(f"\nms of CPU a child, children that do nothing: {1000 * in_one / INSTANT:.2f} in one process;", end=" ")
    print(
        f"with a worker {1000 * in_pool / INSTANT:.2f} in the search and {1000 * in_worker / INSTANT:.2f} in the worker"
    )


@pytest.mark.parametrize("kind", ["sleeping", "busy"])
def test_two_workers_against_one(pools: dict[int, PoolExecutor], tmp_path: Path, kind: str) -> None:
    for workers, pool in pools.items():
        run_engine(pool, tmp_path / f"warm{workers}", "sleeping", 40)
    ratios = []
    for pair in range(PAIRS):
        arms = (1, 2) if pair % 2 == 0 else (2, 1)
        seconds = {w: run_engine(pools[w], tmp_path / f"{pair}-{w}", kind, CHILDREN)[0] for w in arms}
        ratios.append(seconds[1] / seconds[2])
    load = os.getloadavg()[0]
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(
        f"\n{kind} children a minute, 2 workers / 1 worker: {statistics.median(ratios):.2f} ({told}); load {load:.1f}"
    )
