"""Emitted text as a template and what one program puts into it.

The texts of most networks that a search samples differ in numbers only. A target that writes such texts as templates
says so: what is equal is then formatted at once and compiled by Python once, and no text is searched for its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dslc.program.emit import INDENT, QUOTES, LineMap, PythonSource
from dslc.program.graph import Node
from dslc.value import value

Constant = int | tuple[int, ...]

_NUMBER = re.compile(
    # Numbers in brackets are one constant; a bracket behind a name begins arguments, and so do two in a row.
    r"(\((?<![\w)].)[0-9]+(?:, [0-9]+)+\)"
    # No part of a name or of a decimal fraction.
    r"|[0-9](?<![\w.].)[0-9]*(?![\w.]))"
)


@value
class FilledTemplate:
    """A text in two parts: what many texts share, and what is in this one only."""

    pieces: tuple[str, ...]
    """Lines of the text, some together, with `%s` for each value."""
    values: tuple[Constant | str, ...]
    """In order: numbers of the code, each a constant by itself; texts are comments, and one is the docstring."""
    docstring: int
    """Which of the values, as it stands between its quotes; the only one that can have several lines."""
    num_lines: int
    """Of the text."""

    def __str__(self) -> str:
        return self.fill(self.values)

    def fill(self, values: Sequence[Constant | str]) -> str:
        """The text with other values."""
        return "\n".join(self.pieces) % tuple(values) + "\n"


def split_numbers(code: str) -> tuple[list[str], tuple[Constant, ...]]:
    """The numbers of a text without quotes and comments, and what stands before, between and behind them.

    Example:
        >>> split_numbers("nn.Conv2d(24, 36, (3, 5), padding=1)")
        (['nn.Conv2d(', ', ', ', ', ', padding=', ')'], (24, 36, (3, 5), 1))
    """
    pieces = _NUMBER.split(code)
    return pieces[::2], tuple([_read_number(text) for text in pieces[1::2]])


def _read_number(text: str) -> Constant:
    """A number, or several in brackets."""
    if text[0] == "(":
        return tuple([int(number) for number in text[1:-1].split(", ")])
    return int(text)


class TemplateWriter:
    """Writes the pieces of a template and their values, and notes which node each line computes."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._values: list[Constant | str] = []
        self._origins: list[tuple[int, Sequence[Node | None]]] = []  # number of a line, and nodes from there on
        self._num_lines = 0
        self._docstring = 0

    def write(self, piece: str, nodes: Sequence[Node | None] = (), values: Sequence[Constant | str] = ()) -> None:
        """Lines with their indentation and `%s` for each value, and the node that each of them computes."""
        self._pieces.append(piece)
        self._values += values
        if nodes:
            self._origins.append((self._num_lines + 1, nodes))
        self._num_lines += 1 + piece.count("\n")

    def write_docstring(self, text: str) -> None:
        """The docstring of the class, as it stands between its quotes."""
        self._docstring = len(self._values)
        self.write(f"{INDENT}{QUOTES}%s{QUOTES}", (), (text,))
        self._num_lines += text.count("\n")

    def finish(self, class_name: str, sentence: str) -> PythonSource:
        """Everything written so far."""
        filled = FilledTemplate(tuple(self._pieces), tuple(self._values), self._docstring, self._num_lines)
        return PythonSource(str(filled), class_name, LineMap(self._origins), sentence, filled)
