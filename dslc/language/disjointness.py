"""A proof that a grammar is unambiguous: its alternatives have no text in common, and no sequence can be cut in two
ways.

Source:
    Brabrand, Giegerich & Møller 2010, "Analyzing ambiguity of context-free grammars": a grammar is unambiguous if and
    only if it is vertically and horizontally so; both are tested on regular supersets, which are those of Mohri &
    Nederhof 2001, "Regular approximation of context-free grammars through transformation", section 3.
"""

from __future__ import annotations

from itertools import combinations

from dslc.language.atoms import AtomGrammar
from dslc.language.finite_automaton import (
    Automaton,
    Fragments,
    TooLargeError,
    can_overlap,
    determinize,
    have_common_text,
)


def is_disjoint(grammar: AtomGrammar, *, max_states: int) -> bool:
    """True if regular supersets, of at most `max_states` states before merging, prove that no text has two
    derivations.
    """
    try:
        supersets = _Supersets(grammar, max_states)
        return all(_is_disjoint_rule(rule, supersets) for rule in grammar.rules)
    except TooLargeError:
        return False


def _is_disjoint_rule(rule: tuple[tuple[int, ...], ...], supersets: _Supersets) -> bool:
    for left, right in combinations(rule, 2):
        if have_common_text(supersets.of_sequence(left), supersets.of_sequence(right)):
            return False
    for production in rule:
        for cut in range(1, len(production)):
            left, right = production[:cut], production[cut:]
            if all(symbol >= 0 for symbol in left) or all(symbol >= 0 for symbol in right):
                continue  # one text on that side: only one cut
            if can_overlap(supersets.of_sequence(left), supersets.of_sequence(right)):
                return False
    return True


class _Supersets:
    """A regular superset of the texts of every rule and sequence; exact for rules that are linear on one side."""

    def __init__(self, grammar: AtomGrammar, max_states: int) -> None:
        self._max_states = max_states
        self._by_rule: dict[int, Automaton] = {}
        self._by_sequence: dict[tuple[int, ...], Automaton] = {}
        for component in find_components(grammar):
            self._approximate(grammar, component)

    def of_sequence(self, symbols: tuple[int, ...]) -> Automaton:
        """A superset of the texts of a sequence of symbols."""
        if symbols not in self._by_sequence:
            fragments = Fragments()
            begin = fragments.add_state()
            end = self._add_sequence(fragments, symbols, begin)
            self._by_sequence[symbols] = determinize(fragments, begin, end, max_states=self._max_states)
        return self._by_sequence[symbols]

    def _add_sequence(self, fragments: Fragments, symbols: tuple[int, ...], begin: int) -> int:
        for symbol in symbols:
            if symbol < 0:
                begin = fragments.add_copy(self._by_rule[~symbol], begin)
            else:
                end = fragments.add_state()
                fragments.steps[begin].append((symbol, end))
                begin = end
            if len(fragments.steps) > 8 * self._max_states:
                raise TooLargeError
        return begin

    def _approximate(self, grammar: AtomGrammar, component: tuple[int, ...]) -> None:
        """One automaton for rules that contain one another: a rule that is left may go on after any use of it."""
        fragments = Fragments()
        enter = {rule: fragments.add_state() for rule in component}
        leave = {rule: fragments.add_state() for rule in component}
        for rule in component:
            for production in grammar.rules[rule]:
                place = enter[rule]
                between: list[int] = []
                for symbol in production:
                    if symbol < 0 and ~symbol in enter:
                        end = self._add_sequence(fragments, tuple(between), place)
                        fragments.jumps[end].append(enter[~symbol])
                        place = leave[~symbol]
                        between = []
                    else:
                        between.append(symbol)
                end = self._add_sequence(fragments, tuple(between), place)
                fragments.jumps[end].append(leave[rule])
        for rule in component:
            self._by_rule[rule] = determinize(fragments, enter[rule], leave[rule], max_states=self._max_states)


def find_components(grammar: AtomGrammar) -> list[tuple[int, ...]]:
    """Rules that contain one another, grouped; each group after those that it uses (Tarjan 1972, without recursion)."""
    uses = [sorted({~symbol for production in rule for symbol in production if symbol < 0}) for rule in grammar.rules]
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    components = []
    for root in range(len(grammar.rules)):
        if root in order:
            continue
        work = [(root, iter(uses[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            rule, rest = work[-1]
            for other in rest:
                if other not in order:
                    order[other] = low[other] = len(order)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(uses[other])))
                    break
                if other in on_stack:
                    low[rule] = min(low[rule], order[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[rule])
                if low[rule] == order[rule]:
                    component: list[int] = []
                    while not component or component[-1] != rule:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                    components.append(tuple(sorted(component)))
    return components
