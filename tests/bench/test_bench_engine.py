"""What the loop itself costs: samples a second with an instant reward, recorded in SQLite or only drawn and told."""

import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch

import dslc
from dslc.search import Context, search
from dslc.search.strategies import make_strategy
from dslc.space import Program
from tests.bench.plain_reinforce import plain_samples_a_second

EVALUATIONS = 1000
CNN6 = Path(__file__).parent / "grammars" / "cnn6.lark"
SIZES = (4, 4, 3, 4) * 6
"""Choices of each decision of cnn6."""
BATCHES = {1: 120, 20: 60, 64: 60}
"""Batches of a search by their size: enough that its start and end, 30 ms, are a small part."""
ROUNDS = 5
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "reinforce": ("reinforce", {}),
    "one pass": ("policy_gradient", {"passes": 1}),
    "default": ("policy_gradient", {}),
}
"""The whole search: decoded, hashed, deduplicated and recorded in SQLite."""


def instant(program: Program, context: Context) -> float:  # noqa: ARG001
    """A share of the decisions, as cheap as a reward can be."""
    return sum(token % 3 == 0 for token in program.tokens) / len(program.tokens)


@pytest.mark.parametrize("name", ["random", "reinforce", "policy_gradient"])
@pytest.mark.parametrize("kind", ["strategy alone", "whole search"])
def test_samples_a_second(benchmark: Any, tmp_path: Path, name: str, kind: str) -> None:
    space = dslc.compile("conv_net", start="layers_6_stride_1")
    benchmark.group = name

    def alone() -> None:
        strategy = make_strategy(name, space, evaluations=EVALUATIONS, batch=20, seed=0)
        for _ in range(EVALUATIONS // 20):
            strategy.tell([(candidate, 0.1 * candidate.tokens[0]) for candidate in strategy.ask(20)])

    def whole() -> None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        search(space, task=instant, strategy=name, evaluations=EVALUATIONS, control=0, batch=20, run_dir=folder)

    benchmark.pedantic(alone if kind == "strategy alone" else whole, rounds=3, warmup_rounds=1)
    seconds = benchmark.stats.stats.median if benchmark.stats else float("nan")
    print(f"\n{name}, {kind}: {EVALUATIONS / seconds:.0f} samples a second")


@pytest.mark.parametrize("batch", sorted(BATCHES))
def test_against_plain_torch(tmp_path: Path, batch: int) -> None:
    """Samples and updates a second of CPU time on cnn6 with LSTM-64, each round beside a plain torch loop's."""
    space = dslc.compile(CNN6)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    evaluations = batch * BATCHES[batch]

    def whole(name: str, options: dict[str, Any], number: int) -> float:
        began = time.process_time()
        search(
            space,
            task=instant,
            strategy=name,
            evaluations=evaluations,
            control=0,
            batch=batch,
            strategy_options=options,
            run_dir=tmp_path / f"{batch}-{len(list(tmp_path.iterdir()))}-{number}",
        )
        return evaluations / (time.process_time() - began)

    try:
        plain, found = [], {arm: [] for arm in ARMS}  # type: ignore[var-annotated]
        for number in range(-1, ROUNDS):  # the first warms up
            speed = plain_samples_a_second(SIZES, batch, BATCHES[batch])
            speeds = {arm: whole(name, options, number) for arm, (name, options) in ARMS.items()}
            if number >= 0:
                plain.append(speed)
                for arm in ARMS:
                    found[arm].append(speeds[arm])
    finally:
        torch.set_num_threads(before)
    print(f"\nbatch {batch}: plain torch {median(plain):.0f} (best {max(plain):.0f}) samples + updates a second")
    for arm, speeds_of_arm in found.items():
        ratios = [own / other for own, other in zip(speeds_of_arm, plain, strict=True)]
        print(
            f"  {arm}: {median(speeds_of_arm):.0f} (best {max(speeds_of_arm):.0f}), {median(ratios):.2f} x plain "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )
