"""Shortest texts of a grammar, also those that lead a machine from one of its states to another."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from dslc.language.grammar import BnfGrammar, RuleUse, Symbol

Cost = tuple[int, int]
"""Literals, then characters."""
Moves = Mapping[str, Mapping[int, Mapping[int, str]]]
"""By terminal and state, each state that one of its literals leads to, with the shortest such literal."""
_Item = tuple[int, int, int]
"""A dot with the state before its production and the state that it has reached."""


class ShortestTexts:
    """The shortest text of each rule between each two states that are reached, found cheapest first.

    Source:
        Bar-Hillel, Perles & Shamir 1961 for rules between states; Knuth 1977 for cheapest first.
    """

    def __init__(self, bnf: BnfGrammar, moves: Moves, *, max_work: int) -> None:
        """A table for texts of `bnf`; `is_over` becomes True when more than `max_work` steps are needed."""
        self.bnf = bnf
        self.moves = moves
        self.max_work = max_work
        self.work = 0
        self._symbols: list[Symbol | None] = []
        self._rule_of_dot: list[str] = []
        self._first_dots: dict[str, list[int]] = {}
        for rule in bnf.rules:
            self._first_dots[rule.name] = []
            for production in rule.productions:
                self._first_dots[rule.name].append(len(self._symbols))
                self._symbols.extend((*production.symbols, None))
                self._rule_of_dot.extend([rule.name] * (len(production.symbols) + 1))
        self._origin: dict[_Item, tuple[_Item, str | _Item] | None] = {}
        """Of each settled item, the item before its last symbol, with the literal or the finished item after it."""
        self._finished: dict[tuple[str, int], dict[int, _Item]] = {}
        """By rule and state before it, the finished item by state after it."""
        self._cost: dict[_Item, Cost] = {}
        self._waiting: dict[tuple[str, int], list[_Item]] = {}
        self._heap: list[tuple[Cost, _Item, tuple[_Item, str | _Item] | None]] = []

    @property
    def is_over(self) -> bool:
        """True if the limit on work was met: what was not found may exist."""
        return self.work > self.max_work

    def find(self, rule: str, before: int, after: int) -> tuple[str, ...] | None:
        """Literals of the shortest text of a rule that leads from one state to another; None if there is none."""
        self._predict(rule, before)
        while after not in self._finished[rule, before]:
            if not self._heap or self.is_over:
                return None
            self._settle(*heapq.heappop(self._heap))
        literals: list[str] = []
        pending: list[str | _Item] = [self._finished[rule, before][after]]
        while pending:  # from the last literal to the first
            item = pending.pop()
            if isinstance(item, str):
                literals.append(item)
                continue
            origin = self._origin[item]
            if origin is not None:
                pending.extend(origin)
        return tuple(reversed(literals))

    def _predict(self, rule: str, state: int) -> None:
        if (rule, state) in self._finished:
            return
        self._finished[rule, state] = {}
        self._waiting[rule, state] = []
        for dot in self._first_dots[rule]:
            heapq.heappush(self._heap, ((0, 0), (dot, state, state), None))

    def _settle(self, cost: Cost, item: _Item, origin: tuple[_Item, str | _Item] | None) -> None:
        if item in self._cost:
            return
        self.work += 1
        self._cost[item] = cost
        self._origin[item] = origin
        dot, before, state = item
        symbol = self._symbols[dot]
        if symbol is None:
            finished = self._finished[self._rule_of_dot[dot], before]
            if state not in finished:
                finished[state] = item
                for waiting in self._waiting[self._rule_of_dot[dot], before]:
                    self._move(waiting, item)
        elif isinstance(symbol, RuleUse):
            self._predict(symbol.name, state)
            self._waiting[symbol.name, state].append(item)
            for finished_item in self._finished[symbol.name, state].values():
                self._move(item, finished_item)
        else:
            for after, literal in self.moves[symbol.name].get(state, {}).items():
                longer = (cost[0] + 1, cost[1] + len(literal))
                heapq.heappush(self._heap, (longer, (dot + 1, before, after), (item, literal)))

    def _move(self, item: _Item, over: _Item) -> None:
        one, other = self._cost[item], self._cost[over]
        moved = (item[0] + 1, item[1], over[2])
        heapq.heappush(self._heap, ((one[0] + other[0], one[1] + other[1]), moved, (item, over)))


def plain_moves(bnf: BnfGrammar) -> dict[str, dict[int, dict[int, str]]]:
    """The machine with one state, for shortest texts as such."""
    return {
        terminal.name: {0: {0: min((literal.text for literal in terminal.literals), key=len)}}
        for terminal in bnf.terminals
    }
