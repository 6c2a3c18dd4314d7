"""Children one after the other, in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from dslc.search.evaluate import evaluate_program, run_test
from dslc.search.executors.job import Execution, Job
from dslc.search.outcome import Outcome, Task


class InProcessExecutor:
    """Runs each job when its execution is asked for, in the order given."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def run_jobs(self, jobs: Sequence[Job]) -> Iterator[Execution]:
        """Each job's execution, in order. A child that ends the process ends the search, so none is tried again."""
        for job in jobs:
            began = time.perf_counter()
            outcome = evaluate_program(self.task, job.program, job.context)
            yield Execution(job.program_hash, outcome, time.perf_counter() - began, "main")

    def run_test(self, job: Job) -> Outcome | None:
        """See `Executor`."""
        return run_test(self.task, job.program, job.context)

    def close(self) -> None:
        """Nothing runs between two calls."""
