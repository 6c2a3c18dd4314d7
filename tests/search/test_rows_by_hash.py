"""Rows by program hash: which runs have indices for them, and what readers find in any."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dslc.search import Context, engine, open_run, resume, store
from dslc.space import Program
from tests.search.toy_search import ToyStrategy, history, sum_of_digits, toy_run, toy_space


def indices_by_hash(run_dir: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{run_dir / 'samples.sqlite'}?mode=ro", uri=True)) as database:
        names = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    return names & {"samples_by_hash", "evaluations_by_hash", "sqlite_autoindex_evaluations_1"}


def test_only_a_finished_run_has_indices_by_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random keys would cost a running search more than all else that is recorded."""
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    found = []

    def reward(program: Program, context: Context) -> float:
        found.append(indices_by_hash(tmp_path / "run"))
        if len(found) == 5:
            raise KeyboardInterrupt
        return sum_of_digits(program, context)

    assert toy_run(tmp_path / "run", reward, batch=4).status == "interrupted"
    assert indices_by_hash(tmp_path / "run") == set()
    result = resume(tmp_path / "run", task=reward, strategy=ToyStrategy(toy_space()))
    assert found == [set()] * len(found)
    assert indices_by_hash(tmp_path / "run") == {"samples_by_hash", "evaluations_by_hash"}
    assert result.status == "finished"
    with closing(sqlite3.connect(tmp_path / "run" / "samples.sqlite")) as database:
        (again,) = database.execute("SELECT program_hash FROM evaluations LIMIT 1").fetchone()
        with pytest.raises(sqlite3.IntegrityError):
            database.execute("INSERT INTO evaluations(program_hash, fidelity) VALUES (?, 1.0)", (again,))


def test_a_run_without_room_for_indices_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAKE_INDICES", "CREATE INDEX samples_by_hash ON samples(program_hash); no SQL;")
    assert toy_run(tmp_path / "run").status == "finished"
    assert indices_by_hash(tmp_path / "run") == set()
    assert len(list(open_run(tmp_path / "run").records())) == 90


def test_a_run_with_the_indices_of_earlier_versions_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    toy_run(tmp_path / "whole", batch=4)
    calls = []

    def reward(program: Program, context: Context) -> float:
        calls.append(program.text)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return sum_of_digits(program, context)

    assert toy_run(tmp_path / "run", reward, batch=4).status == "interrupted"
    with closing(sqlite3.connect(tmp_path / "run" / "samples.sqlite")) as database:
        database.executescript("""
            CREATE INDEX samples_by_hash ON samples(program_hash);
            ALTER TABLE evaluations RENAME TO without_key;
            CREATE TABLE evaluations(program_hash TEXT, fidelity REAL, reward REAL NULL, metrics TEXT, code TEXT NULL,
                message TEXT NULL, seconds REAL, worker TEXT, finished_at REAL, PRIMARY KEY(program_hash, fidelity));
            INSERT INTO evaluations SELECT * FROM without_key;
            DROP TABLE without_key;
        """)
    before = [record.reward for record in open_run(tmp_path / "run").records()]
    result = resume(tmp_path / "run", task=sum_of_digits, strategy=ToyStrategy(toy_space()))
    assert history(tmp_path / "run") == history(tmp_path / "whole")
    assert [record.reward for record in result.records()][: len(before)] == before
    assert result.best.id == open_run(tmp_path / "whole").best.id


def test_records_have_the_longest_training_of_their_program(tmp_path: Path) -> None:
    """Against SQL that asks for it sample by sample, the rows of the trainings in any order."""
    toy_run(tmp_path / "run")
    generator = random.Random(0)
    with closing(sqlite3.connect(tmp_path / "run" / "samples.sqlite")) as database, database:
        for (program_hash,) in database.execute("SELECT program_hash FROM evaluations").fetchall():
            for fidelity in generator.sample((0.1, 0.3, 2.0, 3.0), generator.randrange(4)):
                reward = generator.choice((None, 3.5, generator.random()))
                row = (program_hash, fidelity, reward, "{}", *((None, None) if reward else ("DSLC611", "it broke")))
                database.execute("INSERT INTO evaluations VALUES (?,?,?,?,?,?,0,'',0)", row)
        expected = [
            database.execute(
                "SELECT reward, code, fidelity FROM evaluations WHERE program_hash = ? ORDER BY fidelity DESC LIMIT 1",
                (program_hash,),
            ).fetchone()
            for (program_hash,) in database.execute("SELECT program_hash FROM samples ORDER BY id").fetchall()
        ]
        is_own = [origin != "uniform" for (origin,) in database.execute("SELECT origin FROM samples ORDER BY id")]
    result = open_run(tmp_path / "run")
    found = [(r.reward, r.diagnostic.code.value if r.diagnostic else None) for r in result.records()]
    assert found == [(reward, code) for reward, code, _ in expected]
    full = [
        (reward or -1.0) if own and fidelity == 3.0 else -1.0
        for own, (reward, _, fidelity) in zip(is_own, expected, strict=True)
    ]
    assert result.best.id == full.index(max(full)) + 1
