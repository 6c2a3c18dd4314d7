"""Which executor a run has, by its settings."""

from __future__ import annotations

import os
import sys
from functools import reduce
from typing import TYPE_CHECKING

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.saved_space import pack_space
from dslc.search.config import SearchConfig
from dslc.search.executors.in_process import InProcessExecutor
from dslc.search.executors.job import ChildLimits, Executor
from dslc.search.executors.messages import WorkerSetup
from dslc.search.executors.pool import PoolExecutor
from dslc.search.executors.worker_process import can_measure_memory
from dslc.search.outcome import Task
from dslc.search.tasks import task_names
from dslc.search.tasks.user_function import UserFunction

if TYPE_CHECKING:
    from dslc.space import Space


def make_executor(
    config: SearchConfig, space: Space, task: Task, *, directory: str, data_sha256: str | None
) -> Executor:
    """The executor of a run; no process is started yet.

    Args:
        config: `workers`, `ray` and the limits of a child.
        space: sent to workers as it is saved, so that they need neither its file nor lark.
        task: sent to workers by its name.
        directory: where workers look for a user's module first.
        data_sha256: of the task's data, which workers must have too.

    Raises:
        DslcError: DSLC651 if workers cannot find the task by its name, DSLC606 and DSLC659 for a cluster that cannot
            be had, DSLC605 for a limit that this system cannot hold.
    """
    if config.workers == 0 and config.ray is None:
        return InProcessExecutor(task)
    if config.child_memory is not None and not can_measure_memory():
        message = "`child_memory` needs the folder /proc, which this system does not have"
        raise DslcError(Diagnostic(Code.BAD_SETTING, Severity.ERROR, message, help="leave it out"))
    check_importable(task)
    setup = WorkerSetup(task.name, directory, dict(config.options), config.device, config.child_threads, data_sha256)
    limits = ChildLimits(config.child_seconds, config.child_memory)
    content = pack_space(space.compilation)
    if config.ray is None:
        return PoolExecutor(setup, content, config.workers, limits, gpus_for(config.device))
    from dslc.search.executors.ray_cluster import RayExecutor

    return RayExecutor(setup, content, config.ray, config.workers, limits)


def check_importable(task: Task) -> None:
    """Nothing, or an error if another process would not find this task by its name.

    Raises:
        DslcError: DSLC651.
    """
    if isinstance(task, UserFunction):
        module, _, name = task.name.partition(":")
        if module == "__main__":
            why = "it is defined in the script or notebook that is running"
        elif _look_up(module, name) is task.function:
            return
        else:
            why = f"module `{module}` has no `{name}` at its top level that is this function"
    elif task.name in task_names():
        why = f"a shipped task has the name `{task.name}`, and this is another one"
        if type(task).__module__ == f"dslc.search.tasks.{task.name}":
            return
    else:
        why = "it is an object that was made in this process"
    raise DslcError(
        Diagnostic(
            Code.TASK_NOT_IMPORTABLE,
            Severity.ERROR,
            f"workers cannot find the task `{task.name}`: {why}",
            help="put a function reward(program, context) at the top level of a module and name it as module:function",
            notes=("`--workers 0` runs any task, in the search's own process",),
        )
    )


def gpus_for(device: str) -> tuple[str, ...]:
    """What each worker in turn may see, as CUDA_VISIBLE_DEVICES names it; empty for a CPU.

    Of `cuda` every GPU that this process sees, of `cuda:N` that one.
    """
    if device == "cpu":
        return ()
    import torch

    set_names = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    names = tuple(set_names or map(str, range(torch.cuda.device_count())))
    _, colon, number = device.partition(":")
    return (names[int(number)],) if colon else names


def _look_up(module: str, name: str) -> object:
    return reduce(lambda place, part: getattr(place, part, None), name.split("."), sys.modules.get(module))
