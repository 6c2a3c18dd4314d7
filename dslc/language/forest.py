"""Trees out of a chart: whether there is exactly one, the first, and a second where there is one.

A node is `(True, rule, begin, end)`, a rule over a span, or `(False, dot, origin, end)`, the beginning of a
production up to a dot. What is chosen at a node is one of its options: a last dot for a rule, a pointer for a dot.
Every option of a reachable node is used by some finite tree, so a text has one derivation if and only if every
reachable node has one option.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

from dslc.language.earley import Chart
from dslc.language.reading import Expand, Reading, Scan

Node = tuple[bool, int, int, int]


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings of one text."""

    first: Reading
    """The one with the fewest nodes; among those, at every node the lowest production, then the shortest end."""
    second: Reading | None
    """Another, where there is one."""

    @property
    def is_ambiguous(self) -> bool:
        """True if there are two."""
        return self.second is not None


def extract_readings(chart: Chart) -> Readings:
    """The first reading of a sentence, and a second if it has one, infinitely many where a rule derives itself
    included.

    The second differs from the first in one choice, the first in preorder that has an alternative.
    """
    assert chart.ends, "only a sentence has readings"
    forest = Forest(chart)
    start = chart.tables.start
    roots: list[Node] = [(True, start, 0, end) for end in chart.ends]
    options = forest.reachable_options(roots)
    if len(roots) == 1 and all(len(choices) == 1 for choices in options.values()):
        return Readings(forest.read(roots[0], {node: choices[0] for node, choices in options.items()}), None)
    costs = forest.node_costs(roots, options)
    best = {node: forest.cheapest(node, choices, costs) for node, choices in options.items()}
    root = min(roots, key=lambda node: costs[node])
    first = forest.read(root, best)
    others = [node for node in roots if node != root]
    if others:
        return Readings(first, forest.read(min(others, key=lambda node: costs[node]), best))
    fork = forest.first_fork(root, best, options)
    other = forest.cheapest(fork, [choice for choice in options[fork] if choice != best[fork]], costs)
    return Readings(first, forest.read(root, best, fork=fork, other=other))


class Forest:
    """The options of nodes, in order of preference among equally large trees."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.tables = chart.tables

    def options(self, node: Node) -> list[Any]:
        """What can be chosen at a node."""
        is_rule, number, origin, end = node
        pointers = self.chart.sets[end].pointers
        width = self.chart.width
        if is_rule:
            return [dot for dot in self.tables.last_dots[number] if dot * width + origin in pointers]
        if self._begins(number):
            return [None]
        found = pointers[number * width + origin]
        if len(found) == 1:
            return found
        return sorted(found, key=lambda pointer: (-pointer[0], pointer[1]) if isinstance(pointer, tuple) else -pointer)

    def parts(self, node: Node, choice: Any) -> tuple[Node, ...]:
        """Nodes below a choice, left to right; terminals are no nodes."""
        is_rule, number, origin, end = node
        if is_rule:
            return ((False, choice, origin, end),)
        if choice is None:
            return ()
        rule = self.tables.next_rule[number - 1]
        if rule < 0:
            return ((False, number - 1, origin, choice[0]),)
        return ((False, number - 1, origin, choice), (True, rule, choice, end))

    def _begins(self, dot: int) -> bool:
        return dot == 0 or self.tables.next_rule[dot - 1] == self.tables.next_terminal[dot - 1] == -1

    def reachable_options(self, roots: list[Node]) -> dict[Node, list[Any]]:
        """The options of every node that is below one of `roots`."""
        found: dict[Node, list[Any]] = {}
        work = list(roots)
        while work:
            node = work.pop()
            if node in found:
                continue
            found[node] = self.options(node)
            for choice in found[node]:
                work.extend(self.parts(node, choice))
        return found

    def node_costs(self, roots: list[Node], options: dict[Node, list[Any]]) -> dict[Node, int]:
        """Fewest rule nodes and terminals of a tree of each node (Knuth 1977, Dijkstra's algorithm on derivations)."""
        users: dict[Node, list[tuple[Node, Any]]] = {}
        missing: dict[tuple[Node, Any], int] = {}
        queue: list[tuple[int, Node]] = []
        costs: dict[Node, int] = {}
        for node, choices in options.items():
            for choice in choices:
                parts = self.parts(node, choice)
                missing[node, choice] = len(parts)
                for part in parts:
                    users.setdefault(part, []).append((node, choice))
                if not parts:
                    heapq.heappush(queue, (0, node))
        while queue:
            cost, node = heapq.heappop(queue)
            if node in costs:
                continue
            costs[node] = cost
            for user, choice in users.get(node, ()):
                missing[user, choice] -= 1
                if not missing[user, choice] and user not in costs:
                    heapq.heappush(queue, (self.choice_cost(user, choice, costs), user))
        assert all(root in costs for root in roots), "every node of a forest has a finite tree"
        return costs

    def choice_cost(self, node: Node, choice: Any, costs: dict[Node, int]) -> int:
        """Size of the smallest tree that takes this choice."""
        own = 1 if node[0] or isinstance(choice, tuple) else 0
        return own + sum(costs[part] for part in self.parts(node, choice))

    def cheapest(self, node: Node, choices: list[Any], costs: dict[Node, int]) -> Any:
        """The first of the choices that take the fewest nodes."""
        return min(choices, key=lambda choice: self.choice_cost(node, choice, costs))

    def first_fork(self, root: Node, best: dict[Node, Any], options: dict[Node, list[Any]]) -> Node:
        """First node of the best tree, from the root, that has two options."""
        work = [root]
        while work:
            node = work.pop()
            if len(options[node]) > 1:
                return node
            work.extend(reversed(self.parts(node, best[node])))
        raise AssertionError("a forest with a fork has one in each of its trees")

    def read(self, root: Node, choices: dict[Node, Any], *, fork: Node | None = None, other: Any = None) -> Reading:
        """The tree of the given choices in preorder; at `fork`, where it is met first, `other` is taken."""
        tables, bnf = self.tables, self.tables.bnf
        backward: list[Expand | Scan] = []
        work: list[Node | Expand] = [root]
        taken = fork is None
        while work:
            node = work.pop()
            if isinstance(node, Expand):
                backward.append(node)
                continue
            choice = choices[node]
            if not taken and node == fork:
                choice, taken = other, True
            is_rule, number, _, _ = node
            if is_rule:
                work.append(Expand(bnf.rules[number].name, tables.production[choice]))
            elif isinstance(choice, tuple):
                terminal = bnf.terminals[tables.next_terminal[number - 1]]
                backward.append(Scan(terminal.name, choice[1], choice[2]))
            work.extend(self.parts(node, choice))
        assert taken, "the fork is a node of the tree"
        return tuple(reversed(backward))
