"""Whether a grammar is LR(1), which proves it unambiguous; and the states of such parsers."""

from __future__ import annotations

from dslc.language.atoms import AtomGrammar

Kernel = dict[int, int]
"""Dots with the atoms that may follow their production, one bit an atom; the highest bit is the end of the text."""


def is_lr1(grammar: AtomGrammar, *, max_work: int) -> bool:
    """True if an LR(1) parser without conflicts is found within `max_work` items; False if not found.

    States with the same core are merged at first (LALR): fewer states, and a parser without conflicts proves as much.
    Where that has a conflict, the canonical states are tried.

    Source:
        Knuth 1965; DeRemer & Pennello 1982 for the merged states, found here by propagation.
    """
    tables = DotTables(grammar)
    return any(_has_no_conflict(tables, merge=merge, max_work=max_work) for merge in (True, False))


class DotTables:
    """Dots of the grammar: `symbols[dot]` is what follows (None at the end), `rest_first` and `rest_empty` what can
    follow that.
    """

    def __init__(self, grammar: AtomGrammar) -> None:
        self.end = 1 << grammar.num_atoms
        self.symbols: list[int | None] = []
        self.first_dots: list[list[int]] = []
        for rule in (*grammar.rules, ((~grammar.start,),)):  # the last is the rule that begins everything
            self.first_dots.append([])
            for production in rule:
                self.first_dots[-1].append(len(self.symbols))
                self.symbols.extend((*production, None))
        self._find_first()

    def _find_first(self) -> None:
        num_rules = len(self.first_dots)
        first, empty = [0] * num_rules, [False] * num_rules
        self.dot_first = [0] * len(self.symbols)
        self.dot_empty = [False] * len(self.symbols)
        changed = True
        while changed:
            changed = False
            for dot in range(len(self.symbols) - 1, -1, -1):
                symbol = self.symbols[dot]
                if symbol is None:
                    self.dot_empty[dot] = True
                elif symbol >= 0:
                    self.dot_first[dot] = 1 << symbol
                else:
                    rest = self.dot_first[dot + 1] if empty[~symbol] else 0
                    self.dot_first[dot] = first[~symbol] | rest
                    self.dot_empty[dot] = empty[~symbol] and self.dot_empty[dot + 1]
            for rule, dots in enumerate(self.first_dots):
                grown, is_empty = first[rule], empty[rule]
                for dot in dots:
                    grown |= self.dot_first[dot]
                    is_empty |= self.dot_empty[dot]
                changed |= grown != first[rule] or is_empty != empty[rule]
                first[rule], empty[rule] = grown, is_empty


def _has_no_conflict(tables: DotTables, *, merge: bool, max_work: int) -> bool:
    states: dict[frozenset[int] | frozenset[tuple[int, int]], Kernel] = {}
    work: list[frozenset[int] | frozenset[tuple[int, int]]] = []

    def reach(kernel: Kernel) -> None:
        key = frozenset(kernel) if merge else frozenset(kernel.items())
        known = states.get(key)
        if known is None:
            states[key] = kernel
            work.append(key)
            return
        grown = False
        for dot, follow in kernel.items():
            if follow & ~known[dot]:
                known[dot] |= follow
                grown = True
        if grown:
            work.append(key)

    reach({tables.first_dots[-1][0]: tables.end})
    done = 0
    while work:
        items = close_kernel(tables, states[work.pop()])
        done += len(items)
        if done > max_work:
            return False
        shifted = reduced = 0
        targets: dict[int, Kernel] = {}
        for dot, follow in items.items():
            symbol = tables.symbols[dot]
            if symbol is None:
                if follow & reduced:
                    return False
                reduced |= follow
                continue
            if symbol >= 0:
                shifted |= 1 << symbol
            targets.setdefault(symbol, {})[dot + 1] = follow
        if shifted & reduced:
            return False
        for kernel in targets.values():
            reach(kernel)
    return True


def close_kernel(tables: DotTables, kernel: Kernel) -> Kernel:
    """A state with the productions that its rules begin with, each with what may follow it."""
    items = dict(kernel)
    work = list(kernel)
    while work:
        dot = work.pop()
        symbol = tables.symbols[dot]
        if symbol is None or symbol >= 0:
            continue
        follow = tables.dot_first[dot + 1] | (items[dot] if tables.dot_empty[dot + 1] else 0)
        for first_dot in tables.first_dots[~symbol]:
            known = items.get(first_dot)
            if known is None:
                items[first_dot] = follow
            elif follow & ~known:
                items[first_dot] = known | follow
            else:
                continue
            work.append(first_dot)
    return items
