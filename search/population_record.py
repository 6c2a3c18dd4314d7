"""How populations are recorded, a row of `batches` each, and how readers see them: as samples like any others.

`tokens` is a matrix of uint16, a row a sentence, filled up with 65535 behind its end; `rewards` float64, NaN for what
failed; `origin` a byte each, as its place in ORIGINS; all little-endian. Samples are numbered through, from 1: in each
batch first the strategy's, then the control's. `samples` holds those that were the best so far, `evaluations` what they
came to when they were evaluated by themselves, and the first failure.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dslc.diagnostics import Code
from dslc.search.outcome import ORIGINS

if TYPE_CHECKING:
    from dslc.space import Space

FILLER = 65535
"""Behind the end of a sentence; so a vocabulary has fewer tokens."""
KEY_PREFIX = "sentence:"
"""Begins the `program_hash` that readers see, in place of a hash: equal for equal sentences only."""
NOT_FINITE = "the population was scored without a finite number for this sentence"
_KEY_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Sentences with what they came to."""

    tokens: NDArray[np.uint16]
    """[sentence, time], filled up with FILLER."""
    rewards: NDArray[np.float64]
    """[sentence], NaN where it failed."""
    origins: NDArray[np.uint8]
    """[sentence] places in ORIGINS."""

    def to_blobs(self) -> tuple[bytes, bytes, bytes]:
        """The columns of its row."""
        return (
            self.tokens.astype("<u2").tobytes(),
            self.rewards.astype("<f8").tobytes(),
            self.origins.astype("u1").tobytes(),
        )

    def sentence(self, row: int) -> tuple[int, ...]:
        """The tokens of one sentence.

        Example:
            >>> pair = pack_tokens(np.array([[4, 2, 9], [1, 9, 9]]), pad=9)
            >>> Population(pair, np.array([0.5, np.nan]), np.zeros(2, np.uint8)).sentence(1)
            (1,)
        """
        return tuple(token for token in self.tokens[row].tolist() if token != FILLER)


def pack_tokens(tokens: NDArray[np.integer[Any]], pad: int) -> NDArray[np.uint16]:
    """Sentences [sentence, time], filled up with `pad`, as a population has them, cut after the longest."""
    is_token = tokens != pad
    used = int(is_token.sum(1).max(initial=0))
    return np.where(is_token[:, :used], tokens[:, :used].astype(np.uint16), np.uint16(FILLER))


def read_populations(database: sqlite3.Connection) -> Iterator[tuple[int, Population]]:
    """The populations of a run with the numbers of their batches, in order."""
    for number, tokens, rewards, origins in database.execute(
        "SELECT id, tokens, rewards, origin FROM batches ORDER BY id"
    ):
        count = len(origins)
        matrix = np.frombuffer(tokens, "<u2").reshape(count, -1) if count else np.empty((0, 0), np.uint16)
        yield number, Population(matrix, np.frombuffer(rewards, "<f8"), np.frombuffer(origins, np.uint8))


