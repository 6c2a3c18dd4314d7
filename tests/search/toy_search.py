"""A small space, a strategy that learns a little, and rewards, for tests of the engine."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dslc
from dslc.search import Candidate, Context, search
from dslc.search.result import SearchResult
from dslc.space import Program, Space

GRAMMAR = """
start: A B A
A: "1" | "2" | "3" | "4"
B: "x" | "y"
%ignore " "
"""


def toy_space() -> Space:
    """32 sentences of 3 tokens, without a target."""
    return dslc.compile_text(GRAMMAR, name="toy.lark")


class ToyStrategy:
    """Draws each token by weights that grow with the rewards it was told; remembers all that it was told."""

    name = "toy"

    def __init__(self, space: Space, seed: int = 0) -> None:
        self.space = space
        self.told: list[tuple[Candidate, float]] = []
        self._random = random.Random(seed)
        self._weights = [1.0] * len(space.vocabulary)

    def ask(self, count: int) -> list[Candidate]:
        """See `Strategy`."""
        return [self._draw() for _ in range(count)]

    def _draw(self) -> Candidate:
        tokens: tuple[int, ...] = ()
        while allowed := self.space.allowed(tokens):
            weights = [self._weights[token] for token in allowed]
            tokens = (*tokens, self._random.choices(allowed, weights)[0])
        return Candidate(tokens, -1.0)

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """See `Strategy`."""
        self.told.extend(results)
        for candidate, reward in results:
            for token in candidate.tokens:
                self._weights[token] += max(reward, 0.0) / 100
        return {"weight": self._weights[0]}

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        version, numbers, gauss = self._random.getstate()
        return {"weights": self._weights, "random": [version, list(numbers), gauss]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        self._weights = list(state["weights"])
        version, numbers, gauss = state["random"]
        self._random.setstate((version, tuple(numbers), gauss))


def sum_of_digits(program: Program, context: Context) -> float:  # noqa: ARG001
    """The digits of the sentence, added up: 2 to 8."""
    return float(sum(int(c) for c in program.text if c.isdigit()))


def toy_run(run_dir: Path, task: Any = sum_of_digits, **settings: Any) -> SearchResult:
    """A search of the toy space by the toy strategy."""
    space = settings.pop("space", None) or toy_space()
    strategy = settings.pop("strategy", None) or ToyStrategy(space)
    return search(space, task=task, strategy=strategy, run_dir=run_dir, **{"evaluations": 60, **settings})


def history(run_dir: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of a run in every column but times and worker."""
    import sqlite3
    from contextlib import closing

    queries = {
        "samples": """SELECT id, batch, tokens, text, log_prob, program_hash, origin, parent_ids
            FROM samples ORDER BY id""",
        "evaluations": "SELECT program_hash, fidelity, reward, metrics, code, message FROM evaluations ORDER BY 1, 2",
        "updates": "SELECT batch, figures FROM updates ORDER BY batch",
    }
    with closing(sqlite3.connect(f"file:{run_dir / 'samples.sqlite'}?mode=ro", uri=True)) as database:
        return {table: database.execute(query).fetchall() for table, query in queries.items()}
