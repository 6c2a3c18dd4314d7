"""Tokens to parse trees, shaped as lark shapes them."""

from __future__ import annotations

from collections.abc import Sequence

from dslc.automaton.lower import Lowering
from dslc.automaton.trace_tokens import trace_tokens
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
    trace = trace_tokens(lowering, tokens)
    literals, shapes, gap = lowering.literals, lowering.node_shapes, len(lowering.bnf.joiner)
    num_leaves = num_nodes = offset = 0
    # What waits for its parent: the children that each value adds to it, and where those of each value begin.
    children: list[Child] = []
    starts: list[int] = []
    for step in trace.steps:
        if step >= 0:
            literal = literals[step]
            starts.append(len(children))
            if literal.is_kept:
                children.append(Leaf(literal.terminal, literal.text, trace.leaves[num_leaves], offset))
            num_leaves += 1
            offset += literal.length + gap
            continue
        shape = shapes[-1 - step]
        num_nodes += 1
        number = shape.num_symbols
        begin = starts[-number] if number else len(children)
        if shape.is_arranged:
            children[begin:] = _arrange_children(children, starts[len(starts) - number :], shape)
        if number > 1:
            del starts[1 - number :]
        elif number == 0:
            starts.append(begin)
        if shape.is_transparent or (shape.is_expanded and len(children) == begin + 1):
            continue  # its children stand for it
        span = trace.nodes[num_nodes - 1]
        if begin == len(children):
            children.append(ParseTree(shape.name, (), shape.choice, shape.rule, *span))
        else:
            children[begin:] = (ParseTree(shape.name, tuple(children[begin:]), shape.choice, shape.rule, *span),)
    root = children[0] if len(children) == 1 else None
    if isinstance(root, ParseTree) and (shape.is_expanded or not shape.is_transparent):
        return root
    return ParseTree(shape.name, tuple(children), shape.choice, shape.rule, *trace.nodes[-1])


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
