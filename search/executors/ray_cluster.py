"""Children on a Ray cluster: on each node it places hosts, each of which runs one worker of a process pool.

So limits and crash isolation are those of the pool, on whatever node, and a host that is lost with its node costs its
child a second try. dslc and the user's module must be importable on every node; the space travels as it is saved.

Source: Moritz et al., Ray: a distributed framework for emerging AI applications, OSDI 2018.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.executors.job import ChildLimits, Execution, Job
from dslc.search.executors.messages import (
    JobMessage,
    WorkerSetup,
    describe_job,
    diagnostic_from_json,
    outcome_from_json,
)
from dslc.search.executors.pool import ATTEMPTS
from dslc.search.missing_extra import missing_extra
from dslc.search.outcome import Outcome

LOCAL = "local"
"""Address that means: start a cluster of this machine alone, for this search."""
WAIT_SECONDS = 0.5
"""Longest time between two looks for an interrupt, in s."""


REACH_SECONDS = 10.0
"""Longest time that a cluster may take to accept a connection, in s."""


class RayExecutor:
    """Runs jobs on a fixed number of hosts of a cluster; hosts start when first needed and stay."""

    def __init__(
        self, setup: WorkerSetup, space: bytes, address: str, workers: int, limits: ChildLimits | None = None
    ) -> None:
        """Connect to the cluster, or start one.

        Args:
            setup: what each worker is told.
            space: as `pack_space` has it.
            address: of the cluster, as `ray.init` takes it, or `local`.
            workers: how many; 0: as many as the cluster has room for.
            limits: of each child.

        Raises:
            DslcError: DSLC606 if Ray is not installed, DSLC659 if the cluster cannot be had, DSLC605 if it has no room
                for so many workers.
        """
        self._ray = _import_ray()
        self._is_mine = not self._ray.is_initialized()
        if self._is_mine:
            _connect(self._ray, address)
        self._hosts: dict[int, Any] = {}
        self._working: dict[Any, tuple[int, JobMessage, int]] = {}  # answer to come -> host, job, deaths before
        self._needs = {"CPU": setup.child_threads, "GPU": 0 if setup.device == "cpu" else 1}
        """Of a host, in the words of the cluster."""
        try:
            self._num_workers = self._find_room(workers)
        except DslcError:
            self.close()
            raise
        self._host_class = self._ray.remote(_make_host_class())
        self._space = self._ray.put(space)
        device = "cpu" if setup.device == "cpu" else "cuda"  # Ray shows a host the one GPU that it has
        self._setup = {**asdict(setup), "device": device}
        self._limits = asdict(limits or ChildLimits())

    def run_jobs(self, jobs: Sequence[Job]) -> Iterator[Execution]:
        """See `Executor`: each execution as soon as it is there, in any order."""
        for answer in self._run_messages([describe_job(job) for job in jobs]):
            yield Execution(**answer)

    def run_test(self, job: Job) -> Outcome | None:
        """See `Executor`."""
        (answer,) = self._run_messages([describe_job(job, is_test=True)])
        outcome: Outcome | None = answer["outcome"]
        return outcome

    def close(self) -> None:
        """End the hosts, and the cluster if it was started here."""
        for host in self._hosts.values():
            with suppress(Exception):  # it may be gone, or the cluster
                self._ray.kill(host)
        self._hosts.clear()
        if self._is_mine:
            self._is_mine = False
            self._ray.shutdown()

    def _run_messages(self, messages: Sequence[JobMessage]) -> Iterator[dict[str, Any]]:
        pending = deque((message, 0) for message in messages)
        room = self._room()
        while pending or self._working:
            busy = {number for number, _, _ in self._working.values()}
            for number in self._free_hosts(busy, room):
                if pending:
                    job, deaths = pending.popleft()
                    answer = self._host(number).run.remote(asdict(job))
                    self._working[answer] = number, job, deaths
            done, _ = self._ray.wait(list(self._working), num_returns=1, timeout=WAIT_SECONDS)
            for answer in done:
                number, job, deaths = self._working.pop(answer)
                try:
                    yield _read_answer(self._ray.get(answer), number)
                except self._ray.exceptions.RayActorError as error:
                    self._hosts.pop(number, None)
                    room = self._room()  # its node may be gone: a host that nothing has room for would wait for ever
                    if deaths + 1 < ATTEMPTS:
                        pending.appendleft((job, deaths + 1))
                    else:
                        yield _describe_loss(job, number, error)

    def _free_hosts(self, busy: set[int], room: int) -> list[int]:
        """Numbers of those without a job that the cluster has room for; such as run already come first."""
        wanted = min(self._num_workers, max(room, 1))  # without any room: one waits for a node to come back
        free = [number for number in range(self._num_workers) if number not in busy]
        free.sort(key=lambda number: number not in self._hosts)
        return free[: max(wanted - len(busy), 0)]

    def _room(self) -> int:
        """How many workers the nodes that are there have room for."""
        total = self._ray.cluster_resources()
        return min(int(total.get(name, 0) // need) for name, need in self._needs.items() if need)

    def _host(self, number: int) -> Any:
        if number not in self._hosts:
            search_path = [os.path.abspath(place) for place in sys.path if not _is_of_python(place)]
            needs = {"num_cpus": self._needs["CPU"], "num_gpus": self._needs["GPU"]}
            host = self._host_class.options(**needs, max_restarts=0, scheduling_strategy="SPREAD")
            self._hosts[number] = host.remote(search_path, self._setup, self._space, self._limits)
        return self._hosts[number]

    def _find_room(self, workers: int) -> int:
        """How many workers: those asked for, or as many as there is room for.

        Raises:
            DslcError: DSLC605.
        """
        room = self._room()
        if 0 < (workers or room) <= room:
            return workers or room
        total = self._ray.cluster_resources()
        what = ", ".join(f"{need} {name}" for name, need in self._needs.items() if need)
        has = ", ".join(f"{total.get(name, 0):g} {name}" for name, need in self._needs.items() if need)
        raise DslcError(
            Diagnostic(
                Code.BAD_SETTING,
                Severity.ERROR,
                f"`workers` is {workers}, and the cluster has room for {room}",
                help=f"each needs {what}, and the cluster has {has}",
            )
        )


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        message = "`ray` needs the package Ray, which is not installed"
        raise missing_extra(message, "ray", "; or use --workers for processes of this machine") from None
    return ray


def _connect(ray: Any, address: str) -> None:
    """Connect, or start a cluster of this machine.

    Raises:
        DslcError: DSLC659.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is started here reports to nobody
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "WARNING"}
    if address == LOCAL:
        options["include_dashboard"] = False
    try:
        _reach(address)  # Ray itself tries for minutes
        ray.init(**options)
    except Exception as error:  # Ray raises ConnectionError, ValueError, RuntimeError and others
        raise DslcError(
            Diagnostic(
                Code.NO_CLUSTER,
                Severity.ERROR,
                f"there is no Ray cluster at `{address}`",
                help="start one with `ray start --head` and give its address, or give `local`",
                notes=(f"{type(error).__name__}: {' '.join(str(error).split())}",),
            )
        ) from error


