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
    """A bar with figures below it that stays in its place at the bottom of the terminal."""

    def __init__(self, console: Any = None) -> None:
        # Only a search on a terminal needs it.
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._columns = Bar(
            BarColumn(bar_width=28), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
        )
        self._task = self._columns.add_task("starting", total=None)
        self._lines: list[str] = []
        self._bar = Live(
            get_renderable=self._render,
            console=console or Console(file=sys.stderr, highlight=False),
            transient=True,
        )

    def _render(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in self._lines]
        return Group(self._columns, *lines)

    def __enter__(self) -> LiveProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Move the bar."""
        left = progress.seconds_left
        speed = f"{progress.rate:.3g}/s" + ("" if left is None else f"  {clock(left)} left")
        self._lines = progress_lines(progress)
        self._columns.update(self._task, completed=progress.evaluations, total=progress.total, description=speed)


def progress_lines(progress: Progress) -> list[str]:
    """Figures of a search in lines of their own below the bar: rewards, children, and failures by code."""
    rewards = [
        "best -" if progress.best is None else f"best {progress.best:.4g}",
        *([] if progress.batch_mean is None else [f"batch {progress.batch_mean:.4g}"]),
        *([] if progress.control_mean is None else [f"control {progress.control_mean:.4g}"]),
        *([] if progress.entropy is None else [f"entropy {progress.entropy:.3g}"]),
        *(["every sentence seen"] if progress.exhausted else []),
    ]
    children = [
        f"{progress.trained} programs",
        *([] if progress.trained_in_full is None else [f"{progress.trained_in_full} trained in full"]),
        *([f"{progress.workers} workers"] if progress.workers else []),
    ]
    lines = ["  ".join(rewards), "  ".join(children)]
    if progress.failed:
        codes = "  ".join(f"{code} × {count}" for code, count in progress.failures.items())
        lines.append(f"failed {progress.failed}" + (f": {codes}" if codes else ""))
    return lines


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
        codes = ", ".join(f"{code} × {count}" for code, count in progress.failures.items())
        parts.append(f"failed {progress.failed}" + (f" ({codes})" if codes else ""))
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
