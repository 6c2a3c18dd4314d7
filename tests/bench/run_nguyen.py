"""Symbolic regression on the twelve Nguyen targets: recovery, evaluations and CPU seconds of many seeds.

`make bench-nguyen` runs what its result file does not hold yet, prints the table and goes on where it was stopped. All
rows have the same settings. The data of seed s are drawn with seed s.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

import dslc
from dslc.pipeline import find_grammar
from dslc.search.fit_arrays import FitArrays
from dslc.search.read_points import Points
from dslc.search.search_arrays import search_arrays
from dslc.search.strategies import make_strategy
from dslc.space import Space
from tests.bench.nguyen import TARGET_BY_NAME, Target, is_recovered, make_data, parse_prefix, to_infix

GRAMMAR = "expression_constrained"
MAX_TOKENS = 30
"""The longest expression, as in dso's benchmark."""
EVALUATIONS = 2_000_000
BATCH = 1000
PERFECT = 1 - 1e-8
"""Rewards from which an expression is checked for being the target exactly."""
ROWS = (*(str(row) for row in range(1, 13)), "12a")
NGGP = {**dict.fromkeys(ROWS, 100), "7": 96, "12": None, "12a": 12}
"""Published recovery of NGGP in % of 100 seeds (mundhenk2021); none for row 12 itself."""
DSO_GP = {"1": 8, "2": 16, "3": 8, "4": 146, "5": 97, "6": 8, "7": 325, "8": 49, "9": 16, "10": 16, "11": 16}
"""Median evaluations in thousands of dso with genetic programming, 3 seeds."""
OPTIONS: dict[str, dict[str, Any]] = {"risk_seeking": {"preset": "dso"}, "hybrid": {"preset": "dso"}}
"""Settings of a strategy where they are not its defaults; the same for every row."""
FOLDER = Path(__file__).parent / "results"


def run_target(
    target: Target,
    seed: int,
    strategy: str,
    points: int,
    evaluations: int,
    *,
    is_aimed: bool = True,
    settings: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, Any]:
    """One search; what it came to. `settings` are options of the strategy beside OPTIONS."""
    space = compile_space(target.num_variables)
    data, outputs = make_data(target, seed, points)
    task = FitArrays(space, Points(("x", "y")[: target.num_variables], np.ascontiguousarray(data.T), outputs, ""))
    began = time.process_time()
    options = {**OPTIONS.get(strategy, {}), **settings}
    searcher = make_strategy(strategy, space, evaluations=evaluations, batch=BATCH, seed=seed, options=options)
    if is_aimed and hasattr(searcher, "aim_at"):
        searcher.aim_at(task)

    def is_solution(tokens: tuple[int, ...]) -> bool:
        return is_recovered(write_infix(space, tokens), target)

    result = search_arrays(
        space,
        searcher,
        task,
        evaluations=evaluations,
        batch=BATCH,
        is_solution=is_solution,
        solution_reward=PERFECT,
    )
    return {
        "row": target.name.removeprefix("Nguyen-"),
        "seed": seed,
        "points": points,
        "strategy": strategy,
        "recovered": result.is_solved,
        "evaluations": result.evaluations,
        "distinct": result.distinct,
        "seconds": round(time.process_time() - began, 3),
        "reward": result.best_reward,
        "text": space.decode(result.best).text,
    }


@cache
def compile_space(num_variables: int) -> Space:
    """The space of targets of one or two variables; made once, as for a search of any length."""
    start = "start" if num_variables == 1 else "two_variables"
    space = dslc.compile(GRAMMAR, start=start, max_tokens=MAX_TOKENS)
    space.starting_table()
    return space


def write_infix(space: Space, tokens: Sequence[int]) -> str:
    """An expression as the recovery check reads it."""
    names = {"x": "x1", "y": "x2"}
    words = [str(space.vocabulary[token].text) for token in tokens]
    return to_infix(parse_prefix([names.get(word, word) for word in words]))


# --- the table --------------------------------------------------------------------------------------------------------


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95% interval of a share (wilson1927).

    Example:
        >>> low, high = wilson_interval(20, 20)
        >>> round(low, 3), round(high, 3)
        (0.839, 1.0)
    """
    z = 1.959964
    share, scale = successes / trials, 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def describe_published(recovered: int | None) -> str:
    """NGGP's recovery of 100 seeds with its interval."""
    if recovered is None:
        return "–"
    low, high = wilson_interval(recovered, 100)
    return f"{recovered} ({low:.0%} to {high:.0%})"


