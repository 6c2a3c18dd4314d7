"""The search's side of one worker: its process, its pipes, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dslc.search.executors.guardian import Guardian
from dslc.search.executors.messages import JobMessage, WorkerSetup
from dslc.search.executors.output import CHUNK, OutputTail

BOOTSTRAP = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from dslc.search.executors.worker import main
main(*map(int, sys.argv[2:]))
"""


class WorkerProcess:
    """A fresh interpreter in a session and process group of its own, so that all it starts can be ended with it."""

    def __init__(
        self,
        number: int,
        setup: WorkerSetup,
        space_fd: int,
        environment: Mapping[str, str],
        guardian: Guardian,
    ) -> None:
        self.number = number
        """From 0; a worker that replaces another has its number."""
        self.job: JobMessage | None = None
        """What it works on."""
        self.is_ready = False
        """Whether it has set up and can be given jobs."""
        self.num_finished = 0
        """Children that it has finished."""
        self.since = time.monotonic()
        """When it was started or given its job."""
        self._guardian = guardian
        jobs_read, self._jobs_fd = os.pipe()
        self.results_fd, results_write = os.pipe()
        output_read, output_write = os.pipe()
        search_path = [os.path.abspath(place) for place in sys.path]  # `` is the current folder
        descriptors = jobs_read, results_write, space_fd
        try:
            self.process = subprocess.Popen(
                # -P: before the path is set, no file of the current folder may pass for a standard module. -u: what a
                # child printed before it crashed is not lost in a buffer.
                [sys.executable, "-P", "-u", "-c", BOOTSTRAP, json.dumps(search_path), *map(str, descriptors)],
                stdin=subprocess.DEVNULL,
                stdout=output_write,
                stderr=output_write,
                pass_fds=descriptors,
                start_new_session=True,
                env=environment,
            )
        finally:
            for descriptor in (jobs_read, results_write, output_write):
                os.close(descriptor)
        guardian.watch(self.process.pid)
        os.set_blocking(self.results_fd, False)
        self.output = OutputTail(output_read)
        self._received = b""
        self._send(asdict(setup))

    @property
    def name(self) -> str:
        """What the record calls it."""
        return f"worker-{self.number}"

    def start_job(self, job: JobMessage) -> None:
        """Give it a job; one that has died meanwhile is found out like one that dies at work."""
        self.job, self.since = job, time.monotonic()
        self.output.clear()
        self._send(asdict(job))

    def receive(self) -> list[dict[str, Any]]:
        """What it has said since the last call.

        Raises:
            EOFError: if it will say nothing more, or what it said is no message.
        """
        while True:
            try:
                data = os.read(self.results_fd, CHUNK)
            except BlockingIOError:
                break
            self._received += data
            if not data:
                if b"\n" not in self._received:
                    raise EOFError
                break
        *lines, self._received = self._received.split(b"\n")
        try:
            return [json.loads(line) for line in lines]
        except ValueError as error:
            raise EOFError from error

    def has_ended(self) -> bool:
        """Whether its process is gone; a child that it left behind may still hold its pipes."""
        return self.process.poll() is not None

    def measure_memory(self) -> int:
        """Resident bytes of the worker and of all that it started; shared pages count in each."""
        return sum(_resident_bytes(number) for number in _descendants(self.process.pid))

    def end(self) -> str:
        """Kill its process group and say how its process had ended, in words."""
        status = self.process.poll()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._guardian.forget(self.process.pid)
        self.output.read()
        for descriptor in (self._jobs_fd, self.results_fd, self.output.descriptor):
            os.close(descriptor)
        return _describe_status(self.process.returncode if status is None else status)

    def _send(self, content: dict[str, Any]) -> None:
        data = (json.dumps(content) + "\n").encode()
        with suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._jobs_fd, data) :]


def can_measure_memory() -> bool:
    """Whether this system tells what a process uses."""
    return Path("/proc/self/statm").exists()


def _resident_bytes(number: int) -> int:
    try:
        return int(Path(f"/proc/{number}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):  # it has ended
        return 0


def _descendants(number: int) -> list[int]:
    """The process and all below it."""
    found = [number]
    for process in found:
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, children.read_text().split())
    return found


def _describe_status(status: int) -> str:
    if status >= 0:
        return f"it ended with exit status {status}"
    try:
        return f"it was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was ended by signal {-status}"