def sentence_keys(tokens: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """[sentence] a number for each, equal for equal sentences, however far they are filled up."""
    weights = np.random.default_rng(_KEY_SEED).integers(0, 1 << 64, tokens.shape[1], dtype=np.uint64)
    keys: NDArray[np.uint64] = ((tokens + np.uint16(1)).astype(np.uint64) * weights).sum(1, dtype=np.uint64)
    return keys


def view_populations(database: sqlite3.Connection, run_dir: Path) -> None:
    """Where a run has populations, let `samples` and `evaluations` of this connection show all of their sentences.

    They are temporary, of this moment, and nothing is written to the run. Texts are made when they are read. Each
    distinct sentence has the same share of the time in which populations were scored.
    """
    populations = list(read_populations(database))
    if not populations:
        return
    created = dict(database.execute("SELECT id, created_at FROM samples"))
    # What is known of those that were evaluated by themselves: metrics, worker, time.
    singles = {
        row[0]: row[1:]
        for row in database.execute(
            "SELECT id, metrics, worker, finished_at FROM samples JOIN evaluations USING (program_hash)"
        )
    }
    failure = database.execute("SELECT code, message FROM evaluations WHERE reward IS NULL LIMIT 1").fetchone()
    code, message = failure or (Code.REWARD_NOT_FINITE.value, NOT_FINITE)
    starts = np.cumsum([0, *(len(each.origins) for _, each in populations)])
    keys = np.concatenate([sentence_keys(each.tokens) for _, each in populations])
    rewards = np.concatenate([each.rewards for _, each in populations])
    _, first, places = np.unique(keys, return_index=True, return_inverse=True)
    hashes = [f"{KEY_PREFIX}{key:016x}" for key in keys[first].tolist()]
    seconds = _read_child_seconds(run_dir) / max(len(first), 1)
    single_of_place = {int(places[sample - 1]): single for sample, single in singles.items()}
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute("""CREATE TEMP TABLE population_samples(id INTEGER PRIMARY KEY, batch INT, program_hash TEXT,
        origin TEXT, created_at REAL)""")
    database.execute("""CREATE TEMP TABLE evaluations(program_hash TEXT, fidelity REAL, reward REAL NULL, metrics TEXT,
        code TEXT NULL, message TEXT NULL, seconds REAL, worker TEXT, finished_at REAL,
        PRIMARY KEY(program_hash, fidelity))""")
    batches = np.repeat([number for number, _ in populations], np.diff(starts)).tolist()
    origins = np.concatenate([each.origins for _, each in populations]).tolist()
    rows = zip(range(1, len(origins) + 1), batches, places.tolist(), origins, strict=True)
    database.executemany(
        "INSERT INTO population_samples VALUES (?,?,?,?,?)",
        ((i, batch, hashes[place], ORIGINS[origin], created.get(i)) for i, batch, place, origin in rows),
    )
    nothing = "{}", "population", None

    def describe(place: int, name: str, reward: float) -> tuple[Any, ...]:
        metrics, worker, finished_at = single_of_place.get(place, nothing)
        is_failed = reward != reward
        problem = (code, message) if is_failed else (None, None)
        return name, 1.0, None if is_failed else reward, metrics, *problem, seconds, worker, finished_at

    found = enumerate(zip(hashes, rewards[first].tolist(), strict=True))
    database.executemany(
        "INSERT INTO temp.evaluations VALUES (?,?,?,?,?,?,?,?,?)",
        (describe(place, name, reward) for place, (name, reward) in found),
    )
    reader = _SentenceReader([each for _, each in populations], starts, run_dir)
    database.create_function("population_tokens", 1, reader.tokens, deterministic=True)
    database.create_function("population_text", 1, reader.text, deterministic=True)
    database.execute("""CREATE TEMP VIEW samples AS SELECT id, batch, population_tokens(id) AS tokens,
        population_text(id) AS text, NULL AS log_prob, program_hash, origin, '[]' AS parent_ids, created_at
        FROM population_samples""")
    database.commit()


def _read_child_seconds(run_dir: Path) -> float:
    """Time in which the populations of a run were scored, in s; 0 as long as it goes on."""
    try:
        return float(json.loads((run_dir / "run.json").read_bytes())["seconds"]["children"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


class _SentenceReader:
    """The sentence of a sample's id."""

    def __init__(self, populations: list[Population], starts: NDArray[np.intp], run_dir: Path) -> None:
        self._populations, self._starts, self._run_dir = populations, starts, run_dir
        self._space: Space | None = None

    def _find(self, number: int) -> tuple[int, ...]:
        place = int(np.searchsorted(self._starts, number - 1, side="right")) - 1
        return self._populations[place].sentence(number - 1 - int(self._starts[place]))

    def tokens(self, number: int) -> str:
        """As `samples` has them."""
        return json.dumps(self._find(number))

    def text(self, number: int) -> str:
        """What it says."""
        if self._space is None:
            from dslc.search.result import SearchResult

            self._space = SearchResult(self._run_dir).space
        return self._space.decode(self._find(number)).text
