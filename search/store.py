"""The run folder, format 1: what ran, the grammar verbatim, and every sample as it finishes.

`run.json`, `grammar/`, `samples.sqlite` (user_version 1, write-ahead log), `checkpoints/`, `lock`, `report.html`.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.checkpoints import write_file
from dslc.search.lock import RunLock
from dslc.search.outcome import Outcome
from dslc.search.population_record import Population, read_populations, view_populations
from dslc.search.recording import recording
from dslc.search.rows_by_hash import DROP_INDICES, MAKE_INDICES
from dslc.value import value

FORMAT = 1
COMMIT_SECONDS = 0.05
"""Least time between two commits, in s: instant rewards share one, a child that took longer is committed at once."""

SCHEMA = """
CREATE TABLE samples(id INTEGER PRIMARY KEY, batch INT, tokens TEXT, text TEXT, log_prob REAL, program_hash TEXT,
    origin TEXT, parent_ids TEXT, created_at REAL);
CREATE TABLE evaluations(program_hash TEXT, fidelity REAL, reward REAL NULL, metrics TEXT, code TEXT NULL,
    message TEXT NULL, seconds REAL, worker TEXT, finished_at REAL);
CREATE TABLE batches(id INTEGER PRIMARY KEY, tokens BLOB, rewards BLOB, origin BLOB);
CREATE TABLE updates(batch INTEGER PRIMARY KEY, figures TEXT);
"""
OUTPUTS = """CREATE TABLE IF NOT EXISTS
    outputs(program_hash TEXT, fidelity REAL, text TEXT, PRIMARY KEY(program_hash, fidelity))"""
"""Last lines that failed children printed, where a worker ran them; runs of before there were workers have none."""
MOST_MESSAGE = 10_000
"""Characters of a failure's message and notes that are recorded."""


@value
class Sample:
    """A row of `samples` as the engine knows it: one proposed program."""

    id: int
    batch: int
    tokens: tuple[int, ...]
    text: str
    log_prob: float | None
    program_hash: str
    origin: str
    parent_ids: tuple[int, ...] = ()


@value
class Evaluation:
    """A row of `evaluations`: what one program came to."""

    program_hash: str
    fidelity: float
    outcome: Outcome
    seconds: float
    worker: str
    output: str = ""
    """Last lines that it printed, as far as they were seen; kept if it failed."""


