"""One search a run folder: an exclusive lock that the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import IO

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.recording import recording


class RunLock:
    """The lock of a run folder, held from construction to `release`.

    The file names its holder; what counts is the kernel's lock on it, so that of a dead process is simply taken over.

    Raises:
        DslcError: DSLC621 if another search holds it, DSLC657 if the folder cannot be written.
    """

    def __init__(self, run_dir: Path) -> None:
        with recording(run_dir):
            self._file: IO[str] = open(run_dir / "lock", "a+")  # noqa: SIM115 - held until release
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read().strip()
            self._file.close()
            raise DslcError(
                Diagnostic(
                    Code.RUN_LOCKED,
                    Severity.ERROR,
                    f"another search is running in `{run_dir}`",
                    help="wait for it or stop it, or give this search another folder",
                    notes=(f"held by {holder}",) if holder else (),
                )
            ) from None
        mine = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%dT%H:%M:%S")}
        with recording(run_dir):
            self._file.truncate(0)
            self._file.write(json.dumps(mine) + "\n")
            self._file.flush()

    def release(self) -> None:
        """Give the folder free; the file stays, empty, so that no two processes lock different files of that name."""
        if not self._file.closed:
            self._file.truncate(0)
            self._file.close()
