"""Long searches of an instant reward: memory stays bounded and a step takes as long at the end as at the beginning."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
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
"""Time of a step at the end, as a multiple of that at the beginning."""


class TimedStrategy:
    """A strategy that notes the CPU time at which each batch begins."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy, self.name = strategy, strategy.name
        self.begun: list[float] = []

    def ask(self, count: int) -> list[Candidate]:
        self.begun.append(time.process_time())
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


def soak_million(count: int) -> str:
    """`count` uniform samples, nearly all of them new programs, then as many of the default strategy.

    Returns figures for the table; raises AssertionError past the bounds.
    """
    torch.set_num_threads(1)
    space = dslc.compile(GRAMMAR)
    figures = []
    for name, evaluations in (("random", count), ("policy_gradient", count)):
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
        steps = [1000 * (end - start) for start, end in zip(strategy.begun, strategy.begun[1:], strict=False)]
        part = max(len(steps) // 20, 1)
        first, last = median(steps[:part]), median(steps[-part:])
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        figures.append(
            f"{name}: {evaluations:,} evaluations in {seconds:.0f} s of CPU, {evaluations / seconds:.0f} a second; "
            f"a step of {BATCH} {first:.1f} ms in the first 5% and {last:.1f} ms in the last; peak {megabytes:.0f} MB "
            f"resident, {megabytes_on_disk:.0f} MB on disk"
        )
        print(figures[-1], flush=True)
        assert megabytes < MOST_MEGABYTES, f"{name}: {megabytes:.0f} MB"
        assert last < MOST_SLOWER * first, f"{name}: a step takes {last / first:.2f} times as long at the end"
    return "; ".join(figures)
