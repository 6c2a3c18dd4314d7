"""Token sequences to the steps that build their derivation, exactly: fusions and lists are undone.

The walk goes over the parts of the classification with a stack of its own, so sentences may be of any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dslc.automaton.lower import Lowering
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity


@dataclass(frozen=True, slots=True)
class Trace:
    """How a sentence is built from its tokens: values in reading order, children before their parent."""

    steps: list[int]
    """A scanned literal, as its index in `DecodingTables.literals`; or -1 - i, reduction i of the classification."""
    leaves: list[int | None]
    """Token id of each scanned literal in reading order; None for forced text."""
    nodes: list[tuple[int, int]]
    """(first token, past the last) of each node, in the order of the reductions."""


def trace_tokens(lowering: Lowering, tokens: Sequence[int]) -> Trace:
    """How a whole token sequence is built; whether it fits a budget is not asked.

    Raises:
        DslcError: DSLC303 if the tokens are no sentence, with the first that is wrong.
    """
    classification = lowering.classification
    num_terminals, reductions = classification.num_terminals, classification.reductions
    tables = classification.decoding
    forced_literal, literal_by_token = tables.forced_literal, tables.literal_by_token
    only_opening, openings = tables.only_opening, tables.opening_by_token
    num_tokens = len(tokens)
    steps: list[int] = []
    leaves: list[int | None] = []
    nodes: list[tuple[int, int]] = []
    firsts: list[int] = []  # first token of each value that waits for its parent
    begins: list[int] = []  # first token of each part whose node is not finished
    used = 0
    # A fused part looks at its token; the first terminal that follows takes it, forced or not.
    is_head = False
    pending = [classification.start]  # what is still to do, the next one last: symbols and reductions, as in `actions`
    while pending:
        symbol = pending.pop()
        if symbol < 0:
            reduction = reductions[-1 - symbol]
            number = reduction.num_children
            first = firsts[-number] if reduction.on_list else begins.pop()
            if number:
                del firsts[-number:]
            firsts.append(first)
            nodes.append((first, used))
            steps.append(symbol)
        elif symbol < num_terminals:
            firsts.append(used)
            literal = forced_literal[symbol]
            if literal is not None and not is_head:
                steps.append(literal)
                leaves.append(None)
                continue
            if used == num_tokens:
                raise _unfinished(lowering, num_tokens)
            token = tokens[used]
            owner, literal = literal_by_token.get(token, (-1, 0))
            if owner != symbol:
                raise _wrong_token(lowering, tokens, used, f"a literal of {lowering.bnf.terminals[symbol].name}")
            steps.append(literal)
            leaves.append(token)
            used += 1
            is_head = False
        else:
            part = symbol - num_terminals
            begin = used
            opening = only_opening[part]
            if opening is None:
                if used == num_tokens:
                    raise _unfinished(lowering, num_tokens)
                opening = openings[part].get(tokens[used])
                if opening is None:
                    labels = [classification.vocabulary[token].label for token in sorted(openings[part])[:8]]
                    raise _wrong_token(lowering, tokens, used, f"one of {', '.join(f'`{label}`' for label in labels)}")
                if opening.steps is not None:  # the commonest case, for speed: what the code below comes to
                    steps += opening.steps
                    firsts.append(begin)
                    leaves.append(tokens[used])
                    used += 1
                    nodes.append((begin, used))
                    is_head = False
                    continue
                if opening.takes_token:
                    used += 1
                else:
                    is_head = True
            if opening.has_node:
                begins.append(begin)
            pending += opening.reversed_actions
            if opening.ends_left_list:
                # The stop belongs to the list's outermost node, which was finished just before.
                nodes[-1] = (nodes[-1][0], used)
    if used < num_tokens:
        raise DslcError(
            Diagnostic(
                Code.TOKENS_NOT_A_SENTENCE,
                Severity.ERROR,
                f"the sentence is finished after {used} of {num_tokens} tokens",
                help="leave out what follows",
            )
        )
    return Trace(steps, leaves, nodes)


def _unfinished(lowering: Lowering, num_tokens: int) -> DslcError:
    return DslcError(
        Diagnostic(
            Code.TOKENS_NOT_A_SENTENCE,
            Severity.ERROR,
            f"the sequence of {num_tokens} tokens is unfinished",
            help=f"give all tokens of one sentence of `{lowering.automaton.start}`",
        )
    )


def _wrong_token(lowering: Lowering, tokens: Sequence[int], place: int, expected: str) -> DslcError:
    vocabulary = lowering.automaton.vocabulary
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
