"""Ctrl-C and SIGTERM: a child in flight is dropped, anything else is finished and recorded first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class InterruptGuard:
    """While entered, SIGINT and SIGTERM raise KeyboardInterrupt at places where nothing can be lost.

    Those places are inside `droppable` and at `check`. Python allows handlers in the main thread only; in another one
    nothing changes.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self._is_droppable = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> InterruptGuard:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    @contextmanager
    def droppable(self) -> Iterator[None]:
        """Around work that may be cut off anywhere, because it is done again on resume."""
        self.check()
        self._is_droppable = True
        try:
            yield
        finally:
            self._is_droppable = False

    def check(self) -> None:
        """Nothing, or KeyboardInterrupt if a signal has come."""
        if self.is_requested:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        self.is_requested = True
        if self._is_droppable:
            raise KeyboardInterrupt
