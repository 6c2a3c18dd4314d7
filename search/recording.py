"""What is said when a run folder cannot be written: a full disk, a folder without permission."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity


@contextmanager
def recording(run_dir: Path) -> Iterator[None]:
    """Around all that writes into a run folder: what the system or the database refuses is told as such.

    Raises:
        DslcError: DSLC657. What was recorded before is whole: files are replaced at once, rows come in transactions.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise DslcError(
            Diagnostic(
                Code.CANNOT_RECORD,
                Severity.ERROR,
                f"the run folder `{run_dir}` cannot be written: {reason}",
                help="make room, give permission or choose another folder; what is recorded is there for `dslc resume`",
            )
        ) from error
