"""Source text and positions in it: the only code that counts lines and columns."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple


class Location(NamedTuple):
    """A place in a text as people count: line and column from 1, in code points."""

    line: int
    column: int


@dataclass(frozen=True)
class SourceFile:
    """A named text, normally a grammar file.

    Example:
        >>> SourceFile("a.lark", "start: A\\nA: \\"x\\"\\n").locate(9)
        Location(line=2, column=1)
    """

    name: str
    """Path as the user gave it, or `<text>`."""
    text: str
    folder: Path | None = field(default=None, compare=False, repr=False)
    """Where a file on disk stands, so that what it imports is found; None for a text."""

    @cached_property
    def _line_starts(self) -> tuple[int, ...]:
        return (0, *(i + 1 for i, character in enumerate(self.text) if character == "\n"))

    def locate(self, offset: int) -> Location:
        """Line and column of the code point at `offset`; the end of the text is a valid place."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._line_starts, offset)
        return Location(line, offset - self._line_starts[line - 1] + 1)

    def offset(self, location: Location) -> int:
        """Offset of a line and column, clamped to the text."""
        line = max(1, min(location.line, len(self._line_starts)))
        return min(self._line_starts[line - 1] + location.column - 1, len(self.text))

    def line_text(self, line: int) -> str:
        """Text of line `line` (from 1) without its line break; empty past the end."""
        if not 1 <= line <= len(self._line_starts):
            return ""
        start = self._line_starts[line - 1]
        end = self._line_starts[line] - 1 if line < len(self._line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r")

    def span(self, start: int, end: int | None = None) -> Span:
        """Span from `start` to `end` (exclusive), one code point by default."""
        return Span(self, start, start + 1 if end is None else end)


@dataclass(frozen=True)
class Span:
    """A stretch of a source file, `start` to `end` (exclusive), as offsets in code points."""

    file: SourceFile
    start: int
    end: int

    @property
    def location(self) -> Location:
        """Where the span begins."""
        return self.file.locate(self.start)

    @property
    def end_location(self) -> Location:
        """Where the span ends; the column is exclusive."""
        return self.file.locate(self.end)

    @property
    def text(self) -> str:
        """The text that the span covers."""
        return self.file.text[self.start : self.end]

    def join(self, other: Span) -> Span:
        """Smallest span of the same file that covers both."""
        return Span(self.file, min(self.start, other.start), max(self.end, other.end))
