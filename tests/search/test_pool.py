"""Children in worker processes: the same history as in one, limits, and every way to go wrong as a recorded outcome.

A worker takes seconds to start, so one search and one pool serve many tests.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.saved_space import pack_space
from dslc.search import Context, SearchResult, open_run, search
from dslc.search.executors.choose import check_importable, gpus_for
from dslc.search.executors.job import ChildLimits, Job
from dslc.search.executors.messages import (
    WorkerSetup,
    diagnostic_from_json,
    diagnostic_to_json,
    outcome_from_json,
    outcome_to_json,
)
from dslc.search.executors.output import tidy_output
from dslc.search.executors.pool import PoolExecutor
from dslc.search.outcome import Outcome
from dslc.search.tasks import get_task
from dslc.search.tasks.user_function import UserFunction
from tests.search import faults
from tests.search.toy_search import history, sum_of_digits, toy_run, toy_space
from tests.soaks.faults import GivenSentences, is_alive

ROOT = Path(__file__).parents[2]
LIMITS = ChildLimits(seconds=12.0, memory=800)


TEXTS = ["well 1 2", *(f"{what} 3 4" for what in faults.FAULTS), "well 5 6"]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    """A search all of whose children but two go wrong, each in its own way, on two workers."""
    folder = tmp_path_factory.mktemp("faulty")
    space = dslc.compile_text(faults.GRAMMAR, name="faults.lark")
    os.environ["DSLC_TEST_NOTE"] = str(folder / "note")
    try:
        return search(
            space,
            task=faults.reward,
            strategy=GivenSentences(space, TEXTS),
            evaluations=len(TEXTS),
            control=0,
            batch=len(TEXTS),
            workers=2,
            child_seconds=LIMITS.seconds,
            child_memory=LIMITS.memory,
            run_dir=folder / "run",
        )
    finally:
        del os.environ["DSLC_TEST_NOTE"]


def test_a_search_goes_on_whatever_its_children_do(faulty: SearchResult) -> None:
    assert faulty.status == "finished"
    found = {r.program.text.split()[0]: r.diagnostic.code.value for r in faulty.records() if r.diagnostic is not None}
    assert found == faults.CODES
    assert [int(r.reward) for r in faulty.records() if r.reward is not None] == [3, 11]


def test_the_last_lines_of_a_failed_child_are_kept(faulty: SearchResult) -> None:
    notes = {r.program.text.split()[0]: r.diagnostic.notes for r in faulty.records() if r.diagnostic is not None}
    printed = {
        what: [n.removeprefix("it printed: ") for n in all_ if "it printed" in n] for what, all_ in notes.items()
    }
    assert printed["raise"] == ["about to raise"]
    assert printed["hang"] == ["hanging"]
    assert printed["os._exit"] == ["gone"]
    assert printed["nan"] == []
    assert printed["flood"][-1] == "the last line"
    assert len(printed["flood"]) == 20
    assert printed["segfault"][:2] == ["now it comes", "Fatal Python error: Segmentation fault"]
    assert any("in _segfault" in line for line in printed["segfault"]), "the frames of the crash"
    failures = {failure["code"]: failure["message"] for failure in faulty.to_json()["failures"]}
    assert "it printed: hanging" in failures["DSLC653"]


def test_a_child_past_its_limit_ends_within_two_seconds_with_all_that_it_started(faulty: SearchResult) -> None:
    (hanging,) = (r for r in faulty.records() if r.program.text.startswith("hang"))
    assert LIMITS.seconds is not None
    assert LIMITS.seconds <= hanging.seconds < LIMITS.seconds + 2
    noted = [int(line) for line in (faulty.run_dir.parent / "note").read_text().splitlines()]
    assert len(noted) == 4, "the worker that hung, what it started, and a fork of each that left"
    assert not any(map(is_alive, noted))


def test_a_worker_that_dies_is_told_of_with_how(faulty: SearchResult) -> None:
    messages = {r.program.text.split()[0]: r.diagnostic.message for r in faulty.records() if r.diagnostic is not None}
    assert messages["segfault"] == "the child's process died, twice: it was ended by SIGSEGV"
    assert messages["os._exit"] == "the child's process died, twice: it ended with exit status 7"
    assert messages["memory"] == "the child used more than 800 MB, its limit, and was ended"


def test_the_history_is_the_same_on_each_executor(tmp_path: Path) -> None:
    runs = {}
    for workers in (0, 1, 4):
        task = "tests.search.test_pool:sometimes"
        runs[workers] = toy_run(tmp_path / str(workers), task, workers=workers, evaluations=40, batch=10)
        assert runs[workers].status == "finished"
    histories = [history(run.run_dir) for run in runs.values()]
    assert histories[0] == histories[1] == histories[2]
    assert [run.info["best"] for run in runs.values()] == [runs[0].info["best"]] * 3
    assert runs[0].info["best"]["test"] is not None
    with closing(sqlite3.connect(tmp_path / "4" / "samples.sqlite")) as database:
        workers_used = {worker for (worker,) in database.execute("SELECT worker FROM evaluations")}
    assert workers_used <= {f"worker-{number}" for number in range(4)}
    assert len(workers_used) > 1


def sometimes(program: dslc.Program, context: Context) -> float | Outcome:
    """A reward that depends on generators, options and the child's seed, has metrics, and sometimes fails."""
    import random

    import torch

    time.sleep(0.1 + 0.3 * (context.seed % 7) / 7)  # so that workers overtake one another
    if program.text.endswith("4"):
        print("not wanted")
        raise ValueError(f"{program.text} is not wanted")
    noise = random.random() + float(torch.randn(())) + context.seed / 2**32
    return Outcome(sum_of_digits(program, context) + noise, {"noise": noise, "nothing": float("nan")})


