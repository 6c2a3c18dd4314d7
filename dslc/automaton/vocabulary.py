"""The vocabulary: literals in order of their terminals, then stops, then alternatives, each with a label of its own."""

from __future__ import annotations

from collections.abc import Sequence

from dslc.automaton.classification import STOP_CHOICE, PartRole
from dslc.automaton.rewrite import Draft
from dslc.automaton.tables import Token, TokenKind
from dslc.language.grammar import BnfGrammar, BnfRule

FirstToken = tuple[int, int]
"""A first token before ids are given: (terminal, literal), or (-1, stop)."""


class _Names:
    """Names that are given once: a repeat gets `#2`, `#3`, and so on."""

    def __init__(self) -> None:
        self.given: set[str] = set()

    def give(self, name: str) -> str:
        unique, number = name, 1
        while unique in self.given:
            number += 1
            unique = f"{name}#{number}"
        self.given.add(unique)
        return unique


def token_group(rule: BnfRule) -> str:
    """Name under which a rule's stops and alternatives go: copies in one `~n..m` share theirs."""
    return rule.stop_group or rule.name


def make_vocabulary(
    trimmed: BnfGrammar,
    drafts: Sequence[Draft],
    first_tokens: dict[int, dict[FirstToken, int]],
) -> tuple[tuple[Token, ...], list[tuple[int, ...]], dict[str, int], dict[tuple[str, int], int]]:
    """Tokens (literals, stops, alternatives), and their ids by terminal, by stop group and by (group, choice)."""
    num_terminals = len(trimmed.terminals)
    used = {s for draft in drafts for option in draft.options for s in option.symbols if s < num_terminals}
    heads = {terminal for tokens in first_tokens.values() for terminal, _ in tokens}
    vocabulary: list[Token] = []
    names = _Names()
    literal_tokens: list[tuple[int, ...]] = []
    for i, terminal in enumerate(trimmed.terminals):
        ids: list[int] = []
        if (len(terminal.literals) > 1 and i in used) or i in heads:
            for literal in terminal.literals:
                label = f'"{literal.text}"' if terminal.is_anonymous else f"{terminal.name}.{literal.text}"
                ids.append(len(vocabulary))
                vocabulary.append(
                    Token(ids[-1], names.give(label), TokenKind.LITERAL, terminal=terminal.name, text=literal.text)
                )
        literal_tokens.append(tuple(ids))
    group_names = _Names()
    group_label: dict[str, str] = {}
    stops: dict[str, int] = {}
    alternatives: dict[tuple[str, int], int] = {}
    rule_of_group: dict[str, str] = {}
    for i, draft in enumerate(drafts):
        if len(draft.options) < 2:
            continue
        group = token_group(draft.rule)
        if group not in group_label:
            group_label[group] = group_names.give(draft.rule.label or draft.rule.name)
            rule_of_group[group] = draft.rule.name
        if draft.role is PartRole.MORE or (-1, 0) in first_tokens.get(num_terminals + i, {}):
            stops.setdefault(group, -1)
        if not draft.is_fused:
            for option in draft.options:
                if option.choice != STOP_CHOICE:
                    alternatives.setdefault((group, option.choice), -1)
    for group in stops:
        stops[group] = len(vocabulary)
        label = names.give(f"<stop {group_label[group]}>")
        vocabulary.append(Token(stops[group], label, TokenKind.STOP, rule=rule_of_group[group]))
    for group, choice in alternatives:
        alternatives[group, choice] = len(vocabulary)
        label = names.give(f"<{group_label[group]}#{choice}>")
        vocabulary.append(Token(alternatives[group, choice], label, TokenKind.ALTERNATIVE, rule=rule_of_group[group]))
    return tuple(vocabulary), literal_tokens, stops, alternatives