class RunStore:
    """The run folder of a search that is running: locked, and written by this process alone."""

    def __init__(self, run_dir: Path, lock: RunLock, info: dict[str, Any]) -> None:
        self.run_dir = run_dir
        self.info = info
        """Content of run.json."""
        self._lock = lock
        with recording(run_dir):
            self._database = sqlite3.connect(run_dir / "samples.sqlite", isolation_level=None, timeout=60)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(OUTPUTS)
            with self._database:
                self._database.executescript(f"BEGIN; {DROP_INDICES}")
        self._samples: list[tuple[Any, ...]] = []
        self._evaluations: list[tuple[Any, ...]] = []
        self._updates: list[tuple[Any, ...]] = []
        self._batches: list[tuple[Any, ...]] = []
        self._outputs: list[tuple[Any, ...]] = []
        self._is_due = False
        self._last_commit = time.monotonic()

    # --- opening --------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, run_dir: Path, info: Mapping[str, Any], files: Mapping[str, str | bytes]) -> RunStore:
        """A new run folder with the grammar `files` (relative path to content) in it.

        Raises:
            DslcError: DSLC622 if the folder has something in it, DSLC621 if a search is creating it, DSLC657 if it
                cannot be written.
        """
        with recording(run_dir):
            return cls._create(run_dir, info, files)

    @classmethod
    def _create(cls, run_dir: Path, info: Mapping[str, Any], files: Mapping[str, str | bytes]) -> RunStore:
        if run_dir.exists() and (not run_dir.is_dir() or not _is_unfinished(run_dir)):
            raise DslcError(
                Diagnostic(
                    Code.RUN_EXISTS,
                    Severity.ERROR,
                    f"`{run_dir}` exists and is not empty",
                    help="give another folder, go on with `dslc resume` if it is a run, or replace that with --force",
                )
            )
        run_dir.mkdir(parents=True, exist_ok=True)
        lock = RunLock(run_dir)
        for leftover in run_dir.glob("samples.sqlite*"):
            leftover.unlink()
        for name, content in files.items():
            path = run_dir / "grammar" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with closing(sqlite3.connect(run_dir / "samples.sqlite")) as database:
            database.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={FORMAT}; COMMIT;")
        store = cls(run_dir, lock, {"format": FORMAT, **info})
        store.write_info()  # last: a folder without run.json is no run
        return store

    @classmethod
    def reopen(cls, run_dir: Path) -> RunStore:
        """The folder of a run that stopped, locked again.

        Raises:
            DslcError: DSLC621 if a search runs in it, DSLC623 and DSLC624 as `read_info` and if the samples are
                damaged, DSLC657 if it cannot be written.
        """
        read_info(run_dir)
        _check_samples(run_dir)  # by reading: a database that is none must not be made one
        lock = RunLock(run_dir)
        return cls(run_dir, lock, read_info(run_dir))

    def make_indices(self) -> None:
        """Let readers find the rows of a program quickly, now that the run is over; without room for it, slowly."""
        self.commit()
        with suppress(sqlite3.OperationalError), self._database:
            self._database.executescript(f"BEGIN; {MAKE_INDICES}")

    def close(self) -> None:
        """Commit, fold the write-ahead log into the database and give the folder free, that in any case."""
        try:
            self.commit()
            with recording(self.run_dir):
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._database.close()
            self._lock.release()

    # --- writing --------------------------------------------------------------------------------------------------

    def write_info(self, **changes: Any) -> None:
        """Put `changes` into run.json."""
        self.info.update(changes)
        with recording(self.run_dir):
            write_file(self.run_dir / "run.json", json.dumps(self.info, indent=1).encode())

    def record_sample(self, sample: Sample) -> None:
        """Note a finished sample; its evaluation, noted before, goes into the same transaction."""
        self._note_sample(sample)
        self.commit_when_due()

    def record_batch(self, number: int, population: Population, bests: Sequence[Sample]) -> None:
        """Note a scored population with those of its samples that were the best so far, in one transaction."""
        self._batches.append((number, *population.to_blobs()))
        for sample in bests:
            self._note_sample(sample)
        self.commit_when_due()

    def _note_sample(self, sample: Sample) -> None:
        row = (sample.id, sample.batch, _list_json(sample.tokens), sample.text, sample.log_prob, sample.program_hash)
        self._samples.append((*row, sample.origin, _list_json(sample.parent_ids), time.time()))

    def record_evaluation(self, evaluation: Evaluation) -> None:
        """Note what a program came to; written with its sample."""
        outcome = evaluation.outcome
        problem = outcome.diagnostic
        message = "\n".join((problem.message, *problem.notes)) if problem else None
        self._is_due = self._is_due or evaluation.seconds >= COMMIT_SECONDS
        if problem is not None and evaluation.output:
            self._outputs.append((evaluation.program_hash, evaluation.fidelity, _storable(evaluation.output)))
        self._evaluations.append(
            (
                evaluation.program_hash,
                evaluation.fidelity,
                outcome.reward,
                _figures_json(outcome.metrics),
                problem.code.value if problem else None,
                None if message is None else _storable(message),
                evaluation.seconds,
                evaluation.worker,
                time.time(),
            )
        )

    def record_update(self, batch: int, figures: Mapping[str, float]) -> None:
        """Note what the strategy's update of a batch was like, such as its entropy."""
        self._updates.append((batch, _figures_json(figures)))

    def commit_when_due(self) -> None:
        """Write what has been noted if the last time is long ago, or if it took long to come by."""
        if self._is_due or time.monotonic() - self._last_commit >= COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Write what has been noted, in one transaction; if that fails it stays noted.

        Raises:
            DslcError: DSLC657 if it cannot be written.
        """
        self._last_commit, self._is_due = time.monotonic(), False
        if not (self._samples or self._evaluations or self._updates or self._batches):
            return
        with recording(self.run_dir), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT INTO evaluations VALUES (?,?,?,?,?,?,?,?,?)", self._evaluations)
            self._database.executemany("INSERT INTO samples VALUES (?,?,?,?,?,?,?,?,?)", self._samples)
            self._database.executemany("INSERT INTO batches VALUES (?,?,?,?)", self._batches)
            self._database.executemany("INSERT OR IGNORE INTO updates VALUES (?,?)", self._updates)
            self._database.executemany("INSERT OR REPLACE INTO outputs VALUES (?,?,?)", self._outputs)
        self._outputs.clear()
        self._samples.clear()
        self._evaluations.clear()
        self._updates.clear()
        self._batches.clear()

    # --- reading back, to go on -----------------------------------------------------------------------------------

    def read_samples(self) -> Iterator[Sample]:
        """The samples recorded so far, in order."""
        query = "SELECT id, batch, tokens, text, log_prob, program_hash, origin, parent_ids FROM samples ORDER BY id"
        for row in self._database.execute(query):
            tokens, parents = tuple(json.loads(row[2])), tuple(json.loads(row[7]))
            yield Sample(row[0], row[1], tokens, row[3], row[4], row[5], row[6], parents)

    def count_samples(self, last: int) -> int:
        """Samples recorded so far whose id is at most `last`."""
        (count,) = self._database.execute("SELECT COUNT(*) FROM samples WHERE id <= ?", (last,)).fetchone()
        return int(count)

    def read_batches(self) -> Iterator[tuple[int, Population]]:
        """The populations recorded so far with the numbers of their batches, in order."""
        yield from read_populations(self._database)

    def read_evaluations(self) -> Iterator[tuple[str, float, Outcome]]:
        """Program hash, fidelity and outcome of everything evaluated so far."""
        query = "SELECT program_hash, fidelity, reward, metrics, code, message FROM evaluations"
        for program_hash, fidelity, reward, metrics, code, message in self._database.execute(query):
            yield program_hash, fidelity, restore_outcome(reward, metrics, code, message)

    def read_tokens(self, sample: int) -> tuple[int, ...]:
        """Tokens of the sample of that id."""
        self.commit()
        (tokens,) = self._database.execute("SELECT tokens FROM samples WHERE id = ?", (sample,)).fetchone()
        return tuple(json.loads(tokens))

    def read_failure(self, code: str) -> tuple[str, ...]:
        """Lines that tell of the first child that failed with `code`: its sentence, message, frames and last output."""
        self.commit()
        query = """SELECT samples.text, message, outputs.text FROM samples JOIN evaluations USING (program_hash)
            LEFT JOIN outputs USING (program_hash, fidelity) WHERE code = ? ORDER BY id LIMIT 1"""
        row = self._database.execute(query, (code,)).fetchone()
        return (f"for example: {row[0]}", *row[1].split("\n"), *output_notes(row[2])) if row else ()


def _check_samples(run_dir: Path) -> None:
    """Nothing, or an error if the database has no samples to go on from.

    Raises:
        DslcError: DSLC623, and DSLC624 if a newer dslc wrote it.
    """
    try:
        with closing(connect_for_reading(run_dir)) as database:
            for table in ("samples", "evaluations", "updates"):
                database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
    except sqlite3.DatabaseError as error:
        raise _no_samples(run_dir, error) from None


@lru_cache(maxsize=1 << 12)  # a policy repeats itself
def _list_json(numbers: tuple[int, ...]) -> str:
    return str(list(numbers))


def _storable(text: str) -> str:
    """A text as SQLite takes it, of a bounded length: a lone surrogate is written as its number."""
    return text[:MOST_MESSAGE].encode("utf-8", "backslashreplace").decode()


def output_notes(output: str | None) -> tuple[str, ...]:
    """What a failed child printed last, as notes to its diagnostic."""
    return tuple(f"it printed: {line}" for line in output.split("\n")) if output else ()


def has_outputs(database: sqlite3.Connection) -> bool:
    """Whether the run is of a time when what failed children printed is kept."""
    return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'outputs'").fetchone() is not None


def _is_unfinished(run_dir: Path) -> bool:
    """Whether a folder is empty, or a search died in it before it was a run: then nothing was recorded."""
    names = {path.name for path in run_dir.iterdir()}
    made_first = {"lock", "grammar", "samples.sqlite", "samples.sqlite-journal", "run.json.tmp"}
    return names <= {*made_first, "samples.sqlite-wal", "samples.sqlite-shm"} and (not names or "lock" in names)


def _figures_json(figures: Mapping[str, float]) -> str:
    """JSON has no NaN: a figure that is not finite is null."""
    if not figures:
        return "{}"
    return json.dumps({name: figure if math.isfinite(figure) else None for name, figure in figures.items()})


def restore_outcome(reward: float | None, metrics: str | None, code: str | None, message: str | None) -> Outcome:
    """The outcome that a row of `evaluations` tells of."""
    figures = {name: math.nan if figure is None else figure for name, figure in json.loads(metrics or "{}").items()}
    if code is None:
        return Outcome(reward, figures)
    first, *notes = (message or "").split("\n")
    return Outcome(reward, figures, Diagnostic(Code(code), Severity.ERROR, first, notes=tuple(notes)))


def read_info(run_dir: Path) -> dict[str, Any]:
    """Content of a run folder's run.json.

    Raises:
        DslcError: DSLC623 if it is no run folder, DSLC624 if a newer dslc wrote it.
    """
    try:
        info = json.loads((run_dir / "run.json").read_bytes())
        written = int(info["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DslcError(
            Diagnostic(
                Code.NOT_A_RUN,
                Severity.ERROR,
                f"`{run_dir}` is not the folder of a run",
                help="give the folder that `dslc search` named, normally under runs/",
                notes=(f"{type(error).__name__}: {error}",),
            )
        ) from None
    if written > FORMAT:
        raise DslcError(
            Diagnostic(
                Code.NEWER_RUN,
                Severity.ERROR,
                f"`{run_dir}` has format {written}; this dslc knows up to {FORMAT}",
                help=f"use dslc {info.get('environment', {}).get('dslc', 'of a later version')} or newer",
            )
        )
    assert isinstance(info, dict)
    return info


def connect_for_reading(run_dir: Path) -> sqlite3.Connection:
    """A connection that cannot write, not even a lock that a running search would wait for.

    Where populations are recorded, `samples` and `evaluations` show their sentences as those of any run.

    Raises:
        DslcError: DSLC623 if there is no database, DSLC624 if a newer dslc wrote it.
    """
    path = (run_dir / "samples.sqlite").resolve()
    uri = f"{path.as_uri()}?mode=ro"
    try:
        database = sqlite3.connect(uri, uri=True, timeout=60)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            database.execute("SELECT 1 FROM samples LIMIT 1").fetchone()
        except (
            sqlite3.OperationalError
        ):  # a folder without write permission has no place for the shared index of the log
            database.close()
            database = sqlite3.connect(f"{uri}&immutable=1", uri=True)
            (version,) = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise _no_samples(run_dir, error) from None
    if version > FORMAT:
        database.close()
        raise DslcError(
            Diagnostic(
                Code.NEWER_RUN,
                Severity.ERROR,
                f"the samples of `{run_dir}` have format {version}; this dslc knows up to {FORMAT}",
                help="use a newer dslc",
            )
        )
    view_populations(database, run_dir)
    return database


def _no_samples(run_dir: Path, error: sqlite3.Error) -> DslcError:
    return DslcError(
        Diagnostic(
            Code.NOT_A_RUN,
            Severity.ERROR,
            f"`{run_dir}` has no readable samples",
            help="give the folder that `dslc search` named, normally under runs/",
            notes=(f"{type(error).__name__}: {error}",),
        )
    )
