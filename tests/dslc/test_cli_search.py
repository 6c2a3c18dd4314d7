"""`dslc search`, `resume`, `best`, `report`, `sample --policy`, `draw --best` on real, small runs."""

import os
import pty
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dslc.cli.progress import progress_parts
from dslc.search import Progress
from tests.dslc.command_line import ROOT, run

GRAMMAR = """\
//! target activation
start: "x" "x" unary unary binary -> core
unary: "identity" -> identity | "sigmoid" -> sigmoid | "scale" -> scale
binary: "mul" -> mul | "max" -> max
%ignore " "
"""
REWARDS = """\
import time


def count(program, context):
    return program.text.split().count("sigmoid") + 0.5 * program.text.endswith("max")


def slow(program, context):
    time.sleep(0.2)
    return count(program, context)


def broken(program, context):
    raise ValueError("nothing is good enough")


def wanting(program, context):
    return count(program, context) * context.options["weight"]


wanting.options = {"weight": 2}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a grammar, rewards, and one finished run `runs/done`."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "tiny.lark").write_text(GRAMMAR)
    (folder / "cli_rewards.py").write_text(REWARDS)
    before = Path.cwd()
    os.chdir(folder)
    try:
        done = run("search", "tiny.lark", "--task", "cli_rewards:count", "--evaluations", "40", "--run", "runs/done")
        assert done.code == 0, done.err
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def _in_the_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_a_search_ends_with_its_best_and_where_things_are() -> None:
    done = run("search", "tiny.lark", "--task", "cli_rewards:count", "--evaluations", "40", "--run", "runs/again")
    assert done.code == 0
    assert "x x sigmoid sigmoid max" in done.out
    assert "runs/again/report.html" in done.out
    assert Path("runs/again/report.html").is_file()
    assert "seed 0" in done.err
    assert re.search(r"^40/40  best 2\.5 ", done.err, re.MULTILINE)


def test_until_stops_early_and_says_so() -> None:
    arguments = ("search", "tiny.lark", "--task", "cli_rewards:count", "--evaluations", "400")
    done = run(*arguments, "--until", "patience=30", "--until", "seconds=600", "--run", "runs/patient")
    assert done.code == 0, done.err
    line = r"^stopped  patience=30, no new best in the last 30 samples, after \d+ of 400 evaluations$"
    assert re.search(line, done.out, re.MULTILINE)
    assert len([text for text in done.err.splitlines() if "/400  best" in text]) == 1
    assert "stopped     patience=30" in run("best", "runs/patient").out
    assert "patience=30, no new best" in Path("runs/patient/report.html").read_text()
    for command in ("best", "report"):
        assert run(command, "runs/patient", "--json").document["stopped_by"] == {"rule": "patience", "limit": 30}
    assert run("resume", "runs/patient").out == done.out


@pytest.mark.parametrize(
    ("rules", "code", "wanted"),
    [
        (["patience"], 2, "--until takes RULE=N"),
        (["patience=3", "patience=4"], 2, "gives `patience` twice"),
        (["patiens=3"], 1, "did you mean `patience`?"),
        (["seconds=soon"], 1, "give a number above 0, in seconds"),
        (["evaluations=7"], 1, "`evaluations` is 10 and `until` says 7"),
    ],
)
def test_rules_that_cannot_be(rules: list[str], code: int, wanted: str) -> None:
    given = [part for rule in rules for part in ("--until", rule)]
    done = run("search", "tiny.lark", "--task", "cli_rewards:count", "--evaluations", "10", *given)
    assert done.code == code
    assert wanted in re.sub(r"\s+", " ", done.err)


def test_json_is_the_report() -> None:
    arguments = ("search", "tiny.lark", "--task", "cli_rewards:count", "--evaluations", "10", "--seed", "3")
    done = run(*arguments, "--run", "runs/json", "--json")
    document = done.document
    assert document["format"] == "dslc.report/1"
    assert (document["status"], document["seed"], document["evaluations"]) == ("finished", 3, 10)
    assert document["command"] == shlex.join(["dslc", *arguments, "--run", "runs/json", "--json"])
    assert document["best"]["text"] == run("best", "runs/json", "--json").document["text"]
    again = run("report", "runs/json", "--json").document
    assert {**again, "seconds": None, "run": None} == {**document, "seconds": None, "run": None}


def test_best() -> None:
    document = run("best", "runs/done", "--json").document
    assert (document["text"], document["reward"]) == ("x x sigmoid sigmoid max", 2.5)
    done = run("best", "runs/done")
    assert "x x sigmoid sigmoid max" in done.out
    assert "class Activation" in done.out
    assert run("best", "runs/done", "-o", "best.py").code == 0
    assert Path("best.py").read_text() == document["source"]
    assert run("best", "runs/done", "-o", "best.py").code == 1
    assert run("best", "runs/done", "-o", "best.py", "--force").code == 0


def test_report() -> None:
    Path("runs/done/report.html").unlink(missing_ok=True)
    assert run("report", "runs/done").out == "runs/done/report.html\n"
    assert "x x sigmoid sigmoid max" in Path("runs/done/report.html").read_text()
    assert run("report", "runs/absent").code == 1


def test_sample_a_policy() -> None:
    document = run("sample", "--policy", "runs/done", "-n", "20", "--seed", "5", "--json").document
    assert document["sampler"] == "policy"
    assert len(document["samples"]) == 20
    assert all(sample["log_prob"] < 0 for sample in document["samples"])
    again = run("sample", "--policy", "runs/done", "-n", "20", "--seed", "5").out.splitlines()
    assert again == [sample["text"] for sample in document["samples"]]


def test_draw_the_best() -> None:
    assert run("draw", "--best", "runs/done", "-o", "best.svg").code == 0
    assert "sigmoid" in Path("best.svg").read_text()


def test_a_run_is_not_overwritten() -> None:
    arguments = ("search", "tiny.lark", "--task", "cli_rewards:count", "--evaluations", "5", "--run", "runs/once")
    assert run(*arguments).code == 0
    done = run(*arguments)
    assert (done.code, "DSLC622" in done.err) == (1, True)
    assert run(*arguments, "--force").code == 0


def test_the_default_folder_names_grammar_and_task() -> None:
    document = run("search", "tiny.lark", "--task", "cli_rewards:count", "--evaluations", "5", "--json").document
    assert re.fullmatch(r"runs/tiny-cli_rewards.count-\d{8}-\d{6}", document["run"])


@pytest.mark.parametrize("is_json", [False, True])
def test_nothing_usable_is_3(is_json: bool) -> None:
    run_dir = f"runs/broken{is_json}"
    arguments = ["tiny.lark", "--task", "cli_rewards:broken", "--evaluations", "30", "--run", run_dir]
    done = run("search", *arguments, *(["--json"] if is_json else []))
    assert done.code == 3
    if is_json:
        assert done.document["best"] is None
        return
    assert "nothing is good enough" in done.err
    assert "cli_rewards.py:14" in done.err  # the user's frame, not ours
    best = run("best", run_dir)
    assert best.code == 3
    assert "dslc report" in best.err


def test_settings_reach_task_and_strategy() -> None:
    settings = ("--set", "weight=4", "--set", "strategy.learning_rate=0.02")
    arguments = ("--task", "cli_rewards:wanting", "--evaluations", "5", "--control", "2", "--batch", "5")
    document = run("search", "tiny.lark", *arguments, *settings, "--run", "runs/set", "--json").document
    assert document["task"]["options"]["weight"] == 4
    assert document["strategy"]["options"]["learning_rate"] == 0.02
    assert document["control"]["samples"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--task", "digit"), 1, "did you mean `digits`"),
        (("--task", "cli_rewards:cuont"), 1, "did you mean `cli_rewards:count`"),
        (("--task", "digits", "--set", "epoch=3"), 1, "epochs"),
        (("--task", "digits", "--set", "epochs"), 2, "KEY=VALUE"),
        (("--task", "digits", "--set", "epochs=3", "--set", "epochs=4"), 2, "twice"),
        (("--task", "cli_rewards:count", "--set", "strategy.learning_rat=1"), 1, "learning_rate"),
        (("--task", "cli_rewards:count", "--strategy", "reinforced"), 1, "reinforce"),
        (("--task", "cli_rewards:count", "--evaluations", "0"), 1, "evaluations"),
        (("--task", "cli_rewards:count", "--device", "tpu"), 1, "cpu"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_sample(arguments: tuple[str, ...], code: int, words: str) -> None:
    done = run("search", "tiny.lark", *arguments, "--run", "runs/never")
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert not Path("runs/never").exists()


def test_quiet_prints_results_only() -> None:
    done = run("search", "tiny.lark", "--task", "cli_rewards:count", "--evaluations", "5", "--run", "runs/quiet", "-q")
    assert done.err == ""
    assert "x x " in done.out


def count_samples(run_dir: Path) -> int:
    try:
        with sqlite3.connect(f"file:{run_dir / 'samples.sqlite'}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT COUNT(*) FROM samples").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_is_saved_and_resumed(number: signal.Signals, folder: Path) -> None:
    """On a real terminal: the bar is shown, the signal ends it with 130, resume finishes with what was there kept."""
    run_dir = folder / "runs" / number.name
    command = [sys.executable, "-m", "dslc", "search", "tiny.lark", "--task", "cli_rewards:slow", "--evaluations", "24"]
    main_end, child_end = pty.openpty()
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "TERM": "xterm",
        "COLUMNS": "80",
    }
    process = subprocess.Popen(
        [*command, "--control", "4", "--run", str(run_dir)],
        cwd=folder,
        env=environment,
        stdout=child_end,
        stderr=child_end,
    )
    os.close(child_end)
    end = time.monotonic() + 60
    while count_samples(run_dir) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(number)
    shown = b""
    while True:
        try:
            piece = os.read(main_end, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(main_end)
    assert process.wait(30) == 130
    text = shown.decode()
    assert "/24" in text
    assert "best" in text
    assert f"dslc resume {run_dir}" in re.sub(r"\s*\r?\n", "", text).replace("resume/", "resume /")
    kept = count_samples(run_dir)
    assert 3 <= kept < 28
    assert run("report", run_dir, "--json").document["status"] == "interrupted"
    with sqlite3.connect(run_dir / "samples.sqlite") as database:
        before = database.execute("SELECT id, tokens FROM samples ORDER BY id").fetchall()
    done = run("resume", run_dir, "--json")
    assert done.code == 0
    assert (done.document["status"], done.document["evaluations"]) == ("finished", 24)
    with sqlite3.connect(run_dir / "samples.sqlite") as database:
        after = database.execute("SELECT id, tokens FROM samples ORDER BY id").fetchall()
    assert after[: len(before)] == before
    assert len(after) == 28


def test_resume_of_what_is_no_run(tmp_path: Path) -> None:
    done = run("resume", tmp_path)
    assert done.code == 1
    assert "DSLC623" in done.err


def test_what_progress_says() -> None:
    progress = Progress(
        evaluations=40, total=300, control=10, control_total=150, best=0.98765, best_text="x", batch_mean=0.91,
        control_mean=0.9, failed=2, trained=45, exhausted=False, seconds=20.0, rate=2.5,
    )  # fmt: skip
    assert progress_parts(progress) == ["best 0.9877", "batch 0.91", "2:40 left", "2.5/s", "failed 2"]


def test_limits_of_children_need_workers() -> None:
    arguments = ("search", "tiny.lark", "--task", "cli_rewards:count", "--child-seconds", "5", "--run", "runs/limited")
    for given in (arguments, ("resume", "runs/done", "--child-memory", "900")):
        done = run(*given)
        assert done.code == 1
        assert "needs a process for the child, and `workers` is 0" in re.sub(r"\s+", " ", done.err)
    assert not Path("runs/limited").exists()
