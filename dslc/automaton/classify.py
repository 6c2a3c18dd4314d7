"""What becomes of each rule: spliced in place, fused with its first token, made a list, or a labelled alternative.

The rules of a trimmed grammar are rewritten to *parts* without losing a derivation:

- A list rule (`x: x a1 | .. | x am | b1 | .. | bk` with x nowhere else, or the right form `x: y SEP x | y`) is `b
  (a)*`: its whole is the base followed by a tail, `more: <stop> | a more`; with k > 1 the base is a part of its own.
- A part with one option is *spliced*: it stands for its symbols and asks nothing.
- A part is *fused* where, after splicing, every option begins with a terminal or with a fused part that has no stop, at
  most one is empty (its token is `<stop rule>`), and all first tokens differ: option and first literal are one
  decision.
- Any other part is *alternative*: its options are the tokens `<rule#k>`, k the index of the alternative as written; the
  end of a list is always `<stop rule>`.

A symbol of a part is an integer: a terminal's index in the grammar, or the number of terminals + the part's index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from dslc.automaton.tables import Token, TokenKind
from dslc.language.grammar import BnfGrammar, BnfRule, RuleUse, Terminal


class RuleKind(Enum):
    """What a rule became; `LIST` says nothing about its base and tail, which may be fused or alternative."""

    SPLICED = "spliced"
    FUSED = "fused"
    LIST = "list"
    ALTERNATIVE = "alternative"


class PartRole(Enum):
    """Which part of its rule: the whole, or for a list the base or the tail."""

    WHOLE = "whole"
    BASE = "base"
    MORE = "more"


STOP_CHOICE = -1
"""The choice of the option that ends a list: no alternative as written."""


@dataclass(frozen=True, slots=True)
class Option:
    """One way to fill a part."""

    symbols: tuple[int, ...]
    choice: int
    """Index of the alternative as written, or STOP_CHOICE."""
    actions: tuple[int, ...]
    """How to build the tree: a symbol to fill, or -1 - i for reduction i of the classification."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """Joins the last `num_children` values into a node of `rule`."""

    rule: str
    production: int
    """Index into the productions of the trimmed rule."""
    num_children: int
    on_list: bool
    """A step of a list: the node begins where its first child begins."""


@dataclass(frozen=True, slots=True)
class Part:
    """A rule, or the base or tail of a list."""

    rule: str
    role: PartRole
    kind: RuleKind
    """SPLICED, FUSED or ALTERNATIVE."""
    options: tuple[Option, ...]
    option_by_token: dict[int, int]
    """Index of the option that a token takes; empty if spliced."""

    @property
    def name(self) -> str:
        """`rule`, `rule.base` or `rule.more`."""
        return self.rule if self.role is PartRole.WHOLE else f"{self.rule}.{self.role.value}"


@dataclass(frozen=True, slots=True)
class EncodingTables:
    """What writing the tokens of a derivation looks up."""

    symbol_by_terminal: dict[str, int]
    literal_ids: frozenset[int]
    """Tokens that are literals."""
    token_by_option: tuple[dict[int, int], ...]
    """[part] a token of each option; which of several literals does not matter."""
    step_by_production: dict[str, dict[int, int]]
    """Of each list: option of the tail that a production is a step of."""
    base_by_production: dict[str, dict[int, int]]
    """Of each left list: option of the base that a production is."""


@dataclass(frozen=True)
class Classification:
    """Kind of each rule, the parts, and the vocabulary."""

    start: int
    """Symbol of the start rule."""
    kind_by_rule: dict[str, RuleKind]
    parts: tuple[Part, ...]
    whole_by_rule: dict[str, int]
    """Symbol of a rule's whole part."""
    tail_by_rule: dict[str, int]
    """Symbol of a list's tail."""
    is_left_list: dict[str, bool]
    """Of each list, whether it is the left-recursive form."""
    reductions: tuple[Reduction, ...]
    vocabulary: tuple[Token, ...]
    literal_tokens: tuple[tuple[int, ...], ...]
    """Token ids of each terminal's literals, in order; empty where the terminal is never sampled."""
    fusion_order: tuple[int, ...]
    """Symbols of the fused parts, each after the parts that its options begin with."""
    splice_order: tuple[int, ...]
    """Symbols of the spliced parts, each after the parts that it holds."""
    heads: dict[int, int | None]
    """First terminal, fused or alternative part of a spliced part; None if its text is empty."""

    terminal_names: tuple[str, ...]
    """Names of the terminals, by symbol."""

    @property
    def num_terminals(self) -> int:
        """Symbols below this are terminals."""
        return len(self.literal_tokens)

    @cached_property
    def encoding(self) -> EncodingTables:
        """Tables for writing tokens, made when first asked for."""
        steps: dict[str, dict[int, int]] = {}
        bases: dict[str, dict[int, int]] = {}
        for part in self.parts:
            if part.role is PartRole.WHOLE:
                continue
            table = (steps if part.role is PartRole.MORE else bases).setdefault(part.rule, {})
            for i, option in enumerate(part.options):
                if option.choice != STOP_CHOICE:
                    table.update({self.reductions[-1 - a].production: i for a in option.actions if a < 0})
        return EncodingTables(
            symbol_by_terminal={name: i for i, name in enumerate(self.terminal_names)},
            literal_ids=frozenset(token for ids in self.literal_tokens for token in ids),
            token_by_option=tuple({o: token for token, o in part.option_by_token.items()} for part in self.parts),
            step_by_production=steps,
            base_by_production=bases,
        )


