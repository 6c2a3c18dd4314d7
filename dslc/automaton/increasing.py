"""The lists of a terminal whose literals increase: nodes in which they stand directly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.constraints import Constraint
from dslc.language.contexts import Visibility, undecided_error
from dslc.language.grammar import BnfGrammar, Production


@dataclass(frozen=True)
class Lists:
    """The lists of one terminal."""

    nodes: frozenset[tuple[str, int]]
    """(rule, production) in whose nodes literals can stand."""
    are_nested: bool
    """One can stand inside another."""


_Seen = tuple[frozenset[int], ...]
"""[progress before] progress after what stands in a node, for every way to fill it."""
_NOTHING: _Seen = tuple(frozenset({progress}) for progress in range(4))
_LITERAL: _Seen = tuple(frozenset({progress}) for progress in (1, 1, 3, 3))
_INNER_LIST: _Seen = tuple(frozenset({progress}) for progress in (0, 2, 2, 3))
"""Progress: 0 no literal so far, 1 one, 2 then a list inside, 3 then a literal again, whose predecessor is lost."""
_LOST = 3


def find_lists(
    trimmed: BnfGrammar, start: str, visibility: dict[str, list[Visibility]], reference: Constraint
) -> Lists:
    """The lists of an increasing terminal.

    Raises:
        DslcError: DSLC222 if one can stand inside another and go on behind it, for only one last literal is known;
        DSLC221 if a `?rule` may or may not be one.
    """
    return _Finder(trimmed, visibility, reference).find(start)


class _Finder:
    def __init__(self, trimmed: BnfGrammar, visibility: dict[str, list[Visibility]], reference: Constraint) -> None:
        self.trimmed = trimmed
        self.visibility = visibility
        self.reference = reference
        self.terminal = reference.subject.name

    def find(self, start: str) -> Lists:
        """See `find_lists`."""
        givers = self._close({self.terminal}, Visibility.PASSED)
        """Symbols that give a literal to the node around them."""
        nodes = set()
        for rule in self.trimmed.rules:
            for i, production in enumerate(rule.productions):
                if any(symbol.name in givers for symbol in production.symbols):
                    seen = self.visibility[rule.name][i]
                    if seen is Visibility.UNDECIDED:
                        raise undecided_error(self.reference, rule.name)
                    if seen is Visibility.SHOWN:
                        nodes.add((rule.name, i))
        self.holders = self._close({rule for rule, _ in nodes}, None)
        """Rules in which a list can stand, or that are one."""
        self.nodes = frozenset(nodes)
        self._look_through()
        roots = [(start, self.seen[start])] if start in givers else []  # without a node around them, one list too
        whole = [*roots, *((rule, self._read(self._production(rule, i))) for rule, i in sorted(nodes))]
        for name, progress in whole:
            if _LOST in progress[0]:
                raise self._lost(name)
        inner = [self._production(rule, i) for rule, i in nodes]
        is_root_nested = start in givers and start in self.holders
        return Lists(
            self.nodes,
            is_root_nested or any(symbol.name in self.holders for each in inner for symbol in each.symbols),
        )

    def _production(self, rule: str, i: int) -> Production:
        return self.trimmed.rule_by_name[rule].productions[i]

    def _close(self, symbols: set[str], through: Visibility | None) -> set[str]:
        """Symbols, and rules that lead to them through productions that are `through`, or through any."""
        while True:
            more = {
                rule.name
                for rule in self.trimmed.rules
                for production, seen in zip(rule.productions, self.visibility[rule.name], strict=True)
                if through in (None, seen) and any(symbol.name in symbols for symbol in production.symbols)
            }
            if more <= symbols:
                return symbols
            symbols |= more

    def _look_through(self) -> None:
        """What each rule does to the progress of the node around it, by repeated relaxation."""
        empty: _Seen = (frozenset(),) * 4
        self.seen = {rule.name: empty for rule in self.trimmed.rules}
        changed = True
        while changed:
            changed = False
            for rule in reversed(self.trimmed.rules):
                found = self.seen[rule.name]
                for i, production in enumerate(rule.productions):
                    seen = self.visibility[rule.name][i]
                    if seen is not Visibility.PASSED:
                        holds = (rule.name, i) in self.nodes or self._holds(production)
                        found = _unite(found, _INNER_LIST if holds else _NOTHING)
                    if seen is not Visibility.SHOWN:
                        found = _unite(found, self._read(production))
                if found != self.seen[rule.name]:
                    self.seen[rule.name], changed = found, True

    def _holds(self, production: Production) -> bool:
        return any(symbol.name in self.holders for symbol in production.symbols)

    def _read(self, production: Production) -> _Seen:
        seen = _NOTHING
        for symbol in production.symbols:
            own = _LITERAL if symbol.name == self.terminal else self.seen.get(symbol.name, _NOTHING)
            seen = tuple(_join(own[progress] for progress in reached) for reached in seen)
        return seen

    def _lost(self, rule: str) -> DslcError:
        return DslcError(
            Diagnostic(
                Code.INCREASING_NESTED,
                Severity.ERROR,
                f"`{self.reference}`: a list of `{self.terminal}` in rule `{rule}` can go on behind another one that "
                "stands inside it, and only the last literal of one is known",
                self.reference.span,
                f"write all of `{self.terminal}` before or behind what can hold such a list, or leave out `increasing`",
            )
        )


def _join(sets: Iterable[frozenset[int]]) -> frozenset[int]:
    return frozenset().union(*sets)


def _unite(first: _Seen, second: _Seen) -> _Seen:
    return tuple(a | b for a, b in zip(first, second, strict=True))
