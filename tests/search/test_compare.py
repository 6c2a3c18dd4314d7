"""What a comparison says, against plain Python over hand-made run folders."""

from __future__ import annotations

import json
import sqlite3
import statistics
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dslc.diagnostics import Code, DslcError
from dslc.search.compare import compare_runs
from tests.search.compared_runs import invent_rows, write_replicate
from tests.search.run_folders import Row


def write_groups(folder: Path, seeds: int = 4) -> list[Path]:
    levels = {"policy_gradient": 0.93, "random": 0.8}
    return [
        write_replicate(folder / f"{strategy}-{seed}", seed=seed, strategy=strategy, level=level)
        for strategy, level in levels.items()
        for seed in range(seeds)
    ]


def own_rows(strategy_seed: int, level: float, *, is_control: bool) -> list[Row]:
    return [row for row in invent_rows(strategy_seed, level, 120) if row.is_control == is_control]


def test_figures_of_a_group_equal_plain_python(tmp_path: Path) -> None:
    data = compare_runs(write_groups(tmp_path))
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert (data["format"], data["metric"], data["unit"]) == ("dslc.compare/1", "validation accuracy", "share")
    assert [(group["key"], group["name"], group["counted"]) for group in data["groups"]] == [
        ("A", "policy_gradient", 4),
        ("B", "random", 4),
    ]
    for group, level in zip(data["groups"], (0.93, 0.8), strict=True):
        rows = [own_rows(seed, level, is_control=False) for seed in range(4)]
        rewards = [[row.reward for row in run if row.reward is not None] for run in rows]
        assert group["best"]["mean"] == pytest.approx(statistics.mean(max(run) for run in rewards))
        late = [[row.reward for row in run[-100:] if row.reward is not None] for run in rows]
        assert group["late"]["mean"] == pytest.approx(statistics.mean(statistics.mean(run) for run in late))
        blind = [[row.reward for row in own_rows(seed, level, is_control=True) if row.reward] for seed in range(4)]
        assert group["control"]["mean"] == pytest.approx(statistics.mean(map(statistics.mean, blind)))
        assert group["failed"] == sum(row.reward is None for seed in range(4) for row in invent_rows(seed, level, 120))
        assert group["child_seconds"] == pytest.approx(60)
        for point in group["curve"]:
            bests = [max((row.reward or 0) for row in run[: point["evaluations"]]) for run in rows]
            assert point["mean"] == pytest.approx(statistics.mean(bests))
            assert min(bests) <= point["low"] <= point["mean"] <= point["high"] <= max(bests)
        assert group["curve"][-1]["evaluations"] == 80
    (pair,) = data["pairs"]
    difference = data["groups"][0]["best"]["mean"] - data["groups"][1]["best"]["mean"]
    assert pair["best"]["mean"] == pytest.approx(difference)
    assert pair["best"]["low"] > 0
    assert data["notes"] == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"settings": {"strategy_options": {"learning_rate": 0.1}}}, "policy_gradient, strategy.learning_rate=0.1"),
        ({"settings": {"options": {"epochs": 5}}}, "policy_gradient, epochs=5"),
        ({"settings": {"evaluations": 80}}, "policy_gradient, evaluations=80"),
        ({"settings": {"halving": [0.25, 1.0]}}, "policy_gradient, halving=0.25,1"),
        ({"settings": {"until": {"patience": 9}}}, "policy_gradient, until patience=9"),
        ({"grammar": "activation"}, "policy_gradient, grammar=activation"),
        ({"environment": {"data_sha256": "cd" * 32}}, "policy_gradient, data 2"),
    ],
)
def test_what_differs_makes_a_group_and_its_name(tmp_path: Path, changes: dict[str, Any], name: str) -> None:
    data = compare_runs([write_replicate(tmp_path / "a"), write_replicate(tmp_path / "b", seed=1, **changes)])
    assert [group["counted"] for group in data["groups"]] == [1, 1]
    assert data["groups"][1]["name"] == name


