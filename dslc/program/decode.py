"""Tokens to parse trees, shaped as lark shapes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dslc.automaton.decoding import SHARED_PLACES
from dslc.automaton.lower import Lowering
from dslc.automaton.trace_tokens import finished_sentence, unfinished_sentence, wrong_literal, wrong_opening
from dslc.language.grammar import NodeShape
from dslc.program.tree import Leaf, ParseTree

Child = ParseTree | Leaf | None


def decode_tokens(lowering: Lowering, tokens: Sequence[int]) -> ParseTree:
    """The parse tree of a whole token sequence, with the token of each leaf and the tokens of each node.

    Equal to what lark makes of the sentence: helpers and `_rules` are replaced by their children, a `?rule` without
    alias by its only child, filtered terminals are left out, an absent `[item]` leaves its Nones. A root is always a
    node: where lark would return the only leaf of a `?start`, or None, the node of the rule that held it stays.

    Raises:
        DslcError: DSLC303 if the tokens are no sentence, with the first that is wrong.
    """
    # The walk of `trace_tokens`, which makes the tree on the way: a search decodes every sample.
    classification, tables = lowering.classification, lowering.decoding
    num_terminals, num_tokens, gap = classification.num_terminals, len(tokens), len(lowering.bnf.joiner)
    # What waits for its parent: the children that each value adds to it; of each value, where its children begin, and
    # its first token.
    children: list[Child] = []
    values: list[tuple[int, int]] = []
    begins: list[int] = []  # first token of each part whose node is not finished
    used = offset = 0  # tokens and code points so far
    node: ParseTree | None = None  # of the last word or reduction, None if it left none
    is_head = False
    pending = [classification.start]
    while pending:
        symbol = pending.pop()
        if symbol >= num_terminals:
            part = symbol - num_terminals
            opening = tables.only_opening[part]
            begin = used
            if opening is None:
                if used == num_tokens:
                    raise unfinished_sentence(lowering, tokens)
                opening = tables.opening_by_token[part].get(tokens[used])
                if opening is None:
                    raise wrong_opening(lowering, tokens, used, part)
                word = opening.word
                if word is not None:
                    used += 1
                    is_head = False
                    values.append((len(children), begin))
                    node = word.nodes.get(begin)
                    if node is None:
                        node = ParseTree(word.name, (), word.choice, word.rule, begin, used)
                        if begin < SHARED_PLACES:
                            word.nodes[begin] = node
                    children.append(node)
                    offset += word.length + gap
                    continue
                if opening.takes_token:
                    used += 1
                else:
                    is_head = True
            if opening.has_node:
                begins.append(begin)
            pending += opening.reversed_actions
            if opening.ends_left_list and node is not None:
                # The stop belongs to the list's outermost node, which was finished just before.
                children[-1] = node = replace(node, end_token=used)
        elif symbol >= 0:
            values.append((len(children), used))
            number, token = tables.forced_literal[symbol], None
            if number is None or is_head:
                if used == num_tokens:
                    raise unfinished_sentence(lowering, tokens)
                token = tokens[used]
                owner, number = tables.literal_by_token.get(token, (-1, 0))
                if owner != symbol:
                    raise wrong_literal(lowering, tokens, used, symbol)
                used += 1
                is_head = False
            literal = tables.printed[number]
            if literal.is_kept:
                children.append(Leaf(literal.terminal, literal.text, token, offset))
            offset += literal.length + gap
        else:
            reduction, shape = classification.reductions[-1 - symbol], tables.node_shapes[-1 - symbol]
            number = shape.num_symbols
            begin, first = values[-number] if number else (len(children), used)
            if not reduction.on_list:
                first = begins.pop()
            if shape.is_arranged:
                starts = [start for start, _ in values[len(values) - number :]]
                children[begin:] = _arrange_children(children, starts, shape)
            if number:
                del values[-number:]
            values.append((begin, first))
            if shape.is_transparent or (shape.is_expanded and len(children) == begin + 1):
                node = None  # its children stand for it
            else:
                node = ParseTree(shape.name, tuple(children[begin:]), shape.choice, shape.rule, first, used)
                children[begin:] = (node,)
    if used < num_tokens:
        raise finished_sentence(used, tokens)
    root = children[0] if len(children) == 1 else None
    if isinstance(root, ParseTree) and (node is not None or shape.is_expanded):
        return root
    return ParseTree(shape.name, tuple(children), shape.choice, shape.rule, 0, used)


def _arrange_children(children: Sequence[Child], starts: Sequence[int], shape: NodeShape) -> list[Child]:
    """The children of a node that leaves some of them out, or sets Nones between them."""
    arranged: list[Child] = []
    ends = (*starts[1:], len(children))
    nones = shape.nones or (0,) * (len(starts) + 1)
    for is_kept, begin, end, number in zip(shape.keeps, starts, ends, nones, strict=False):
        arranged += [None] * number
        if is_kept:
            arranged += children[begin:end]
    return [*arranged, *[None] * nones[-1]]