def _reach(address: str) -> None:
    """Nothing, or an error if nobody listens at the address of a cluster; other kinds of address are left to Ray.

    Raises:
        OSError: why the connection failed.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()


def _make_host_class() -> type:
    """The class of a host; made in a function so that Ray sends it whole, to nodes that have yet to find dslc."""

    class Host:
        """A process pool of one worker, on some node."""

        def __init__(self, search_path: list[str], setup: Any, space: bytes, limits: Any) -> None:
            import sys

            sys.path.extend(place for place in search_path if place not in sys.path)
            from dslc.search.executors.job import ChildLimits
            from dslc.search.executors.messages import WorkerSetup
            from dslc.search.executors.pool import PoolExecutor

            self.pool = PoolExecutor(WorkerSetup(**setup), space, 1, ChildLimits(**limits))

        def run(self, job: Any) -> dict[str, Any]:
            """What came of a job, as JSON values."""
            from dslc.diagnostics import DslcError
            from dslc.search.executors.messages import JobMessage, diagnostic_to_json, outcome_to_json

            try:
                (result,) = self.pool.run_messages([JobMessage(**job)])
            except DslcError as error:
                return {"failed": [diagnostic_to_json(diagnostic) for diagnostic in error.diagnostics]}
            return {
                "program_hash": result.program_hash,
                "outcome": outcome_to_json(result.outcome),
                "seconds": result.seconds,
                "output": result.output,
            }

    return Host


def _read_answer(answer: dict[str, Any], number: int) -> dict[str, Any]:
    """The fields of an execution.

    Raises:
        DslcError: what a worker says is wrong with the task.
    """
    if "failed" in answer:
        raise DslcError([diagnostic_from_json(diagnostic) for diagnostic in answer["failed"]])
    return {**answer, "outcome": outcome_from_json(answer["outcome"]), "worker": f"ray-{number}"}


def _describe_loss(job: JobMessage, number: int, error: Exception) -> dict[str, Any]:
    problem = Diagnostic(
        Code.WORKER_DIED,
        Severity.ERROR,
        "the host of the child's process was lost, twice",
        help="look at the nodes of the cluster: too little memory on one ends its processes",
        notes=(" ".join(str(error).split())[:400],),
    )
    outcome = Outcome(None, diagnostic=problem)
    return {
        "program_hash": job.program_hash,
        "outcome": outcome,
        "seconds": 0.0,
        "output": "",
        "worker": f"ray-{number}",
    }


def _is_of_python(place: str) -> bool:
    """Whether a place on the path is Python's own or for its packages: another node has another Python."""
    return any(os.path.abspath(place).startswith(prefix + os.sep) for prefix in (sys.prefix, sys.base_prefix))
