"""A text to its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dslc.automaton.derive import derivation_to_tokens
from dslc.automaton.parse_constrained import parse_constrained

if TYPE_CHECKING:
    from dslc.automaton.lower import Lowering


@dataclass(frozen=True, slots=True)
class Encoding:
    """The tokens of a text."""

    tokens: tuple[int, ...]
    """Of the only derivation, or of the first where there are several; decoding them gives that derivation."""
    is_ambiguous: bool
    """True if the text has two derivations or more, so other tokens render alike."""
    starts: tuple[int, ...]
    """Offset of each terminal in the text, left to right, forced ones included."""


def encode_text(lowering: Lowering, text: str) -> Encoding:
    """The tokens of `text`, whatever their number: the budget is no part of it.

    Raises:
        DslcError: DSLC304 with the first wrong place and what was expected there, if it is no sentence; DSLC305 with
        the first place that a constraint forbids, and the constraint.
    """
    result = parse_constrained(lowering.constraining, text)
    return Encoding(derivation_to_tokens(lowering, result.derivation), result.is_ambiguous, result.starts)
