"""Derivations: what a token sequence and a text have in common, on the grammar in BNF."""

from __future__ import annotations

from collections.abc import Iterator

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


def scan_leaves(derivation: Derivation) -> Iterator[Scanned]:
    """The literals of a derivation in reading order."""
    pending: list[Derivation | Scanned] = [derivation]
    while pending:
        node = pending.pop()
        if isinstance(node, Scanned):
            yield node
        else:
            pending.extend(reversed(node.children))
