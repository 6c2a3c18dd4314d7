"""Learning, not luck: each strategy on `digits` with conv_net's `start`, against uniform samples of the same runs."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tests.soaks.statistics import LAST, bootstrap_interval, read_rewards

FOLDER = Path(__file__).parents[2] / "runs/learning"
"""Outside version control; delete it to start anew."""
COMPARED = 3
"""Most seeds of the arms that are only there to compare with."""
EVALUATIONS = 300
ARMS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "policy_gradient": ("policy_gradient", {}),
    "reinforce, learning rate 0.01": ("reinforce", {"learning_rate": 0.01}),
    "reinforce, learning rate 6e-4": ("reinforce", {"learning_rate": 6e-4}),
}


def soak_learning(count: int) -> str:
    """Run the default strategy with `count` seeds, others with fewer; it must beat the control clearly in 4 of 5."""
    print(f"run folders in {FOLDER}; a run that is there goes on where it stopped", flush=True)
    jobs = [(arm, seed) for arm in ARMS for seed in range(num_seeds(arm, count))]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_run_arm, jobs))
    print("| strategy | seed | mean of last 50 | uniform mean | difference | 95% interval | best, both arms |")
    print("|---|---|---|---|---|---|---|")
    clear = 0
    means = []
    for arm in ARMS:
        for seed in range(num_seeds(arm, count)):
            rewards, _ = read_rewards(FOLDER / run_name(arm, seed))
            _, control = read_rewards(FOLDER / run_name("policy_gradient", seed))
            difference = float(np.mean(rewards[-LAST:]) - np.mean(control))
            low, high = bootstrap_interval((rewards[-LAST:], control))
            print(
                f"| {arm} | {seed} | {np.mean(rewards[-LAST:]):.3f} | {np.mean(control):.3f} | {difference:+.3f} "
                f"| {low:+.3f} to {high:+.3f} | {max(rewards):.3f}, {max(control):.3f} |",
                flush=True,
            )
            if arm == "policy_gradient":
                clear += difference >= 0.05 and low > 0
                means.append(difference)
    assert clear >= 0.8 * count, f"only {clear} of {count} seeds are clearly above the control"
    return f"{clear} of {count} seeds at least 0.05 above the control, mean difference {np.mean(means):+.3f}"


def num_seeds(arm: str, count: int) -> int:
    """Seeds of an arm when the default strategy has `count`."""
    return count if arm == "policy_gradient" else min(count, COMPARED)


def run_name(arm: str, seed: int) -> str:
    """Folder of one run."""
    return f"{arm.replace(' ', '_').replace(',', '')}-{seed}"


def _run_arm(job: tuple[str, int]) -> None:
    arm, seed = job
    import dslc
    from dslc.search import resume, search

    strategy, options = ARMS[arm]
    folder = FOLDER / run_name(arm, seed)
    if (folder / "run.json").exists():
        resume(folder)
        return
    search(
        dslc.compile("conv_net"),
        task="digits",
        strategy=strategy,
        strategy_options=options,
        evaluations=EVALUATIONS,
        control=EVALUATIONS if arm == "policy_gradient" else 0,
        seed=seed,
        run_dir=folder,
    )