def test_where_a_run_ran_makes_no_group(tmp_path: Path) -> None:
    elsewhere = {"workers": 4, "device": "cuda", "child_seconds": 5}
    runs = [write_replicate(tmp_path / "a"), write_replicate(tmp_path / "b", seed=1, settings=elsewhere)]
    assert [group["counted"] for group in compare_runs(runs)["groups"]] == [2]


def test_an_unfinished_run_is_left_out_unless_asked_for(tmp_path: Path) -> None:
    runs = [write_replicate(tmp_path / f"{seed}", seed=seed) for seed in range(2)]
    runs.append(write_replicate(tmp_path / "going", seed=2, samples=30, status="interrupted"))
    data = compare_runs(runs)
    (group,) = data["groups"]
    assert (group["counted"], len(group["runs"])) == (2, 3)
    assert [run["counted"] for run in group["runs"]] == [True, True, False]
    assert data["notes"] == [f"{runs[2]} (A) is interrupted: it is left out of the figures"]
    assert compare_runs(runs, with_unfinished=True)["groups"][0]["counted"] == 3


def test_runs_without_rewards_or_samples_are_told(tmp_path: Path) -> None:
    failed = [Row(0, "x", f"h{i}", None, code="DSLC611", message="it broke") for i in range(3)]
    runs = [
        write_replicate(tmp_path / "failed", rows=failed, status="failed"),
        write_replicate(tmp_path / "empty", rows=[], seed=1),
    ]
    data = compare_runs(runs)
    (group,) = data["groups"]
    assert (group["best"], group["curve"], group["counted"], group["failed"]) == (None, [], 0, 3)
    assert len(data["notes"]) == 2
    assert all("has no reward" in note for note in data["notes"])


def test_runs_of_another_metric_are_refused(tmp_path: Path) -> None:
    task = {"name": "fit", "metric": "error", "unit": "", "floor": 0.0, "accepts": None, "reference": None}
    runs = [write_replicate(tmp_path / "a"), write_replicate(tmp_path / "b", task=task)]
    with pytest.raises(DslcError) as caught:
        compare_runs(runs)
    (problem,) = caught.value.diagnostics
    assert problem.code is Code.NOT_COMPARABLE
    assert problem.notes == (f"{runs[0]}: validation accuracy (share)", f"{runs[1]}: error")


def test_a_run_counts_once(tmp_path: Path) -> None:
    runs = [write_replicate(tmp_path / name, seed=5) for name in ("a", "copy")]
    data = compare_runs([*runs, runs[0]])
    assert data["groups"][0]["counted"] == 1
    assert [note.split("/")[-1] for note in data["notes"]] == ["a is given twice", "a, seed 5: it is left out"]


def test_only_full_training_counts_as_best(tmp_path: Path) -> None:
    rows = [Row(0, "x", "a", 0.4), Row(0, "y", "b", 0.5), Row(0, "z", "c", 0.45)]
    run = write_replicate(tmp_path / "run", rows=rows, settings={"halving": [0.1, 1.0]})
    with closing(sqlite3.connect(run / "samples.sqlite")) as database, database:
        database.execute("UPDATE evaluations SET fidelity = 0.1 WHERE program_hash != 'a'")
        database.execute("INSERT INTO evaluations VALUES ('a', 0.1, 0.9, '{}', NULL, NULL, 1, '', 0)")
    data = compare_runs([run])
    (group,) = data["groups"]
    assert group["best"]["mean"] == 0.4
    assert group["child_seconds"] == pytest.approx(2.5)
    assert "promotes children" in data["notes"][0]
    with closing(sqlite3.connect(run / "samples.sqlite")) as database, database:
        database.execute("DELETE FROM evaluations WHERE fidelity = 1.0")
    data = compare_runs([run])
    assert data["groups"][0]["best"] is None
    assert "has no full reward" in data["notes"][0]
