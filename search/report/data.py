"""The figures of a run as one JSON document, from run.json and samples.sqlite alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dslc.diagnostics import DslcError
from dslc.search.evaluate import hash_program
from dslc.search.population_record import KEY_PREFIX
from dslc.search.report.arms import Arm, Outcomes, merge_batches, read_arms, read_outcomes
from dslc.search.report.diversity import describe_diversity, describe_tokens
from dslc.search.result import SearchResult
from dslc.search.store import connect_for_reading, has_outputs, output_notes

if TYPE_CHECKING:
    from dslc.space import Program, Space

FORMAT = "dslc.report/1"
BEST_FORMAT = "dslc.best/1"
TOP = 10
"""Programs in the list of the best."""
MOST_POINTS = 400
"""Most points of a curve; longer runs have neighbouring batches merged."""
MOST_LATE = 50
"""The strategy's last samples whose mean tells what the policy proposes at the end."""
BAND = (0.1, 0.9)
"""Quantiles of the control's rewards that the band of the curve spans."""
NUM_BINS = 24
"""Bars of the distribution of rewards."""


def report_data(run_dir: Path | str) -> dict[str, Any]:
    """Everything that a report says, as plain JSON values (format dslc.report/1).

    Beside the keys of the format: `planned` (evaluations asked for), `stopped_by` (rule and limit that ended the run,
    null while it has not finished), `best_of` (both arms after the same number of samples), `late` (the strategy's last
    samples), `distribution` (counts of rewards of both arms over the same bins), `diversity` and `tokens` (what the
    strategy proposes over time, see `dslc.search.report.diversity`) and `notes` (what could not be told).

    Works while the run goes on, and takes no lock.

    Raises:
        DslcError: if the folder is no run, or a newer dslc wrote it.
    """
    run = SearchResult(run_dir)
    info = run.info
    notes: list[str] = []
    space = _open_space(run, notes)
    with closing(connect_for_reading(run.run_dir)) as database:
        outcomes = read_outcomes(database)
        strategy, control = read_arms(database, outcomes)
        head = _describe_search(run)
        top = _list_top(database, strategy, outcomes, head, space, notes)
        return {
            "format": FORMAT,
            **head,
            "planned": info["config"]["evaluations"],
            "evaluations": strategy.num_samples,
            "unique": strategy.num_programs,
            "trained": len(outcomes.number_by_hash),
            "failures": _count_failures(database, (strategy, control), outcomes),
            "seconds": _describe_seconds(database, info),
            "curve": merge_batches(strategy, MOST_POINTS),
            "control": _describe_control(database, control),
            "best_of": _compare_best(strategy, control),
            "late": _describe_late(strategy),
            "distribution": _count_rewards(strategy, control),
            "diversity": describe_diversity(database, strategy),
            "tokens": describe_tokens(database, strategy, space),
            "best": _describe_best(info, top),
            "top": top,
            "notes": notes,
        }


# --- what ran ---------------------------------------------------------------------------------------------------------


def _describe_search(run: SearchResult) -> dict[str, Any]:
    info = run.info
    config, grammar, task = info["config"], info["grammar"], info["task"]
    return {
        "run": str(run.run_dir),
        "status": run.status,
        "command": info["command"],
        "grammar": {key: grammar[key] for key in ("file", "sha256", "start", "max_tokens", "target")},
        "stopped_by": info.get("stopped_by"),
        "task": {**{key: task[key] for key in ("name", "metric", "unit", "reference")}, "options": config["options"]},
        "strategy": {"name": config["strategy"], "options": config["strategy_options"]},
        "seed": config["seed"],
        "device": config["device"],
        "environment": info["environment"],
    }


def _describe_seconds(database: sqlite3.Connection, info: Mapping[str, Any]) -> dict[str, float | None]:
    """Wall-clock time in all (up to the last sample while the run goes on), of the children, and of the controller."""
    children, first, last = database.execute(
        "SELECT (SELECT SUM(seconds) FROM evaluations), MIN(created_at), MAX(created_at) FROM samples"
    ).fetchone()
    so_far = {"total": None if first is None else last - first, "controller": None}
    return {**so_far, "children": children or 0.0, **info.get("seconds", {})}


def _open_space(run: SearchResult, notes: list[str]) -> Space | None:
    """The run's own grammar, compiled again; None, with a note, if this dslc cannot read it."""
    try:
        return run.space
    except DslcError as error:
        notes.append(f"the grammar of the run does not compile, so programs have no source and no drawing: {error}")
        return None


# --- the best programs ------------------------------------------------------------------------------------------------


def _list_top(
    database: sqlite3.Connection,
    strategy: Arm,
    outcomes: Outcomes,
    head: Mapping[str, Any],
    space: Space | None,
    notes: list[str],
) -> list[dict[str, Any]]:
    """The strategy's best distinct programs, best first, of equal ones the earlier first; each as dslc.best/1.

    Where children were promoted, only those trained longest are compared.

    More keys: `rank` (equal rewards share one), `ties` (how many further programs of the arm have this reward).
    """
    programs, first = np.unique(strategy.programs, return_index=True)
    is_usable = outcomes.is_full[programs] & ~np.isnan(outcomes.rewards[programs])
    programs = programs[is_usable]
    ids, rewards = strategy.ids[first[is_usable]], outcomes.rewards[programs]
    top = []
    for place in np.lexsort((ids, -rewards))[:TOP]:
        sample, reward, program = int(ids[place]), float(rewards[place]), programs[place]
        text, tokens, program_hash = database.execute(
            "SELECT text, tokens, program_hash FROM samples WHERE id = ?", (sample,)
        ).fetchone()
        document = {
            "format": BEST_FORMAT,
            "run": head["run"],
            "task": head["task"]["name"],
            "metric": head["task"]["metric"],
            "unit": head["task"]["unit"],
            "strategy": head["strategy"]["name"],
            "seed": head["seed"],
            "evaluations": strategy.num_samples,
            "sample": sample,
            "text": text,
            "tokens": json.loads(tokens),
            "hash": _find_hash(space, tokens, program_hash),
            "reward": reward,
            "stopped_by": head["stopped_by"],
            "test": None,
            "reference": head["task"]["reference"],
            "rank": 1 + int((rewards > reward).sum()),
            "ties": int((rewards == reward).sum()) - 1,
        }
        document["metrics"] = _read_metrics(database, int(outcomes.rows[program]))
        top.append({**document, **_describe_program(space, document["tokens"], document["metrics"], notes)})
    return top


