"""Every strategy on three spaces of some thousand programs, with a quarter as many evaluations.

Each but random must find the optimum in 15 of 20 seeds, when maximising and when minimising, and its mean reward must
beat random's of the same seeds by a one-sided sign test at 0.01. `niches` proposes no sentence twice and every length
alike, so its mean says nothing of what it has learnt: it is asked for the optimum only.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import cache
from math import comb
from pathlib import Path
from statistics import fmean

from dslc.pipeline import compile_grammar
from dslc.search.strategies import STRATEGY_NAMES, make_strategy
from dslc.source import SourceFile
from dslc.space import Space

MENUS = """
start: A B A B A
A: "1" | "2" | "3" | "4" | "5" | "6"
B: "x" | "y" | "z" | "w"
"""
"""6^3 4^2 = 3,456 programs."""
LISTS = """
//! max_tokens 12
start: item ("," item)*
item: "a" | "b" | "c" | "d"
"""
"""Lists of at most 6 items: 5,460 programs."""
TREES = """
//! max_tokens 10
start: node
node: "(" node OP node ")" -> inner | LEAF -> leaf
OP: "+" | "*"
LEAF: "x" | "y" | "z"
"""
"""Trees of at most 4 leaves: 3,369 programs."""
ROOT = Path(__file__).parents[2]
FILE = ROOT / "runs/strategies/rows.jsonl"
"""One line a finished run, outside version control; delete it to start anew."""
NEEDED = 0.75
"""Share of the seeds in which the optimum is found."""
LEVEL = 0.01
"""Of the sign test."""
OPTIMUM_ONLY = ("niches",)
"""Strategies that are asked for no better mean; see above."""


def score_menus(text: str) -> float:
    """Neighbours should rise by little, and a letter belongs to each digit."""
    digits, letters = [int(each) for each in text[::2]], ["xyzw".index(each) for each in text[1::2]]
    steps = sum(abs(other - one - 1) for one, other in itertools.pairwise(digits))
    return -0.3 * steps - 0.2 * sum(abs(letter - digit % 4) for letter, digit in zip(letters, digits, strict=False))


def score_likeness(wanted: str) -> Callable[[str], float]:
    """Places at which a text is as the wanted one; each character missing or more costs half of one."""

    def score(text: str) -> float:
        same = sum(one == other for one, other in zip(text, wanted, strict=False))
        return same - 0.5 * abs(len(text) - len(wanted))

    return score


SPACES: dict[str, tuple[str, Callable[[str], float]]] = {
    "menus": (MENUS, score_menus),
    "lists": (LISTS, score_likeness("d,b,c,a,d,b")),
    "trees": (TREES, score_likeness("((x+y)*(z*x))")),
}
_CASES = tuple(itertools.product(SPACES, (1, -1)))


@cache
def make_space(name: str) -> tuple[Space, dict[tuple[int, ...], float]]:
    """The space and the reward of every program in it."""
    text, score = SPACES[name]
    space = Space(compile_grammar(SourceFile(f"{name}.lark", text)))
    assert space.count() >= 2000, f"{name} has {space.count()} programs"
    programs = (space[index] for index in range(space.count()))
    return space, {program.tokens: score(program.text) for program in programs}


def run_strategy(strategy: str, name: str, sign: int, seed: int) -> tuple[bool, float]:
    """Whether the optimum is found, and the mean of the rewards."""
    space, rewards = make_space(name)
    evaluations, batch = len(rewards) // 4, 20
    best = max(sign * reward for reward in rewards.values())
    maker = make_strategy(strategy, space, evaluations=evaluations, batch=batch, seed=seed)
    values: list[float] = []
    while len(values) < evaluations:
        candidates = maker.ask(min(batch, evaluations - len(values)))
        told = [sign * rewards[candidate.tokens] for candidate in candidates]
        maker.tell(list(zip(candidates, told, strict=True)))
        values += told
    return max(values) >= best - 1e-9, fmean(values)


def sign_test(wins: int, number: int) -> float:
    """Probability of as many wins or more, were each a fair coin.

    Example:
        >>> sign_test(5, 5)
        0.03125
    """
    return sum(comb(number, k) for k in range(wins, number + 1)) / 2.0**number


def soak_strategies(count: int) -> str:
    """All strategies with `count` seeds each, those that are on file not again; prints a line for each space and
    direction."""
    runs = _measure(count)
    print("| space | programs | direction | strategy | optimum found | beats random, sign test |")
    print("|---|---|---|---|---|---|")
    failed = []
    for name, sign in _CASES:
        control = runs["random", name, sign]
        for strategy in STRATEGY_NAMES:
            found = sum(has_found for has_found, _ in runs[strategy, name, sign])
            wins = sum(mean > other for (_, mean), (_, other) in zip(runs[strategy, name, sign], control, strict=True))
            level = sign_test(wins, count)
            direction = "maximise" if sign > 0 else "minimise"
            programs = len(make_space(name)[1])
            print(f"| {name} | {programs} | {direction} | {strategy} | {found} of {count} | {wins}, {level:.1e} |")
            is_better = level < LEVEL or count < 7 or strategy in OPTIMUM_ONLY
            is_good = found >= NEEDED * count and is_better
            if strategy != "random" and not is_good:
                failed.append(f"{strategy} on {name}, {direction}: {found} of {count}, sign test {level:.2g}")
    assert not failed, "; ".join(failed)
    exempt = f"{', '.join(OPTIMUM_ONLY)}: the optimum only"
    return f"every strategy but random finds the optimum in {NEEDED:.0%} of {count} seeds and beats random ({exempt})"


def _measure(count: int) -> dict[tuple[str, str, int], list[tuple[bool, float]]]:
    """Of each strategy, space and direction the runs by seed; seed after seed, so that all strategies have as many."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    lines = FILE.read_text().splitlines() if FILE.exists() else []
    known = {tuple(key): (found, mean) for key, found, mean in map(json.loads, lines)}
    runs: dict[tuple[str, str, int], list[tuple[bool, float]]] = {}
    for seed, (name, sign), strategy in itertools.product(range(count), _CASES, STRATEGY_NAMES):
        key = (strategy, name, sign, seed)
        if key not in known:
            known[key] = run_strategy(strategy, name, sign, seed)
            with FILE.open("a") as file:
                file.write(json.dumps([key, *known[key]]) + "\n")
        runs.setdefault((strategy, name, sign), []).append(known[key])
    return runs
