"""A small process that outlives a killed search just long enough to end its workers and all that they started."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

SCRIPT = """
import os, signal, sys
groups = set()
for line in sys.stdin.buffer:
    group = int(line)
    (groups.add if group > 0 else groups.discard)(abs(group))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""
"""Reads process groups to end (to forget, where negative) until its input does, which is when the search is gone.

A worker cannot do this itself: a child may hold its interpreter, and a signal at the parent's death reaches the worker
only, not what a child has started.
"""


class Guardian:
    """Ends the process groups that it watches when this process ends, however that comes about."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is not for it
        )

    def watch(self, group: int) -> None:
        """End this group at the end."""
        self._tell(group)

    def forget(self, group: int) -> None:
        """The group has ended."""
        self._tell(-group)

    def close(self) -> None:
        """End what is still watched, and the guardian."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, group: int) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # somebody ended the guardian; the search goes on without it
            self._process.stdin.write(b"%d\n" % group)
            self._process.stdin.flush()
