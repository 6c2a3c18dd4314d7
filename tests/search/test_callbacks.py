"""What hangs on a search: the live report, TensorBoard, and callbacks that fail."""

from __future__ import annotations

import struct
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dslc.diagnostics import Code, DslcError
from dslc.search import Progress
from dslc.search.callbacks import LiveReport, TensorBoard, scalars
from dslc.space import Program
from tests.search.toy_search import history, sum_of_digits, toy_run

PROGRESS = Progress(
    evaluations=40, total=300, control=10, control_total=150, best=0.9, best_text="x", batch_mean=0.8,
    control_mean=None, failed=2, trained=45, exhausted=False, seconds=20.0, rate=2.5, batch=4, entropy=float("nan"),
)  # fmt: skip


def test_a_callback_that_raises_loses_nothing(tmp_path: Path) -> None:
    seen: list[int] = []

    def watch(progress: Progress) -> None:
        seen.append(progress.evaluations)
        raise ZeroDivisionError("no figure")

    def count(progress: Progress) -> None:
        counts.append(progress.evaluations)

    counts: list[int] = []
    plain = toy_run(tmp_path / "plain")
    result = toy_run(tmp_path / "watched", callbacks=[watch, count])
    assert result.status == "finished"
    assert history(result.run_dir) == history(plain.run_dir)
    assert len(seen) == 1
    assert counts[-1] == 60
    (note,) = result.notes
    assert note.code is Code.CALLBACK_RAISED
    assert "`watch` raised ZeroDivisionError" in note.message
    assert note.notes[0] == "ZeroDivisionError: no figure"
    assert "in watch" in note.notes[1]


def test_a_callback_can_end_the_search_as_ctrl_c_does(tmp_path: Path) -> None:
    def watch(progress: Progress) -> None:
        if progress.evaluations >= 10 and not progress.has_ended:
            raise KeyboardInterrupt

    result = toy_run(tmp_path / "run", task=slow_sum, callbacks=[watch])
    assert result.status == "interrupted"
    assert 10 <= len(list(result.records())) < 60


def slow_sum(program: Program, context: Any) -> float:
    """As `sum_of_digits`, in 0.02 s."""
    time.sleep(0.02)
    return sum_of_digits(program, context)


def test_callbacks_are_told_of_batches_and_failures(tmp_path: Path) -> None:
    def some_fail(program: Program, context: Any) -> float:
        if program.text.startswith("1"):
            raise ValueError("one")
        return sum_of_digits(program, context)

    told: list[Progress] = []
    toy_run(tmp_path / "run", task=some_fail, callbacks=[told.append], batch=10)
    assert (told[-1].batch, told[-1].run_dir, told[-1].workers) == (6, tmp_path / "run", 0)
    assert told[-1].failures == {"DSLC611": told[-1].failed}
    assert told[-1].failed > 0


def test_the_live_report_is_rewritten_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = toy_run(tmp_path / "run")
    clock, pages = [0.0], []
    monkeypatch.setattr("dslc.search.callbacks.time.monotonic", lambda: clock[0])

    def write(run_dir: Path, *, pause: float) -> Path:
        pages.append((clock[0], pause))
        clock[0] += 0.5
        return run_dir

    monkeypatch.setattr("dslc.search.report.write_report", write)
    report = LiveReport()
    progress = replace(PROGRESS, run_dir=result.run_dir)
    for _ in range(2000):
        clock[0] += 0.1
        report(progress)
    times = [at for at, _ in pages]
    assert 5 <= times[0] <= 5.3
    assert all(later - earlier >= 25 for earlier, later in pairwise(times))
    assert (report.seconds - 0.5) / clock[0] <= 0.02
    assert [pause for _, pause in pages[:2]] == [5.0, 25.0]
    report(replace(progress, has_ended=True))
    assert len(pages) == report.pages == len(times) + 1
    LiveReport(with_end=False)(replace(progress, has_ended=True))
    assert len(pages) == report.pages


def test_a_search_with_the_report_leaves_a_page_of_its_end(tmp_path: Path) -> None:
    result = toy_run(tmp_path / "run", callbacks=[LiveReport()])
    text = (result.run_dir / "report.html").read_text()
    assert 'class="tag finished"' in text
    assert 'id="live"' not in text


def read_events(folder: Path) -> list[tuple[str, int, float]]:
    """Name, step and value of every scalar in TensorBoard's files: length, checksum, event, checksum, and again."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.glob("events.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
            data = data[16 + length :]
    return found


def test_tensorboard_gets_the_figures(tmp_path: Path) -> None:
    told: list[Progress] = []
    result = toy_run(tmp_path / "run", task=slow_sum, batch=10, callbacks=[TensorBoard(), told.append])
    assert result.notes == ()
    events = read_events(result.run_dir / "tensorboard")
    best = {step: value for name, step, value in events if name == "reward/best"}
    assert best[60] == told[-1].best
    assert len(best) >= 3
    assert {"reward/batch_mean", "reward/control_mean", "samples/failed"} < {name for name, _, _ in events}
    elsewhere = TensorBoard(tmp_path / "elsewhere")
    elsewhere(replace(PROGRESS, entropy=0.5, has_ended=True))
    assert ("policy/entropy", 40, 0.5) in read_events(tmp_path / "elsewhere")


def test_scalars_leave_out_what_is_unknown() -> None:
    assert scalars(PROGRESS) == {
        "reward/best": 0.9,
        "reward/batch_mean": 0.8,
        "samples/failed": 2,
        "samples/distinct_programs": 45,
        "samples/per_second": 2.5,
    }


def test_tensorboard_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(DslcError) as caught:
        TensorBoard()
    (problem,) = caught.value.diagnostics
    assert problem.code is Code.MISSING_EXTRA
    assert 'pip install "dslc[tensorboard]"' in (problem.help or "")
