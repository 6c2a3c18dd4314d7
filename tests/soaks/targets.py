"""Every target is searched on its real task: do the last samples beat uniform ones of the same runs?"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.soaks.statistics import LAST, bootstrap_interval, read_rewards

FOLDER = Path(__file__).parents[2] / "runs/targets"
"""Outside version control; delete it to start anew."""
COLUMNS = (
    *("grammar", "start", "task", "evaluations", f"mean of last {LAST}", "uniform mean", "difference by seed"),
    *("mean difference", "95% interval", "best, both arms"),
)
ENOUGH = 5
"""Targets of the eight that must be above the control."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search of one target; the control has half as many samples, lengths even."""

    grammar: str
    start: str
    task: str
    evaluations: int
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the task."""

    @property
    def name(self) -> str:
        """As it stands in the table and, with a seed, in the names of run folders."""
        return f"{self.grammar}-{self.start}-{self.task}"

    def run(self, folder: Path, seed: int) -> None:
        """Search into `folder`, or go on with what is there; a run that has ended stays as it is."""
        import dslc
        from dslc.search import resume, search

        if (folder / "run.json").exists():
            resume(folder)
            return
        search(
            dslc.compile(self.grammar, start=self.start),
            task=self.task,
            evaluations=self.evaluations,
            options=self.options,
            seed=seed,
            run_dir=folder,
        )


SEARCHES = (
    Search("conv_net", "start", "digits", 200),
    Search("dag_cell", "start", "digits", 200),
    Search("rnn_cell", "base_2", "text", 200),
    Search("optimizer", "start", "optimize", 300),
    Search("activation", "nested", "digits", 200),
    Search("activation_piecewise_linear", "start", "digits", 200),
    Search("activation_fourier", "start", "digits", 200),
    Search("expression", "start", "fit", 2000, {"target": "nguyen_6"}),
)
"""With so many evaluations that all of them, three seeds each, take about half an hour on two cores."""


def soak_targets(count: int) -> str:
    """Search every target with `count` seeds, two processes at a time, and print the table; returns the figures.

    Raises:
        AssertionError: if fewer than five targets are above the control.
    """
    print(f"run folders in {FOLDER}; a run that is there goes on where it stopped", flush=True)
    # Every target's first seed before any second one: what cannot run at all shows early.
    jobs = [(search, seed) for seed in range(count) for search in SEARCHES]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_run_job, jobs))
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|")
    above = 0
    for search in SEARCHES:
        row, is_above = write_row(search, [FOLDER / run_name(search, seed) for seed in range(count)])
        print(row, flush=True)
        above += is_above
    assert above >= ENOUGH, f"only {above} of {len(SEARCHES)} targets are above the control"
    return f"{above} of {len(SEARCHES)} targets above the control with {count} seeds each"


def write_row(search: Search, runs: list[Path]) -> tuple[str, bool]:
    """A row of the table, and whether the whole 95% interval is above 0."""
    arms = [read_rewards(run) for run in runs]
    pairs = [(strategy[-LAST:], control) for strategy, control in arms]
    means = [(float(np.mean(last)), float(np.mean(control))) for last, control in pairs]
    differences = [last - control for last, control in means]
    low, high = bootstrap_interval(*pairs)
    best = max(max(strategy) for strategy, _ in arms), max(max(control) for _, control in arms)
    cells = [
        search.grammar,
        f"`{search.start}`",
        search.task,
        f"{search.evaluations}",
        f"{np.mean([last for last, _ in means]):.3f}",
        f"{np.mean([control for _, control in means]):.3f}",
        ", ".join(f"{difference:+.3f}" for difference in differences),
        f"{np.mean(differences):+.3f}",
        f"{low:+.3f} to {high:+.3f}",
        f"{best[0]:.3f}, {best[1]:.3f}",
    ]
    return f"| {' | '.join(cells)} |", low > 0


def run_name(search: Search, seed: int) -> str:
    """Folder of one run."""
    return f"{search.name}-{seed}"


def _run_job(job: tuple[Search, int]) -> None:
    search, seed = job
    search.run(FOLDER / run_name(search, seed), seed)
