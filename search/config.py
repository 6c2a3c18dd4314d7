"""The settings of a search, checked before anything runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.stopping import StopRule

MAX_EVALUATIONS = 1_000_000_000
"""Most samples of one search; a limit on the settings only, to catch a slipped digit."""
MAX_WORKERS = 1024
"""Most worker processes of one search; each has some 300 MB, so a larger number is a slip too."""
FAILURES_THAT_STOP = 10
"""Distinct failed children of one code, before the first success, that end a run: a broken task shows at once."""

_EARLY_RULES = tuple(rule for rule in StopRule if rule is not StopRule.EVALUATIONS)


def default_batch(evaluations: int) -> int:
    """Samples a batch unless given: a thirtieth of the evaluations, between 5 and 20, never more than there are.

    Example:
        >>> [default_batch(n) for n in (3, 60, 300, 100_000)]
        [3, 5, 10, 20]
    """
    return min(max(round(evaluations / 30), 5), 20, evaluations)


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """Every setting of a search; construct it with `make_config`, which fills in the defaults.

    Raises:
        DslcError: DSLC605 with every value out of range.
    """

    task: str
    """Name of the task: a shipped one, or `module:function`."""
    strategy: str = "policy_gradient"
    """Name of the strategy that proposes programs."""
    evaluations: int = 200
    """Samples of the strategy that are scored, 1 to 1e9; a repeat is answered from memory and counts."""
    batch: int = 7
    """Samples between two updates of the strategy, 1 to `evaluations`; default: evaluations / 30, between 5 and 20."""
    control: int = 100
    """Extra uniform samples beside the strategy's, 0 to 1e9, never told to it; default: evaluations / 2."""
    seed: int = 0
    """Seed of everything random, 0 to 2^63 - 1."""
    device: str = "cpu"
    """Where controller and children run: `cpu`, `cuda` or `cuda:N`."""
    workers: int = 0
    """Worker processes, 0 to 1024; 0: children run one after the other in this process, or, with `ray`, a worker for
    each CPU or GPU of the cluster. The history is the same for every number."""
    child_threads: int = 1
    """CPU threads of torch for controller and children, 1 to 256; rewards can depend on it."""
    child_seconds: float | None = None
    """Wall-clock time of a child in s, above 0, after which it fails and all that it started ends; needs workers."""
    child_memory: int | None = None
    """Resident memory of a worker and all that its child started, in MB, 1 to 1e9, past which the child fails; needs
    workers. It is measured 20 times a second, so a child may be a little past it before it is ended."""
    ray: str | None = None
    """Ray cluster that the children run on: its address, or `local` for one on this machine; None: no cluster."""
    halving: Sequence[float] = ()
    """Shares of full training that children are promoted through, rising to 1; empty: each is trained in full."""
    populations: bool = False
    """Whether batches are scored at once, as arrays, in this process; a search does so where its task can."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the task, such as `epochs`; the task names those that it knows."""
    strategy_options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the strategy, such as `learning_rate`; the strategy names those that it knows."""
    until: Mapping[str, Any] = field(default_factory=dict)
    """What else ends the run, by the names of `StopRule` but `evaluations`: `seconds` (above 0), `patience` (samples, 1
    to 1e9), `entropy` (nats a token, above 0); the first that is met does. Schedules still run to `evaluations`."""

    def __post_init__(self) -> None:
        reject_unknown("rule of `until`", self.until, [rule.value for rule in _EARLY_RULES])
        problems = [
            *_check_range("evaluations", self.evaluations, 1, MAX_EVALUATIONS),
            *_check_range("batch", self.batch, 1, max(1, self.evaluations) if _is_int(self.evaluations) else 1),
            *_check_range("control", self.control, 0, MAX_EVALUATIONS),
            *_check_range("seed", self.seed, 0, 2**63 - 1),
            *_check_range("workers", self.workers, 0, MAX_WORKERS),
            *_check_range("child_threads", self.child_threads, 1, 256),
            *_check_limits(self),
            *_check_halving(self.halving),
            *(problem for name, value in self.until.items() for problem in _check_until(StopRule(name), value)),
        ]
        if not isinstance(self.device, str) or not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            problems.append(_bad_setting(f"`device` is {self.device!r}", "give `cpu`, `cuda` or `cuda:N`"))
        if problems:
            raise DslcError(problems)
        object.__setattr__(self, "halving", tuple(self.halving))  # JSON has lists

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        mappings = {name: dict(getattr(self, name)) for name in ("options", "strategy_options", "until")}
        return {**asdict(self), **mappings, "halving": list(self.halving)}


def make_config(
    task: str, *, evaluations: int = 200, batch: int | None = None, control: int | None = None, **settings: Any
) -> SearchConfig:
    """The checked settings, with the defaults that depend on others filled in.

    Raises:
        DslcError: DSLC604 for an unknown setting, DSLC605 for values out of range.
    """
    reject_unknown("setting", settings, [f.name for f in fields(SearchConfig)])
    has_count = _is_int(evaluations) and evaluations >= 1
    if batch is None:
        batch = default_batch(evaluations) if has_count else 1
    if control is None:
        control = evaluations // 2 if has_count else 0
    return SearchConfig(task=task, evaluations=evaluations, batch=batch, control=control, **settings)


CHANGEABLE = ("workers", "child_seconds", "child_memory", "ray")
"""Settings that a resumed run may change: where children run and what they may use, none of which makes a sample."""


def change_settings(config: SearchConfig, given: Mapping[str, Any]) -> SearchConfig:
    """The settings of a run that goes on, with those of `given` that it may change put over them.

    Raises:
        DslcError: DSLC604 for an unknown setting, DSLC656 for one that is fixed and differs, DSLC605 for a value out of
            range.
    """
    recorded = config.to_json()
    reject_unknown("setting", given, recorded)
    fixed = [name for name, value in given.items() if name not in CHANGEABLE and value != recorded[name]]
    if fixed:
        raise DslcError(
            [
                Diagnostic(
                    Code.SETTING_FIXED,
                    Severity.ERROR,
                    f"`{name}` is {recorded[name]!r} in this run and cannot become {given[name]!r}",
                    help=f"start a new run; a resumed one may change {', '.join(CHANGEABLE)}",
                )
                for name in fixed
            ]
        )
    return replace(config, **given)


def split_until(evaluations: int | None, until: Mapping[str, Any]) -> tuple[int | None, dict[str, Any]]:
    """The number of evaluations, which may also be given as a rule of `until`, and the other rules.

    Raises:
        DslcError: DSLC605 if both give it and they differ.

    Example:
        >>> split_until(None, {"evaluations": 100, "patience": 30})
        (100, {'patience': 30})
    """
    rest = dict(until)
    as_rule = rest.pop(StopRule.EVALUATIONS.value, None)
    if as_rule is None or evaluations is None:
        return (evaluations if as_rule is None else as_rule), rest
    if as_rule != evaluations:
        message = f"`evaluations` is {evaluations!r} and `until` says {as_rule!r}"
        raise DslcError(_bad_setting(message, "give the number once: the two mean the same"))
    return evaluations, rest


def reject_unknown(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Nothing, or an error for every name in `given` that is not in `known`, with the nearest that is.

    Raises:
        DslcError: DSLC604.
    """
    known = sorted(known)
    problems = []
    for name in given:
        if name in known:
            continue
        near = get_close_matches(name, known, n=1)
        problems.append(
            Diagnostic(
                Code.UNKNOWN_OPTION,
                Severity.ERROR,
                f"there is no {what} `{name}`",
                help=(f"did you mean `{near[0]}`? " if near else "")
                + (f"known are: {', '.join(known)}" if known else f"it takes no {what}"),
            )
        )
    if problems:
        raise DslcError(problems)


