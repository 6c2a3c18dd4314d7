"""One way to read a text: the choices of a derivation in preorder, flat so that its depth is no limit."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Expand:
    """A rule and which of its productions was taken; the readings of the production's symbols follow in order."""

    rule: str
    production: int
    """Index into the productions of the rule in the grammar that was parsed with."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A literal of a terminal at one place of the text."""

    terminal: str
    literal: int
    """Index into the terminal's literals."""
    start: int = field(default=0, compare=False)
    """Offset of its first code point in the text."""


Reading = tuple[Expand | Scan, ...]
"""A derivation in preorder: equal readings are equal trees."""
