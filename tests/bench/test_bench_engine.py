"""What the loop itself costs: samples a second with an instant reward, recorded in SQLite or only drawn and told."""

from pathlib import Path
from typing import Any

import pytest

import dslc
from dslc.search import Context, search
from dslc.search.strategies import make_strategy
from dslc.space import Program

EVALUATIONS = 1000


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
