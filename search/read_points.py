"""A CSV file of points to arrays: the first line names the columns, the last column is the value to be explained."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.source import Location, SourceFile, Span

FEWEST_ROWS = 2
"""A single point has no spread, so no error could be put in relation to it."""
SHOWN_PROBLEMS = 10
"""Bad rows that are told one by one; more are summed up in a note."""


@dataclass(frozen=True)
class Points:
    """Values of a function at points."""

    names: tuple[str, ...]
    """Of the inputs, in order."""
    inputs: NDArray[np.float64]
    """[input, point]."""
    outputs: NDArray[np.float64]
    """[point]."""
    sha256: str
    """Of what they were read from."""

    def rows(self, chosen: NDArray[np.int64]) -> Points:
        """Some of the points, by their numbers from 0."""
        return Points(self.names, self.inputs[:, chosen], self.outputs[chosen], self.sha256)


def read_points(path: Path) -> Points:
    """The points of a CSV file with a header line, in UTF-8; empty lines are passed over.

    Raises:
        DslcError: DSLC631 if the file cannot be read, DSLC632 with the line of everything that is wrong in it.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), "give the path of a CSV file") from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"byte {error.start + 1} is no UTF-8", "save it as CSV in UTF-8") from error
    file = SourceFile(str(path), text)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise DslcError(_bad(f"`{path}` is empty", None, "write a header line and one line a point"))
    (header_line, header), *rest = [(number, _split(line)) for number, line in lines]
    problems = _check_header(file, header_line, header)
    if problems:
        raise DslcError(problems)
    rows = [_read_row(file, number, fields, header, problems) for number, fields in rest]
    if not problems and len(rows) < FEWEST_ROWS:
        help = f"give at least {FEWEST_ROWS} points"
        problems.append(_bad(f"there are {len(rows)} points below the header", _line_span(file, header_line), help))
    if problems:
        hidden = len(problems) - SHOWN_PROBLEMS
        if hidden > 0:
            problems = problems[:SHOWN_PROBLEMS]
            more = _bad(f"{hidden} more problems of this kind are not shown", None, "mend the file", Severity.NOTE)
            problems.append(more)
        raise DslcError(problems)
    table = np.array(rows, dtype=np.float64).T
    if np.ptp(table[-1]) == 0:
        raise DslcError(
            _bad(
                f"all values of `{header[-1]}` are {table[-1][0]:g}",
                _line_span(file, header_line),
                "put the column that is to be explained last",
            )
        )
    return Points(tuple(header[:-1]), table[:-1], table[-1], sha256(content).hexdigest())


def _split(line: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line]))]


def _check_header(file: SourceFile, line: int, names: list[str]) -> list[Diagnostic]:
    span = _line_span(file, line)
    if any(_as_number(name) is not None for name in names):
        message = f"line {line} should name the columns, but holds numbers"
        return [_bad(message, span, f"write a line above it, such as: {_example_header(len(names))}")]
    problems = []
    if len(names) < 2:
        help = "give the inputs and, last, the value to be explained, with commas between them"
        problems.append(_bad("there is one column only", span, help))
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(_bad(f"two columns are named `{name}`", span, "give each a name of its own"))
    if "" in names:
        problems.append(_bad("a column has no name", span, "name it"))
    return problems


def _example_header(count: int) -> str:
    return ",".join([*("x", "y", "z", "u", "v", "w")[: count - 1], "value"])


def _read_row(
    file: SourceFile, line: int, fields: list[str], header: list[str], problems: list[Diagnostic]
) -> list[float]:
    """The numbers of a line; what is wrong with it is added to the problems."""
    if len(fields) != len(header):
        message = f"line {line} has {len(fields)} fields, the header {len(header)}"
        problems.append(_bad(message, _line_span(file, line), "give every line one field a column"))
        return []
    row = []
    for name, field in zip(header, fields, strict=True):
        value = _as_number(field)
        if value is None or not math.isfinite(value):
            what = f"`{field}`" if field else "nothing"
            message = f"`{name}` in line {line} is {what}, not a finite number"
            help = "write it as 1.5 or 2e-3, or leave out the line"
            problems.append(_bad(message, _field_span(file, line, field), help))
        row.append(math.nan if value is None else value)
    return row


def _as_number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None


def _line_span(file: SourceFile, line: int) -> Span:
    start = file.offset(Location(line, 1))
    return file.span(start, start + max(1, len(file.line_text(line))))


def _field_span(file: SourceFile, line: int, field: str) -> Span:
    span = _line_span(file, line)
    place = file.line_text(line).find(field) if field else -1
    return span if place < 0 else file.span(span.start + place, span.start + place + len(field))


def _bad(message: str, span: Span | None, help: str, severity: Severity = Severity.ERROR) -> Diagnostic:
    return Diagnostic(Code.BAD_DATA, severity, message, span, help)


def _unreadable(path: Path, reason: str, help: str) -> DslcError:
    return DslcError(Diagnostic(Code.DATA_UNREADABLE, Severity.ERROR, f"cannot read `{path}`: {reason}", help=help))
