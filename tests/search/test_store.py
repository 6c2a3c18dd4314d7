"""The run folder: locks, refusals, damage, readers."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import dslc
from dslc.diagnostics import Code, DslcError, Severity
from dslc.search import Context, engine, open_run, resume, search
from dslc.search.checkpoints import read_checkpoints
from dslc.search.lock import RunLock
from dslc.space import Program
from tests.search.toy_search import GRAMMAR, ToyStrategy, history, sum_of_digits, toy_run, toy_space


def code_of(caught: pytest.ExceptionInfo[DslcError]) -> Code:
    return caught.value.diagnostics[0].code


def interrupt_after(count: int) -> object:
    """A reward that is interrupted, as by Ctrl-C, in its call number `count` + 1."""
    calls: list[str] = []

    def reward(program: Program, context: Context) -> float:
        calls.append(program.text)
        if len(calls) > count:
            raise KeyboardInterrupt
        return sum_of_digits(program, context)

    return reward


def test_what_is_in_the_folder(tmp_path: Path) -> None:
    result = toy_run(tmp_path / "run", command="dslc search toy")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"run.json", "grammar", "samples.sqlite", "checkpoints", "lock"} <= names
    assert (tmp_path / "run" / "grammar" / "toy.lark").read_text() == GRAMMAR
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (info["format"], info["status"], info["command"]) == (1, "finished", "dslc search toy")
    assert {"dslc", "python", "torch", "platform", "child_threads", "data_sha256"} == set(info["environment"])
    assert info["config"]["evaluations"] == 60
    with sqlite3.connect(tmp_path / "run" / "samples.sqlite") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        columns = [row[1] for row in database.execute("PRAGMA table_info(samples)")]
        assert columns[:6] == ["id", "batch", "tokens", "text", "log_prob", "program_hash"]
        assert columns[6:] == ["origin", "parent_ids", "created_at"]
    database.close()
    assert open_run(tmp_path / "run").best.program.text == result.best.program.text


def test_an_interrupted_run_goes_on_to_the_same_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    toy_run(tmp_path / "whole", batch=4)
    for count in (0, 1, 7, 19):
        run_dir = tmp_path / f"after{count}"
        assert toy_run(run_dir, interrupt_after(count), batch=4).status == "interrupted"
        before = history(run_dir)["samples"]
        result = resume(run_dir, task=sum_of_digits, strategy=ToyStrategy(toy_space()))
        assert result.status == "finished"
        assert history(run_dir)["samples"][: len(before)] == before
        assert history(run_dir) == history(tmp_path / "whole")
        assert len(list((run_dir / "checkpoints").glob("*.json"))) == 3


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    toy_run(tmp_path / "whole", batch=4)
    for number, damage in enumerate((b"", b"{", None)):
        run_dir = tmp_path / f"run{number}"
        toy_run(run_dir, interrupt_after(20), batch=4)
        checkpoints = sorted((run_dir / "checkpoints").glob("*.json"))
        assert len(checkpoints) == 3
        for checkpoint in checkpoints[-1 - number :]:  # in the third run all three
            if damage is None:
                checkpoint.with_suffix(".safetensors").write_bytes(b"\x08" * 40)
            else:
                checkpoint.write_bytes(damage)
        result = resume(run_dir, task=sum_of_digits, strategy=ToyStrategy(toy_space()))
        damaged = [note for note in result.notes if note.code is Code.CHECKPOINT_UNREADABLE]
        assert len(damaged) == number + 1
        assert {note.severity for note in damaged} == {Severity.WARNING}
        assert history(run_dir) == history(tmp_path / "whole")


def test_a_checkpoint_ahead_of_the_database_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut can take the last commits but leave the checkpoint, which was forced to the disk."""
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    toy_run(tmp_path / "whole", batch=4)
    toy_run(tmp_path / "run", interrupt_after(20), batch=4)
    database = sqlite3.connect(tmp_path / "run" / "samples.sqlite")
    last = read_checkpoints(tmp_path / "run")[0][0]
    done = last.counters["evaluations"] + last.counters["control"]
    with database:
        database.execute("DELETE FROM samples WHERE id >= ?", (done,))
        database.execute("DELETE FROM evaluations WHERE program_hash NOT IN (SELECT program_hash FROM samples)")
    database.close()
    resume(tmp_path / "run", task=sum_of_digits, strategy=ToyStrategy(toy_space()))
    assert history(tmp_path / "run") == history(tmp_path / "whole")


def test_going_on_differently_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 1e9)
    toy_run(tmp_path / "run", interrupt_after(20), batch=4)
    before = history(tmp_path / "run")
    with pytest.raises(DslcError) as caught:
        resume(tmp_path / "run", task=sum_of_digits, strategy=ToyStrategy(toy_space(), seed=1))
    assert code_of(caught) is Code.HISTORY_DIFFERS
    assert history(tmp_path / "run")["samples"] == before["samples"]


def test_a_checkpoint_that_the_strategy_cannot_take_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    toy_run(tmp_path / "run", interrupt_after(20), batch=4)

    class Changed(ToyStrategy):
        def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: ARG002
            raise KeyError("attention")

    before = history(tmp_path / "run")
    with pytest.raises(DslcError) as caught:
        resume(tmp_path / "run", task=sum_of_digits, strategy=Changed(toy_space()))
    assert code_of(caught) is Code.HISTORY_DIFFERS
    assert "attention" in caught.value.diagnostics[0].notes[0]
    assert history(tmp_path / "run") == before
    assert open_run(tmp_path / "run").status == "interrupted"


