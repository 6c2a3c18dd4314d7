"""Derivations and tokens to text."""

from __future__ import annotations

from collections.abc import Sequence

from dslc.automaton.derivation import Derivation, scan_leaves
from dslc.automaton.lower import Lowering
from dslc.automaton.trace_tokens import trace_tokens
from dslc.language.grammar import BnfGrammar


def render_derivation(bnf: BnfGrammar, derivation: Derivation) -> str:
    """The sentence of a derivation: its literals, with a space between them if the grammar ignores a space."""
    terminals = bnf.terminal_by_name
    return bnf.joiner.join(terminals[leaf.terminal].literals[leaf.literal].text for leaf in scan_leaves(derivation))


def render_tokens(lowering: Lowering, tokens: Sequence[int]) -> str:
    """The sentence of a whole token sequence.

    Raises:
        DslcError: DSLC303 if the tokens are no sentence.
    """
    steps = trace_tokens(lowering, tokens)
    printed = lowering.decoding.printed
    return lowering.bnf.joiner.join([printed[step].text for step in steps if step >= 0])
