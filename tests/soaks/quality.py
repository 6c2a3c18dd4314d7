"""How good the late samples are on rewards with a known optimum: every strategy, and the default with a part removed.

Asks and tells directly, without a run folder: the reward is instant. A repeated program is a sample like any other.
Settings were chosen on the instances 1000 to 1004; the table is of the instances 0 to 19.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any
from unittest.mock import patch

from torch import Tensor

from dslc.controller.presets import PRESETS, SMALL, Input
from dslc.pipeline import compile_grammar
from dslc.search.strategies import make_strategy
from dslc.source import SourceFile
from dslc.space import Space
from tests.bench.rewards import Interacting, hidden_network, separable, update_rule

ROOT = Path(__file__).parents[2]
FILE = ROOT / "runs/quality/rows.jsonl"
"""One line a finished row, outside version control; delete it to start anew."""
LAST = 100
"""Samples at the end whose mean is the figure."""
NO_POSITION = replace(
    SMALL, name="no position", inputs=tuple(each for each in SMALL.inputs if each is not Input.POSITION)
)
NO_TABLE = replace(SMALL, name="no table", starts_at_table=False)


@dataclass(frozen=True)
class Reward:
    """A space with a reward for each instance."""

    grammar: str
    evaluations: int
    make: Callable[[int], Callable[[list[str]], float]]
    """Instance to the reward of a sentence's words."""


def _separable(instance: int) -> Callable[[list[str]], float]:
    hidden = hidden_network(instance)
    return lambda words: float(separable(words, hidden))


REWARDS = {
    "separable": Reward("cnn6", 1000, _separable),
    "interacting": Reward("cnn6", 1000, Interacting),
    "separable, 300": Reward("cnn6", 300, _separable),
    "update rule": Reward("rules3", 1000, lambda _: update_rule),
}


@dataclass(frozen=True)
class Arm:
    """A strategy with what is changed in it."""

    strategy: str
    options: Mapping[str, Any] = field(default_factory=dict)
    is_scaled: bool = True
    """Whether advantages are divided by their deviation."""
    rewards: tuple[str, ...] = tuple(REWARDS)


COMPARED = ("separable",)
ARMS = {
    "policy_gradient": Arm("policy_gradient"),
    "evolution": Arm("evolution"),
    "hybrid": Arm("hybrid"),
    "random": Arm("random"),
    "default without position": Arm("policy_gradient", {"preset": NO_POSITION.name}, rewards=COMPARED),
    "default without clip and second pass": Arm("policy_gradient", {"passes": 1}, rewards=COMPARED),
    "default without priority queue": Arm("policy_gradient", {"queue_weight": 0.0}, rewards=COMPARED),
    "default without entropy": Arm("policy_gradient", {"entropy_weight": 0.0}, rewards=COMPARED),
    "default without normalisation": Arm("policy_gradient", is_scaled=False, rewards=COMPARED),
    "default without starting table": Arm("policy_gradient", {"preset": NO_TABLE.name}, rewards=COMPARED),
    "pqt": Arm("pqt", rewards=COMPARED),
    "ppo": Arm("ppo", rewards=COMPARED),
    "reinforce": Arm("reinforce", rewards=COMPARED),
    "risk_seeking": Arm("risk_seeking", rewards=COMPARED),
}
BARS = {  # mean, worst
    ("policy_gradient", "separable"): (0.98, 0.95),
    ("evolution", "separable"): (0.975, 0.0),
    ("hybrid", "separable"): (0.985, 0.0),
    ("policy_gradient", "interacting"): (0.92, 0.0),
    ("evolution", "interacting"): (0.875, 0.0),
    ("policy_gradient", "separable, 300"): (0.84, 0.0),
}


