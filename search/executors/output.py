"""The last lines of what a child prints, however much that is."""

from __future__ import annotations

import os
import re

KEPT_BYTES = 4096
"""Bytes of a child's output that are kept while it runs."""
KEPT_LINES = 20
"""Lines of them that are recorded when it fails."""
KEPT_COLUMNS = 400
"""Characters of a line that are recorded, its end."""
CHUNK = 65536
"""Bytes of one read: what a pipe holds on Linux."""

_MODULES_OF_A_CRASH = "Extension modules: "
_UNPRINTABLE = re.compile(r"[^\t\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]")


class OutputTail:
    """Reads a pipe without waiting, and forgets all but the end."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._kept = b""
        os.set_blocking(descriptor, False)

    def read(self) -> bool:
        """Take what is there, at most one pipe full; False once the pipe has ended."""
        try:
            data = os.read(self.descriptor, CHUNK)
        except BlockingIOError:
            return True
        self._kept = (self._kept + data)[-KEPT_BYTES:]
        return bool(data)

    def clear(self) -> None:
        """Forget everything, what waits in the pipe too."""
        self.read()
        self._kept = b""

    def text(self) -> str:
        """The last lines, without control characters; of a line that was written over again and again its last form."""
        return tidy_output(self._kept)


def tidy_output(data: bytes) -> str:
    r"""The last lines of `data` as text that a terminal and a page can show.

    Left out are the modules that a crashed Python lists: the frames above them are what tells.

    Example:
        >>> tidy_output(b"1%\r50%\r100%\nbell\x07 \xff\n")
        '100%\nbell\ufffd \ufffd'
    """
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in data.decode("utf-8", "replace").split("\n")]
    lines = [line for line in lines if not line.startswith(_MODULES_OF_A_CRASH)]
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join(_UNPRINTABLE.sub("\ufffd", line[-KEPT_COLUMNS:]).rstrip() for line in lines[-KEPT_LINES:])
