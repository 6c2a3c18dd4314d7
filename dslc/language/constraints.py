"""Constraints on trees: the `//!` lines `forbid`, `at_most`, `at_least`, `max_depth` and `ref` as data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from dslc.source import SourceFile, Span


class ConstraintKind(Enum):
    """What a constraint says."""

    FORBID_INSIDE = "forbid inside"
    FORBID_UNDER = "forbid under"
    MAX_DEPTH = "max_depth"
    AT_MOST = "at_most"
    AT_LEAST = "at_least"
    REF = "ref"

    @property
    def is_inherited(self) -> bool:
        """Decided by what stands above a node; the others by what stands before it, in the whole sentence."""
        return self in (ConstraintKind.FORBID_INSIDE, ConstraintKind.FORBID_UNDER, ConstraintKind.MAX_DEPTH)

    @property
    def is_counted(self) -> bool:
        """Decided by how often something stands in the whole sentence."""
        return self in (ConstraintKind.AT_MOST, ConstraintKind.AT_LEAST)


@dataclass(frozen=True, slots=True)
class NodeName:
    """Nodes or leaves of the tree: those of a rule, those of an alias, a terminal's, or those of one literal."""

    name: str
    literal: str | None = None
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def is_terminal(self) -> bool:
        """Names leaves."""
        return self.name.isupper()

    def __str__(self) -> str:
        if self.literal is None:
            return self.name
        is_name = re.fullmatch(r"[^\W\d]\w*", self.literal)
        return f"{self.name}.{self.literal}" if is_name else f'{self.name}."{self.literal}"'


@dataclass(frozen=True, slots=True)
class Constraint:
    """One `//!` line that trees have to obey; `str()` is the line without its mark."""

    kind: ConstraintKind
    subject: NodeName
    """What is forbidden, counted or nested, or the terminal that refers."""
    outer: NodeName | None = None
    """Of `forbid`, what the subject may not stand inside or under; of `ref`, what the terminal refers to."""
    number: int = 0
    """Of `ref`, how many literals name inputs; of the others but `forbid`, how many nodes."""
    is_increasing: bool = False
    """Of `ref`, whether the literals of one list increase."""
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def word(self) -> str:
        """The pragma: `forbid`, `at_most`, `at_least`, `max_depth` or `ref`."""
        return self.kind.value.partition(" ")[0]

    @property
    def value(self) -> str:
        """What stands after the word."""
        if self.kind is ConstraintKind.REF:
            inputs = f" after {self.number}" if self.number else ""
            return f"{self.subject}: {self.outer}{inputs}" + (" increasing" if self.is_increasing else "")
        if self.outer is not None:
            return f"{self.subject} {self.kind.value.partition(' ')[2]} {self.outer}"
        return f"{self.number} {self.subject}"

    def __str__(self) -> str:
        return f"{self.word} {self.value}"


CONSTRAINT_FORMS = {
    "forbid": "//! forbid NAME inside|under NAME",
    "at_most": "//! at_most INT NAME",
    "at_least": "//! at_least INT NAME",
    "max_depth": "//! max_depth INT NAME",
    "ref": "//! ref TERMINAL: NAME [after INT] [increasing]",
}
"""The pragmas that are constraints and how each is written."""

_NAME = r"_*[a-z][_a-z0-9]*|_*[A-Z][_A-Z0-9]*"
_NODE = rf"(?:{_NAME})(?:\.(?:\"(?:[^\"\\]|\\.)*\"|[^\s\"]+))?"
_FORBID = re.compile(rf"(?P<subject>{_NODE})\s+(?P<how>inside|under)\s+(?P<outer>{_NODE})")
_COUNT = re.compile(rf"(?P<number>[0-9]{{1,6}})\s+(?P<subject>{_NODE})")
_REF = re.compile(
    rf"(?P<subject>{_NAME})\s*:\s*(?P<outer>{_NAME})(?:\s+after\s+(?P<number>[0-9]{{1,6}}))?(?P<increasing>\s+increasing)?"
)
_PATTERNS = {"forbid": _FORBID, "ref": _REF}
_PARTS = re.compile(rf"(?P<name>{_NAME})(?:\.(?P<literal>.+))?", re.DOTALL)
_KINDS = {
    "inside": ConstraintKind.FORBID_INSIDE,
    "under": ConstraintKind.FORBID_UNDER,
    "at_most": ConstraintKind.AT_MOST,
    "at_least": ConstraintKind.AT_LEAST,
    "max_depth": ConstraintKind.MAX_DEPTH,
}


def read_constraint(file: SourceFile, word: str, value: str, offset: int, whole: Span) -> Constraint | str:
    """The constraint that the pragma `word` with `value` states, or why it states none.

    Args:
        file: The grammar file.
        word: One of CONSTRAINT_FORMS.
        value: What stands after it.
        offset: Where the value begins in the file.
        whole: The place of the whole line.

    Example:
        >>> file = SourceFile("a.lark", "//! forbid sin inside add")
        >>> print(read_constraint(file, "forbid", "sin inside add", 11, file.span(4, 25)))
        forbid sin inside add
    """
    match = _PATTERNS.get(word, _COUNT).fullmatch(value)
    if match is None:
        return "is not a constraint"

    def node(group: str) -> NodeName:
        parts = _PARTS.fullmatch(match.group(group))
        assert parts is not None, "the pattern of the whole holds that of a name"
        literal = parts.group("literal")
        if literal is not None and literal.startswith('"'):
            literal = re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m.group(1), m.group(1)), literal[1:-1])
        span = file.span(offset + match.start(group), offset + match.end(group))
        return NodeName(parts.group("name"), literal, span)

    subject = node("subject")
    if subject.literal is not None and not subject.is_terminal:
        return f"gives a literal to `{subject.name}`, which is no terminal"
    if word == "ref":
        return _read_reference(node("subject"), node("outer"), match, whole)
    if word != "forbid":
        number = int(match.group("number"))
        if word == "max_depth" and subject.is_terminal:
            return "limits the depth of a terminal: leaves do not nest"
        return Constraint(_KINDS[word], subject, number=number, span=whole)
    outer = node("outer")
    if outer.is_terminal:
        return f"has the terminal `{outer.name}` outside, and nothing stands in a leaf"
    return Constraint(_KINDS[match.group("how")], subject, outer, span=whole)


def _read_reference(terminal: NodeName, named: NodeName, match: re.Match[str], whole: Span) -> Constraint | str:
    if not terminal.is_terminal:
        return f"lets `{terminal}` refer, which is no terminal"
    if named.is_terminal:
        return f"refers to the terminal `{named}`, and only nodes of rules are referred to"
    number, is_increasing = int(match.group("number") or 0), match.group("increasing") is not None
    return Constraint(ConstraintKind.REF, terminal, named, number, is_increasing, whole)
