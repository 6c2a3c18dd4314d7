"""Regret on the recorded cells of NAS-Bench-201: best accuracy of the table minus best so far, by strategy and seed.

Asks and tells directly, without a run folder: a child is looked up. Beside every strategy stands regularised evolution
as real2019 has it (one parent, death by age alone).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.search.strategies import STRATEGY_NAMES, make_strategy
from dslc.search.tasks.nasbench201 import load_records, read_cell
from dslc.space import Space
from dslc.space import compile as compile_space
from tests.soaks.nasbench_picture import draw_curves

ROOT = Path(__file__).parents[2]
FILE = ROOT / "runs/nasbench/rows.jsonl"
"""One line a finished row, outside version control; delete it to start anew."""
PICTURE = ROOT / "docs/pictures/nasbench201.svg"
QUANTITY = "baseline_accuracy"
EVALUATIONS, BATCH = 300, 10
SHOWN = (25, 50, 100, 200, 300)
"""Evaluations after which the regret is in the tables."""
RESAMPLES = 10_000


@dataclass(frozen=True)
class Arm:
    """A strategy with its options, and the most seeds it is given."""

    strategy: str
    options: Mapping[str, Any] = field(default_factory=dict)
    most_seeds: int | None = None


REGULARISED = "regularised evolution"
ARMS = {
    "random": Arm("random"),
    REGULARISED: Arm("evolution", {"elite": 0.0, "crossover": 0.0}),
    **{name: Arm(name, most_seeds=10 if name == "bayesian" else None) for name in STRATEGY_NAMES if name != "random"},
}
Regrets = NDArray[np.float64]
"""[seed, evaluation]"""


def soak_nasbench(count: int) -> str:
    """Measure what is missing with `count` seeds a strategy, print the tables, draw the curves."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    space, accuracies = compile_space("nasbench201"), read_accuracies()
    best = max(accuracies.values())
    rows = {row["arm"]: row for row in map(json.loads, FILE.read_text().splitlines() if FILE.exists() else [])}
    for name, arm in ARMS.items():
        seeds = min(count, arm.most_seeds or count)
        if name not in rows or len(rows[name]["best"]) < seeds:
            began = time.process_time()
            runs = [run_arm(arm, space, accuracies, seed) for seed in range(seeds)]
            cost = (time.process_time() - began) / seeds / EVALUATIONS * 1000
            rows[name] = {"arm": name, "ms": cost, "best": runs}
            with FILE.open("a") as file:
                file.write(json.dumps(rows[name]) + "\n")
            print(f"{name}: {best - float(np.mean([run[-1] for run in runs])):.3f}", flush=True)
    regrets = {name: best - np.array(rows[name]["best"])[:count] for name in ARMS}
    print_table("mean regret", regrets, lambda values: values.mean(-1))
    print_table("median regret", regrets, lambda values: np.median(values, -1))
    PICTURE.write_text(draw_curves(regrets, ("random", REGULARISED)))
    ahead = [name for name in ARMS if regrets[name][:, -1].mean() < regrets["random"][:, -1].mean()]
    return (
        f"{count} seeds, {EVALUATIONS} evaluations: {len(ahead)} of {len(ARMS) - 1} have less mean regret than random"
    )


def read_accuracies() -> dict[tuple[int, ...], float]:
    """Recorded accuracy in percent of each cell."""
    return {cell: figures[QUANTITY] for cell, figures in load_records().figures.items()}


def run_arm(arm: Arm, space: Space, accuracies: Mapping[tuple[int, ...], float], seed: int) -> list[float]:
    """Best accuracy after each evaluation."""
    strategy = make_strategy(arm.strategy, space, evaluations=EVALUATIONS, batch=BATCH, seed=seed, options=arm.options)
    values: list[float] = []
    while len(values) < EVALUATIONS:
        candidates = strategy.ask(BATCH)
        cells = [read_cell(space.decode(candidate.tokens).text) for candidate in candidates]
        told = [accuracies[cell] for cell in cells if cell is not None]
        strategy.tell(list(zip(candidates, told, strict=True)))
        values += told
    return list(accumulate(values, max))


def print_table(title: str, regrets: Mapping[str, Regrets], measure: Callable[[Regrets], Regrets]) -> None:
    """A row a strategy: the measure over seeds, in brackets its 95% bootstrap interval."""
    print(f"| {title}, percentage points | seeds | " + " | ".join(f"after {number}" for number in SHOWN) + " |")
    print("|---|---|" + "---|" * len(SHOWN))
    for name, values in regrets.items():
        cells = []
        for number in SHOWN:
            column = values[:, number - 1]
            drawn = np.random.default_rng(0).choice(column, (RESAMPLES, len(column)))
            low, high = np.quantile(measure(drawn), [0.025, 0.975])
            cells.append(f"{float(measure(column)):.2f} ({low:.2f} to {high:.2f})")
        print(f"| {name} | {len(values)} | " + " | ".join(cells) + " |")