def check_options(task_name: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The task's options: the defaults with what is given put over them.

    A given value must be a number where the default is one, whole where the default is, and not negative.

    Raises:
        DslcError: DSLC604 for an unknown name, DSLC605 for a value of another kind.
    """
    reject_unknown(f"option of task `{task_name}`", given, defaults)
    problems = []
    for name, value in given.items():
        wants_int = _is_int(defaults[name])
        is_number = _is_int(value) or isinstance(value, float)
        if isinstance(defaults[name], str):
            if not isinstance(value, str):
                problems.append(_bad_setting(f"option `{name}` is {value!r}", "give a word"))
        elif not is_number or (wants_int and not _is_int(value)) or value < (1 if wants_int else 0):
            wanted = "a whole number from 1" if wants_int else "a number from 0"
            problems.append(_bad_setting(f"option `{name}` is {value!r}", f"give {wanted}, such as {defaults[name]}"))
    if problems:
        raise DslcError(problems)
    return {**defaults, **given}


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_range(name: str, value: object, low: int, high: int) -> list[Diagnostic]:
    if _is_int(value) and low <= value <= high:  # type: ignore[operator]
        return []
    wanted = str(low) if low == high else f"a whole number from {low} to {high}"
    return [_bad_setting(f"`{name}` is {value!r}", f"give {wanted}")]


def _check_limits(config: SearchConfig) -> list[Diagnostic]:
    """What is wrong with the limits of a child and with where it runs."""
    problems = []
    seconds, memory = config.child_seconds, config.child_memory
    if seconds is not None and not ((_is_int(seconds) or isinstance(seconds, float)) and 0 < seconds < math.inf):
        problems.append(_bad_setting(f"`child_seconds` is {seconds!r}", "give a number above 0, in seconds"))
    if memory is not None:
        problems += _check_range("child_memory", memory, 1, 10**9)
    if config.ray is not None and (not isinstance(config.ray, str) or not config.ray):
        problems.append(_bad_setting(f"`ray` is {config.ray!r}", "give an address, or `local`"))
    if config.workers == 0 and config.ray is None:
        for name, value in (("child_seconds", seconds), ("child_memory", memory)):
            if value is not None:
                message = f"`{name}` needs a process for the child, and `workers` is 0"
                problems.append(_bad_setting(message, "give `workers` 1 or more"))
    return problems


def _check_halving(shares: object) -> list[Diagnostic]:
    """What is wrong with the rungs of halving."""
    action = "give rising shares of full training that end with 1, such as 1/9,1/3,1"
    if not isinstance(shares, list | tuple):
        return [_bad_setting(f"`halving` is {shares!r}", action)]
    if not shares:
        return []
    is_good = all(isinstance(share, int | float) and not isinstance(share, bool) and 0 < share <= 1 for share in shares)
    if is_good and len(shares) > 1 and shares[-1] == 1 and all(low < high for low, high in pairwise(shares)):
        return []
    return [_bad_setting(f"`halving` is {', '.join(f'{share!r}' for share in shares)}", action)]


def _check_until(rule: StopRule, value: object) -> list[Diagnostic]:
    name = f"until {rule.value}"
    if rule is StopRule.PATIENCE:
        return _check_range(name, value, 1, MAX_EVALUATIONS)
    if (_is_int(value) or isinstance(value, float)) and 0 < value < math.inf:  # type: ignore[operator]
        return []
    unit = "seconds" if rule is StopRule.SECONDS else "nats a token"
    return [_bad_setting(f"`{name}` is {value!r}", f"give a number above 0, in {unit}")]


def _bad_setting(message: str, action: str) -> Diagnostic:
    return Diagnostic(Code.BAD_SETTING, Severity.ERROR, message, help=action)
