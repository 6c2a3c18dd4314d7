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
from dslc.language.components import find_components
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
        for component in find_rule_groups(grammar):
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


def find_rule_groups(grammar: AtomGrammar) -> list[tuple[int, ...]]:
    """Rules that contain one another, grouped; each group after those that it uses."""
    uses = [sorted({~symbol for production in rule for symbol in production if symbol < 0}) for rule in grammar.rules]
    return [tuple(sorted(component)) for component in find_components(dict(enumerate(uses)))]
