"""Children that go wrong in every way, chosen by the first word of their sentence; imported by workers by its name."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dslc.search import Context
from dslc.space import Program

GRAMMAR = """
start: WHAT A A
WHAT: "well" | "raise" | "nan" | "sys.exit" | "interrupt" | "hang" | "memory" | "segfault" | "os._exit" | "flood"
A: "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9"
%ignore " "
"""
"""810 sentences; the digits make programs of their own of each way to fail."""
MEGABYTE = 10**6


def _note(*processes: int) -> None:
    """Write down which processes are there, for the test to look after."""
    note = os.environ.get("DSLC_TEST_NOTE")
    if note:
        with Path(note).open("a") as file:
            file.write("".join(f"{process}\n" for process in processes))


def _raise() -> float:
    print("about to raise")
    raise ValueError("it is not wanted")


def _exit() -> float:
    sys.exit("leaving")


def _interrupt() -> float:
    raise KeyboardInterrupt


def _hang() -> float:
    """Waits for ever, deaf to signals that can be ignored, with a child of its own and a forked one that hold pipes."""
    import signal

    print("hanging", flush=True)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    started = subprocess.Popen(["sleep", "1000"], close_fds=False)
    _note(os.getpid(), started.pid)
    while True:
        time.sleep(1000)


def _exhaust() -> float:
    held = []
    for _ in range(40):  # 2 GB are enough for any limit of a test
        held.append(b"x" * (50 * MEGABYTE))
        time.sleep(0.01)
    return 0.0


def _segfault() -> float:
    print("now it comes")
    ctypes.string_at(0)
    return 0.0


def _leave() -> float:
    """Ends the process, but a fork of it goes on holding its pipes."""
    print("gone")
    process = os.fork()
    if process == 0:
        time.sleep(1000)
    _note(process)
    os._exit(7)


def _flood() -> float:
    line = b"y" * 99 + b"\n"
    for _ in range(2000):
        os.write(1, line * 100)
    print("the last line")
    return float("inf")


FAULTS: dict[str, Callable[[], float]] = {
    "raise": _raise,
    "nan": lambda: float("nan"),
    "sys.exit": _exit,
    "interrupt": _interrupt,
    "hang": _hang,
    "memory": _exhaust,
    "segfault": _segfault,
    "os._exit": _leave,
    "flood": _flood,
}
CODES = {
    "raise": "DSLC611",
    "nan": "DSLC612",
    "sys.exit": "DSLC611",
    "interrupt": "DSLC611",
    "hang": "DSLC653",
    "memory": "DSLC654",
    "segfault": "DSLC652",
    "os._exit": "DSLC652",
    "flood": "DSLC612",
}
"""What each is recorded as."""


def die_once(program: Program, context: Context) -> float:
    """Ends its process if the file that an option names is still there, which it takes away."""
    path = Path(context.options["once"])
    if path.exists():
        path.unlink()
        os._exit(1)
    return reward(program, context)


def reward(program: Program, context: Context) -> float:
    """The sum of the digits and a share that depends on the child's seed, or a fault."""
    what, *digits = program.text.split()
    if what in FAULTS:
        return FAULTS[what]()
    return sum(map(int, digits)) + context.seed / 2**32
