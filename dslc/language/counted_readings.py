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
"""A node of the forest and the way of what is below it."""


@dataclass(frozen=True)
class Counting:
    """What is counted and referred to, as ways: a stage before, and what is added to a total with the stage after.

    A way is stage * (number of totals + 1) + what is added; a total is count * number of stages + stage.
    """

    add: Sequence[Sequence[int]]
    """Total of two parts one after the other."""
    num_stages: int
    accepts: Sequence[bool]
    """Whether a whole sentence may have a total."""
    of_begin: Callable[[str, int], Sequence[int]]
    """[stage] the stage behind the beginning of a node of a rule's production."""
    of_production: Callable[[str, int], Sequence[int]]
    """[stage] what the end of a node of a rule's production adds."""
    of_literal: Callable[[str, int], Sequence[int]]
    """[stage] what a literal of a terminal adds."""

    @property
    def dead(self) -> int:
        """The total of too much, or of what cannot be."""
        return len(self.accepts)

    def join(self, way: int, then: int) -> int | None:
        """One way after another; None where the second does not begin as the first ends, or counts too much."""
        stage, total = divmod(way, self.dead + 1)
        begin, added = divmod(then, self.dead + 1)
        if begin != total % self.num_stages or self.add[total][added] == self.dead:
            return None
        return stage * (self.dead + 1) + self.add[total][added]

    def finish(self, way: int, own: Sequence[int]) -> int | None:
        """A way behind which a node ends or a literal stands."""
        stage, total = divmod(way, self.dead + 1)
        total = self.add[total][own[total % self.num_stages]]
        return None if total == self.dead else stage * (self.dead + 1) + total

    def begin(self, way: int, stages: Sequence[int]) -> list[int]:
        """Ways of a node whose content takes a way, by the stage behind its beginning."""
        begin, total = divmod(way, self.dead + 1)
        return [stage * (self.dead + 1) + total for stage, behind in enumerate(stages) if behind == begin]

    def accepts_way(self, way: int) -> bool:
        """Whether a sentence may take a way: it begins with the first stage."""
        return way <= self.dead and self.accepts[way]


def find_counted_reading(chart: Chart, counting: Counting) -> tuple[Reading, bool] | None:
    """The smallest reading whose total is accepted, and whether there is another; None if there is none.

    Trees of a node are told apart by their way, so the work grows with the square of the number of totals.

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
        self.found: dict[Node, list[int]] = {node: [] for node in self.options}
        """Ways of each node, as they are settled."""
        self.best: dict[Pair, tuple[Any, tuple[Pair, ...]]] = {}
        """Choice and parts of the smallest tree of each pair."""
        self.costs: dict[Pair, int] = {}
        self.ways: dict[Pair, list[tuple[Pair, ...]]] = {}
        """The parts of each way to a pair."""
        self._settle()

    def _begin(self, node: Node, choice: Any) -> Sequence[int]:
        tables = self.chart.tables
        is_rule, number, _, _ = node
        if not is_rule:
            return range(self.counting.num_stages)
        return self.counting.of_begin(tables.bnf.rules[number].name, tables.production[choice])

    def _own(self, node: Node, choice: Any) -> Sequence[int]:
        tables = self.chart.tables
        is_rule, number, _, _ = node
        if is_rule:
            return self.counting.of_production(tables.bnf.rules[number].name, tables.production[choice])
        if isinstance(choice, tuple):
            return self.counting.of_literal(tables.bnf.terminals[tables.next_terminal[number - 1]].name, choice[1])
        return range(self.counting.num_stages)

    def _settle(self) -> None:
        counting = self.counting
        begins = [stage * (counting.dead + 1) + stage for stage in range(counting.num_stages)]
        users: dict[Node, list[tuple[Node, int, Any, Sequence[int], tuple[Node, ...]]]] = {}
        heap: list[tuple[int, int, int, Pair, Any, tuple[Pair, ...]]] = []
        pushed = 0

        def offer(node: Node, index: int, choice: Any, own: Sequence[int], parts: tuple[Pair, ...]) -> None:
            nonlocal pushed
            ways: Sequence[int | None] = begins
            if parts:
                ways = [parts[0][1] if len(parts) == 1 else counting.join(parts[0][1], parts[1][1])]
            stages = self._begin(node, choice)
            begun = [way for whole in ways if whole is not None for way in counting.begin(whole, stages)]
            for whole in begun:
                way = counting.finish(whole, own)
                if way is None:
                    continue
                price = 1 if node[0] or isinstance(choice, tuple) else 0
                cost = price + sum(self.costs[part] for part in parts)
                self.ways.setdefault((node, way), []).append(parts)
                heapq.heappush(heap, (cost, index, pushed, (node, way), choice, parts))
                pushed += 1

        for node, choices in self.options.items():
            for index, choice in enumerate(choices):
                own = self._own(node, choice)
                parts = self.forest.parts(node, choice)
                for part in dict.fromkeys(parts):
                    users.setdefault(part, []).append((node, index, choice, own, parts))
                if not parts:
                    offer(node, index, choice, own, ())
        while heap:
            cost, _, _, pair, choice, below = heapq.heappop(heap)
            if pair in self.costs:
                continue
            self.costs[pair] = cost
            self.best[pair] = (choice, below)
            part, way = pair
            self.found[part].append(way)
            for node, index, use, own, parts in users.get(part, ()):
                if len(parts) == 1:
                    offer(node, index, use, own, (pair,))
                    continue
                first, second = parts
                if first == second:
                    for other in self.found[part]:
                        offer(node, index, use, own, (pair, (part, other)))
                        if other != way:
                            offer(node, index, use, own, ((part, other), pair))
                elif first == part:
                    for other in self.found[second]:
                        offer(node, index, use, own, (pair, (second, other)))
                else:
                    for other in self.found[first]:
                        offer(node, index, use, own, ((first, other), pair))

    def find(self) -> tuple[Reading, bool] | None:
        accepted = [(root, way) for root in self.roots for way in self.found[root] if self.counting.accepts_way(way)]
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