def _find_hash(space: Space | None, tokens: str, program_hash: str) -> str:
    """The program's hash, which is not recorded for the sentences of a population."""
    if space is None or not program_hash.startswith(KEY_PREFIX):
        return program_hash
    return hash_program(space.decode(json.loads(tokens)))


def _read_metrics(database: sqlite3.Connection, row: int) -> dict[str, float | None]:
    """What the task recorded beside the reward in an evaluation."""
    (metrics,) = database.execute("SELECT metrics FROM evaluations WHERE rowid = ?", (row,)).fetchone()
    found: dict[str, float | None] = json.loads(metrics or "{}")
    return found


def _describe_program(
    space: Space | None, tokens: list[int], metrics: Mapping[str, float | None], notes: list[str]
) -> dict[str, Any]:
    """Source and size of a program; constants that the task fitted are written into the source."""
    described: dict[str, Any] = {"num_parameters": None, "source": None}
    if space is None or space.target is None:
        return described
    try:
        program: Program = space.decode(tokens)
        constants = {name: value for name, value in metrics.items() if value is not None}
        described["source"] = program.source_with(constants).text
        described["num_parameters"] = program.num_parameters
    except DslcError as error:
        note = str(error)
        if note not in notes:
            notes.append(note)
    return described


def _describe_best(info: Mapping[str, Any], top: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first of the list, with the test figure that the run recorded for it."""
    if not top:
        return None
    recorded = info.get("best") or {}
    if recorded.get("sample") == top[0]["sample"]:
        top[0]["test"] = recorded.get("test")
    return top[0]


# --- both arms --------------------------------------------------------------------------------------------------------


def _count_failures(database: sqlite3.Connection, arms: tuple[Arm, Arm], outcomes: Outcomes) -> list[dict[str, Any]]:
    """Samples of both arms without a reward, by code: how many, and the first as an example."""
    samples: dict[str | None, list[tuple[int, int]]] = {}
    for arm in arms:
        failed = np.isnan(arm.rewards)
        for sample, program in zip(arm.ids[failed].tolist(), arm.programs[failed].tolist(), strict=True):
            samples.setdefault(outcomes.codes[program], []).append((sample, program))
    failures = []
    for code, found in sorted(samples.items(), key=lambda item: (-len(item[1]), item[0] or "")):
        example, program = min(found)
        (text,) = database.execute("SELECT text FROM samples WHERE id = ?", (example,)).fetchone()
        message, program_hash = database.execute(
            "SELECT message, program_hash FROM evaluations WHERE rowid = ?", (int(outcomes.rows[program]),)
        ).fetchone()
        printed = None
        if has_outputs(database):
            row = database.execute("SELECT text FROM outputs WHERE program_hash = ?", (program_hash,)).fetchone()
            printed = row[0] if row else None
        message = "\n".join((message or "", *output_notes(printed)))
        programs = len({program for _, program in found})
        failures.append(
            {
                "code": code,
                "count": len(found),
                "programs": programs,
                "example": example,
                "text": text,
                "message": message,
            }
        )
    return failures


def _describe_control(database: sqlite3.Connection, control: Arm) -> dict[str, Any] | None:
    if not control.num_samples:
        return None
    low, high = np.quantile(control.scored, BAND) if len(control.scored) else (None, None)
    best_sample = None if control.best is None else int(control.ids[np.nanargmax(control.comparable)])
    best_text = database.execute("SELECT MAX(text) FROM samples WHERE id = ?", (best_sample,)).fetchone()[0]
    return {
        "samples": control.num_samples,
        "unique": control.num_programs,
        "mean": control.mean,
        "best": control.best,
        "best_sample": best_sample,
        "best_text": best_text,
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "curve": merge_batches(control, MOST_POINTS),
    }


def _compare_best(strategy: Arm, control: Arm) -> dict[str, Any] | None:
    """Best of the first n samples of each arm, n being as many as both have."""
    count = min(strategy.num_samples, control.num_samples)
    if not count:
        return None
    bests = strategy.best_of(count), control.best_of(count)
    return {"samples": count, "strategy": bests[0], "control": bests[1], "equal": bests[0] == bests[1]}


def _describe_late(strategy: Arm) -> dict[str, Any] | None:
    rewards = strategy.rewards[-MOST_LATE:]
    scored = rewards[~np.isnan(rewards)]
    return {"samples": len(rewards), "mean": float(scored.mean())} if len(scored) else None


def _count_rewards(strategy: Arm, control: Arm) -> dict[str, list[float] | list[int]] | None:
    """Histogram of both arms over the same bins; the first also holds the lowest half percent, however low they are."""
    rewards = np.concatenate([strategy.scored, control.scored])
    if not len(rewards):
        return None
    low, high = float(np.quantile(rewards, 0.005)), float(rewards.max())
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, NUM_BINS + 1)
    counts = [np.histogram(np.clip(arm.scored, low, high), edges)[0].tolist() for arm in (strategy, control)]
    return {"edges": edges.tolist(), "strategy": counts[0], "control": counts[1]}
