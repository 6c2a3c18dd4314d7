"""Rules to parts: lists are taken apart into base and tail, and each part remembers how trees are built from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from dslc.automaton.classification import STOP_CHOICE, Option, PartRole, Reduction
from dslc.language.grammar import BnfGrammar, BnfRule, RuleUse


@dataclass(frozen=True, slots=True)
class ListShape:
    is_left: bool
    base: tuple[tuple[int, tuple[int, ...]], ...]
    """(production, symbols) of each base alternative."""
    steps: tuple[tuple[int, tuple[int, ...]], ...]
    """(production, symbols) of what each further item adds; for the right form the symbols are SEP y."""


def find_list(rule: int, productions: Sequence[tuple[int, ...]]) -> ListShape | None:
    """The list that a rule is, `productions` being its symbols; None if it is none."""
    steps = [(i, symbols[1:]) for i, symbols in enumerate(productions) if symbols and symbols[0] == rule]
    if steps:
        base = [(i, symbols) for i, symbols in enumerate(productions) if not symbols or symbols[0] != rule]
        if base and all(rule not in symbols for _, symbols in (*steps, *base)):
            return ListShape(True, tuple(base), tuple(steps))
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
            return ListShape(False, ((last, item),), ((recursive, separator + item),))
    return None


@dataclass(slots=True)
class Draft:
    """A part in the making."""

    rule: BnfRule
    role: PartRole
    options: list[Option]
    is_fused: bool = False


class Rewriting:
    """The parts of a grammar and the reductions that build its trees."""

    def __init__(self, trimmed: BnfGrammar, no_lists: Collection[str] = ()) -> None:
        self.terminals = trimmed.terminals
        self.num_terminals = len(trimmed.terminals)
        terminal_symbol = {terminal.name: i for i, terminal in enumerate(trimmed.terminals)}
        whole = {rule.name: i for i, rule in enumerate(trimmed.rules)}  # for now: by rule, not by part
        shapes: list[ListShape | None] = []
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
            shapes.append(None if rule.name in no_lists else find_list(-1 - i, productions))
        self.reductions: list[Reduction] = []
        self.drafts: list[Draft] = []
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
                i,
            )
            for i, symbols in enumerate(productions)
        ]
        self.drafts.append(Draft(rule, PartRole.WHOLE, options))

    def _add_list(self, rule: BnfRule, shape: ListShape, whole_symbol: Sequence[int]) -> None:
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
            production = base[0][0]
            whole_option = Option((*symbols, tail), rule.productions[production].choice, (*actions, tail), production)
            self.drafts.append(Draft(rule, PartRole.WHOLE, [whole_option]))
        else:
            self.drafts.append(Draft(rule, PartRole.WHOLE, [Option((whole + 1, tail), 0, (whole + 1, tail))]))
            options = [
                Option(symbols, rule.productions[production].choice, actions, production)
                for (production, symbols), actions in zip(base, base_actions, strict=True)
            ]
            self.drafts.append(Draft(rule, PartRole.BASE, options))
        last = shape.base[0]
        stop_actions = () if shape.is_left else (self._reduce(rule, last[0], len(last[1]), on_list=True),)
        more = [Option((), STOP_CHOICE, stop_actions)]
        for production, written in shape.steps:
            symbols = renumber(written)
            # Left: join what stands before with the step, then go on. Right: go on, then join from the right.
            reduction = self._reduce(rule, production, len(symbols) + 1, on_list=True)
            actions = (*symbols, reduction, tail) if shape.is_left else (*symbols, tail, reduction)
            more.append(Option((*symbols, tail), rule.productions[production].choice, actions, production))
        self.drafts.append(Draft(rule, PartRole.MORE, more))