# --- lists ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ListShape:
    is_left: bool
    base: tuple[tuple[int, tuple[int, ...]], ...]
    """(production, symbols) of each base alternative."""
    steps: tuple[tuple[int, tuple[int, ...]], ...]
    """(production, symbols) of what each further item adds; for the right form the symbols are SEP y."""


def _find_list(rule: int, productions: Sequence[tuple[int, ...]]) -> _ListShape | None:
    """The list that a rule is, `productions` being its symbols; None if it is none."""
    steps = [(i, symbols[1:]) for i, symbols in enumerate(productions) if symbols and symbols[0] == rule]
    if steps:
        base = [(i, symbols) for i, symbols in enumerate(productions) if not symbols or symbols[0] != rule]
        if base and all(rule not in symbols for _, symbols in (*steps, *base)):
            return _ListShape(True, tuple(base), tuple(steps))
        return None
    if len(productions) != 2:
        return None
    for recursive, last in ((0, 1), (1, 0)):
        item, longer = productions[last], productions[recursive]
        if (
            item
            and rule not in item
            and len(longer) > len(item)
            and longer[-1] == rule
            and longer[: len(item)] == item
            and rule not in longer[:-1]
        ):
            separator = longer[len(item) : -1]
            return _ListShape(False, ((last, item),), ((recursive, separator + item),))
    return None


# --- parts ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Draft:
    """A part in the making."""

    rule: BnfRule
    role: PartRole
    options: list[Option]
    is_fused: bool = False