sometimes.test = lambda program, context: sum_of_digits(program, context) + context.seed  # type: ignore[attr-defined]


def test_a_child_whose_worker_dies_once_is_tried_again(tmp_path: Path) -> None:
    space = dslc.compile_text(faults.GRAMMAR, name="faults.lark")
    setup = WorkerSetup("tests.search.faults:die_once", str(ROOT), {}, "cpu", 1, None)
    (tmp_path / "once").touch()
    with closing(PoolExecutor(setup, pack_space(space.compilation), 1)) as pool:
        context = Context(1, options={"once": str(tmp_path / "once")})
        jobs = [Job(text, space.parse(text), context) for text in ("well 1 1", "well 1 2", "raise 1 1")]
        executions = list(pool.run_jobs(jobs))
        assert [execution.program_hash for execution in executions] == ["well 1 1", "well 1 2", "raise 1 1"]
        assert [execution.outcome.reward is None for execution in executions] == [False, False, True]
        assert not (tmp_path / "once").exists()
        assert list(pool.run_jobs([])) == []
        assert pool.run_test(jobs[0]) is None, "the function has no test"
    pool.close()  # once more does nothing


def test_ten_failures_of_one_code_stop_the_run(tmp_path: Path) -> None:
    space = dslc.compile_text(faults.GRAMMAR, name="faults.lark")
    texts = [f"raise {first} {second}" for first in range(1, 6) for second in range(1, 5)]
    result = search(
        space,
        task="tests.search.faults:reward",
        strategy=GivenSentences(space, texts),
        evaluations=20,
        control=0,
        batch=20,
        workers=1,
        run_dir=tmp_path / "run",
    )
    assert result.status == "failed"
    assert len(list(result.records())) == 10
    (note,) = result.notes
    assert note.code is Code.TOO_MANY_FAILURES
    assert "it printed: about to raise" in note.notes


