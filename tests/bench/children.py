"""Children of known cost for test_bench_workers.py; workers import this by its name."""

from __future__ import annotations

import time

from dslc.search import Context, Outcome
from dslc.space import Program

CHILD_SECONDS = 0.05
"""Time that a sleeping child waits, or CPU time that a busy one uses, in s."""


def child(program: Program, context: Context) -> Outcome:  # noqa: ARG001
    """A child that does nothing, sleeps or is busy, as its options say; its metric is its process's CPU time so far."""
    kind = context.options["kind"]
    if kind == "sleeping":
        time.sleep(CHILD_SECONDS)
    elif kind == "busy":
        end = time.process_time() + CHILD_SECONDS
        while time.process_time() < end:
            pass
    return Outcome(1.0, {"process_time": time.process_time()})
