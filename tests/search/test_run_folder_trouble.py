"""A run folder in trouble: a clear error or a recorded change, and what was recorded stays as it is."""

import json
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

import dslc
from dslc.diagnostics import Code, DslcError, Severity
from dslc.search import Context, engine, open_run, resume, search
from dslc.search.store import RunStore
from dslc.space import Program
from tests.search.toy_search import GRAMMAR, ToyStrategy, history, sum_of_digits, toy_run, toy_space

ROOT = Path(__file__).parents[2]


def interrupt_after(count: int) -> Callable[[Program, Context], float]:
    calls: list[str] = []

    def reward(program: Program, context: Context) -> float:
        calls.append(program.text)
        if len(calls) > count:
            raise KeyboardInterrupt
        return sum_of_digits(program, context)

    return reward


def interrupted(run_dir: Path, count: int = 15, **settings: Any) -> Path:
    assert toy_run(run_dir, interrupt_after(count), batch=4, **settings).status == "interrupted"
    return run_dir


def go_on(run_dir: Path, **settings: Any) -> Any:
    return resume(run_dir, task=sum_of_digits, strategy=ToyStrategy(toy_space()), **settings)


def refused(run_dir: Path, **settings: Any) -> tuple[Code, str]:
    with pytest.raises(DslcError) as caught:
        go_on(run_dir, **settings)
    return caught.value.diagnostics[0].code, caught.value.diagnostics[0].message


def contents(run_dir: Path) -> dict[str, bytes]:
    """Every file of a run but the lock and what SQLite keeps beside the database."""
    files = (path for path in run_dir.rglob("*") if path.is_file() and path.name != "lock" and "-" not in path.name)
    return {str(path): path.read_bytes() for path in files}


# --- a disk that is full, a folder that is read only ------------------------------------------------------------------

IN_TROUBLE = """
import os, resource, sys
from pathlib import Path
import dslc.search.engine
from dslc.diagnostics import DslcError
from dslc.search import Context, search
from tests.search.toy_search import ToyStrategy, sum_of_digits, toy_run
import dslc
import torch  # whoever has no permission may have none to import it either

dslc.search.engine.CHECKPOINT_SECONDS = 0.0
TEXT = 'start: A A A A A A\\nA: "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8"\\n%ignore " "\\n'
space = dslc.compile_text(TEXT, name="long.lark")
trouble, run_dir = sys.argv[1:]
calls = []

def reward(program, context):
    calls.append(1)
    if len(calls) == 300 and trouble == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    return sum_of_digits(program, context)

if trouble == "unwritable":
    os.seteuid(65534)
try:
    toy_run(Path(run_dir), reward, space=space, strategy=ToyStrategy(space), evaluations=600, control=0)
except DslcError as error:
    print(error.diagnostics[0].code.value, error.diagnostics[0].message)
"""


