"""Which lists an inherited constraint can see into, so that they stay rules that contain themselves.

A list samples its items before it is known how deep each stands in the tree. That is exact where it makes no
difference: where entering a node of the rule from inside another gives what entering it at once gives, in every
context. Any other list is not fused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dslc.automaton.rewrite import find_list
from dslc.language.contexts import Context, Contexts
from dslc.language.grammar import BnfGrammar, BnfRule, Production


def find_seen_lists(
    trimmed: BnfGrammar, contexts: Contexts, reached: Mapping[str, Sequence[Context]]
) -> frozenset[str]:
    """Rules that would be lists, and that a constraint tells to be none.

    Args:
        trimmed: The grammar.
        contexts: Of its inherited constraints.
        reached: Contexts of each rule that some tree reaches.
    """
    number = {terminal.name: i for i, terminal in enumerate(trimmed.terminals)}
    number |= {rule.name: -1 - i for i, rule in enumerate(trimmed.rules)}
    seen = set()
    for rule in trimmed.rules:
        shape = find_list(
            number[rule.name],
            [tuple(number[symbol.name] for symbol in production.symbols) for production in rule.productions],
        )
        if shape is None:
            continue
        steps = [production for production, _ in shape.steps]
        bases = [production for production, _ in shape.base]
        for context in reached.get(rule.name, ()):
            if not _is_unseen(contexts, rule, steps, bases, context, is_left=shape.is_left):
                seen.add(rule.name)
                break
    return frozenset(seen)


def _is_unseen(
    contexts: Contexts, rule: BnfRule, steps: list[int], bases: list[int], context: Context, *, is_left: bool
) -> bool:
    def enter(production: int, outer: Context, like: int) -> Context | None:
        """Context of what stands in a node, as far as it makes a difference to the content of `like`."""
        inner = contexts.enter(rule.name, production, outer)
        return None if inner is None else contexts.project_bits(content[like], inner)

    content = {i: _content(contexts, rule, rule.productions[i]) for i in (*steps, *bases)}
    for outer in steps:
        nested = contexts.enter(rule.name, outer, context)
        if nested is None:
            continue
        if any(enter(inner, nested, inner) != enter(inner, context, inner) for inner in (*steps, *bases)):
            return False
    # Of the right form the first item is sampled before it is known whether another follows, so in either node.
    return is_left or enter(steps[0], context, bases[0]) == enter(bases[0], context, bases[0])


def _content(contexts: Contexts, rule: BnfRule, production: Production) -> int:
    """Components that make a difference to what a node holds beside the next one of the list."""
    symbols = tuple(symbol for symbol in production.symbols if symbol.name != rule.name)
    return contexts.relevant(Production(symbols))
