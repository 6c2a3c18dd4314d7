"""Long searches of an instant reward: memory stays bounded and a step takes as long at the end as at the beginning."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch

import dslc
from dslc.search import Context, search
from dslc.search.outcome import Candidate, Strategy
from dslc.search.strategies import make_strategy
from dslc.space import Program

GRAMMAR = Path(__file__).parent.parent / "bench" / "grammars" / "cnn6.lark"
BATCH = 64
MOST_MEGABYTES = 1000
MOST_SLOWER = 1.3
"""Time of a step at the end, as a multiple of that at the beginning, both in units of fixed work done meanwhile."""


EVERY = 4
"""Batches between two pieces of fixed work."""


class FixedWork:
    """A piece of work that never changes, to tell a machine that became slower from a search that did."""

    def __init__(self) -> None:
        self._state, self._weights = torch.rand(BATCH, 64), torch.rand(64, 256) / 64
        self._tokens = torch.randint(0, 15, (BATCH, 24), generator=torch.Generator().manual_seed(0))

    def seconds(self) -> float:
        """CPU time of doing it now: gates of a small network, and many Python objects, as a search makes them."""
        began = time.process_time()
        for _ in range(20):
            torch.sigmoid(self._state @ self._weights)
        for _ in range(3):
            names = {tuple(row): sha256(str(row).encode()).hexdigest() for row in self._tokens.tolist()}
            sorted(names, key=names.__getitem__)
        return time.process_time() - began


class TimedStrategy:
    """A strategy that notes the CPU time of each batch, from ask to ask, and that of fixed work beside them."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy, self.name = strategy, strategy.name
        self._fixed_work = FixedWork()
        self._began: float | None = None
        self.steps: list[float] = []
        self.fixed: list[float] = []

    def ask(self, count: int) -> list[Candidate]:
        if self._began is not None:
            self.steps.append(time.process_time() - self._began)
        if len(self.steps) % EVERY == 0:
            self.fixed.append(self._fixed_work.seconds())
        self._began = time.process_time()
        return self._strategy.ask(count)

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        return self._strategy.tell(results)

    def state_dict(self) -> dict[str, Any]:
        return self._strategy.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._strategy.load_state_dict(state)


def instant(program: Program, context: Context) -> float:  # noqa: ARG001
    """A share of the decisions, as cheap as a reward can be."""
    return sum(token % 3 == 0 for token in program.tokens) / len(program.tokens)


def ends(seconds: Sequence[float]) -> tuple[float, float]:
    """Medians of the first and of the last 5%."""
    part = max(len(seconds) // 20, 1)
    return median(seconds[:part]), median(seconds[-part:])


def tenths(steps: Sequence[float], fixed: Sequence[float]) -> list[float]:
    """Median step of each tenth of a search, in medians of the fixed work beside it."""
    bounds = [len(steps) * number // 10 for number in range(11)]
    places = [(begin, end, begin // EVERY, -(-end // EVERY)) for begin, end in pairwise(bounds)]
    return [median(steps[begin:end]) / median(fixed[first:last]) for begin, end, first, last in places]


def soak_search(name: str, evaluations: int) -> tuple[str, list[str]]:
    """One search by the strategy of that name: figures for the table, and what is past the bounds."""
    space = dslc.compile(GRAMMAR)
    strategy = TimedStrategy(make_strategy(name, space, evaluations=evaluations, batch=BATCH, seed=0))
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = search(
            space,
            task=instant,
            strategy=strategy,
            evaluations=evaluations,
            control=0,
            batch=BATCH,
            run_dir=Path(folder) / "run",
        )
        assert result.status == "finished", f"{name} ended as {result.status}"
        megabytes_on_disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
    seconds = time.process_time() - began
    first, last = ends(strategy.steps)
    slower = last / first
    fixed_first, fixed_last = ends(strategy.fixed)
    machine = fixed_last / fixed_first
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    in_fixed_work = " ".join(f"{step:.2f}" for step in tenths(strategy.steps, strategy.fixed))
    figures = (
        f"{name}: {evaluations:,} evaluations in {seconds:.0f} s of CPU, {evaluations / seconds:.0f} a second; "
        f"a step of {BATCH} {1000 * first:.1f} ms in the first 5% and {1000 * last:.1f} ms in the last, "
        f"{slower:.2f} x, fixed work beside it {machine:.2f} x; by tenths in fixed work {in_fixed_work}; "
        f"peak {megabytes:.0f} MB resident, {megabytes_on_disk:.0f} MB on disk"
    )
    failed = []
    if megabytes >= MOST_MEGABYTES:
        failed.append(f"{name}: {megabytes:.0f} MB")
    if slower >= MOST_SLOWER * machine:
        failed.append(f"{name}: a step takes {slower / machine:.2f} times as long at the end")
    return figures, failed


def soak_million(count: int) -> str:
    """`count` uniform samples, nearly all of them new programs, then as many of the default strategy.

    Returns figures for the table; raises AssertionError past the bounds.
    """
    torch.set_num_threads(1)
    figures, failed = [], []
    for name in ("random", "policy_gradient"):
        found, past_bounds = soak_search(name, count)
        print(found, flush=True)
        figures.append(found)
        failed += past_bounds
    assert not failed, "; ".join([*failed, *figures])
    return "; ".join(figures)
