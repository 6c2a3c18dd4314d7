"""Cheap children: is the best of a search that promotes them as good as where all are trained in full, and cheaper?"""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from dslc.write_file import write_file

FOLDER = Path(__file__).parents[2] / "runs/halving"
"""Outside version control; delete it to start anew."""
ARMS: dict[str, tuple[float, ...]] = {"full": (), "halving": (1 / 9, 1 / 3, 1.0)}
EVALUATIONS = 100
"""Samples of each arm."""
EPOCHS = 9
"""Of full training; the shares of halving are 1, 3 and 9 of them."""
RETRAININGS = 3
"""Fresh seeds that the best program of each run is trained with again, in full."""
ROUNDING = 1e-12
"""Means of as many right images differ by it."""
MOST_COST = 0.5
"""Share of the full run's CPU time that halving may take."""


def soak_halving(count: int) -> str:
    """Search `digits` with `count` seeds in both arms; all CPU time of the process is counted."""
    print(f"results in {FOLDER}; one that is there is not made again", flush=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    jobs = [(arm, seed) for seed in range(count) for arm in ARMS]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        results = dict(zip(jobs, pool.map(_run_arm, jobs), strict=True))
    print("| seed | accuracy, full | accuracy, halving | CPU s, full | CPU s, halving | share | trained in full |")
    print("|---|---|---|---|---|---|---|")
    for seed in range(count):
        full, halving = results["full", seed], results["halving", seed]
        print(
            f"| {seed} | {np.mean(full['accuracies']):.4f} | {np.mean(halving['accuracies']):.4f} "
            f"| {full['cpu_seconds']:.0f} | {halving['cpu_seconds']:.0f} "
            f"| {halving['cpu_seconds'] / full['cpu_seconds']:.2f} | {halving['in_full']} of {halving['programs']} |",
            flush=True,
        )
    means = {arm: float(np.mean([results[arm, seed]["accuracies"] for seed in range(count)])) for arm in ARMS}
    cost = {arm: sum(results[arm, seed]["cpu_seconds"] for seed in range(count)) for arm in ARMS}
    share = cost["halving"] / cost["full"]
    figures = (
        f"accuracy of the best, retrained with {RETRAININGS} seeds: {means['halving']:.4f} with halving, "
        f"{means['full']:.4f} in full, at {share:.2f} of the CPU time"
    )
    assert means["halving"] >= means["full"] - ROUNDING, figures
    assert share <= MOST_COST, figures
    return figures


def _run_arm(job: tuple[str, int]) -> dict[str, Any]:
    arm, seed = job
    path = FOLDER / f"{arm}-{seed}.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    import torch

    import dslc
    from dslc.search import Context, search
    from dslc.search.evaluate import evaluate_program
    from dslc.search.tasks import get_task

    torch.set_num_threads(1)
    task = get_task("digits")
    space = dslc.compile("conv_net")
    task.prepare(space, {})  # type: ignore[attr-defined]  # loading the data is no part of either arm
    began = time.process_time()
    result = search(
        space,
        task="digits",
        evaluations=EVALUATIONS,
        control=0,
        seed=seed,
        halving=ARMS[arm],
        options={"epochs": EPOCHS},
        run_dir=FOLDER / f"{arm}-{seed}",
        overwrite=True,
    )
    cpu_seconds = time.process_time() - began
    best = result.best.program
    contexts = [Context(10**6 + 1000 * seed + number, options={"epochs": EPOCHS}) for number in range(RETRAININGS)]
    accuracies = [evaluate_program(task, best, context).reward for context in contexts]
    found = {
        "accuracies": accuracies,
        "cpu_seconds": cpu_seconds,
        "text": best.text,
        "programs": len({record.program.hash for record in result.records()}),
        "in_full": _count_full(result.run_dir),
    }
    write_file(path, json.dumps(found).encode())
    return found


def _count_full(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "samples.sqlite")) as database:
        (number,) = database.execute("SELECT COUNT(*) FROM evaluations WHERE fidelity = 1").fetchone()
    return int(number)
