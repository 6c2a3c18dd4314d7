"""Ops that a grammar file defines: `//! op gauss(x) = exp(-x * x)` as data. Read here, never executed.

What the functions are is not known here: `dslc.program.operations` looks them up in the table of ops.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import Enum

from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.source import SourceFile, Span

FORM = "//! op NAME(NAME, ...) = EXPR"
NESTING_LIMIT = 60
"""Deepest nesting of brackets, signs and powers in one definition."""
PARTS_LIMIT = 200
"""Most numbers, names, operators and calls in one definition."""


class Operator(Enum):
    """What stands between or before values, with Python's order of precedence."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    POWER = "**"
    NEGATE = "-x"


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written, whole where it is."""

    value: int | float
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A name that stands for a value."""

    name: str
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Operated:
    """An operator with its one or two operands."""

    operator: Operator
    operands: tuple[Formula, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Called:
    """A function with its arguments; the span is that of the function's name."""

    function: str
    arguments: tuple[Formula, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


Formula = Number | Name | Operated | Called


@dataclass(frozen=True, slots=True)
class OperationDefinition:
    """One `//! op` line."""

    name: str
    parameters: tuple[str, ...]
    body: Formula
    text: str
    """As written after `op`: `gauss(x) = exp(-x * x)`."""
    span: Span | None = field(default=None, compare=False, repr=False)
    """Of the name."""


def read_number(text: str) -> int | float | None:
    """The number that a text is in Python's decimal notation, whole where it is; None for any other text.

    Example:
        >>> read_number("-0.5"), read_number("1e2"), read_number("nan"), read_number("x")
        (-0.5, 100, None, None)
    """
    if not _SIGNED_NUMBER.fullmatch(text):
        return None
    value = float(text)
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def read_operation(file: SourceFile, offset: int, text: str) -> OperationDefinition | Diagnostic:
    """The definition that stands after `op` at `offset`, or what is wrong with it.

    Example:
        >>> read_operation(SourceFile("a.lark", "//! op twice(x) = 2 * x"), 7, "twice(x) = 2 * x").body
        Operated(operator=<Operator.MULTIPLY: '*'>, operands=(Number(value=2), Name(name='x')))
    """
    try:
        return _FormulaReader(file, offset, text).read_definition()
    except _FormulaError as error:
        span = file.span(error.start, error.end)
        return Diagnostic(Code.BAD_PRAGMA, Severity.ERROR, f"`op`: {error.message}", span, error.help)


_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SIGNED_NUMBER = re.compile(rf"[+-]?{_NUMBER.pattern}")
_PIECE = re.compile(
    rf"\s*(?:(?P<number>{_NUMBER.pattern})|(?P<name>[^\W\d]\w*)|(?P<sign>\*\*|[-+*/(),=])|(?P<other>\S))"
)
_LEVELS = ({"+": Operator.ADD, "-": Operator.SUBTRACT}, {"*": Operator.MULTIPLY, "/": Operator.DIVIDE})
"""Operators with two operands, loosest first; `**` binds tighter than a sign and is read by itself."""


class _FormulaError(Exception):
    def __init__(self, message: str, start: int, end: int, help: str) -> None:
        super().__init__(message)
        self.message, self.start, self.end, self.help = message, start, end, help


@dataclass(frozen=True, slots=True)
class _Piece:
    kind: str
    text: str
    start: int
    end: int


class _FormulaReader:
    """Recursive descent over the pieces of one line; its depth is limited by NESTING_LIMIT."""

    def __init__(self, file: SourceFile, offset: int, text: str) -> None:
        self.file, self.text = file, text
        self.pieces = [
            _Piece(str(found.lastgroup), found[found.lastgroup or 0], *_place(found, offset))
            for found in _PIECE.finditer(text)
        ]
        end = offset + len(text)
        self.pieces.append(_Piece("end", "", end, end + 1))
        self.next = 0
        self.depth = 0
        self.num_parts = 0

    def read_definition(self) -> OperationDefinition:
        name = self.take_name("the name of the op")
        self.take("(")
        parameters: list[str] = []
        while self.piece.text != ")" or parameters:
            parameter = self.take_name("the name of an argument")
            if parameter.text in parameters:
                raise self.error(parameter, f"names the argument `{parameter.text}` twice", "give each its own name")
            parameters.append(parameter.text)
            if self.piece.text != ",":
                break
            self.next += 1
        self.take(")")
        self.take("=")
        body = self.read_formula()
        if self.piece.kind != "end":
            raise self.unexpected("the formula ends before it")
        return OperationDefinition(
            name.text, tuple(parameters), body, self.text.strip(), self.file.span(name.start, name.end)
        )

    def read_formula(self, level: int = 0) -> Formula:
        """Operands of one level of precedence, from left to right."""
        if level == len(_LEVELS):
            return self.read_signed()
        value = self.read_formula(level + 1)
        while self.piece.kind == "sign" and self.piece.text in _LEVELS[level]:
            sign = self.take_piece()
            value = self.operated(_LEVELS[level][sign.text], sign, value, self.read_formula(level + 1))
        return value

    def read_signed(self) -> Formula:
        """A value with its signs; `-x ** 2` is `-(x ** 2)`, as in Python."""
        sign = self.piece
        self.enter(sign)
        value: Formula
        if sign.text == "-":
            self.next += 1
            value = self.operated(Operator.NEGATE, sign, self.read_signed())
        else:
            value = self.read_atom()
            if self.piece.text == "**":
                power = self.take_piece()
                value = self.operated(Operator.POWER, power, value, self.read_signed())
        self.depth -= 1
        return value

    def read_atom(self) -> Formula:
        piece = self.piece
        if piece.kind not in ("number", "name") and piece.text != "(":
            raise self.unexpected("a number, a name, a call or `(` belongs there")
        self.next += 1
        self.count(piece)
        span = self.file.span(piece.start, piece.end)
        if piece.kind == "number":
            value = read_number(piece.text)
            if value is None:
                raise self.error(piece, f"`{piece.text}` is too large for a number", "use numbers up to 1e308")
            return Number(value, span)
        if piece.kind == "name" and self.piece.text == "(":
            self.next += 1
            arguments: list[Formula] = []
            while self.piece.text != ")" or arguments:
                arguments.append(self.read_formula())
                if self.piece.text != ",":
                    break
                self.next += 1
            self.take(")")
            return Called(piece.text, tuple(arguments), span)
        if piece.kind == "name":
            return Name(piece.text, span)
        value_inside = self.read_formula()
        self.take(")")
        return value_inside

    def operated(self, operator: Operator, sign: _Piece, *operands: Formula) -> Operated:
        self.count(sign)
        return Operated(operator, operands, self.file.span(sign.start, sign.end))

    @property
    def piece(self) -> _Piece:
        return self.pieces[self.next]

    def take_piece(self) -> _Piece:
        self.next += 1
        return self.pieces[self.next - 1]

    def take(self, text: str) -> None:
        if self.piece.text != text or self.piece.kind != "sign":
            raise self.unexpected(f"`{text}` belongs there")
        self.next += 1

    def take_name(self, what: str) -> _Piece:
        if self.piece.kind != "name":
            raise self.unexpected(f"{what} belongs there")
        return self.take_piece()

    def enter(self, piece: _Piece) -> None:
        self.depth += 1
        if self.depth > NESTING_LIMIT:
            raise self.error(piece, f"nests deeper than {NESTING_LIMIT}", "split it into several ops")

    def count(self, piece: _Piece) -> None:
        self.num_parts += 1
        if self.num_parts > PARTS_LIMIT:
            raise self.error(piece, f"has more than {PARTS_LIMIT} parts", "split it into several ops")

    def unexpected(self, wanted: str) -> _FormulaError:
        piece = self.piece
        found = "the line ends too early" if piece.kind == "end" else f"`{piece.text}` cannot stand there"
        return self.error(piece, f"{found}: {wanted}", f"write `{FORM}` with + - * / ** ( )")

    def error(self, piece: _Piece, message: str, help: str) -> _FormulaError:
        return _FormulaError(message, piece.start, piece.end, help)


def _place(found: re.Match[str], offset: int) -> tuple[int, int]:
    group = found.lastgroup or 0
    return offset + found.start(group), offset + found.end(group)
