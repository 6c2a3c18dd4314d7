"""What is searched for: the shipped tasks by name, and a user's own as `module:function`."""

from __future__ import annotations

import math
import pkgutil
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.outcome import Task

_NO_TASKS = ("user_function",)


def task_names() -> tuple[str, ...]:
    """Names of the shipped tasks: the modules of this folder that have a `make_task`.

    Example:
        >>> "digits" in task_names()
        True
    """
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NO_TASKS))


def get_task(name: str, *, directory: Path | None = None) -> Task:
    """The task of that name: a shipped one, or the function that `module:function` names.

    Args:
        name: as in `task_names()`, or `module:function`.
        directory: where a user's module is looked for first; default: the current directory.

    Raises:
        DslcError: DSLC601 for an unknown name, DSLC602 for a module or function that cannot be had.
    """
    if ":" in name:
        from dslc.search.tasks.user_function import load_user_function

        return load_user_function(name, directory=directory)
    if name in task_names():
        task: Task = import_module(f"dslc.search.tasks.{name}").make_task()
        return task
    near = get_close_matches(name, task_names(), n=1)
    raise DslcError(
        Diagnostic(
            Code.UNKNOWN_TASK,
            Severity.ERROR,
            f"there is no task `{name}`",
            help=(f"did you mean `{near[0]}`? " if near else "")
            + f"shipped are: {', '.join(task_names())}; your own function is named as module:function",
        )
    )


def describe_task(task: Task) -> dict[str, Any]:
    """What a task declares, as JSON values; a floor that it does not name is null."""
    reference = task.reference
    return {
        "name": task.name,
        "metric": task.metric,
        "unit": task.unit,
        "floor": task.floor if math.isfinite(task.floor) else None,
        "accepts": None if task.accepts is None else list(task.accepts),
        "evaluations": task.evaluations,
        "options": dict(getattr(task, "options", None) or {}),
        "reference": None
        if reference is None
        else {"label": reference[0], "value": reference[1], "command": reference[2]},
    }


def describe_tasks() -> list[dict[str, Any]]:
    """What each shipped task declares; needs none of their data."""
    return [describe_task(get_task(name)) for name in task_names()]