class _Rewriting:
    """The parts of a grammar and the reductions that build its trees."""

    def __init__(self, trimmed: BnfGrammar) -> None:
        self.terminals = trimmed.terminals
        self.num_terminals = len(trimmed.terminals)
        terminal_symbol = {terminal.name: i for i, terminal in enumerate(trimmed.terminals)}
        whole = {rule.name: i for i, rule in enumerate(trimmed.rules)}  # for now: by rule, not by part
        shapes: list[_ListShape | None] = []
        productions_by_rule: list[list[tuple[int, ...]]] = []
        for i, rule in enumerate(trimmed.rules):
            # While lists are looked for, rule r is -1 - r, so that parts can be numbered afterwards.
            productions = [
                tuple(
                    -1 - whole[symbol.name] if isinstance(symbol, RuleUse) else terminal_symbol[symbol.name]
                    for symbol in production.symbols
                )
                for production in rule.productions
            ]
            productions_by_rule.append(productions)
            shapes.append(_find_list(-1 - i, productions))
        self.reductions: list[Reduction] = []
        self.drafts: list[_Draft] = []
        self.whole_by_rule: dict[str, int] = {}
        self.tail_by_rule: dict[str, int] = {}
        self.is_left_list: dict[str, bool] = {}
        whole_symbol: list[int] = []
        next_symbol = self.num_terminals
        for shape in shapes:
            whole_symbol.append(next_symbol)
            next_symbol += 1 if shape is None else (2 if len(shape.base) == 1 else 3)
        for i, (rule, shape) in enumerate(zip(trimmed.rules, shapes, strict=True)):
            productions = [
                tuple(whole_symbol[-1 - symbol] if symbol < 0 else symbol for symbol in symbols)
                for symbols in productions_by_rule[i]
            ]
            self.whole_by_rule[rule.name] = whole_symbol[i]
            if shape is None:
                self._add_plain(rule, productions)
            else:
                self._add_list(rule, shape, whole_symbol)

    def _reduce(self, rule: BnfRule, production: int, num_children: int, *, on_list: bool) -> int:
        self.reductions.append(Reduction(rule.name, production, num_children, on_list))
        return -len(self.reductions)

    def _add_plain(self, rule: BnfRule, productions: Sequence[tuple[int, ...]]) -> None:
        options = [
            Option(
                symbols,
                rule.productions[i].choice,
                (*symbols, self._reduce(rule, i, len(symbols), on_list=False)),
            )
            for i, symbols in enumerate(productions)
        ]
        self.drafts.append(_Draft(rule, PartRole.WHOLE, options))

    def _add_list(self, rule: BnfRule, shape: _ListShape, whole_symbol: Sequence[int]) -> None:
        def renumber(symbols: Iterable[int]) -> tuple[int, ...]:
            return tuple(whole_symbol[-1 - symbol] if symbol < 0 else symbol for symbol in symbols)

        whole = self.num_terminals + len(self.drafts)
        tail = whole + (1 if len(shape.base) == 1 else 2)
        self.tail_by_rule[rule.name] = tail
        self.is_left_list[rule.name] = shape.is_left
        base = [(production, renumber(symbols)) for production, symbols in shape.base]
        if shape.is_left:
            base_actions = [
                (*symbols, self._reduce(rule, production, len(symbols), on_list=False)) for production, symbols in base
            ]
        else:
            base_actions = [symbols for _, symbols in base]
        if len(base) == 1:
            symbols, actions = base[0][1], base_actions[0]
            whole_option = Option((*symbols, tail), rule.productions[base[0][0]].choice, (*actions, tail))
            self.drafts.append(_Draft(rule, PartRole.WHOLE, [whole_option]))
        else:
            self.drafts.append(_Draft(rule, PartRole.WHOLE, [Option((whole + 1, tail), 0, (whole + 1, tail))]))
            options = [
                Option(symbols, rule.productions[production].choice, actions)
                for (production, symbols), actions in zip(base, base_actions, strict=True)
            ]
            self.drafts.append(_Draft(rule, PartRole.BASE, options))
        last = shape.base[0]
        stop_actions = () if shape.is_left else (self._reduce(rule, last[0], len(last[1]), on_list=True),)
        more = [Option((), STOP_CHOICE, stop_actions)]
        for production, written in shape.steps:
            symbols = renumber(written)
            # Left: join what stands before with the step, then go on. Right: go on, then join from the right.
            reduction = self._reduce(rule, production, len(symbols) + 1, on_list=True)
            actions = (*symbols, reduction, tail) if shape.is_left else (*symbols, tail, reduction)
            more.append(Option((*symbols, tail), rule.productions[production].choice, actions))
        self.drafts.append(_Draft(rule, PartRole.MORE, more))


# --- splicing and fusion ----------------------------------------------------------------------------------------------


def _order_splices(drafts: Sequence[_Draft], num_terminals: int) -> tuple[int, ...]:
    """Symbols of the parts with one option, each after those that it holds; there is no cycle in a trimmed grammar."""
    finished: set[int] = set()
    order: list[int] = []
    for i, draft in enumerate(drafts):
        root = num_terminals + i
        if len(draft.options) != 1 or root in finished:
            continue
        pending = [root]
        opened: set[int] = set()
        while pending:
            symbol = pending[-1]
            if symbol in finished:
                pending.pop()
                continue
            if symbol in opened:
                pending.pop()
                finished.add(symbol)
                order.append(symbol)
                continue
            opened.add(symbol)
            for inner in drafts[symbol - num_terminals].options[0].symbols:
                if inner >= num_terminals and inner not in finished and len(drafts[inner - num_terminals].options) == 1:
                    assert inner not in opened, "a rule that can never end was kept"
                    pending.append(inner)
    return tuple(order)


def _find_head(symbols: Iterable[int], heads: dict[int, int | None]) -> int | None:
    """First symbol after splicing, None if nothing is left."""
    for symbol in symbols:
        head = heads.get(symbol, symbol)
        if head is not None:
            return head
    return None


FirstToken = tuple[int, int]
"""A first token before ids are given: (terminal, literal), or (-1, stop)."""


