"""A reading of an ambiguous text whose nodes and literals count what they may, and whether it is the only one."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from dslc.language.earley import Chart
from dslc.language.forest import Forest, Node
from dslc.language.reading import Expand, Reading, Scan

Pair = tuple[Node, int]
"""A node of the forest and the total of what is below it."""


@dataclass(frozen=True)
class Counting:
    """What is counted, as totals that are added."""

    add: Sequence[Sequence[int]]
    """Sum of two totals."""
    dead: int
    """The total of too much."""
    accepts: Sequence[bool]
    """Whether a whole sentence may have a total."""
    of_production: Callable[[str, int], int]
    """What a node of a rule's production adds."""
    of_literal: Callable[[str, int], int]
    """What a literal of a terminal adds."""


def find_counted_reading(chart: Chart, counting: Counting) -> tuple[Reading, bool] | None:
    """The smallest reading whose total is accepted, and whether there is another; None if there is none.

    Trees of a node are told apart by their total, so the work grows with the square of the number of totals.

    Source:
        Knuth 1977, on pairs of a node and a total.
    """
    return _CountedForest(chart, counting).find()


class _CountedForest:
    """The pairs of a chart's forest: the cheapest way to each, and all ways."""

    def __init__(self, chart: Chart, counting: Counting) -> None:
        self.forest = Forest(chart)
        self.chart = chart
        self.counting = counting
        self.roots: list[Node] = [(True, chart.tables.start, 0, end) for end in chart.ends]
        self.options = self.forest.reachable_options(self.roots)
        self.totals: dict[Node, list[int]] = {node: [] for node in self.options}
        """Totals of each node, as they are settled."""
        self.best: dict[Pair, tuple[Any, tuple[Pair, ...]]] = {}
        """Choice and parts of the smallest tree of each pair."""
        self.costs: dict[Pair, int] = {}
        self.ways: dict[Pair, list[tuple[Pair, ...]]] = {}
        """The parts of each way to a pair."""
        self._settle()

    def _gain(self, node: Node, choice: Any) -> int:
        tables = self.chart.tables
        is_rule, number, _, _ = node
        if is_rule:
            return self.counting.of_production(tables.bnf.rules[number].name, tables.production[choice])
        if isinstance(choice, tuple):
            return self.counting.of_literal(tables.bnf.terminals[tables.next_terminal[number - 1]].name, choice[1])
        return 0

    def _settle(self) -> None:
        add, dead = self.counting.add, self.counting.dead
        users: dict[Node, list[tuple[Node, int, Any, int, tuple[Node, ...]]]] = {}
        heap: list[tuple[int, int, int, Pair, Any, tuple[Pair, ...]]] = []
        pushed = 0

        def offer(node: Node, index: int, choice: Any, gain: int, parts: tuple[Pair, ...]) -> None:
            nonlocal pushed
            total = gain
            for _, each in parts:
                total = add[total][each]
            if total == dead:
                return
            own = 1 if node[0] or isinstance(choice, tuple) else 0
            cost = own + sum(self.costs[part] for part in parts)
            self.ways.setdefault((node, total), []).append(parts)
            heapq.heappush(heap, (cost, index, pushed, (node, total), choice, parts))
            pushed += 1

        for node, choices in self.options.items():
            for index, choice in enumerate(choices):
                gain = self._gain(node, choice)
                parts = self.forest.parts(node, choice)
                if gain == dead:
                    continue
                for part in dict.fromkeys(parts):
                    users.setdefault(part, []).append((node, index, choice, gain, parts))
                if not parts:
                    offer(node, index, choice, gain, ())
        while heap:
            cost, _, _, pair, choice, below = heapq.heappop(heap)
            if pair in self.costs:
                continue
            self.costs[pair] = cost
            self.best[pair] = (choice, below)
            part, total = pair
            self.totals[part].append(total)
            for node, index, use, gain, parts in users.get(part, ()):
                if len(parts) == 1:
                    offer(node, index, use, gain, (pair,))
                    continue
                first, second = parts
                if first == second:
                    for other in self.totals[part]:
                        offer(node, index, use, gain, (pair, (part, other)))
                        if other != total:
                            offer(node, index, use, gain, ((part, other), pair))
                elif first == part:
                    for other in self.totals[second]:
                        offer(node, index, use, gain, (pair, (second, other)))
                else:
                    for other in self.totals[first]:
                        offer(node, index, use, gain, ((first, other), pair))

    def find(self) -> tuple[Reading, bool] | None:
        accepted = [(root, e) for root in self.roots for e in self.totals[root] if self.counting.accepts[e]]
        if not accepted:
            return None
        numbers = self._count_to_two()
        first = min(accepted, key=lambda pair: self.costs[pair])
        return self._read(first), sum(numbers[pair] for pair in accepted) > 1

    def _count_to_two(self) -> dict[Pair, int]:
        """How many trees each pair has, at most 2; a pair below itself has no end of them."""
        users: dict[Pair, list[Pair]] = {}
        for pair, ways in self.ways.items():
            for parts in ways:
                for part in parts:
                    users.setdefault(part, []).append(pair)
        numbers = dict.fromkeys(self.ways, 0)
        pending = list(self.ways)
        while pending:
            pair = pending.pop()
            number = sum(prod(numbers[part] for part in parts) for parts in self.ways[pair])
            if min(2, number) > numbers[pair]:
                numbers[pair] = min(2, number)
                pending += users.get(pair, ())
        return numbers

    def _read(self, root: Pair) -> Reading:
        tables, bnf = self.chart.tables, self.chart.tables.bnf
        backward: list[Expand | Scan] = []
        work: list[Pair | Expand] = [root]
        while work:
            item = work.pop()
            if isinstance(item, Expand):
                backward.append(item)
                continue
            choice, parts = self.best[item]
            is_rule, number, _, _ = item[0]
            if is_rule:
                work.append(Expand(bnf.rules[number].name, tables.production[choice]))
            elif isinstance(choice, tuple):
                terminal = bnf.terminals[tables.next_terminal[number - 1]]
                backward.append(Scan(terminal.name, choice[1], choice[2]))
            work.extend(parts)
        return tuple(reversed(backward))
