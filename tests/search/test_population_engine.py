"""Searches by populations: the rewards of the samples one by one, and a history that no crash changes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dslc
from dslc.diagnostics import DslcError
from dslc.search import engine, resume, search
from dslc.search.fit_arrays import FitArrays
from dslc.search.fit_torch import TorchFitArrays
from dslc.search.nguyen import sample_nguyen
from dslc.search.tasks.fit import FitTask, score_program
from dslc.space import Space
from tests.search import population_reward
from tests.search.toy_search import history, toy_space

TASK = "tests.search.population_reward:reward"


def small_space() -> Space:
    return dslc.compile("expression_constrained", max_tokens=12)


def populations(run_dir: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(run_dir / "samples.sqlite")) as database:
        return database.execute("SELECT * FROM batches ORDER BY id").fetchall()


def fit(run_dir: Path, strategy: str = "random", **settings: Any) -> Any:
    settings = {"evaluations": 240, "batch": 40, "control": 30, **settings}
    return search(small_space(), task="fit", strategy=strategy, run_dir=run_dir, **settings)


def test_rewards_and_failures_are_those_of_the_task(tmp_path: Path) -> None:
    run = fit(tmp_path / "run")
    assert run.info["config"]["populations"] is True
    points, _ = sample_nguyen("nguyen_1")
    for record in list(run.records())[::3]:
        outcome = score_program(record.program, points, points)
        assert record.reward == (None if outcome.reward is None else pytest.approx(outcome.reward, rel=1e-12))
        assert (record.diagnostic and record.diagnostic.code) == (outcome.diagnostic and outcome.diagnostic.code)
    assert run.best.metrics["NRMSE"] == pytest.approx(1 / run.best.reward - 1)
    assert run.to_json()["best"]["test"]["value"] is not None


def test_samples_are_those_of_the_search_one_by_one(tmp_path: Path) -> None:
    at_once, singly = fit(tmp_path / "a"), fit(tmp_path / "b", populations=False)
    assert singly.info["config"]["populations"] is False
    assert not populations(tmp_path / "b")
    own = [[(r.batch, r.program.tokens) for r in run.records() if r.origin == "policy"] for run in (at_once, singly)]
    assert own[0] == own[1]
    assert at_once.best.program.tokens == singly.best.program.tokens


def test_the_control_depends_on_nothing_else(tmp_path: Path) -> None:
    runs = fit(tmp_path / "a"), fit(tmp_path / "b", "evolution", batch=16)
    controls = [[r.program.tokens for r in run.records() if r.origin == "uniform"] for run in runs]
    assert controls[0] == controls[1]
    assert len(controls[0]) == 30


def test_children_of_arrays_are_recorded_as_such(tmp_path: Path) -> None:
    runs = fit(tmp_path / "a", "hybrid"), fit(tmp_path / "b", "hybrid", workers=2)
    origins = [[r.origin for r in run.records() if r.origin != "uniform"] for run in runs]
    assert origins[0][:40] == ["policy"] * 40
    assert set(origins[0][40:80]) == {"crossover"}, "with preset `small` every child has two parents"
    assert history(tmp_path / "a") == history(tmp_path / "b")
    assert populations(tmp_path / "a") == populations(tmp_path / "b")


class _Crash(BaseException):
    pass


def _crash_at(monkeypatch: pytest.MonkeyPatch, numbers: set[int]) -> None:
    """Scoring of these populations of a session ends the process, as far as a test can."""
    offer = FitTask.population

    def population(self: FitTask, space: Space, context: Any) -> Any:
        calls = 0
        scorer: Any = offer(self, space, context)
        score: Callable[..., Any] = scorer._rewards if isinstance(scorer, FitArrays) else scorer

        def rewards(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls in numbers:
                raise _Crash
            return score(*arguments)

        if not isinstance(scorer, FitArrays):
            return rewards
        scorer._rewards = rewards  # type: ignore[method-assign, assignment]
        return scorer

    monkeypatch.setattr(FitTask, "population", population)


@pytest.mark.parametrize("strategy", ["niches", "risk_seeking", "hybrid", "policy_gradient", "evolution"])
@pytest.mark.parametrize("checkpoint_seconds", [0.0, 1e9])
def test_a_crash_changes_nothing(
    strategy: str, checkpoint_seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(tmp_path / "whole", strategy)
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", checkpoint_seconds)
    with monkeypatch.context() as patch:
        _crash_at(patch, {8})
        with pytest.raises(_Crash):
            fit(tmp_path / "run", strategy)
    recorded = populations(tmp_path / "run")
    assert 0 < len(recorded) < 6
    run = resume(tmp_path / "run")
    assert run.status == "finished"
    assert populations(tmp_path / "run") == populations(tmp_path / "whole")
    assert populations(tmp_path / "run")[: len(recorded)] == recorded
    assert history(tmp_path / "run") == history(tmp_path / "whole")
    assert run.best.reward == whole.best.reward


def test_kill_9_loses_only_what_was_in_flight(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"strategy": "random", "evaluations": 64, "batch": 8, "control": 16}
    code = (
        "from dslc.search import search\nfrom tests.search.toy_search import toy_space\n"
        f"search(toy_space(), task={TASK!r}, run_dir={str(tmp_path / 'run')!r}, **{settings!r})"
    )
    environment = {**os.environ, population_reward.KILL_VARIABLE: "9"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode == -9
    assert resume(tmp_path / "run").status == "finished"
    search(toy_space(), task=TASK, run_dir=tmp_path / "whole", **settings)
    assert populations(tmp_path / "run") == populations(tmp_path / "whole")
    assert history(tmp_path / "run") == history(tmp_path / "whole")


def _constant(program: Any, context: Any) -> float:  # noqa: ARG001
    return 1.0


def test_populations_that_are_asked_for_and_cannot_be_had(tmp_path: Path) -> None:
    cases: list[tuple[Space, Any, dict[str, Any], str]] = [
        (toy_space(), _constant, {}, "one program at a time"),
        (toy_space(), population_reward.reward, {"halving": (0.5, 1.0)}, "halving"),
        (dslc.compile("expression", start="fitted"), "fit", {}, "fit"),
    ]
    for space, task, settings, reason in cases:
        with pytest.raises(DslcError, match="DSLC672") as caught:
            search(space, task=task, populations=True, run_dir=tmp_path / "run", evaluations=10, **settings)
        assert reason in caught.value.diagnostics[0].message


def test_a_population_function_that_fails_ends_the_run_and_can_be_mended(tmp_path: Path) -> None:
    def reward(program: Any, context: Any) -> float:  # noqa: ARG001
        return 1.0

    def population(space: Any, context: Any) -> Any:  # noqa: ARG001
        return lambda tokens: np.ones((len(tokens), 2))

    reward.population = population  # type: ignore[attr-defined]
    with pytest.raises(DslcError, match="DSLC673"):
        search(toy_space(), task=reward, strategy="random", evaluations=10, run_dir=tmp_path / "run")
    del reward.population  # type: ignore[attr-defined]
    with pytest.raises(DslcError, match="DSLC672"):
        resume(tmp_path / "run", task=reward)
    reward.population = lambda space, context: lambda tokens: np.full(len(tokens), 2.0)  # type: ignore[attr-defined]  # noqa: ARG005
    run = resume(tmp_path / "run", task=reward)
    assert run.status == "finished"
    assert [note.code.value for note in run.notes] == ["DSLC674"]


def test_torch_gives_the_rewards_of_numpy() -> None:
    space = small_space()
    points, _ = sample_nguyen("nguyen_7")
    tokens = space.sample_tokens(300, seed=0, lengths="even")
    wanted = FitArrays(space, points)(tokens)
    assert 0 < np.isnan(wanted).sum() < 300
    found = TorchFitArrays(space, points, "cpu")(tokens)
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    # A quotient by a difference that is 0 but for rounding can be anything.
    assert np.isclose(found, wanted, rtol=1e-12, atol=0, equal_nan=True).mean() > 0.99


@pytest.mark.gpu
def test_a_search_on_a_gpu_finds_what_it_finds_on_a_cpu(tmp_path: Path) -> None:
    runs = fit(tmp_path / "a"), fit(tmp_path / "b", device="cuda")
    rewards = [[r.reward for r in run.records()] for run in runs]
    on_cpu, on_gpu = (np.array(part, float) for part in rewards)
    assert np.isclose(on_cpu, on_gpu, rtol=1e-9, atol=0, equal_nan=True).mean() > 0.99


@pytest.mark.gpu
@pytest.mark.parametrize("strategy", ["niches", "risk_seeking", "hybrid", "policy_gradient"])
def test_a_search_on_a_gpu_goes_on_after_a_crash(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _crash_at(patch, {4})
        with pytest.raises(_Crash):
            fit(tmp_path / "run", strategy, device="cuda")
    recorded = populations(tmp_path / "run")
    run = resume(tmp_path / "run")
    assert run.status == "finished"
    assert populations(tmp_path / "run")[: len(recorded)] == recorded
    assert len(list(run.records())) == 270
