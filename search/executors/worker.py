"""A worker: a process of its own that evaluates one child after the other, as the search tells it over a pipe.

It is a fresh interpreter, not a fork, and imports the user's module by its name. Its output belongs to the search,
which keeps the last lines of a failed child. When the search is gone, its pipe ends and so does the worker.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.evaluate import describe_exception, evaluate_program, run_test
from dslc.search.executors.messages import JobMessage, WorkerSetup, diagnostic_to_json, outcome_to_json
from dslc.search.outcome import Outcome, Task

if TYPE_CHECKING:
    from dslc.space import Space


def main(jobs_fd: int, results_fd: int, space_fd: int) -> None:
    """Serve until the pipe of jobs ends."""
    for descriptor in (jobs_fd, results_fd, space_fd):
        os.set_inheritable(descriptor, False)  # what a child starts must not hold the search's pipes
    faulthandler.enable()  # a crash prints the frames that it came from
    jobs = os.fdopen(jobs_fd, encoding="utf-8")
    setup = WorkerSetup(**json.loads(jobs.readline()))
    try:
        space, task = _set_up(setup, space_fd)
    except DslcError as error:
        _answer(results_fd, {"failed": [diagnostic_to_json(diagnostic) for diagnostic in error.diagnostics]})
        return
    except BaseException as error:
        _answer(results_fd, {"failed": [diagnostic_to_json(describe_exception(error))]})
        return
    _answer(results_fd, {"ready": os.getpid()})
    for line in jobs:
        content = json.loads(line)
        job = JobMessage(**{**content, "tokens": tuple(content["tokens"])})
        began = time.perf_counter()
        outcome = _evaluate(space, task, job, setup.device)
        seconds = time.perf_counter() - began
        _flush_output()
        _answer(results_fd, {"done": job.program_hash, "outcome": outcome_to_json(outcome), "seconds": seconds})
    os._exit(0)  # whatever threads a child left


def _set_up(setup: WorkerSetup, space_fd: int) -> tuple[Space, Task]:
    """The space and the task, ready."""
    from dslc.search.tasks import get_task

    task = get_task(setup.task, directory=Path(setup.directory))  # first, as in the search's own process
    import torch

    from dslc.space import load

    torch.set_num_threads(setup.child_threads)
    space = load(Path(f"/dev/fd/{space_fd}"))
    prepare = getattr(task, "prepare", None)
    found = None if prepare is None else prepare(space, setup.options)
    if found != setup.data_sha256:
        raise DslcError(
            Diagnostic(
                Code.HISTORY_DIFFERS,
                Severity.ERROR,
                f"the data of task `{setup.task}` are other ones in a worker than in the search",
                help="give every worker the same data",
                notes=(f"their sha256 is {setup.data_sha256} in the search and {found} in the worker",),
            )
        )
    return space, task


def _evaluate(space: Space, task: Task, job: JobMessage, device: str) -> Outcome | None:
    try:
        program = space.decode(job.tokens)
        return (run_test if job.is_test else evaluate_program)(task, program, job.context(device))
    except BaseException as error:  # a KeyboardInterrupt that the task raised: nobody else sends one here
        return Outcome(None, diagnostic=describe_exception(error))


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed or replaced by the child
            stream.flush()


def _answer(results_fd: int, content: dict[str, Any]) -> None:
    data = (json.dumps(content) + "\n").encode()
    while data:
        data = data[os.write(results_fd, data) :]
