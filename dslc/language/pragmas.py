"""The `//!` lines of a grammar file: what dslc adds to lark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial

from dslc.diagnostics import Code, Diagnostic, Label, Severity
from dslc.language.anchors import FORM as ANCHOR_FORM
from dslc.language.anchors import Anchor, read_anchor
from dslc.language.constraints import CONSTRAINT_FORMS, Constraint, read_constraint
from dslc.language.operations import FORM, OperationDefinition, read_operation
from dslc.source import SourceFile, Span


@dataclass(frozen=True, slots=True)
class SizeClaim:
    """`size NUMBER [of RULE] [at INT tokens]`: holds when the exact count, rounded to the digits written, equals it."""

    text: str
    """The number as written, such as `6.3e16`."""
    start: str | None
    """The start that it is about; None means the default start."""
    at_tokens: int | None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Pragmas:
    """Everything that the `//!` lines of one file say."""

    target: str | None = None
    target_parameters: tuple[str, ...] = ()
    """Names in parentheses after the target, as in `generic(t, T)`."""
    starts: tuple[str, ...] = ("start",)
    """First is the default."""
    max_tokens: int | None = None
    sizes: tuple[SizeClaim, ...] = ()
    operations: tuple[OperationDefinition, ...] = ()
    """Ops that the file defines, in order of writing."""
    constraints: tuple[Constraint, ...] = ()
    """What trees have to obey, in order of writing."""
    anchors: tuple[Anchor, ...] = ()
    """Which decisions ask about which nodes, in order of writing."""
    spans: dict[str, Span] = field(default_factory=dict, compare=False, repr=False)
    """Where each pragma stands, by its word (`target`, `max_tokens`, `start`)."""


FORMS = {
    "target": "//! target NAME[(NAME, ...)]",
    "start": "//! start RULE RULE ...",
    "max_tokens": "//! max_tokens INT",
    "size": "//! size NUMBER [of RULE] [at INT tokens]",
    "op": FORM,
    **CONSTRAINT_FORMS,
    "anchor": ANCHOR_FORM,
}
"""The pragmas and how each is written."""

_LINE = re.compile(r"^[^\S\n]*//!(.*)$", re.MULTILINE)
_WORD = re.compile(r"[^\W\d][\w-]*")
_TARGET = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*(?:\((?P<names>[^()]*)\))?")
_NAME = re.compile(r"[A-Za-z_]\w*")
_RULE = re.compile(r"_?[a-z][_a-z0-9]*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE]\+?\d+)?")
_SIZE = re.compile(rf"(?P<number>{_NUMBER.pattern})(?:\s+of\s+(?P<start>\S+))?(?:\s+at\s+(?P<tokens>\d+)\s+tokens?)?")


def read_pragmas(
    file: SourceFile, statements: Iterable[tuple[int, int]] = ()
) -> tuple[Pragmas, tuple[Diagnostic, ...]]:
    """What the `//!` lines of a file say, and what is wrong with them; names of rules are not looked up here.

    Args:
        file: The grammar file.
        statements: Start and end of every rule, terminal and `%` statement: a `//!` inside one is an ordinary comment.

    Example:
        >>> read_pragmas(SourceFile("a.lark", "//! max_tokens 40\\n"))[0].max_tokens
        40
    """
    reader = _PragmaReader(file)
    statements = tuple(statements)
    for line in _LINE.finditer(file.text):
        mark = file.span(line.start(1) - 3, line.start(1))
        # A regex or a string may hold the mark only inside a statement, so this covers them too.
        if any(start < mark.start < end for start, end in statements):
            reader.diagnostics.append(
                Diagnostic(
                    Code.PRAGMA_IN_RULE,
                    Severity.WARNING,
                    "a `//!` line inside a rule or terminal is an ordinary comment",
                    file.span(mark.start, line.end()),
                    "move it above the rule, or write `//` if it is a comment",
                )
            )
        else:
            reader.read_line(line.start(1), line.group(1))
    return reader.pragmas(), tuple(reader.diagnostics)


def find_pragma_lines(file: SourceFile, statements: Iterable[tuple[int, int]]) -> list[Span]:
    """The `//!` lines of a file, without those inside a statement, from the mark to the end of the line."""
    statements = tuple(statements)
    spans = [file.span(line.start(1) - 3, line.end()) for line in _LINE.finditer(file.text)]
    return [span for span in spans if not any(start < span.start < end for start, end in statements)]


class _PragmaReader:
    """Collects what the lines say."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.diagnostics: list[Diagnostic] = []
        self.spans: dict[str, Span] = {}
        self.target: str | None = None
        self.target_parameters: tuple[str, ...] = ()
        self.starts: tuple[str, ...] = ()
        self.max_tokens: int | None = None
        self.sizes: list[SizeClaim] = []
        self.operations: list[OperationDefinition] = []
        self.constraints: list[Constraint] = []
        self.anchors: list[Anchor] = []

    def pragmas(self) -> Pragmas:
        return Pragmas(
            self.target,
            self.target_parameters,
            self.starts or ("start",),
            self.max_tokens,
            tuple(self.sizes),
            tuple(self.operations),
            tuple(self.constraints),
            tuple(self.anchors),
            self.spans,
        )

    def read_line(self, offset: int, text: str) -> None:
        """Read what stands after `//!` at `offset`."""
        start = offset + len(text) - len(text.lstrip())
        text = text.strip()
        if not text:
            self._error(
                Code.BAD_PRAGMA, "nothing stands after `//!`", self.file.span(offset - 3, offset), _known_forms()
            )
            return
        word = _WORD.match(text)
        name = word.group() if word else text.split()[0]
        span = self.file.span(start, start + len(name))
        readers: dict[str, Callable[[str, int, Span], None]] = {
            "target": self._read_target,
            "start": self._read_start,
            "max_tokens": self._read_max_tokens,
            "size": self._read_size,
            "op": self._read_operation,
            **{word: partial(self._read_constraint, word) for word in CONSTRAINT_FORMS},
            "anchor": self._read_anchor,
        }
        if name not in readers:
            near = get_close_matches(name.lower().replace("-", "_"), FORMS, n=1)
            advice = f"did you mean `{near[0]}`? " if near else ""
            self._error(Code.UNKNOWN_PRAGMA, f"unknown pragma `{name}`", span, advice + _known_forms())
            return
        rest = text[len(name) :]
        if rest.lstrip()[:1] == ":":
            rest = rest.lstrip()[1:]
        value = rest.strip()
        value_start = start + len(text) - len(rest) + len(rest) - len(rest.lstrip())
        whole = self.file.span(start, start + len(text))
        if not value:
            self._error(Code.BAD_PRAGMA, f"`{name}` needs a value", whole, f"write `{FORMS[name]}`")
            return
        readers[name](value, value_start, whole)

    def _read_target(self, value: str, offset: int, whole: Span) -> None:
        match = _TARGET.fullmatch(value)
        if match is None:
            self._bad_value("target", value, offset, "is not the name of a target")
            return
        names = match.group("names")
        parameters = tuple(name.strip() for name in names.split(",")) if names and names.strip() else ()
        for parameter in parameters:
            if _NAME.fullmatch(parameter) is None:
                self._bad_value("target", value, offset, f"has `{parameter}` where a name belongs")
                return
        if len(set(parameters)) < len(parameters):
            self._bad_value("target", value, offset, "names an input twice")
            return
        if self._is_first("target", whole):
            self.target, self.target_parameters = match.group("name"), parameters

    def _read_start(self, value: str, offset: int, whole: Span) -> None:
        names: list[str] = []
        for word in re.finditer(r"[^\s,]+", value):
            if _RULE.fullmatch(word.group()) is None:
                self._bad_value("start", word.group(), offset + word.start(), "is not the name of a rule")
            elif word.group() in names:
                self._bad_value("start", word.group(), offset + word.start(), "stands there twice")
            else:
                names.append(word.group())
                self.spans[f"start {word.group()}"] = self.file.span(offset + word.start(), offset + word.end())
        if self._is_first("start", whole):
            self.starts = tuple(names)

    def _read_max_tokens(self, value: str, offset: int, whole: Span) -> None:
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < 1:
            self._bad_value("max_tokens", value, offset, "is not a whole number from 1")
        elif self._is_first("max_tokens", whole):
            self.max_tokens = int(value)

    def _read_size(self, value: str, offset: int, whole: Span) -> None:
        match = _SIZE.fullmatch(value)
        if match is None:
            self._bad_value("size", value, offset, "is not a size")
            return
        start = match.group("start")
        tokens = match.group("tokens")
        if start is not None and _RULE.fullmatch(start) is None:
            self._bad_value("size", start, offset + match.start("start"), "is not the name of a rule")
            return
        for claim in self.sizes:
            if claim.start == start:
                self._duplicate(f"size of {start}" if start else "size", whole, claim.span)
                return
        self.sizes.append(SizeClaim(match.group("number"), start, int(tokens) if tokens else None, whole))
        if start is not None:
            place = self.file.span(offset + match.start("start"), offset + match.end("start"))
            self.spans[f"size {start}"] = place

    def _read_operation(self, value: str, offset: int, whole: Span) -> None:
        operation = read_operation(self.file, offset, value)
        if isinstance(operation, Diagnostic):
            self.diagnostics.append(operation)
        elif self._is_first(f"op {operation.name}", whole):
            self.operations.append(operation)

    def _read_constraint(self, word: str, value: str, offset: int, whole: Span) -> None:
        constraint = read_constraint(self.file, word, value, offset, whole)
        if isinstance(constraint, str):
            self._bad_value(word, value, offset, constraint)
        elif self._is_first(str(constraint), whole):
            self.constraints.append(constraint)

    def _read_anchor(self, value: str, offset: int, whole: Span) -> None:
        anchor = read_anchor(self.file, value, offset, whole)
        if anchor is None:
            self._bad_value("anchor", value, offset, "is not a terminal and a rule")
        elif self._is_first(f"anchor {anchor.terminal}", whole):
            self.anchors.append(anchor)

    def _is_first(self, word: str, whole: Span) -> bool:
        if word in self.spans:
            self._duplicate(word, whole, self.spans[word])
            return False
        self.spans[word] = whole
        return True

    def _duplicate(self, what: str, span: Span, first: Span | None) -> None:
        labels = (Label(first, "first stated here"),) if first is not None else ()
        self.diagnostics.append(
            Diagnostic(
                Code.DUPLICATE_PRAGMA, Severity.ERROR, f"`{what}` is stated twice", span, "keep one of them", labels
            )
        )

    def _bad_value(self, word: str, value: str, offset: int, reason: str) -> None:
        span = self.file.span(offset, offset + len(value))
        self._error(Code.BAD_PRAGMA, f"`{word}`: `{value}` {reason}", span, f"write `{FORMS[word]}`")

    def _error(self, code: Code, message: str, span: Span, help_text: str) -> None:
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, help_text))


def _known_forms() -> str:
    return "known are " + ", ".join(f"`{form}`" for form in FORMS.values())