HANGING = """
import sys
import dslc
from dslc.search import search
from tests.search import faults
space = dslc.compile_text('start: "hang" A\\nA: "1" | "2"\\n%ignore " "')
task, run_dir = "tests.search.faults:reward", sys.argv[1]
search(space, task=task, strategy="random", evaluations=1, control=0, workers=1, run_dir=run_dir)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_search(tmp_path: Path, number: signal.Signals) -> None:
    """Nor does what a hanging child has started."""
    note = tmp_path / "note"
    environment = {**os.environ, "DSLC_TEST_NOTE": str(note), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HANGING, str(tmp_path / "run")]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as killed:
        deadline = time.monotonic() + 120
        while (not note.exists() or note.read_text().count("\n") < 2) and time.monotonic() < deadline:
            assert killed.poll() is None
            time.sleep(0.05)
        processes = [int(line) for line in note.read_text().splitlines()]
        assert all(map(is_alive, processes))
        killed.send_signal(number)
        assert killed.wait(timeout=60) == (-number if number == signal.SIGKILL else 0)
    assert open_run(tmp_path / "run").status == "interrupted"
    deadline = time.monotonic() + 10
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, processes))


def test_a_worker_that_cannot_start_is_told_of_with_what_it_printed(tmp_path: Path) -> None:
    (tmp_path / "leaves_at_import.py").write_text("import os\nprint('no place for me')\nos._exit(3)\n")
    setup = WorkerSetup("leaves_at_import:score", str(tmp_path), {}, "cpu", 1, None)
    space = toy_space()
    with closing(PoolExecutor(setup, pack_space(space.compilation), 1)) as pool:
        for _ in range(2):
            with pytest.raises(DslcError) as caught:
                list(pool.run_jobs([Job("a", space[0], Context(0))]))
            (problem,) = caught.value.diagnostics
            assert problem.code is Code.WORKER_FAILED
            assert problem.notes == ("no place for me",)


def test_what_a_worker_finds_wrong_with_the_task_is_told(tmp_path: Path) -> None:
    setup = WorkerSetup("no_such_module:score", str(tmp_path), {}, "cpu", 1, None)
    space = toy_space()
    with closing(PoolExecutor(setup, pack_space(space.compilation), 1)) as pool:
        with pytest.raises(DslcError) as caught:
            list(pool.run_jobs([Job("a", space[0], Context(0))]))
        assert caught.value.diagnostics[0].code is Code.TASK_NOT_FOUND


def test_a_memory_limit_that_leaves_no_room_is_refused() -> None:
    class Large:
        def measure_memory(self) -> int:
            return 400 * 10**6

    pool = PoolExecutor(WorkerSetup("digits", ".", {}, "cpu", 1, None), b"", 1, ChildLimits(memory=300))
    with pytest.raises(DslcError) as caught:
        pool._check_base_memory(Large())  # type: ignore[arg-type]
    assert caught.value.diagnostics[0].code is Code.BAD_SETTING
    assert "900 leaves 500 MB" in (caught.value.diagnostics[0].help or "")
    pool.close()


def test_a_task_that_no_worker_can_find_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    def local(program: dslc.Program, context: Context) -> float:  # noqa: ARG001
        return 0.0

    class Task(UserFunction):
        pass

    same_name = get_task("digits")
    check_importable(same_name)
    check_importable(UserFunction(sum_of_digits))
    check_importable(get_task("tests.search.toy_search:sum_of_digits"))
    script = UserFunction(sum_of_digits, "__main__:sum_of_digits")
    other = Task(sum_of_digits, "digits")
    for task in (UserFunction(local), UserFunction(lambda p, c: 0.0), script, other):  # noqa: ARG005
        with pytest.raises(DslcError) as caught:
            check_importable(task)
        assert caught.value.diagnostics[0].code is Code.TASK_NOT_IMPORTABLE
    with pytest.raises(DslcError):
        toy_run(tmp_path / "run", local, workers=2)
    assert not (tmp_path / "run").exists()


def test_which_gpus_workers_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpus_for(device) for device in ("cpu", "cuda", "cuda:2")] == [(), ("0", "1", "2"), ("2",)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-ab")
    assert [gpus_for(device) for device in ("cpu", "cuda", "cuda:1")] == [(), ("4", "GPU-ab"), ("GPU-ab",)]


@pytest.mark.gpu
def test_workers_train_on_a_gpu(tmp_path: Path) -> None:
    run = search(
        dslc.compile("conv_net"),
        task="digits",
        evaluations=8,
        control=4,
        device="cuda",
        workers=2,
        run_dir=tmp_path / "run",
    )
    assert run.status == "finished"
    assert all(record.reward is not None for record in run.records())


def test_outcomes_travel_bit_for_bit() -> None:
    for outcome in (None, Outcome(0.1 + 0.2, {"a": 1e-323, "b": float("inf")})):
        assert outcome_from_json(json.loads(json.dumps(outcome_to_json(outcome)))) == outcome
    (nan,) = outcome_from_json(
        json.loads(json.dumps(outcome_to_json(Outcome(1.0, {"a": float("nan")}))))
    ).metrics.values()  # type: ignore[union-attr]
    assert nan != nan
    with pytest.raises(DslcError) as caught:
        get_task("digit")
    problem = caught.value.diagnostics[0]
    assert diagnostic_from_json(json.loads(json.dumps(diagnostic_to_json(problem)))) == problem


def test_output_is_bounded_and_shown_without_control_characters() -> None:
    text = tidy_output(b"\n".join(b"%d" % number for number in range(99)) + b"\n" + b"w" * 999 + b"\x1b[2J\0\n\n")
    lines = text.split("\n")
    assert (len(lines), lines[0], len(lines[-1])) == (20, "80", 400)
    assert lines[-1].endswith("w\ufffd[2J\ufffd")
