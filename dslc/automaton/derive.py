"""Token sequences to derivations and back, exactly, with stacks of their own, so sentences may be of any length."""

from __future__ import annotations

from collections.abc import Sequence

from dslc.automaton.classification import RuleKind
from dslc.automaton.derivation import Derivation, Scanned
from dslc.automaton.lower import Lowering
from dslc.automaton.trace_tokens import trace_tokens


def tokens_to_derivation(lowering: Lowering, tokens: Sequence[int]) -> Derivation:
    """The derivation that a whole token sequence stands for; whether it fits a budget is not asked.

    Raises:
        DslcError: DSLC303 if the tokens are no sentence, with the first that is wrong.
    """
    literals, reductions = lowering.decoding.literals, lowering.classification.reductions
    built: list[Derivation | Scanned] = []
    for step in trace_tokens(lowering, tokens):
        if step >= 0:
            built.append(literals[step])
        else:
            reduction = reductions[-1 - step]
            begin = len(built) - reduction.num_children
            children = tuple(built[begin:])
            del built[begin:]
            built.append(Derivation(reduction.rule, reduction.production, children))
    (root,) = built
    assert isinstance(root, Derivation), "the start is a rule"
    return root


def derivation_to_tokens(lowering: Lowering, derivation: Derivation) -> tuple[int, ...]:
    """The token sequence of a derivation from the start, the inverse of `tokens_to_derivation`."""
    classification = lowering.classification
    num_terminals = classification.num_terminals
    parts, literal_tokens = classification.parts, classification.literal_tokens
    tables = classification.encoding
    terminal_symbol, whole_by_rule = tables.symbol_by_terminal, classification.whole_by_rule
    tail_by_rule, is_left_list = classification.tail_by_rule, classification.is_left_list
    tokens: list[int] = []
    is_head = False  # the next terminal takes the token of the fused parts before it, forced or not
    # Values to write, and (symbol, option) pairs to announce, the next one last.
    pending: list[Derivation | Scanned | tuple[int, int]] = [derivation]
    while pending:
        item = pending.pop()
        if isinstance(item, Scanned):
            symbol = terminal_symbol[item.terminal]
            ids = literal_tokens[symbol]
            if is_head or (len(ids) > 1):
                tokens.append(ids[item.literal])
                is_head = False
            continue
        if isinstance(item, tuple):
            symbol, option = item
            token = tables.token_by_option[symbol - num_terminals][option]
            if token in tables.literal_ids and parts[symbol - num_terminals].kind is RuleKind.FUSED:
                is_head = True
            else:
                tokens.append(token)
            continue
        tail = tail_by_rule.get(item.rule)
        whole = whole_by_rule[item.rule]
        if tail is None:
            pending.extend(reversed(item.children))
            if parts[whole - num_terminals].kind is not RuleKind.SPLICED:
                pending.append((whole, item.production))
            continue
        option_by_production = tables.step_by_production[item.rule]
        pending.append((tail, 0))
        node = item
        if is_left_list[item.rule]:
            # The outermost node is the last step, so the walk down the spine meets the steps as a stack wants them.
            while node.production in option_by_production:
                pending.extend(reversed(node.children[1:]))
                pending.append((tail, option_by_production[node.production]))
                inner = node.children[0]
                assert isinstance(inner, Derivation), "a left list begins with itself"
                node = inner
            pending.extend(reversed(node.children))
            if tail - whole > 1:
                pending.append((whole + 1, tables.base_by_production[item.rule][node.production]))
        else:
            width = len(parts[whole - num_terminals].options[0].symbols) - 1
            written: list[Derivation | Scanned | tuple[int, int]] = []
            while node.production in option_by_production:
                written.extend(node.children[:width])
                written.append((tail, option_by_production[node.production]))
                written.extend(node.children[width:-1])
                inner = node.children[-1]
                assert isinstance(inner, Derivation), "a right list ends with itself"
                node = inner
            written.extend(node.children)
            pending.extend(reversed(written))
    return tuple(tokens)
