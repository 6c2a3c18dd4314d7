"""Runs side by side: those that searched the same in the same way are replicates, and differ by their seed alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.intervals import CONFIDENCE, difference_interval, mean_interval
from dslc.search.report.arms import read_arms, read_outcomes
from dslc.search.result import SearchResult
from dslc.search.store import connect_for_reading

FORMAT = "dslc.compare/1"
METHOD = "Student's t over seeds; of a difference, Welch's"
MOST_LATE = 100
"""The strategy's last samples whose mean tells what it proposes at the end."""
MOST_POINTS = 200
"""Most points of a curve."""
BAND = (0.1, 0.9)
"""Quantiles of the runs of a group that the band of its curve spans."""
FULL_TRAINING = 1.0
HASHES = ("grammar text", "data")
"""Settings that are told by what they hash to."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """What a comparison needs of one run."""

    folder: str
    status: str
    seed: int
    settings: dict[str, Any]
    """What makes runs replicates if it is equal, by the names that people know."""
    metric: tuple[str, str]
    """Metric and unit."""
    best_so_far: Floats
    """Best reward up to each sample of the strategy; NaN before the first."""
    late: float | None
    """Mean of the strategy's last samples, those without a reward left out."""
    control: float | None
    """Mean of the uniform control."""
    failed: int
    """Samples of both arms without a reward."""
    child_seconds: float
    is_counted: bool
    """Whether it is in the figures of its group: a run that has not finished is not, unless that is asked for."""

    @property
    def best(self) -> float | None:
        """Best reward of the strategy; None if it has none."""
        return None if not len(self.best_so_far) or np.isnan(self.best_so_far[-1]) else float(self.best_so_far[-1])


def compare_runs(run_dirs: Sequence[Path | str], *, with_unfinished: bool = False) -> dict[str, Any]:
    """Everything that a comparison says, as plain JSON values (format dslc.compare/1).

    Runs are of one group if they had the same grammar, start and budget, task with its options and data, strategy with
    its options, evaluations, batch, rules to stop and halving. Of a group: best reward, mean of the last 100 samples
    and control mean, each as the mean over its runs with an interval of 95%; failed samples and child-seconds; the
    curve of the best so far. Where children are promoted only those trained in full count as best.

    A run that has not finished and one without a reward are listed and left out of the figures, which a note says.

    Args:
        run_dirs: run folders, in any order.
        with_unfinished: count runs that have not finished as they stand.

    Raises:
        DslcError: DSLC691 if the runs measure different things, otherwise as `open_run`.
    """
    notes: list[str] = []
    runs = [_read_run(folder, with_unfinished) for folder in _distinct(run_dirs, notes)]
    _check_metrics(runs)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        same = groups.setdefault(json.dumps(run.settings, sort_keys=True), [])
        twin = next((other for other in same if _is_copy(run, other)), None)
        if twin is None:
            same.append(run)
        else:
            notes.append(f"{run.folder} has the samples of {twin.folder}, seed {run.seed}: it is left out")
    found = list(groups.values())
    names = _name_groups([group[0].settings for group in found])
    documents = [
        _describe_group(key, name, group, notes)
        for key, name, group in zip(_keys(len(found)), names, found, strict=True)
    ]
    metric, unit = runs[0].metric
    return {
        "format": FORMAT,
        "metric": metric,
        "unit": unit,
        "confidence": CONFIDENCE,
        "method": METHOD,
        "groups": documents,
        "pairs": [_describe_pair(a, b) for a, b in combinations(documents, 2)],
        "notes": notes,
    }


# --- reading ----------------------------------------------------------------------------------------------------------


def _distinct(run_dirs: Sequence[Path | str], notes: list[str]) -> list[Path]:
    """The folders, each once."""
    folders: dict[Path, Path] = {}
    for run_dir in map(Path, run_dirs):
        if run_dir.resolve() in folders:
            notes.append(f"{run_dir} is given twice")
        folders.setdefault(run_dir.resolve(), run_dir)
    return list(folders.values())


def _read_run(folder: Path, with_unfinished: bool) -> Run:
    result = SearchResult(folder)
    info, status = result.info, result.status
    with closing(connect_for_reading(folder)) as database:
        outcomes = read_outcomes(database)
        strategy, control = read_arms(database, outcomes)
    best_so_far = strategy.best_so_far()
    if outcomes.fidelities.max(initial=0.0) < FULL_TRAINING:
        best_so_far = np.full(strategy.num_samples, np.nan)
    late = strategy.rewards[-MOST_LATE:]
    late = late[~np.isnan(late)]
    return Run(
        folder=str(folder),
        status=status,
        seed=info["config"]["seed"],
        settings=_settings(info),
        metric=(info["task"]["metric"], info["task"]["unit"]),
        best_so_far=best_so_far,
        late=float(late.mean()) if len(late) else None,
        control=control.mean,
        failed=int(np.isnan(strategy.rewards).sum() + np.isnan(control.rewards).sum()),
        child_seconds=float(outcomes.seconds.sum()),
        is_counted=with_unfinished or status in ("finished", "failed"),
    )