def test_two_searches_on_one_folder_are_refused(tmp_path: Path) -> None:
    caught_codes = []

    def reward(program: Program, context: Context) -> float:  # a search that tries to start another in its own folder
        with pytest.raises(DslcError) as caught:
            toy_run(tmp_path / "run")
        caught_codes.append(code_of(caught))
        with pytest.raises(DslcError) as caught:
            resume(tmp_path / "run", task=sum_of_digits)
        caught_codes.append(code_of(caught))
        return sum_of_digits(program, context)

    toy_run(tmp_path / "run", reward, evaluations=1, control=0)
    assert caught_codes == [Code.RUN_EXISTS, Code.RUN_LOCKED]


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    program = f"""
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from dslc.search.lock import RunLock
RunLock(Path({str(tmp_path)!r}))
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    assert json.loads((tmp_path / "lock").read_text())["pid"] != os.getpid()
    lock = RunLock(tmp_path)
    with pytest.raises(DslcError) as caught:
        RunLock(tmp_path)
    assert code_of(caught) is Code.RUN_LOCKED
    assert str(os.getpid()) in caught.value.diagnostics[0].notes[0]
    lock.release()
    RunLock(tmp_path).release()


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    toy_run(tmp_path / "run", seed=1)
    (tmp_path / "run" / "mine.txt").write_text("keep")
    with pytest.raises(DslcError) as caught:
        toy_run(tmp_path / "run")
    assert code_of(caught) is Code.RUN_EXISTS
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("keep")
    for overwrite in (False, True):
        with pytest.raises(DslcError):
            toy_run(tmp_path / "other", overwrite=overwrite)
    assert (tmp_path / "other" / "thesis.tex").read_text() == "keep"
    (tmp_path / "run" / "mine.txt").unlink()
    assert toy_run(tmp_path / "run", overwrite=True, seed=2).info["config"]["seed"] == 2


def test_a_newer_folder_and_no_folder_are_refused_by_name(tmp_path: Path) -> None:
    toy_run(tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    for read in (open_run, resume):
        with pytest.raises(DslcError) as caught:
            read(tmp_path / "run")
        assert code_of(caught) is Code.NEWER_RUN
        with pytest.raises(DslcError) as caught:
            read(tmp_path / "nowhere")
        assert code_of(caught) is Code.NOT_A_RUN


def test_readers_follow_a_running_search_and_take_no_lock(tmp_path: Path) -> None:
    counts = []

    def reward(program: Program, context: Context) -> float:
        run = open_run(tmp_path / "run")
        assert run.status == "running"
        database = sqlite3.connect(f"file:{tmp_path / 'run' / 'samples.sqlite'}?mode=ro", uri=True)
        counts.append(database.execute("SELECT count(*) FROM samples").fetchone()[0])
        iterator = run.records()  # an open read transaction while the search goes on writing
        next(iterator, None)
        database.close()
        return sum_of_digits(program, context)

    result = toy_run(tmp_path / "run", reward, evaluations=20, control=10)
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[-1] > 0
    assert len(list(result.records())) == 30


def test_a_finished_run_is_read_from_a_folder_without_write_permission(tmp_path: Path) -> None:
    result = toy_run(tmp_path / "run")
    (tmp_path / "run").chmod(0o500)
    try:
        assert len(list(open_run(tmp_path / "run").records())) == len(list(result.records())) == 90
    finally:
        (tmp_path / "run").chmod(0o700)


def test_a_grammar_that_changed_since_makes_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("toy.lark").write_text(GRAMMAR)
    space = dslc.compile("toy.lark")
    search(space, task=interrupt_after(9), strategy=ToyStrategy(space), evaluations=60, run_dir="run")  # type: ignore[arg-type]
    Path("toy.lark").write_text(GRAMMAR.replace('| "4"', ""))
    result = resume("run", task=sum_of_digits, strategy=ToyStrategy(space))
    assert [note.code for note in result.notes] == [Code.GRAMMAR_CHANGED]
    toy_run(tmp_path / "whole")
    assert history(tmp_path / "run")["samples"] == history(tmp_path / "whole")["samples"]


def test_imported_files_are_copied_and_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {
        "sum.lark": "%import .parts.digits.digit\nstart: digit~3\n",
        "parts/digits.lark": '%import .more.five\ndigit: "1" | "2" | five\n',
        "parts/more.lark": 'five: "5"\n',
    }
    Path("parts").mkdir()
    for name, text in files.items():
        Path(name).write_text(text)
    space = dslc.compile("sum.lark")
    search(space, task=interrupt_after(2), strategy="random", evaluations=9, control=0, run_dir="run")  # type: ignore[arg-type]
    assert {name: (tmp_path / "run" / "grammar" / name).read_text() for name in files} == files
    Path("parts/more.lark").write_text('five: "3"\n')
    Path("parts/digits.lark").unlink()
    result = resume("run", task=sum_of_digits)
    assert [(note.code, "more.lark" in note.message) for note in result.notes] == [(Code.GRAMMAR_CHANGED, True)]
    assert result.status == "finished"
    texts = {record.program.text for record in result.records()}
    assert all(set(text) <= set("125") for text in texts)


def test_a_run_folder_is_named_after_grammar_and_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [toy_run(None, evaluations=2, control=0).run_dir for _ in range(2)]  # type: ignore[arg-type]
    assert folders[0] != folders[1]
    assert all(folder.parent == Path("runs") for folder in folders)
    assert all(folder.name.startswith("toy-tests.search.toy_search.sum_of_digits-") for folder in folders)
