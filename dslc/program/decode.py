"""Tokens to parse trees, shaped as lark shapes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dslc.automaton.lower import Lowering
from dslc.automaton.reading import SHARED_PLACES, Text, Word
from dslc.automaton.trace_tokens import finished_sentence, wrong_token
from dslc.language.grammar import NodeShape
from dslc.program.tree import Leaf, ParseTree

Child = ParseTree | Leaf | None
END = -1
"""Stands behind the last token; no token has that number."""


def decode_tokens(lowering: Lowering, tokens: Sequence[int]) -> ParseTree:
    """The parse tree of a whole token sequence, with the token of each leaf and the tokens of each node.

    Equal to what lark makes of the sentence: helpers and `_rules` are replaced by their children, a `?rule` without
    alias by its only child, filtered terminals are left out, an absent `[item]` leaves its Nones. A root is always a
    node: where lark would return the only leaf of a `?start`, or None, the node of the rule that held it stays.

    Raises:
        DslcError: DSLC303 if the tokens are no sentence, with the first that is wrong.
    """
    # The walk of `trace_tokens`, which makes the tree on the way: a search decodes every sample.
    tables, shapes, reductions = lowering.reading, lowering.decoding.node_shapes, lowering.classification.reductions
    by_token, alone, keeps_values = tables.by_token, tables.alone, tables.keeps_values
    upcoming = (*tokens, END)
    children: list[Child] = []  # what waits for its parent
    begins: list[tuple[int, int]] = []  # of each node that is not finished: where its children begin, its first token
    values: list[tuple[int, int]] = []  # the same of each value that a reduction joins, if it is asked for
    used = offset = 0  # tokens and code points so far
    node: ParseTree | None = None  # of the last word or reduction, None if it left none
    is_head = False  # the next token is the first literal of an option that is open already
    pending = [lowering.classification.start]
    while pending:
        symbol = pending.pop()
        if symbol >= 0:
            reading = by_token[symbol].get(upcoming[used])
            if reading is None:
                reading = alone[symbol]
                if reading is None:
                    raise wrong_token(lowering, tokens, used, symbol)
                if is_head and reading.text is not None:
                    reading = tables.as_head[symbol]
            else:
                word = reading.word
                if word is not None:
                    if keeps_values:
                        values.append((len(children), used))
                    node = word.nodes.get(used) or _make_word(word, used)
                    children.append(node)
                    offset += word.width
                    used += 1
                    is_head = False
                    continue
                is_head = not reading.takes_token
            if reading.has_node:
                begins.append((len(children), used))
            text = reading.text
            if text is not None:
                if keeps_values:
                    values.append((len(children), used))
                if text.is_kept:
                    children.append(text.leaves.get(offset) or _make_leaf(text, offset))
                offset += text.width
            if reading.takes_token:
                used += 1
                is_head = False
            pending += reading.reversed_actions
            if reading.ends_left_list and node is not None:
                # The stop belongs to the list's outermost node, which was finished just before.
                children[-1] = node = replace(node, end_token=used)
        else:
            shape = shapes[~symbol]
            number = shape.num_symbols
            begin, first = values[-number] if reductions[~symbol].on_list else begins.pop()
            if keeps_values:
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
    if used < len(tokens):
        raise finished_sentence(used, tokens)
    root = children[0] if len(children) == 1 else None
    if isinstance(root, ParseTree) and (node is not None or shape.is_expanded):
        return root
    return ParseTree(shape.name, tuple(children), shape.choice, shape.rule, 0, used)


def _make_word(word: Word, place: int) -> ParseTree:
    """The node of a word that is token number `place`."""
    node = ParseTree(word.name, (), word.choice, word.rule, place, place + 1)
    if place < SHARED_PLACES:
        word.nodes[place] = node
    return node


def _make_leaf(text: Text, position: int) -> Leaf:
    leaf = Leaf(text.terminal, text.text, text.token, position)
    if position < SHARED_PLACES:
        text.leaves[position] = leaf
    return leaf


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