def _settings(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a run searched and how, in the order in which a name tells it; where it ran is no part of that."""
    config, grammar, data = info["config"], info["grammar"], info["environment"].get("data_sha256")
    texts = {"": grammar["sha256"], **grammar.get("imports", {})}
    return {
        "strategy": config["strategy"],
        "task": config["task"],
        "grammar": Path(grammar["file"]).name.removesuffix(".lark"),
        "start": grammar["start"],
        "max tokens": grammar["max_tokens"],
        "evaluations": config["evaluations"],
        "batch": config["batch"],
        "halving": ",".join(f"{share:.3g}" for share in config.get("halving", ())) or None,
        **{f"until {rule}": value for rule, value in config.get("until", {}).items()},
        **{f"strategy.{name}": value for name, value in config["strategy_options"].items()},
        **config["options"],
        "grammar text": sorted(f"{name} {sha256[:12]}" for name, sha256 in texts.items()),
        **({"data": data[:12]} if data else {}),
    }


def _check_metrics(runs: Sequence[Run]) -> None:
    """Nothing, or an error if the runs' rewards are of different things.

    Raises:
        DslcError: DSLC691.
    """
    first: dict[tuple[str, str], str] = {}
    for run in runs:
        first.setdefault(run.metric, run.folder)
    if len(first) == 1:
        return
    raise DslcError(
        Diagnostic(
            Code.NOT_COMPARABLE,
            Severity.ERROR,
            f"the runs measure {len(first)} different things, whose figures cannot be compared",
            help="compare runs of one metric",
            notes=tuple(
                f"{folder}: {metric}" + (f" ({unit})" if unit else "") for (metric, unit), folder in first.items()
            ),
        )
    )


def _is_copy(run: Run, other: Run) -> bool:
    """Whether two runs of a group are one: the same seed gave the same samples, which says nothing new."""
    return run.seed == other.seed and np.array_equal(run.best_so_far, other.best_so_far, equal_nan=True)


# --- groups -----------------------------------------------------------------------------------------------------------


def _keys(count: int) -> list[str]:
    """Short names for tables and pictures: A, B, ... Z, A1, B1, ..."""
    return [chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "") for number in range(count)]


def _name_groups(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tells each group from the others: its strategy, and every setting in which not all are equal."""
    names = list(dict.fromkeys(name for each in settings for name in each))
    differ = [name for name in names if len({json.dumps(each.get(name)) for each in settings}) > 1]
    labels = []
    for each in settings:
        parts = [each["strategy"]]
        for name in differ:
            if name in HASHES:  # a number says which of several it is; a hash is nothing to read
                different = list(dict.fromkeys(json.dumps(other.get(name)) for other in settings))
                parts.append(f"{name} {1 + different.index(json.dumps(each.get(name)))}")
            elif name != "strategy" and each.get(name) is not None:
                parts.append(f"{name}={each[name]}")
        labels.append(", ".join(parts))
    return labels


def _describe_group(key: str, name: str, runs: Sequence[Run], notes: list[str]) -> dict[str, Any]:
    counted = [run for run in runs if run.is_counted]
    scored = [run for run in counted if run.best is not None]
    for run in runs:
        if not run.is_counted:
            notes.append(f"{run.folder} ({key}) is {run.status}: it is left out of the figures")
        elif run.best is None:
            notes.append(f"{run.folder} ({key}) has no {'full ' if run.late is not None else ''}reward: it is left out")
    seeds = [run.seed for run in scored]
    if len(set(seeds)) < len(seeds):
        notes.append(f"{key} has runs of one seed: they may not be independent, and the interval too narrow")
    if runs[0].settings["halving"]:
        notes.append(
            f"{key} promotes children: the best is of full training, means are of what each sample was trained"
        )
    settings = {name: value for name, value in runs[0].settings.items() if value is not None}
    return {
        "key": key,
        "name": name,
        "settings": settings,
        "runs": [
            {
                "run": run.folder,
                "status": run.status,
                "seed": run.seed,
                "counted": run in scored,
                "evaluations": len(run.best_so_far),
                "best": run.best,
                "late": run.late,
                "control": run.control,
                "failed": run.failed,
                "child_seconds": run.child_seconds,
            }
            for run in runs
        ],
        "counted": len(scored),
        "best": _interval([run.best for run in scored]),
        "late": _interval([run.late for run in scored]),
        "control": _interval([run.control for run in scored]),
        "failed": sum(run.failed for run in counted),
        "child_seconds": float(np.mean([run.child_seconds for run in counted])) if counted else None,
        "curve": _merge_curves([run.best_so_far for run in scored]),
    }


def _interval(values: Sequence[float | None]) -> dict[str, float | None] | None:
    interval = mean_interval([value for value in values if value is not None])
    return None if interval is None else interval.to_json()


def _merge_curves(curves: Sequence[Floats]) -> list[dict[str, float | int]]:
    """Mean of the best so far and a band over the runs, at evenly spaced evaluations.

    A run that a rule ended early keeps its best. A point stands where every run has a reward.
    """
    if not curves:
        return []
    longest = max(map(len, curves))
    ends = np.unique(np.linspace(1, longest, min(longest, MOST_POINTS)).round().astype(int))
    values = np.array([curve[np.minimum(ends, len(curve)) - 1] for curve in curves])
    return [
        {
            "evaluations": int(end),
            "mean": float(column.mean()),
            "low": float(np.quantile(column, BAND[0])),
            "high": float(np.quantile(column, BAND[1])),
        }
        for end, column in zip(ends, values.T, strict=True)
        if not np.isnan(column).any()
    ]


def _describe_pair(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Difference of two groups' best rewards, and of the means of their last samples."""
    pair: dict[str, Any] = {"first": first["key"], "second": second["key"]}
    for figure in ("best", "late"):
        values = [
            [run[figure] for run in group["runs"] if run["counted"] and run[figure] is not None]
            for group in (first, second)
        ]
        interval = difference_interval(*values)
        pair[figure] = None if interval is None else interval.to_json()
    return pair