def in_trouble(trouble: str, run_dir: Path) -> str:
    command = [sys.executable, "-c", IN_TROUBLE, trouble, str(run_dir)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


def test_a_full_disk_ends_a_search_that_then_goes_on(tmp_path: Path) -> None:
    """The limit on a file's size stands for the disk: the kernel refuses to write past it."""
    run_dir = tmp_path / "full"
    said = in_trouble("full", run_dir)
    assert said.startswith("DSLC657"), said
    assert "cannot be written" in said
    assert open_run(run_dir).status == "interrupted"
    before = history(run_dir)
    assert 150 < len(before["samples"]) < 400
    assert not list(run_dir.rglob("*.tmp"))
    assert in_trouble("none", tmp_path / "whole") == ""
    whole = history(tmp_path / "whole")
    assert whole["samples"][: len(before["samples"])] == before["samples"]
    space = open_run(run_dir).space
    assert resume(run_dir, task=sum_of_digits, strategy=ToyStrategy(space)).status == "finished"
    assert history(run_dir) == whole


def test_a_folder_without_permission_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o755)
    for path in (tmp_path, *tmp_path.parents):
        if path != Path("/tmp") and path != Path("/") and path.owner() == folder.owner():
            path.chmod(0o755)
    folder.chmod(0o555)
    said = in_trouble("unwritable" if os.geteuid() == 0 else "none", folder / "run")
    assert said.startswith("DSLC657"), said
    assert "Permission denied" in said
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["run.json", "samples.sqlite", "checkpoints"])
def test_whatever_cannot_be_written_the_error_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """/dev/full takes nothing: every write to it says that there is no space left."""
    run_dir = interrupted(tmp_path / "run")
    before, rows = contents(run_dir), history(run_dir)
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    if name == "samples.sqlite":

        def commit(self: RunStore) -> None:
            from dslc.search.recording import recording

            with recording(self.run_dir):
                raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(RunStore, "commit", commit)
    else:
        target = {"run.json": "run.json.tmp", "checkpoints": "checkpoints/00000003.safetensors.tmp"}[name]
        (run_dir / target).parent.mkdir(exist_ok=True)
        (run_dir / target).symlink_to("/dev/full")
    code, message = refused(run_dir)
    assert code is Code.CANNOT_RECORD
    assert "full" in message or "No space left" in message
    monkeypatch.undo()
    now = contents(run_dir)
    assert all(now[path] == content for path, content in before.items() if path.endswith((".lark", ".safetensors")))
    assert history(run_dir)["samples"][: len(rows["samples"])] == rows["samples"]
    assert go_on(run_dir).status == "finished"


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["empty", "cut short", "overwritten", "gone"])
def test_a_damaged_database_is_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    run_dir = interrupted(tmp_path / "run", 25)
    path = run_dir / "samples.sqlite"
    content = path.read_bytes()
    damaged = {"empty": b"", "cut short": content[: len(content) // 2 // 4096 * 4096], "overwritten": b"x" * 9000}
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(damaged[damage])
    before = contents(run_dir)
    code, message = refused(run_dir)
    assert code is Code.NOT_A_RUN
    assert "no readable samples" in message
    assert contents(run_dir) == before
    path.write_bytes(content)
    assert go_on(run_dir).status == "finished"


def test_a_run_json_that_was_cut_short_is_refused_and_left_alone(tmp_path: Path) -> None:
    run_dir = interrupted(tmp_path / "run")
    path = run_dir / "run.json"
    path.write_bytes(path.read_bytes()[:100])
    before = contents(run_dir)
    assert refused(run_dir)[0] is Code.NOT_A_RUN
    assert contents(run_dir) == before


def test_the_runs_own_copy_of_the_grammar_must_be_as_it_was(tmp_path: Path) -> None:
    run_dir = interrupted(tmp_path / "run")
    path = run_dir / "grammar" / "toy.lark"
    path.write_text(GRAMMAR.replace('| "4"', '| "5"'))
    before = contents(run_dir)
    code, message = refused(run_dir)
    assert code is Code.HISTORY_DIFFERS
    assert "toy.lark" in message
    assert contents(run_dir) == before
    path.unlink()
    assert refused(run_dir)[0] is Code.HISTORY_DIFFERS
    path.write_text(GRAMMAR)
    assert go_on(run_dir).status == "finished"


# --- settings on resume -----------------------------------------------------------------------------------------------


def test_a_setting_that_makes_samples_cannot_be_changed_on_resume(tmp_path: Path) -> None:
    run_dir = interrupted(tmp_path / "run")
    before = contents(run_dir)
    for name, value in {"seed": 1, "batch": 5, "evaluations": 90, "device": "cuda", "options": {"a": 1}}.items():
        code, message = refused(run_dir, **{name: value})
        assert code is Code.SETTING_FIXED
        assert f"`{name}`" in message
    assert refused(run_dir, sed=1)[0] is Code.UNKNOWN_OPTION
    assert refused(run_dir, workers=-1)[0] is Code.BAD_SETTING
    assert contents(run_dir) == before
    assert go_on(run_dir, seed=0, batch=4).status == "finished"


def test_a_setting_that_was_changed_by_hand_is_refused_by_name(tmp_path: Path) -> None:
    run_dir = interrupted(tmp_path / "run")
    path = run_dir / "run.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "config": {**info["config"], "seed": 3, "batch": 6}}))
    before = contents(run_dir)
    with pytest.raises(DslcError) as caught:
        go_on(run_dir)
    assert {problem.message.split("`")[1] for problem in caught.value.diagnostics} == {"seed", "batch"}
    assert {problem.code for problem in caught.value.diagnostics} == {Code.SETTING_FIXED}
    assert contents(run_dir) == before
    del info["config_at_start"]  # a run of before this was recorded
    path.write_text(json.dumps(info))
    assert go_on(run_dir).status == "finished"


def test_where_children_run_can_be_changed_and_that_is_recorded(tmp_path: Path) -> None:
    toy_run(tmp_path / "whole", batch=4)
    run_dir = interrupted(tmp_path / "run")
    task = "tests.search.toy_search:sum_of_digits"
    changes: dict[str, Any] = {"workers": 1, "child_seconds": 60.0}
    result = resume(run_dir, task=dslc.search.tasks.get_task(task), strategy=ToyStrategy(toy_space()), **changes)
    assert {(note.code, note.severity) for note in result.notes} == {(Code.SETTING_CHANGED, Severity.NOTE)}
    info = open_run(run_dir).info
    assert info["changes"][0]["settings"] == changes
    assert (info["config"]["workers"], info["config_at_start"]["workers"]) == (1, 0)
    assert history(run_dir) == history(tmp_path / "whole")
    with closing(sqlite3.connect(run_dir / "samples.sqlite")) as database:
        assert dict(database.execute("SELECT worker, COUNT(*) > 0 FROM evaluations GROUP BY worker")) == {
            "main": 1,
            "worker-0": 1,
        }


# --- what is read -----------------------------------------------------------------------------------------------------


def test_no_pickle_is_loaded_from_a_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    space = toy_space()
    settings: dict[str, Any] = {"strategy": "policy_gradient", "evaluations": 60, "run_dir": tmp_path / "run"}
    assert search(space, task=interrupt_after(15), **settings).status == "interrupted"
    assert list((tmp_path / "run" / "checkpoints").glob("*.safetensors"))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a pickle is loaded")

    for place, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(place, name, refuse)
    result = resume(tmp_path / "run", task=sum_of_digits)
    assert result.status == "finished"
    assert len(list(result.records())) == 90
    assert result.to_json()["best"] is not None
    assert len(result.sample_policy(3)) == 3


def test_no_module_of_a_search_names_pickle() -> None:
    readers = [
        path
        for folder in (".", "executors", "report", "strategies")
        for path in (ROOT / "search" / folder).glob("*.py")
    ]
    assert len(readers) > 30
    for path in readers:
        text = path.read_text()
        for word in ("import pickle", "cloudpickle", "torch.load", "joblib", "shelve", "marshal"):
            assert word not in text, (path.name, word)


def test_a_message_that_no_database_takes_is_recorded_all_the_same(tmp_path: Path) -> None:
    def reward(program: Program, context: Context) -> float:  # noqa: ARG001
        raise ValueError(f"half a character: \udcff, and much of it: {'x' * 50_000}")

    result = toy_run(tmp_path / "run", reward, evaluations=5, control=0)
    messages = [record.diagnostic.message for record in result.records() if record.diagnostic is not None]
    assert len(messages) == 5
    assert all("half a character: \\udcff" in message and len(message) < 11_000 for message in messages)


def test_a_child_that_calls_exit_ends_nothing_but_itself(tmp_path: Path) -> None:
    def reward(program: Program, context: Context) -> float:
        if program.text.startswith("2"):
            sys.exit(3)
        return sum_of_digits(program, context)

    result = toy_run(tmp_path / "run", reward)
    assert result.status == "finished"
    assert {r.diagnostic.code for r in result.records() if r.diagnostic is not None} == {Code.TASK_RAISED}