def write_table(runs: Sequence[dict[str, Any]], seeds: int, limit: int = EVALUATIONS) -> str:
    """Rows with recovery, its interval, NGGP's, median evaluations and CPU, and the figures over rows 1 to 11."""
    lines = [
        "| row | target | range | recovered | 95% interval | NGGP, of 100 | median evaluations | DSO + GP "
        "| CPU s, median | ms per 1,000 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    medians, shares = [], []
    for row in ROWS:
        mine = [run for run in runs if run["row"] == row]
        if not mine:
            continue
        target = TARGET_BY_NAME[f"Nguyen-{row}"]
        recovered = sum(run["recovered"] for run in mine)
        low, high = wilson_interval(recovered, len(mine))
        median = statistics.median(run["evaluations"] if run["recovered"] else limit for run in mine)
        published = NGGP[row]
        is_below = published is not None and high < wilson_interval(published, 100)[0]
        cost = sum(run["seconds"] for run in mine) / sum(run["evaluations"] for run in mine) * 1e6
        seconds = statistics.median(run["seconds"] for run in mine)
        lines.append(
            f"| {row} | `{target.text}` | {target.low} to {target.high} | {recovered} of {len(mine)} seeds "
            f"| {low:.0%} to {high:.0%}{' (below NGGP)' if is_below else ''} "
            f"| {describe_published(published)} "
            f"| {median:,.0f} | {DSO_GP[row] * 1000 if row in DSO_GP else '–'} | {seconds:.1f} | {cost:.1f} |"
        )
        if row in DSO_GP:
            medians.append(median)
            shares.append(recovered / len(mine))
    if medians:
        done = min(sum(run["row"] == row for run in runs) for row in DSO_GP) if len(medians) == len(DSO_GP) else 0
        mean = math.exp(statistics.fmean(math.log(median) for median in medians))
        lines.append("")
        lines.append(
            f"Rows 1 to 11 ({len(medians)} of 11 begun, each with at least {done} of {seeds} seeds): mean "
            f"recovery {statistics.fmean(shares):.1%}, geometric mean of the median evaluations {mean:,.0f} "
            f"(a failed run counts {limit:,})."
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default=",".join(ROWS), help="such as 1,2,12a")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--strategy", default="niches")
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
    parser.add_argument("--rewards-only", action="store_true", help="a strategy sees rewards, no values at the points")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=NUMBER", help="an option of the strategy")
    parser.add_argument("--only-print", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    arm = arguments.strategy + ("_rewards_only" if arguments.rewards_only else "")
    limit = "" if arguments.evaluations == EVALUATIONS else f"_{arguments.evaluations}"
    settings = {name: float(number) for name, _, number in (each.partition("=") for each in sorted(arguments.set))}
    own = "".join(f"_{name}_{number:g}" for name, number in settings.items())
    file = FOLDER / f"nguyen_{arm}_{arguments.points}_points{limit}{own}.jsonl"
    runs = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    known = {(run["row"], run["seed"]) for run in runs}
    rows = arguments.rows.split(",")
    if not arguments.only_print:
        for seed in range(arguments.seeds):
            for row in rows:
                if (row, seed) in known:
                    continue
                target = TARGET_BY_NAME[f"Nguyen-{row}"]
                run = run_target(
                    target,
                    seed,
                    arguments.strategy,
                    arguments.points,
                    arguments.evaluations,
                    is_aimed=not arguments.rewards_only,
                    settings=settings,
                )
                runs.append(run)
                with file.open("a") as opened:
                    opened.write(json.dumps(run) + "\n")
                print(json.dumps(run), flush=True)
    print(find_grammar(GRAMMAR).text)
    print(
        f"max_tokens {MAX_TOKENS}, strategy {' '.join((arguments.strategy, *sorted(arguments.set)))}, batch {BATCH}, "
        f"{arguments.points} points a target\n"
    )
    print(write_table(runs, arguments.seeds, arguments.evaluations))


if __name__ == "__main__":
    main()
