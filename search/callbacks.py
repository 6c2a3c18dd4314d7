"""What can be hung on a search: the report rewritten while it runs, and figures for TensorBoard.

A callback is any function of a `Progress`; it is called at most ten times a second and once when the session ends.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from dslc.search.missing_extra import missing_extra
from dslc.search.progress import Progress

REPORT_SECONDS = 5.0
"""Least time between two pages, in s, and before the first."""
REPORT_SHARE = 0.02
"""Most of the time that pages may take: the next waits until the last has taken no more than this."""


class LiveReport:
    """Rewrites the run's report.html while the search runs, and once more at its end.

    The page of a run that is going reloads itself in a browser. The first is written 5 s after the first sample, each
    further one when at least 5 s and 50 times what the last took have passed, so that at most 2% of the time goes into
    pages beside the first, which also imports what draws, some 2 s of CPU time. A search that is over sooner writes its
    page at the end alone.
    """

    def __init__(self, *, with_end: bool = True) -> None:
        """Nothing written yet.

        Args:
            with_end: write the page at the end; False where the caller does.
        """
        self._with_end = with_end
        self._due: float | None = None
        self.seconds = 0.0
        """Time that pages have taken so far, in s."""
        self.pages = 0
        """Pages written so far."""

    def __call__(self, progress: Progress) -> None:
        """Write the page if it is time.

        Raises:
            DslcError: if it cannot be written.
        """
        if self._due is None:  # the clock starts with the first sample, after what is loaded for it
            self._due = time.monotonic() + REPORT_SECONDS
        is_due = self._with_end if progress.has_ended else time.monotonic() >= self._due
        if progress.run_dir is None or not is_due:
            return
        # Plots and templates: a short search does without.
        from dslc.search.report import write_report

        began = time.monotonic()
        pause = max(REPORT_SECONDS, self.seconds / max(self.pages, 1) / REPORT_SHARE)
        write_report(progress.run_dir, pause=pause)
        took = time.monotonic() - began
        self.seconds += took
        self.pages += 1
        self._due = time.monotonic() + max(REPORT_SECONDS, took / REPORT_SHARE)


class TensorBoard:
    """Writes best, batch mean, entropy, control mean and failures as scalars, against evaluations.

    `tensorboard --logdir runs` shows them, of several runs in one plot. Needs the extra `tensorboard`, which writes;
    what shows them is TensorFlow's own package `tensorboard`.
    """

    def __init__(self, log_dir: Path | str | None = None) -> None:
        """Check that the library is there.

        Args:
            log_dir: where the files go; default: `tensorboard` in the run folder.

        Raises:
            DslcError: DSLC606 if it is not.
        """
        self.log_dir = None if log_dir is None else Path(log_dir)
        self._make_writer = _find_writer()
        self._writer: Any = None
        self._last = -1

    def __call__(self, progress: Progress) -> None:
        """Write the figures if the strategy has learned since."""
        if self._writer is None:
            folder = self.log_dir or (progress.run_dir or Path()) / "tensorboard"
            # A resumed run goes on in a file of its own; what a crash left beyond it is not shown.
            self._writer = self._make_writer(str(folder), purge_step=progress.evaluations, write_to_disk=True)
        if progress.batch != self._last or progress.has_ended:
            self._last = progress.batch
            for name, value in scalars(progress).items():
                self._writer.add_scalar(name, value, progress.evaluations)
        if progress.has_ended:
            self._writer.close()
            self._writer = None


def scalars(progress: Progress) -> dict[str, float]:
    """Figures of a search by the names under which TensorBoard shows them; those that are unknown are left out."""
    figures = {
        "reward/best": progress.best,
        "reward/batch_mean": progress.batch_mean,
        "reward/control_mean": progress.control_mean,
        "policy/entropy": progress.entropy,
        "samples/failed": progress.failed,
        "samples/distinct_programs": progress.trained,
        "samples/per_second": progress.rate,
    }
    return {name: value for name, value in figures.items() if value is not None and math.isfinite(value)}


def _find_writer() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        message = "figures for TensorBoard need tensorboardX, which is not installed"
        raise missing_extra(message, "tensorboard") from None
    return SummaryWriter
