"""Derivations and tokens to parse trees, shaped as lark shapes them."""

from __future__ import annotations

from collections.abc import Sequence

from dslc.automaton.derivation import Derivation, Scanned
from dslc.automaton.derive import TokenSpans, trace_tokens
from dslc.automaton.lower import Lowering
from dslc.language.grammar import BnfGrammar, BnfRule, Production, TerminalUse
from dslc.program.tree import Leaf, ParseTree

Child = ParseTree | Leaf | None


def decode_tokens(lowering: Lowering, tokens: Sequence[int]) -> ParseTree:
    """The parse tree of a whole token sequence, with the token of each leaf and the tokens of each node.

    Raises:
        DslcError: DSLC303 if the tokens are no sentence, with the first that is wrong.
    """
    derivation, spans = trace_tokens(lowering, tokens)
    return shape_tree(lowering.bnf, derivation, spans)


def shape_tree(bnf: BnfGrammar, derivation: Derivation, spans: TokenSpans | None = None) -> ParseTree:
    """The parse tree of a derivation, equal to what lark makes of the sentence.

    Helpers and `_rules` are replaced by their children, a `?rule` without alias by its only child, filtered terminals
    are left out, an absent `[item]` leaves its Nones. A root is always a node: where lark would return the only leaf of
    a `?start`, or None, the node of the rule that held it stays.

    Args:
        bnf: the grammar that the derivation is of.
        derivation: of any rule.
        spans: which tokens made what; without it leaves have no token and nodes no token range.
    """
    rules, terminals = bnf.rule_by_name, bnf.terminal_by_name
    gap = len(bnf.joiner)
    offset = 0
    num_leaves = num_nodes = 0
    child_lists: list[list[Child]] = [[]]
    # What is still to do, the next one last: a value to visit (with whether its leaf is kept), a node to close, Nones
    # to add.
    pending: list[tuple[Derivation | Scanned, bool] | tuple[BnfRule, Production] | int] = [(derivation, True)]
    root: ParseTree | None = None
    while pending:
        item = pending.pop()
        if isinstance(item, int):
            child_lists[-1].extend([None] * item)
            continue
        value, detail = item
        if isinstance(value, Scanned):
            text = terminals[value.terminal].literals[value.literal].text
            if detail:
                token = spans.leaves[num_leaves] if spans else None
                child_lists[-1].append(Leaf(value.terminal, text, token, offset))
            offset += len(text) + gap
            num_leaves += 1
        elif isinstance(value, Derivation):
            rule = rules[value.rule]
            production = rule.productions[value.production]
            pending.append((rule, production))
            nones = production.nones
            if nones and nones[-1]:
                pending.append(nones[-1])
            for i in range(len(value.children) - 1, -1, -1):
                symbol = production.symbols[i]
                pending.append((value.children[i], symbol.is_kept if isinstance(symbol, TerminalUse) else True))
                if nones and nones[i]:
                    pending.append(nones[i])
            if not rule.is_transparent or len(child_lists) == 1:
                child_lists.append([])
        else:
            assert isinstance(detail, Production)
            begin, end = spans.nodes[num_nodes] if spans else (0, 0)
            num_nodes += 1
            is_root = not pending
            if value.is_transparent and not is_root:
                continue  # its children already stand in the list of the node around it
            children = child_lists.pop()
            name = detail.alias or value.name
            if value.expand_single and not detail.alias and len(children) == 1:
                (child,) = children
                if not is_root:
                    child_lists[-1].append(child)
                    continue
                if isinstance(child, ParseTree):
                    root = child
                    continue
            tree = ParseTree(name, tuple(children), detail.choice, value.name, begin, end)
            if is_root:
                root = tree
            else:
                child_lists[-1].append(tree)
    assert root is not None, "every derivation has a root"
    return root
