"""Children in worker processes on this machine: limits, crash isolation, one GPU a worker."""

from __future__ import annotations

import os
import selectors
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.executors.guardian import Guardian
from dslc.search.executors.job import ChildLimits, Execution, Job
from dslc.search.executors.messages import (
    JobMessage,
    WorkerSetup,
    describe_job,
    diagnostic_from_json,
    outcome_from_json,
)
from dslc.search.executors.worker_process import WorkerProcess
from dslc.search.outcome import Outcome

TICK = 0.05
"""Time between two looks at the limits, in s."""
ATTEMPTS = 2
"""Workers that may die of one child before that is its outcome."""
START_ATTEMPTS = 3
"""Workers that may fail to start, one after the other, before the search gives up."""


@dataclass(slots=True)
class _Pending:
    """A job that has no outcome yet."""

    job: JobMessage
    deaths: int = 0
    """Workers that died of it."""


@dataclass(frozen=True, slots=True)
class PoolResult:
    """What came of a job: as an `Execution`, but a test of a task that has none has no outcome."""

    program_hash: str
    outcome: Outcome | None
    seconds: float
    worker: str
    output: str


def assign_gpu(
    number: int, setup: WorkerSetup, environment: Mapping[str, str], gpus: Sequence[str]
) -> tuple[WorkerSetup, dict[str, str]]:
    """Set-up and environment of a worker that sees one GPU, which is `cuda` for it; as they are without GPUs.

    Example:
        >>> setup = WorkerSetup("digits", ".", {}, "cuda:1", 1, None)
        >>> [assign_gpu(number, setup, {}, ("2", "3"))[1]["CUDA_VISIBLE_DEVICES"] for number in range(3)]
        ['2', '3', '2']
    """
    if not gpus:
        return setup, dict(environment)
    return replace(setup, device="cuda"), {**environment, "CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]}


class PoolExecutor:
    """Runs jobs on a number of workers, which start when first needed and stay.

    A thread gives out the jobs, watches the limits and reads the pipes, so that a hanging child ends in time whatever
    the search does meanwhile, and an interrupt never falls into the middle of a message.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        space: bytes,
        workers: int,
        limits: ChildLimits | None = None,
        gpus: tuple[str, ...] = (),
    ) -> None:
        """No process is started yet.

        Args:
            setup: what each worker is told.
            space: as `pack_space` has it.
            workers: how many processes, at least 1.
            limits: of each child.
            gpus: as in CUDA_VISIBLE_DEVICES; worker k sees the k-th of them, in turn. Empty: all see what is there.
        """
        self._setup, self._num_workers, self._gpus = setup, workers, gpus
        self._limits = limits or ChildLimits()
        self._space = tempfile.TemporaryFile()  # noqa: SIM115 - nameless: nothing is left of it whatever happens
        self._space.write(space)
        self._space.flush()
        self._inbox: SimpleQueue[JobMessage | None] = SimpleQueue()
        self._outbox: SimpleQueue[PoolResult | BaseException] = SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._pending: deque[_Pending] = deque()
        self._working: dict[int, _Pending] = {}
        self._workers: dict[int, WorkerProcess] = {}
        self._failed_starts = 0
        self._selector = selectors.DefaultSelector()

    # --- for the search -------------------------------------------------------------------------------------------

    def run_jobs(self, jobs: Sequence[Job]) -> Iterator[Execution]:
        """See `Executor`: each execution as soon as it is there, in any order."""
        for result in self.run_messages([describe_job(job) for job in jobs]):
            assert result.outcome is not None, "only a test may be missing"
            yield Execution(result.program_hash, result.outcome, result.seconds, result.worker, result.output)

    def run_test(self, job: Job) -> Outcome | None:
        """See `Executor`."""
        (result,) = self.run_messages([describe_job(job, is_test=True)])
        return result.outcome

    def run_messages(self, messages: Sequence[JobMessage]) -> Iterator[PoolResult]:
        """As `run_jobs`, of jobs that are messages already.

        Raises:
            DslcError: DSLC655 if no worker can be started, or what a worker says is wrong with the task.
        """
        if messages:
            self._start()
        for message in messages:
            self._inbox.put(message)
        self._wake()
        for _ in messages:
            if self._failure is not None:
                raise self._failure
            result = self._outbox.get()
            if isinstance(result, BaseException):
                self._failure = result
                raise result
            yield result

    def close(self) -> None:
        """End all workers and whatever they started."""
        if self._thread is not None:
            self._inbox.put(None)
            self._wake()
            self._thread.join()
            self._thread = None
        if not self._space.closed:
            self._space.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="dslc worker pool", daemon=True)
            self._thread.start()

    def _wake(self) -> None:
        os.write(self._wake_write, b".")

    # --- in the thread --------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        guardian = Guardian()
        try:
            while self._take_jobs():
                self._give_out(guardian)
                # Without a worker there is nothing to look at before the next job.
                for key, _ in self._selector.select(TICK if self._working or self._starting() else None):
                    if isinstance(key.data, WorkerProcess):
                        self._listen(key.data, is_output=key.fd == key.data.output.descriptor)
                self._look_after()
        except BaseException as error:
            self._outbox.put(error)
        finally:
            for worker in list(self._workers.values()):
                self._end(worker)
            guardian.close()
            self._selector.close()

    def _take_jobs(self) -> bool:
        """Put what the search has asked for into the line; False when it has closed the pool."""
        with suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        while not self._inbox.empty():
            message = self._inbox.get()
            if message is None:
                return False
            self._pending.append(_Pending(message))
        return True

    def _starting(self) -> int:
        return sum(not worker.is_ready for worker in self._workers.values())

    def _give_out(self, guardian: Guardian) -> None:
        """Give each free worker a job, and start workers where jobs are left."""
        for worker in self._workers.values():
            if self._pending and worker.is_ready and worker.job is None:
                pending = self._pending.popleft()
                self._working[worker.number] = pending
                worker.start_job(pending.job)
        for number in range(self._num_workers):
            if len(self._pending) > self._starting() and number not in self._workers:
                self._start_worker(number, guardian)

    def _start_worker(self, number: int, guardian: Guardian) -> None:
        setup, environment = assign_gpu(number, self._setup, os.environ, self._gpus)
        worker = WorkerProcess(number, setup, self._space.fileno(), environment, guardian)
        self._workers[number] = worker
        self._selector.register(worker.results_fd, selectors.EVENT_READ, worker)
        self._selector.register(worker.output.descriptor, selectors.EVENT_READ, worker)

    def _listen(self, worker: WorkerProcess, *, is_output: bool) -> None:
        if self._workers.get(worker.number) is not worker:
            return  # it was ended by what it said before
        if is_output:
            if not worker.output.read():
                self._selector.unregister(worker.output.descriptor)
            return
        try:
            messages = worker.receive()
        except EOFError:
            self._bury(worker)
            return
        for message in messages:
            self._understand(worker, message)

    def _understand(self, worker: WorkerProcess, message: dict[str, Any]) -> None:
        """Act on what a worker says.

        Raises:
            DslcError: what is wrong with the task.
        """
        match message:
            case {"ready": _}:
                worker.is_ready, self._failed_starts = True, 0
                self._check_base_memory(worker)
            case {"failed": [*diagnostics]}:
                raise DslcError([diagnostic_from_json(diagnostic) for diagnostic in diagnostics])
            case {"done": str(program_hash), "outcome": outcome, "seconds": float(seconds)}:
                assert worker.job is not None, "a worker answers when it is asked"
                assert worker.job.program_hash == program_hash, "a worker answers what it is asked"
                del self._working[worker.number]
                worker.output.read()
                worker.job, worker.num_finished = None, worker.num_finished + 1
                text, result = worker.output.text(), outcome_from_json(outcome)
                self._outbox.put(PoolResult(program_hash, result, seconds, worker.name, text))
            case _:
                raise AssertionError(f"no worker says {message}")

    def _look_after(self) -> None:
        """End what is past its limits, and find the workers that are gone though their pipes are still held."""
        for worker in list(self._workers.values()):
            if worker.has_ended():
                self._listen(worker, is_output=False)  # its last words
                if self._workers.get(worker.number) is worker:
                    self._bury(worker)
            elif worker.job is not None:
                self._check_limits(worker)

    def _check_limits(self, worker: WorkerProcess) -> None:
        limits, took = self._limits, time.monotonic() - worker.since
        if limits.seconds is not None and took >= limits.seconds:
            self._end(worker)
            message = f"the child was still running after {limits.seconds:g} s, its limit, and was ended"
            action = "raise --child-seconds, or make training shorter"
            self._fail(worker, Diagnostic(Code.CHILD_TOO_SLOW, Severity.ERROR, message, help=action))
        elif limits.memory is not None and worker.measure_memory() > limits.memory * 10**6:
            self._end(worker)
            if worker.num_finished:  # what earlier children left counts against none: again, in a fresh worker
                self._pending.appendleft(self._working.pop(worker.number))
                return
            message = f"the child used more than {limits.memory} MB, its limit, and was ended"
            action = "raise --child-memory, or search smaller programs"
            self._fail(worker, Diagnostic(Code.CHILD_TOO_LARGE, Severity.ERROR, message, help=action))

    def _check_base_memory(self, worker: WorkerProcess) -> None:
        """Nothing, or an error if the limit leaves no room for any child.

        Raises:
            DslcError: DSLC605.
        """
        limit = self._limits.memory
        if limit is None:
            return
        used = worker.measure_memory() // 10**6
        if used >= limit:
            message = f"`child_memory` is {limit} MB, and a worker uses {used} MB before its first child"
            action = f"give more: {used + 500} leaves 500 MB to a child"
            raise DslcError(Diagnostic(Code.BAD_SETTING, Severity.ERROR, message, help=action))

    def _bury(self, worker: WorkerProcess) -> None:
        """A worker has ended by itself: its job is tried once more, and then that is the job's outcome."""
        how = self._end(worker)
        pending = self._working.get(worker.number)
        if pending is None:
            if not worker.is_ready:
                self._note_failed_start(worker, how)
            return
        pending.deaths += 1
        if pending.deaths < ATTEMPTS:
            self._pending.appendleft(self._working.pop(worker.number))
            return
        message = f"the child's process died, twice: {how}"
        action = "look at what it printed; a crash in a library, sys.exit or too little memory ends a process like this"
        self._fail(worker, Diagnostic(Code.WORKER_DIED, Severity.ERROR, message, help=action))

    def _note_failed_start(self, worker: WorkerProcess, how: str) -> None:
        """Count it.

        Raises:
            DslcError: DSLC655 at the last attempt.
        """
        self._failed_starts += 1
        if self._failed_starts < START_ATTEMPTS:
            return
        raise DslcError(
            Diagnostic(
                Code.WORKER_FAILED,
                Severity.ERROR,
                f"no worker process could be started: {how} before it was ready",
                help="look at what it printed; `--workers 0` runs children in the search's own process",
                notes=tuple(worker.output.text().split("\n")),
            )
        )

    def _fail(self, worker: WorkerProcess, problem: Diagnostic) -> None:
        pending = self._working.pop(worker.number)
        seconds = time.monotonic() - worker.since
        outcome = Outcome(None, diagnostic=problem)
        result = PoolResult(pending.job.program_hash, outcome, seconds, worker.name, worker.output.text())
        self._outbox.put(result)

    def _end(self, worker: WorkerProcess) -> str:
        """End a worker and its process group; returns how its process had ended."""
        for descriptor in (worker.results_fd, worker.output.descriptor):
            with suppress(KeyError):
                self._selector.unregister(descriptor)
        del self._workers[worker.number]
        return worker.end()
