"""The figures of a report against plain SQL and plain Python over hand-made run folders."""

from __future__ import annotations

import json
import math
import sqlite3
import statistics
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dslc.diagnostics import Code, DslcError
from dslc.search.report import report_data
from dslc.search.report.data import MOST_POINTS
from dslc.space import compile
from tests.search.run_folders import GRAMMARS, Row, random_rows, searched_rows, write_run

SEEDS = range(4)


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "samples.sqlite")) as database:
        return database.execute(sql).fetchall()


JOINED = "samples JOIN evaluations USING (program_hash)"
OURS, CONTROL = "origin != 'uniform'", "origin = 'uniform'"


@pytest.mark.parametrize("seed", SEEDS)
def test_counts_equal_sql(tmp_path: Path, seed: int) -> None:
    folder = write_run(tmp_path / "run", random_rows(seed))
    data = report_data(folder)
    assert query(folder, f"SELECT COUNT(*), COUNT(DISTINCT program_hash) FROM samples WHERE {OURS}") == [
        (data["evaluations"], data["unique"])
    ]
    assert query(folder, f"SELECT COUNT(*), COUNT(DISTINCT program_hash) FROM samples WHERE {CONTROL}") == [
        (data["control"]["samples"], data["control"]["unique"])
    ]
    assert query(folder, "SELECT COUNT(*), SUM(seconds) FROM evaluations") == [
        (data["trained"], data["seconds"]["children"])
    ]
    failures = query(
        folder,
        f"""SELECT code, COUNT(*), COUNT(DISTINCT program_hash), MIN(id) FROM {JOINED} WHERE reward IS NULL
        GROUP BY code ORDER BY COUNT(*) DESC, code""",
    )
    assert [(f["code"], f["count"], f["programs"], f["example"]) for f in data["failures"]] == failures
    for failure in data["failures"]:
        where = f"WHERE id = {failure['example']}"
        assert query(folder, f"SELECT text, message FROM {JOINED} {where}") == [(failure["text"], failure["message"])]


@pytest.mark.parametrize("seed", SEEDS)
def test_rewards_of_both_arms_equal_sql(tmp_path: Path, seed: int) -> None:
    folder = write_run(tmp_path / "run", random_rows(seed))
    data = report_data(folder)
    ((mean, best),) = query(folder, f"SELECT AVG(reward), MAX(reward) FROM {JOINED} WHERE {CONTROL}")
    assert data["control"]["mean"] == pytest.approx(mean, rel=1e-12)
    assert data["control"]["best"] == best
    rewards = [reward for (reward,) in query(folder, f"SELECT reward FROM {JOINED} WHERE {CONTROL}") if reward]
    deciles = statistics.quantiles(rewards, n=10, method="inclusive")
    assert (data["control"]["low"], data["control"]["high"]) == pytest.approx((deciles[0], deciles[-1]))
    count = data["best_of"]["samples"]
    assert count == min(data["evaluations"], data["control"]["samples"])
    for arm, condition in (("strategy", OURS), ("control", CONTROL)):
        first = f"SELECT * FROM samples WHERE {condition} ORDER BY id LIMIT {count}"
        ((best,),) = query(folder, f"SELECT MAX(reward) FROM ({first}) JOIN evaluations USING (program_hash)")
        assert data["best_of"][arm] == best
    assert data["best_of"]["equal"] == (data["best_of"]["strategy"] == data["best_of"]["control"])
    last = f"SELECT program_hash FROM samples WHERE {OURS} ORDER BY id DESC LIMIT {data['late']['samples']}"
    ((mean,),) = query(folder, f"SELECT AVG(reward) FROM ({last}) JOIN evaluations USING (program_hash)")
    assert data["late"]["mean"] == pytest.approx(mean, rel=1e-12)
    for arm, condition in (("strategy", OURS), ("control", CONTROL)):
        ((scored,),) = query(folder, f"SELECT COUNT(reward) FROM {JOINED} WHERE {condition}")
        assert sum(data["distribution"][arm]) == scored


