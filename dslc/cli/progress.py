"""How a running search shows itself: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from dslc.cli.terminal import Terminal

if TYPE_CHECKING:
    from dslc.search.progress import Progress

LINE_SECONDS = 10.0
"""Least time between two lines where there is no terminal."""


class LineProgress:
    """A line every ten seconds, and one at the end."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Print a line if it is time."""
        if progress.has_ended or time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            click.echo("  ".join([f"{progress.evaluations}/{progress.total}", *progress_parts(progress)]), err=True)


class LiveProgress:
    """A bar with figures that stays in its place at the bottom of the terminal."""

    def __init__(self) -> None:
        # Only a search on a terminal needs it.
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=Console(file=sys.stderr, highlight=False),
            transient=True,
        )
        self._task: Any = None

    def __enter__(self) -> LiveProgress:
        self._bar.start()
        self._task = self._bar.add_task("starting", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Move the bar."""
        text = "  ".join(progress_parts(progress))
        self._bar.update(self._task, completed=progress.evaluations, total=progress.total, description=text)


def progress_parts(progress: Progress) -> list[str]:
    """Figures of a search, the most wanted first: they are cut from the end where a terminal is narrow."""
    parts = ["best -" if progress.best is None else f"best {progress.best:.4g}"]
    if progress.batch_mean is not None:
        parts.append(f"batch {progress.batch_mean:.4g}")
    left = progress.seconds_left
    if left is not None:
        parts.append(f"{clock(left)} left")
    parts.append(f"{progress.rate:.3g}/s")
    if progress.failed:
        parts.append(f"failed {progress.failed}")
    if progress.exhausted:
        parts.append("every sentence seen")
    return parts


def clock(seconds: float) -> str:
    """Seconds as a clock shows them.

    Example:
        >>> clock(5), clock(125), clock(7325)
        ('0:05', '2:05', '2:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def open_progress(terminal: Terminal) -> AbstractContextManager[Any]:
    """A context whose value is the callback of a search, or None with --quiet."""
    if terminal.is_quiet:
        return nullcontext(None)
    return LiveProgress() if sys.stderr.isatty() else nullcontext(LineProgress())