def soak_quality(count: int) -> str:
    """Measure what is missing with `count` instances a row, print the table, and hold the bars."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    rows = {(row["arm"], row["reward"]): row for row in map(json.loads, _read_lines()) if len(row["runs"]) >= count}
    with patch.dict(PRESETS, {NO_POSITION.name: NO_POSITION, NO_TABLE.name: NO_TABLE}):
        for arm in ARMS:
            for reward in ARMS[arm].rewards:
                if (arm, reward) not in rows:
                    rows[arm, reward] = _measure(arm, reward, count)
                    with FILE.open("a") as file:
                        file.write(json.dumps(rows[arm, reward]) + "\n")
    missed = []
    print("| reward | strategy | mean of last 100 | worst | best so far | optimum found, proposals | ms a sample |")
    print("|---|---|---|---|---|---|---|")
    for reward in REWARDS:
        for arm in ARMS:
            if (arm, reward) not in rows:
                continue
            runs = rows[arm, reward]["runs"][:count]
            means = [run["mean"] for run in runs]
            found = [run["optimum"] for run in runs if run["optimum"] is not None]
            first = f"{len(found)} of {len(runs)}" + (f", {median(found):.0f}" if found else "")
            best, cost = fmean(run["best"] for run in runs), rows[arm, reward]["ms"]
            print(f"| {reward} | {arm} | {fmean(means):.3f} | {min(means):.3f} | {best:.3f} | {first} | {cost:.2f} |")
            bar = BARS.get((arm, reward))
            if bar and (fmean(means) < bar[0] or min(means) < bar[1]):
                missed.append(f"{arm} on {reward}: {fmean(means):.3f}, worst {min(means):.3f}, bars {bar}")
    assert not missed, "; ".join(missed)
    return f"{count} instances a row, all {len(BARS)} bars held"


def _measure(arm: str, reward: str, count: int) -> dict[str, Any]:
    space = _compile(REWARDS[reward].grammar)
    began = time.process_time()
    with _scaled(ARMS[arm].is_scaled):
        runs = [_run(space, ARMS[arm], REWARDS[reward], instance) for instance in range(count)]
    samples = count * REWARDS[reward].evaluations
    print(f"{arm} on {reward}: {fmean(run['mean'] for run in runs):.3f}", flush=True)
    return {"arm": arm, "reward": reward, "ms": (time.process_time() - began) / samples * 1000, "runs": runs}


def _run(space: Space, arm: Arm, reward: Reward, instance: int) -> dict[str, Any]:
    score, batch = reward.make(instance), 10 if reward.evaluations == 300 else 20
    strategy = make_strategy(
        arm.strategy, space, evaluations=reward.evaluations, batch=batch, seed=instance, options=arm.options
    )
    known: dict[tuple[int, ...], float] = {}
    values: list[float] = []
    while len(values) < reward.evaluations:
        candidates = strategy.ask(batch)
        for candidate in candidates:
            if candidate.tokens not in known:
                known[candidate.tokens] = score(re.findall(r"\w+", space.decode(candidate.tokens).text))
        strategy.tell([(candidate, known[candidate.tokens]) for candidate in candidates])
        values += [known[candidate.tokens] for candidate in candidates]
    optimum = next((number for number, value in enumerate(values, 1) if value > 1 - 1e-9), None)
    return {"mean": fmean(values[-LAST:]), "best": max(values), "optimum": optimum}


@contextmanager
def _scaled(is_scaled: bool) -> Iterator[None]:
    """With False the default strategy subtracts the mean and does not divide by the deviation."""
    if is_scaled:
        yield
        return

    def centre(rewards: Tensor) -> Tensor:
        return (rewards - rewards.mean()).float()

    with patch("dslc.search.strategies.policy_gradient.normalise_advantages", centre):
        yield


def _compile(name: str) -> Space:
    path = ROOT / f"tests/bench/grammars/{name}.lark"
    return Space(compile_grammar(SourceFile(path.name, path.read_text())))


def _read_lines() -> list[str]:
    return FILE.read_text().splitlines() if FILE.exists() else []
