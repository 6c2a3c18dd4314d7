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
    # A search renders every new sample, so what lies between two tokens is put together once.
    spans = lowering.decoding.spans
    if not spans:
        start = _lay_out(lowering, [lowering.classification.start], None)
        assert start is not None, "nothing is decided before the first token"
        spans[-1, -1] = start
    texts: list[str] = []
    pending = list(spans[-1, -1])
    used, num_tokens = 0, len(tokens)
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            texts.append(item)
            continue
        token = tokens[used] if used < num_tokens else -1
        used += 1
        span = spans.get((item, token))
        if span is None:
            span = _decide(lowering, item, token)
            if span is None:
                break
            spans[item, token] = span
        pending += span
    if pending or used != num_tokens:
        return _render_steps(lowering, tokens)
    return lowering.bnf.joiner.join(texts)


def _render_steps(lowering: Lowering, tokens: Sequence[int]) -> str:
    """The same step by step; it finds the token that is wrong."""
    steps = trace_tokens(lowering, tokens)
    printed = lowering.decoding.printed
    return lowering.bnf.joiner.join([printed[step].text for step in steps if step >= 0])


def _decide(lowering: Lowering, symbol: int, token: int) -> tuple[str | int, ...] | None:
    """What a token puts in the place of a symbol; None if it cannot stand there."""
    num_terminals, tables = lowering.classification.num_terminals, lowering.decoding
    if symbol < num_terminals:
        owner, literal = tables.literal_by_token.get(token, (-1, 0))
        return (tables.printed[literal].text,) if owner == symbol else None
    opening = tables.opening_by_token[symbol - num_terminals].get(token)
    if opening is None:
        return None
    return _lay_out(lowering, opening.reversed_actions, None if opening.takes_token else token)


def _lay_out(lowering: Lowering, reversed_symbols: Sequence[int], head: int | None) -> tuple[str | int, ...] | None:
    """Symbols as texts and those symbols that a further token decides, the last one first.

    Args:
        lowering: The automaton.
        reversed_symbols: Symbols and reductions, as `trace_tokens` keeps them.
        head: A token that the first terminal takes.
    """
    num_terminals, tables, joiner = lowering.classification.num_terminals, lowering.decoding, lowering.bnf.joiner
    items: list[str | int] = []
    pending = list(reversed_symbols)
    while pending:
        symbol = pending.pop()
        if symbol < 0:
            continue
        if symbol < num_terminals:
            literal = tables.forced_literal[symbol]
            if head is not None:
                owner, literal = tables.literal_by_token.get(head, (-1, 0))
                if owner != symbol:
                    return None
                head = None
            if literal is None:
                items.append(symbol)
            elif items and isinstance(items[-1], str):
                items[-1] = f"{items[-1]}{joiner}{tables.printed[literal].text}"
            else:
                items.append(tables.printed[literal].text)
            continue
        opening = tables.only_opening[symbol - num_terminals]
        if opening is None and head is None:
            items.append(symbol)
            continue
        if opening is None:
            assert head is not None, "without a token the symbol is left as it is"
            opening = tables.opening_by_token[symbol - num_terminals].get(head)
            if opening is None:
                return None
            if opening.takes_token:
                head = None
        pending += opening.reversed_actions
    return None if head is not None else tuple(items[::-1])
