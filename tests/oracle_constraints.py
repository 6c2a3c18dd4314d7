"""Constraints read on trees, naively: a tree obeys them or not. Nothing here uses dslc.

A constraint is a tuple: ("inside", subject, outer), ("under", subject, outer), ("max_depth", n, name), ("at_most", n,
subject), ("at_least", n, subject), ("ref", terminal, name of nodes, number of inputs, whether lists increase). A name
is a rule, an alias, a terminal, or (terminal, text).

Beside the predicate stands a second naive answer: which lists the constraints tell apart, so that they are none.
"""

from __future__ import annotations

import itertools
from typing import Any

from tests.oracle_derivations import Decisions, PlainGrammar, Symbols, Tree

Constraint = tuple[Any, ...]
Shown = tuple[frozenset[Any], tuple[Any, ...]]
"""A node of the tree that a user sees: the names that it goes by, and its children; a leaf has none.

A placeholder for what is absent is a leaf without a name.
"""
Path = tuple[frozenset[Any], ...]
"""Names of the nodes from the root to a place."""

INHERITED = ("inside", "under", "max_depth")
COUNTED = ("at_most", "at_least")
THREADED = (*COUNTED, "ref")


def print_name(name: Any) -> str:
    """A name as in a grammar file."""
    if isinstance(name, str):
        return name
    terminal, text = name
    return f"{terminal}.{text}" if text.isalpha() else f'{terminal}."{text}"'


def print_constraint(constraint: Constraint) -> str:
    """A constraint as in a grammar file."""
    if constraint[0] == "ref":
        _, terminal, name, inputs, increases = constraint
        return f"ref {terminal}: {name}{f' after {inputs}' if inputs else ''}{' increasing' if increases else ''}"
    kind, first, second = constraint
    if kind in ("inside", "under"):
        return f"forbid {print_name(first)} {kind} {print_name(second)}"
    return f"{kind} {first} {print_name(second)}"


