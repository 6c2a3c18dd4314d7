"""kill -9 at random moments of a search, then resume: the history is that of a run that nobody killed."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.search.toy_search import history
from tests.soaks.settings import EVALUATIONS, RUN_VARIABLE

NUM_SAMPLES = EVALUATIONS + EVALUATIONS // 2
ROOT = Path(__file__).parents[2]
MOST_SECONDS = 2.0
"""Longest time in which what a search started may outlive it."""


@dataclass(frozen=True)
class Stop:
    """When a search is sent a signal: so many seconds after so many samples were recorded."""

    samples: int
    seconds: float
    number: int = signal.SIGKILL


def random_stop(generator: random.Random, number: int) -> Stop:
    """Anywhere in a run: while its folder is made, between samples, in a commit, in a checkpoint, in the last test."""
    samples = generator.randint(0, NUM_SAMPLES)
    return Stop(samples, generator.uniform(0, 0.3 if samples == 0 else 0.06), number)


class KillServer:
    """Searches in processes of their own, to be ended by a signal; used as a context."""

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers
        """Of the searches that are ended and resumed; the one that nobody ends has none."""

    def __enter__(self) -> KillServer:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soaks.kill_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._input.close()
        self._process.wait(timeout=60)
        self._output.close()

    def run(self, command: str, run_dir: Path, *, stop: Stop | None = None, workers: int | None = None) -> int:
        """Exit status of `search` or `resume` in `run_dir`, minus the signal if it died by one."""
        self._input.write(f"{command} {self.workers if workers is None else workers} {run_dir}\n")
        self._input.flush()
        child = int(self._output.readline())
        if stop is not None:
            deadline = time.monotonic() + 60
            while stop.samples and len(recorded_rows(run_dir)) < stop.samples and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(stop.seconds)
            with suppress(ProcessLookupError):  # it may be done; the server starts no other before it is asked
                os.kill(child, stop.number)
        return int(self._output.readline())


def recorded_rows(run_dir: Path) -> dict[int, tuple[Any, ...]]:
    """The samples recorded so far with their times, by id; none where there is no database yet."""
    if not (run_dir / "run.json").exists():
        return {}
    with closing(sqlite3.connect(f"file:{run_dir / 'samples.sqlite'}?mode=ro", uri=True)) as database:
        return {row[0]: row for row in database.execute("SELECT * FROM samples")}


def check_moment(server: KillServer, run_dir: Path, generator: random.Random, number: int) -> int:
    """Stop a search at a random moment, perhaps the resumed one again, and let it finish.

    Returns:
        How many samples were recorded at the first stop.

    Raises:
        AssertionError: if a recorded sample changed or was written twice.
    """
    server.run("search", run_dir, stop=random_stop(generator, number))
    before = recorded_rows(run_dir)
    first = len(before)
    if (run_dir / "run.json").exists() and generator.random() < 0.3:
        server.run("resume", run_dir, stop=random_stop(generator, number))
        again = recorded_rows(run_dir)
        assert all(again.get(i) == row for i, row in before.items()), "a recorded sample changed"
        before = again
    # Without a run.json the search died before it was a run, and is started again in the same folder.
    command = "resume" if (run_dir / "run.json").exists() else "search"
    assert server.run(command, run_dir) == 0, "the run did not finish"
    after = recorded_rows(run_dir)
    assert all(after.get(i) == row for i, row in before.items()), "a recorded sample changed"
    return first


def check_moments(
    server: KillServer, folder: Path, count: int, *, seed: int = 0, number: int = signal.SIGKILL
) -> list[int]:
    """Stop `count` searches at random moments and compare each, finished, with the uninterrupted one.

    Returns:
        How many samples each had recorded when it was stopped.
    """
    generator = random.Random(seed)
    assert server.run("search", folder / "whole", workers=0) == 0
    whole = history(folder / "whole")
    assert len(whole["samples"]) == NUM_SAMPLES
    at_stop = []
    for moment in range(count):
        run_dir = folder / f"moment{moment}"
        at_stop.append(check_moment(server, run_dir, generator, number))
        assert history(run_dir) == whole, f"moment {moment}: the history differs from the uninterrupted run's"
        assert not find_lasting_processes(run_dir), f"moment {moment}: workers outlived their search"
    return at_stop


def find_lasting_processes(run_dir: Path) -> list[int]:
    """Of `find_processes` those that are still there after a while: on a busy machine a killed one takes its time."""
    deadline = time.monotonic() + MOST_SECONDS
    while (found := find_processes(run_dir)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def find_processes(run_dir: Path) -> list[int]:
    """Processes that the searches in `run_dir` have started and that are still there."""
    wanted = f"{RUN_VARIABLE}={run_dir}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def soak_kill_workers(count: int) -> str:
    """As `soak_kill`, with children in two worker processes."""
    with tempfile.TemporaryDirectory() as folder, KillServer(workers=2) as server:
        at_stop = check_moments(server, Path(folder), count, seed=int(time.time()))
    return f"{count} kills at 0 to {max(at_stop)} samples recorded, {len(set(at_stop))} different places, 0 differences"


def soak_kill(count: int) -> str:
    """kill -9 at `count` random moments; returns the figures."""
    with tempfile.TemporaryDirectory() as folder, KillServer() as server:
        at_stop = check_moments(server, Path(folder), count, seed=int(time.time()))
    return f"{count} kills at 0 to {max(at_stop)} samples recorded, {len(set(at_stop))} different places, 0 differences"
