"""Derivations: what a token sequence and a text have in common, on the grammar in BNF."""

from __future__ import annotations

from dslc.value import value


@value
class Scanned:
    """A literal of a terminal at one place of a sentence."""

    terminal: str
    literal: int
    """Index into the terminal's literals."""


@value
class Derivation:
    """A rule with the production taken and a child for each of its symbols, helpers included."""

    rule: str
    production: int
    """Index into the productions of the rule in the trimmed grammar."""
    children: tuple[Derivation | Scanned, ...]
