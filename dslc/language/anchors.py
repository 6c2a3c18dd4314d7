"""The `//! anchor` lines: which yes / no decisions ask about which nodes, for the policy only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dslc.source import SourceFile, Span

FORM = "//! anchor TERMINAL : RULE"

_ANCHOR = re.compile(r"(?P<terminal>_*[A-Z][_A-Z0-9]*)\s*:\s*(?P<rule>_*[a-z][_a-z0-9]*)")


@dataclass(frozen=True, slots=True)
class Anchor:
    """`anchor TERMINAL : RULE`: the k-th TERMINAL in a row asks about the k-th RULE; no constraint on sentences.

    A row begins at the start of a sentence and after every node of RULE that is finished.
    """

    terminal: str
    rule: str
    span: Span | None = field(default=None, compare=False, repr=False)
    terminal_span: Span | None = field(default=None, compare=False, repr=False)
    rule_span: Span | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"anchor {self.terminal}: {self.rule}"


def read_anchor(file: SourceFile, value: str, offset: int, whole: Span) -> Anchor | None:
    """The anchor that `value` states, None if it states none.

    Args:
        file: The grammar file.
        value: What stands after the word.
        offset: Where the value begins in the file.
        whole: The place of the whole line.

    Example:
        >>> file = SourceFile("a.lark", "//! anchor SKIP : layer")
        >>> print(read_anchor(file, "SKIP : layer", 11, file.span(4, 23)))
        anchor SKIP: layer
    """
    match = _ANCHOR.fullmatch(value)
    if match is None:
        return None
    places = [file.span(offset + match.start(group), offset + match.end(group)) for group in ("terminal", "rule")]
    return Anchor(match.group("terminal"), match.group("rule"), whole, *places)