def _fuse(
    drafts: Sequence[_Draft], num_terminals: int, terminals: Sequence[Terminal], heads: dict[int, int | None]
) -> tuple[tuple[int, ...], dict[int, dict[FirstToken, int]]]:
    """Least fixpoint of fusion: symbols of the fused parts in order, and which option each first token takes."""
    waits: dict[int, int] = {}
    waiters: dict[int, list[int]] = {}
    option_heads: dict[int, list[int | None]] = {}
    ready: list[int] = []
    for i, draft in enumerate(drafts):
        if len(draft.options) < 2:
            continue
        symbol = num_terminals + i
        own_heads = [_find_head(option.symbols, heads) for option in draft.options]
        option_heads[symbol] = own_heads
        needed = {head for head in own_heads if head is not None and head >= num_terminals}
        waits[symbol] = len(needed)
        for needed_head in sorted(needed):
            waiters.setdefault(needed_head, []).append(symbol)
        if not needed:
            ready.append(symbol)
    order: list[int] = []
    first_tokens: dict[int, dict[FirstToken, int]] = {}
    while ready:
        symbol = ready.pop()
        tokens: dict[FirstToken, int] = {}
        expected = 0
        has_stop = False
        for i, head in enumerate(option_heads[symbol]):
            if head is None:
                has_stop = True
                tokens[-1, 0] = i
                expected += 1
            elif head < num_terminals:
                for literal in range(len(terminals[head].literals)):
                    tokens[head, literal] = i
                expected += len(terminals[head].literals)
            else:
                for first in first_tokens[head]:
                    tokens[first] = i
                expected += len(first_tokens[head])
        if len(tokens) != expected:  # two options begin alike, or two are empty
            continue
        first_tokens[symbol] = tokens
        drafts[symbol - num_terminals].is_fused = True
        order.append(symbol)
        if not has_stop:  # what a stop announces has no text, so it is fused no further
            for waiter in waiters.get(symbol, ()):
                waits[waiter] -= 1
                if waits[waiter] == 0:
                    ready.append(waiter)
    return tuple(order), first_tokens


# --- vocabulary -------------------------------------------------------------------------------------------------------


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


def _group(rule: BnfRule) -> str:
    return rule.stop_group or rule.name


def _make_vocabulary(
    trimmed: BnfGrammar,
    drafts: Sequence[_Draft],
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
        group = _group(draft.rule)
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


def classify_rules(trimmed: BnfGrammar, start: str) -> Classification:
    """Kind of each rule of a trimmed grammar, its parts, and the vocabulary of its automaton.

    Args:
        trimmed: productive alternatives of reachable rules only, else splicing would not end.
        start: the start rule, one of `trimmed`.
    """
    rewriting = _Rewriting(trimmed)
    drafts, num_terminals = rewriting.drafts, rewriting.num_terminals
    splice_order = _order_splices(drafts, num_terminals)
    heads: dict[int, int | None] = {}
    for spliced in splice_order:
        heads[spliced] = _find_head(drafts[spliced - num_terminals].options[0].symbols, heads)
    fusion_order, first_tokens = _fuse(drafts, num_terminals, trimmed.terminals, heads)
    vocabulary, literal_tokens, stops, alternatives = _make_vocabulary(trimmed, drafts, first_tokens)

    parts: list[Part] = []
    for i, draft in enumerate(drafts):
        by_token: dict[int, int] = {}
        group = _group(draft.rule)
        if draft.is_fused:
            kind = RuleKind.FUSED
            for (terminal, literal), option_id in first_tokens[num_terminals + i].items():
                by_token[stops[group] if terminal < 0 else literal_tokens[terminal][literal]] = option_id
        elif len(draft.options) > 1:
            kind = RuleKind.ALTERNATIVE
            for option_id, option in enumerate(draft.options):
                by_token[stops[group] if option.choice == STOP_CHOICE else alternatives[group, option.choice]] = (
                    option_id
                )
        else:
            kind = RuleKind.SPLICED
        parts.append(Part(draft.rule.name, draft.role, kind, tuple(draft.options), by_token))
    kind_by_rule = {
        rule.name: RuleKind.LIST
        if rule.name in rewriting.tail_by_rule
        else parts[rewriting.whole_by_rule[rule.name] - num_terminals].kind
        for rule in trimmed.rules
    }
    return Classification(
        start=rewriting.whole_by_rule[start],
        kind_by_rule=kind_by_rule,
        parts=tuple(parts),
        whole_by_rule=rewriting.whole_by_rule,
        tail_by_rule=rewriting.tail_by_rule,
        is_left_list=rewriting.is_left_list,
        reductions=tuple(rewriting.reductions),
        vocabulary=vocabulary,
        literal_tokens=tuple(literal_tokens),
        fusion_order=fusion_order,
        splice_order=splice_order,
        heads=heads,
        terminal_names=tuple(terminal.name for terminal in trimmed.terminals),
    )
