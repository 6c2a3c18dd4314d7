"""Token sequences to the steps that build their derivation, exactly: fusions and lists are undone.

The walk goes over the parts of the classification with a stack of its own, so sentences may be of any length.
"""

from __future__ import annotations

from collections.abc import Sequence

from dslc.automaton.lower import Lowering
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity


def trace_tokens(lowering: Lowering, tokens: Sequence[int]) -> list[int]:
    """How a whole token sequence is built: values in reading order, children before their parent.

    Whether it fits a budget is not asked. `dslc.program.decode` walks in the same way, and makes the tree on the way.

    Returns:
        Steps: a scanned literal, by its number in the decoding tables; or -1 - i, reduction i of the classification.

    Raises:
        DslcError: DSLC303 if the tokens are no sentence, with the first that is wrong.
    """
    num_terminals = lowering.classification.num_terminals
    tables = lowering.decoding
    num_tokens = len(tokens)
    steps: list[int] = []
    used = 0
    # A fused part looks at its token; the first terminal that follows takes it, forced or not.
    is_head = False
    # What is still to do, the next one last: symbols and reductions, as in `actions`.
    pending = [lowering.classification.start]
    while pending:
        symbol = pending.pop()
        if symbol < 0:
            steps.append(symbol)
        elif symbol < num_terminals:
            literal = tables.forced_literal[symbol]
            if literal is None or is_head:
                owner, literal = tables.literal_by_token.get(tokens[used], (-1, 0)) if used < num_tokens else (-1, 0)
                if owner != symbol:
                    raise wrong_token(lowering, tokens, used, symbol)
                used += 1
                is_head = False
            steps.append(literal)
        else:
            part = symbol - num_terminals
            opening = tables.only_opening[part]
            if opening is None:
                opening = tables.opening_by_token[part].get(tokens[used]) if used < num_tokens else None
                if opening is None:
                    raise wrong_token(lowering, tokens, used, symbol)
                if opening.takes_token:
                    used += 1
                else:
                    is_head = True
            pending += opening.reversed_actions
    if used < num_tokens:
        raise finished_sentence(used, tokens)
    return steps


def finished_sentence(used: int, tokens: Sequence[int]) -> DslcError:
    """There are tokens after the end."""
    return DslcError(
        Diagnostic(
            Code.TOKENS_NOT_A_SENTENCE,
            Severity.ERROR,
            f"the sentence is finished after {used} of {len(tokens)} tokens",
            help="leave out what follows",
        )
    )


def wrong_token(lowering: Lowering, tokens: Sequence[int], place: int, symbol: int) -> DslcError:
    """The token at `place` is none that can stand for `symbol`, or there are too few tokens."""
    if place == len(tokens):
        return DslcError(
            Diagnostic(
                Code.TOKENS_NOT_A_SENTENCE,
                Severity.ERROR,
                f"the sequence of {len(tokens)} tokens is unfinished",
                help=f"give all tokens of one sentence of `{lowering.automaton.start}`",
            )
        )
    vocabulary, num_terminals = lowering.automaton.vocabulary, lowering.classification.num_terminals
    if symbol < num_terminals:
        expected = f"a literal of {lowering.bnf.terminals[symbol].name}"
    else:
        openings = lowering.decoding.opening_by_token[symbol - num_terminals]
        expected = f"one of {', '.join([f'`{vocabulary[token].label}`' for token in sorted(openings)[:8]])}"
    token = tokens[place]
    label = vocabulary[token].label if 0 <= token < len(vocabulary) else f"id {token}"
    return DslcError(
        Diagnostic(
            Code.TOKENS_NOT_A_SENTENCE,
            Severity.ERROR,
            f"token {place + 1}, `{label}`, is not allowed there",
            help=f"there stands {expected}",
        )
    )