@pytest.mark.parametrize("seed", SEEDS)
def test_curve_equals_sql_batch_by_batch(tmp_path: Path, seed: int) -> None:
    folder = write_run(tmp_path / "run", random_rows(seed))
    curve = report_data(folder)["curve"]
    batches = query(
        folder, f"SELECT batch, MAX(id), AVG(reward) FROM {JOINED} WHERE {OURS} GROUP BY batch ORDER BY batch"
    )
    assert len(curve) == len(batches)
    for point, (_, last, mean) in zip(curve, batches, strict=True):
        until = f"{OURS} AND id <= {last}"
        ((count, best),) = query(folder, f"SELECT COUNT(*), MAX(reward) FROM {JOINED} WHERE {until}")
        programs = f"SELECT DISTINCT program_hash FROM samples WHERE {until}"
        ((seconds,),) = query(folder, f"SELECT SUM(seconds) FROM evaluations WHERE program_hash IN ({programs})")
        assert (point["evaluations"], point["best"]) == (count, best)
        assert (point["mean"], point["seconds"]) == pytest.approx((mean, seconds), rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_top_is_the_best_distinct_programs_with_ties_marked(tmp_path: Path, seed: int) -> None:
    folder = write_run(tmp_path / "run", random_rows(seed))
    data = report_data(folder)
    programs = query(
        folder,
        f"""SELECT program_hash, MIN(id), reward FROM {JOINED} WHERE {OURS} AND reward IS NOT NULL
        GROUP BY program_hash ORDER BY reward DESC, MIN(id)""",
    )
    assert [(p["hash"], p["sample"], p["reward"]) for p in data["top"]] == programs[:10]
    rewards = [reward for _, _, reward in programs]
    for program in data["top"]:
        assert program["rank"] == 1 + sum(reward > program["reward"] for reward in rewards)
        assert program["ties"] == rewards.count(program["reward"]) - 1
    assert any(program["ties"] for program in data["top"])
    assert data["best"] == data["top"][0]


def test_the_document_is_json_and_says_what_ran(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", searched_rows(samples=30, control=10))
    sample = report_data(folder)["best"]["sample"]
    info = json.loads((folder / "run.json").read_text())
    test = {"metric": "test accuracy", "value": 0.97}
    (folder / "run.json").write_text(json.dumps({**info, "best": {"sample": sample, "reward": 1, "test": test}}))
    data = report_data(folder)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert (data["format"], data["best"]["format"]) == ("dslc.report/1", "dslc.best/1")
    assert (data["command"], data["seed"], data["status"]) == (info["command"], 3, "finished")
    assert data["strategy"] == {"name": "policy_gradient", "options": {"learning_rate": 0.01}}
    assert data["task"]["options"] == {"epochs": 3}
    assert data["best"]["test"] == test
    assert "class ConvNet" in data["best"]["source"]
    assert data["best"]["num_parameters"] > 0
    assert data["notes"] == []


def test_a_run_without_control_failures_or_rewards(tmp_path: Path) -> None:
    failed = [Row(0, "x", f"h{i}", None, code="DSLC611", message="it broke") for i in range(3)]
    data = report_data(write_run(tmp_path / "failed", failed, status="failed"))
    assert (data["best"], data["top"], data["control"], data["best_of"]) == (None, [], None, None)
    assert data["curve"] == [{"evaluations": 3, "seconds": 1.5, "mean": None, "best": None}]
    assert (data["distribution"], data["late"]) == (None, None)
    empty = report_data(write_run(tmp_path / "empty", []))
    assert (empty["evaluations"], empty["curve"], empty["failures"], empty["best"]) == (0, [], [], None)


def test_a_program_of_an_unreadable_grammar_is_still_listed(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", random_rows(0))
    (folder / "grammar" / "conv_net.lark").write_text("start: / broken", encoding="utf-8")
    data = report_data(folder)
    assert data["best"]["source"] is None
    assert "does not compile" in data["notes"][0]


def test_the_reward_is_that_of_the_highest_fidelity(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [Row(0, "x", "a", 0.4), Row(0, "y", "b", 0.5)])
    with closing(sqlite3.connect(folder / "samples.sqlite")) as database, database:
        database.execute("INSERT INTO evaluations VALUES ('a', 0.1, 0.9, '{}', NULL, NULL, 1, '', 0)")
    data = report_data(folder)
    assert (data["best"]["hash"], data["best"]["reward"], data["trained"]) == ("b", 0.5, 2)


def test_long_runs_are_merged_and_lose_no_sample(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rewards = generator.random(30_000).round(6)
    rows = [Row(number // 10, "s", f"h{number}", float(reward)) for number, reward in enumerate(rewards)]
    data = report_data(write_run(tmp_path / "run", rows))
    curve = data["curve"]
    assert MOST_POINTS / 2 < len(curve) <= MOST_POINTS
    assert curve[-1]["evaluations"] == len(rows)
    begin, total = 0, 0.0
    for point in curve:
        total += point["mean"] * (point["evaluations"] - begin)
        begin = point["evaluations"]
        assert point["best"] == rewards[:begin].max()
    assert math.isclose(total, rewards.sum(), rel_tol=1e-9)


def test_shares_of_choices_equal_those_counted_one_by_one(tmp_path: Path) -> None:
    rows = searched_rows(samples=90, control=20)
    folder = write_run(tmp_path / "run", rows)
    own = [row for row in rows if not row.is_control]
    tokens = report_data(folder)["tokens"]
    vocabulary = compile(GRAMMARS / "conv_net.lark").vocabulary
    assert tokens["samples"] == 90
    assert tokens["evaluations"] == list(range(10, 100, 10))
    assert len(tokens["slots"]) >= 3
    for slot in tokens["slots"]:
        for choice in slot["choices"]:
            for window, share in enumerate(choice["shares"]):
                taken = [vocabulary[t] for row in own[10 * window : 10 * window + 10] for t in row.tokens]
                of = [token.text or "stop" for token in taken if slot["name"] in (token.terminal, token.rule)]
                assert share == pytest.approx(of.count(choice["label"]) / len(of), abs=1e-4)
    for end, point in zip(tokens["evaluations"], report_data(folder)["diversity"], strict=True):
        before = {row.program for row in own[: end - 10]}
        window_programs = [row.program for row in own[end - 10 : end]]
        assert point["unique"] == pytest.approx(len(set(window_programs)) / 10)
        assert point["new"] == pytest.approx(len(set(window_programs) - before) / 10)
        assert point["entropy"] is None


def test_long_runs_are_looked_at_in_part(tmp_path: Path) -> None:
    space = compile(GRAMMARS / "conv_net.lark")
    few = space.samples(50, seed=0)
    rows = [Row(n // 100, few[n % 50].text, f"h{n % 50}", 0.5, tokens=few[n % 50].tokens) for n in range(20_000)]
    folder = write_run(tmp_path / "run", rows)
    with closing(sqlite3.connect(folder / "samples.sqlite")) as database, database:
        database.execute("CREATE TABLE updates(batch INTEGER PRIMARY KEY, figures TEXT)")
        figures = [(batch, json.dumps({"entropy": 2 - batch / 100})) for batch in range(200)]
        database.executemany("INSERT INTO updates VALUES (?, ?)", figures)
    data = report_data(folder)
    assert len(data["diversity"]) <= 30
    assert data["tokens"]["samples"] <= 30 * 300
    assert data["diversity"][0]["new"] == pytest.approx(50 / data["diversity"][0]["evaluations"], abs=1e-4)
    assert data["diversity"][-1]["new"] == 0
    assert data["diversity"][-1]["entropy"] == pytest.approx(2 - 1.96, abs=0.04)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DslcError) as caught:
        report_data(tmp_path)
    assert caught.value.diagnostics[0].code is Code.NOT_A_RUN
