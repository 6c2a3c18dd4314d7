"""Searches that promote children: what is trained how long, what counts as best, and that interrupts change nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.search import SearchResult, resume, search
from dslc.search.halving import REPORTED
from dslc.search.report import report_data
from tests.search import halving_task
from tests.search.halving_task import STEPS, STOPPED, quality
from tests.search.toy_search import history

RUNGS = (1 / 9, 1 / 3, 1.0)
SPACE = dslc.compile("nasbench201")
TASK = "tests.search.halving_task:train"


@pytest.fixture(autouse=True)
def fresh_task() -> None:
    halving_task.CALLS.clear()
    halving_task.INTERRUPT_AT.clear()


def run(folder: Path, **settings: Any) -> SearchResult:
    settings = {"evaluations": 60, "batch": 10, "control": 12, "halving": RUNGS, **settings}
    return search(SPACE, task=TASK, seed=4, run_dir=folder, **settings)


def read(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "samples.sqlite")) as database:
        return database.execute(query).fetchall()


def test_all_are_trained_a_little_and_few_in_full(tmp_path: Path) -> None:
    result = run(tmp_path / "run", evaluations=300, control=0)
    counts = dict(read(tmp_path / "run", "SELECT fidelity, COUNT(*) FROM evaluations GROUP BY fidelity"))
    ((programs,),) = read(tmp_path / "run", "SELECT COUNT(DISTINCT program_hash) FROM samples")
    assert counts[RUNGS[0]] == programs
    assert programs / 3 <= counts[RUNGS[1]] + 1
    assert counts[1.0] + 1 >= counts[RUNGS[1]] / 3 > counts[RUNGS[0]] / 12
    assert sum(fidelity * count for fidelity, count in counts.items()) < programs / 2
    in_full = {text for text, fidelity in halving_task.CALLS if fidelity == 1}
    assert result.best.program.text in in_full
    assert result.best.reward is not None
    assert result.best.reward == pytest.approx(quality(result.best.program.text) - 0.3 / STEPS)


def test_the_best_is_one_trained_in_full_everywhere(tmp_path: Path) -> None:
    result = run(tmp_path / "run")
    data = report_data(tmp_path / "run")
    ((best,),) = read(
        tmp_path / "run",
        """SELECT MAX(reward) FROM evaluations WHERE fidelity = 1
        AND program_hash IN (SELECT program_hash FROM samples WHERE origin != 'uniform')""",
    )
    assert result.best.reward == data["best"]["reward"] == result.info["best"]["reward"] == best
    ((seconds,),) = read(tmp_path / "run", "SELECT SUM(seconds) FROM evaluations")
    assert data["seconds"]["children"] == seconds
    assert len(list(result.records())) == 72, "one record a sample, however often its program was trained"


def test_a_short_search_trains_its_best_in_full_at_the_end(tmp_path: Path) -> None:
    result = run(tmp_path / "run", evaluations=2, batch=2, control=0)
    assert [fidelity for _, fidelity in halving_task.CALLS] == [RUNGS[0]] * 2 + [RUNGS[1], 1.0]
    assert result.best.reward is not None
    assert result.best.metrics[STOPPED] == STEPS


def test_training_worse_than_most_is_stopped_and_what_was_reported_kept(tmp_path: Path) -> None:
    result = run(tmp_path / "run", evaluations=400, control=0)
    full = [r for r in result.records() if r.reward is not None and r.metrics.get(f"{REPORTED}{STEPS}") is not None]
    assert all(r.metrics[f"{REPORTED}{STEPS}"] == r.reward for r in full)
    rows = read(tmp_path / "run", f"SELECT json_extract(metrics, '$.\"{STOPPED}\"'), fidelity FROM evaluations")
    steps = [step for step, fidelity in rows if fidelity == 1 and step is not None]
    assert STEPS in steps
    assert min(steps) < STEPS


@pytest.mark.parametrize("moment", range(1, 110, 9))
def test_an_interrupt_at_any_child_changes_nothing(tmp_path: Path, moment: int) -> None:
    run(tmp_path / "whole")
    halving_task.CALLS.clear()
    halving_task.INTERRUPT_AT.append(moment)
    interrupted = run(tmp_path / "run")
    assert interrupted.status == ("interrupted" if len(halving_task.CALLS) == moment else "finished")
    halving_task.INTERRUPT_AT.clear()
    assert resume(tmp_path / "run").status == "finished"
    assert history(tmp_path / "run") == history(tmp_path / "whole")
    trained = [(text, fidelity) for text, fidelity in halving_task.CALLS]
    assert len(set(trained)) >= len(trained) - 1, "only the child that the interrupt fell into is trained again"


def test_the_history_is_the_same_with_workers(tmp_path: Path) -> None:
    run(tmp_path / "none")
    run(tmp_path / "two", workers=2)
    assert history(tmp_path / "none") == history(tmp_path / "two")


def test_without_halving_nothing_is_kept_of_what_is_reported(tmp_path: Path) -> None:
    result = run(tmp_path / "run", halving=())
    assert {fidelity for _, fidelity in halving_task.CALLS} == {1.0}
    assert not any(name.startswith(REPORTED) for record in result.records() for name in record.metrics)


@pytest.mark.parametrize("shares", [(1,), (0.5, 0.2, 1), (0.5, 0.9), (0, 1), (True, 1), "1/3,1", (0.5, 2)])
def test_shares_that_do_not_rise_to_one_are_refused(tmp_path: Path, shares: Any) -> None:
    with pytest.raises(DslcError) as caught:
        run(tmp_path / "run", halving=shares)
    assert caught.value.diagnostics[0].code is Code.BAD_SETTING
    assert not (tmp_path / "run").exists()