class ConstrainedTrees:
    """Which trees of a grammar obey its constraints."""

    def __init__(self, grammar: PlainGrammar, constraints: list[Constraint]) -> None:
        self.grammar = grammar
        self.constraints = constraints

    # --- trees --------------------------------------------------------------------------------------------------------

    def show(self, tree: Tree) -> list[Shown]:
        """What a derivation leaves in the tree that a user sees."""
        grammar = self.grammar
        if len(tree) == 2:
            terminal, literal = tree
            if terminal.startswith('"'):
                return []
            return [(frozenset({terminal, (terminal, grammar.literals(terminal)[literal])}), ())]
        name, choice, children = tree
        shown = [node for child in children for node in self.show(child)]
        if choice == 1 and name in grammar.absent:
            shown = [(frozenset(), ())] * grammar.absent[name]
        if name in grammar.group or name.startswith("_"):
            return shown
        alias = grammar.aliases.get((name, choice))
        if name in grammar.inlined and alias is None and len(shown) == 1:
            return shown
        return [(frozenset({name, alias} - {None}), tuple(shown))]

    def obeys(self, tree: Tree) -> bool:
        """Whether a derivation obeys every constraint."""
        return all(self._holds(constraint, tree) for constraint in self.constraints)

    def _holds(self, constraint: Constraint, tree: Tree) -> bool:
        if constraint[0] == "ref":
            return self._refers(constraint, tree)
        kind, first, second = constraint
        paths = [path for root in self.show(tree) for path in _paths(root, ())]
        if kind == "at_most":
            return bool(sum(second in path[-1] for path in paths) <= first)
        if kind == "at_least":
            return bool(sum(second in path[-1] for path in paths) >= first)
        return not any(_is_forbidden(constraint, path) for path in paths)

    def _refers(self, constraint: Constraint, tree: Tree) -> bool:
        """Whether each literal of a terminal names an input or a node that is finished before it in reading order.

        Where lists increase, the literals that stand directly in one node do so from left to right.
        """
        _, terminal, name, inputs, increases = constraint
        finished = 0
        # Roots and children as (node, False); a node all of whose children were visited comes again as (node, True).
        pending = [(root, False) for root in reversed(self.show(tree))]
        while pending:
            (names, children), is_finished = pending.pop()
            if is_finished:
                finished += name in names
                numbers = [_number(child[0]) for child in children if terminal in child[0]]
                if increases and any(a >= b for a, b in itertools.pairwise(numbers)):
                    return False
            elif terminal in names:
                if _number(names) >= inputs + finished:
                    return False
            else:
                pending.append(((names, children), True))
                pending.extend((child, False) for child in reversed(children))
        return True

    # --- lists --------------------------------------------------------------------------------------------------------

    def seen_lists(self) -> set[str]:
        """Lists whose nodes the inherited constraints tell apart.

        Paths are cut to what the constraints can see of them, so there are few.
        """
        grammar = self.grammar
        inherited = [each for each in self.constraints if each[0] in INHERITED]
        shapes = Decisions(grammar).lists
        if not inherited or not shapes:
            return set()
        reached = self._reach(inherited)
        seen = set()
        for name, (bases, steps) in shapes.items():
            alternatives = dict(grammar.kept[name])
            is_left = alternatives[steps[0][0]][0] == name
            for path in reached.get(name, ()):
                for step, _ in steps:
                    nested = self._enter(inherited, name, step, path)
                    if nested is None:
                        continue
                    for choice, symbols in grammar.kept[name]:
                        content = tuple(s for s in symbols if s != name)
                        if self._view(inherited, name, choice, content, nested) != self._view(
                            inherited, name, choice, content, path
                        ):
                            seen.add(name)
                if not is_left:
                    ((base, item),) = bases
                    if self._view(inherited, name, base, item, path) != self._view(
                        inherited, name, steps[0][0], item, path
                    ):
                        seen.add(name)
        return seen

    def _view(self, inherited: list[Constraint], name: str, choice: int, content: Symbols, path: Path) -> Any:
        """What the constraints can do to the content of a node that stands at a path; None if they forbid the node."""
        inner = self._enter(inherited, name, choice, path)
        if inner is None:
            return None
        return [self._effect(constraint, content, inner) for constraint in inherited]

    def _effect(self, constraint: Constraint, content: Symbols, path: Path) -> Any:
        """The state of one constraint at a path, where something in the content can break it."""
        kind, first, second = constraint
        subject = second if kind == "max_depth" else first
        below, top = self._names_in(content)
        if subject not in (top if kind == "under" else below):
            return None
        if kind == "inside":
            return any(second in names for names in path)
        if kind == "under":
            return bool(path) and second in path[-1]
        return min(first, sum(second in names for names in path))

    def _names_in(self, content: Symbols) -> tuple[set[Any], set[Any]]:
        """Names of all that can stand in some symbols, and of what can stand there without a node in between."""
        grammar = self.grammar
        below: set[Any] = set()
        top: set[Any] = set()
        reached: set[tuple[str, bool]] = set()
        pending = [(symbol, True) for symbol in content]
        while pending:
            symbol, is_top = pending.pop()
            if (symbol, is_top) in reached:
                continue
            reached.add((symbol, is_top))
            if symbol not in grammar.kept:
                if not symbol.startswith('"'):
                    names: frozenset[Any] = frozenset({symbol, *((symbol, text) for text in grammar.literals(symbol))})
                    below |= names
                    top |= names if is_top else set()
                continue
            for choice, symbols in grammar.kept[symbol]:
                shown = self._names(symbol, choice)
                below |= shown
                top |= shown if is_top else set()
                pending.extend((each, is_top and not shown) for each in symbols)
        return below, top

    def _reach(self, inherited: list[Constraint]) -> dict[str, set[Path]]:
        """Paths at which each rule can stand, cut."""
        reached: dict[str, set[Path]] = {}
        pending: list[tuple[str, Path]] = [("start", ())]
        while pending:
            name, path = pending.pop()
            if path in reached.setdefault(name, set()):
                continue
            reached[name].add(path)
            for choice, symbols in self.grammar.kept[name]:
                inner = self._enter(inherited, name, choice, path)
                if inner is not None:
                    pending.extend((each, inner) for each in symbols if each in self.grammar.kept)
        return reached

    def _names(self, name: str, choice: int) -> frozenset[Any]:
        """Names of the node of an alternative; none if it leaves no node."""
        grammar = self.grammar
        if name in grammar.group or name.startswith("_"):
            return frozenset()
        alias = grammar.aliases.get((name, choice))
        if name in grammar.inlined and alias is None and self.child_counts(name, choice) == {1}:
            return frozenset()
        return frozenset({name, alias} - {None})

    def _enter(self, inherited: list[Constraint], name: str, choice: int, path: Path) -> Path | None:
        names = self._names(name, choice)
        if not names:
            return path
        longer = (*path, names)
        if any(_is_forbidden(constraint, longer) for constraint in inherited):
            return None
        # Cut: above the last node only what constraints name is kept, and of that as many as they count.
        most = {constraint[2]: constraint[1] for constraint in inherited if constraint[0] == "max_depth"}
        for kind, first, second in inherited:
            if kind == "max_depth":
                most[second] = max(most[second], first)
        outers = {constraint[2] for constraint in inherited if constraint[0] != "max_depth"}
        kept: list[frozenset[Any]] = []
        for outer in longer[:-1]:
            useful = frozenset(
                each
                for each in outer
                if sum(each in before for before in kept) < max(most.get(each, 0), 1 if each in outers else 0)
            )
            if useful:
                kept.append(useful)
        return (*kept, longer[-1])

    def child_counts(self, name: str, choice: int) -> set[int]:
        """How many children the node of an alternative can have: 0, 1, or 2 for more."""
        counts: dict[str, set[int]] = {rule: set() for rule in self.grammar.kept}

        def of(symbols: Symbols) -> set[int]:
            sums = {0}
            for symbol in symbols:
                if symbol not in counts:
                    own = {0 if symbol.startswith('"') else 1}
                elif symbol in self.grammar.group or symbol.startswith("_"):
                    own = counts[symbol]
                else:
                    own = {1}
                sums = {min(2, a + b) for a in sums for b in own}
            return sums

        while True:
            before = {rule: set(found) for rule, found in counts.items()}
            for rule, alternatives in self.grammar.kept.items():
                for number, symbols in alternatives:
                    is_absent = number == 1 and rule in self.grammar.absent
                    counts[rule] |= {min(2, self.grammar.absent[rule])} if is_absent else of(symbols)
            if before == counts:
                return of(dict(self.grammar.kept[name])[choice])


def _number(names: frozenset[Any]) -> int:
    """The number that a leaf's text is."""
    return next(int(name[1]) for name in names if not isinstance(name, str))


def _paths(node: Shown, above: Path) -> list[Path]:
    """The path of every node below one, itself included."""
    path = (*above, node[0])
    return [path, *(inner for child in node[1] for inner in _paths(child, path))]


def _is_forbidden(constraint: Constraint, path: Path) -> bool:
    """Whether a constraint forbids the last node of a path where it stands."""
    kind, first, second = constraint
    if kind == "inside":
        return first in path[-1] and any(second in names for names in path[:-1])
    if kind == "under":
        return first in path[-1] and len(path) > 1 and second in path[-2]
    return second in path[-1] and sum(second in names for names in path) > first
