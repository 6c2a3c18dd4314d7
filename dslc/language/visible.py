"""Two readings of a text that show in its tree: operators and `_rules` leave no nodes there, so not all do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dslc.language.earley import Chart
from dslc.language.forest import Forest, Node, Readings
from dslc.language.grammar import BnfGrammar, TerminalUse
from dslc.language.reading import Expand, Reading, Scan

MAX_STEPS = 500
"""Limit of work of one search: choices in the forest that are followed."""

_Visible = tuple[Any, ...]
"""A tree in brackets: (rule, production), its children, then None; a placeholder is ()."""


def find_visible_pair(chart: Chart, readings: Readings) -> tuple[Reading, Reading] | None:
    """Two readings of an ambiguous sentence with different trees; None if none is found within the limit of work."""
    assert readings.second is not None, "only ambiguous sentences have two readings"
    bnf = chart.tables.bnf
    visible = show_reading(bnf, readings.first)
    if visible != show_reading(bnf, readings.second):
        return readings.first, readings.second
    for reading in _list_readings(chart, 2 * len(readings.second) + 8):
        if visible != show_reading(bnf, reading):
            return readings.first, reading
    return None


def show_reading(bnf: BnfGrammar, reading: Reading) -> _Visible:
    """What of a reading is in the tree that a user sees, with the alternative taken at each node."""
    finished: list[list[_Visible]] = []  # by symbol, the children that it gives the node above it
    for step in reversed(reading):
        if isinstance(step, Scan):
            finished.append([((step.terminal, step.literal),)])
            continue
        rule = bnf.rule_by_name[step.rule]
        production = rule.productions[step.production]
        nones = production.nones or (0,) * (len(production.symbols) + 1)
        children: list[_Visible] = []
        for symbol, absent in zip(production.symbols, nones, strict=False):
            given = finished.pop()
            children += [((),)] * absent
            if not isinstance(symbol, TerminalUse) or symbol.is_kept:
                children += given
        children += [((),)] * nones[-1]
        is_replaced = rule.expand_single and production.alias is None and len(children) == 1
        if rule.is_transparent or is_replaced:
            finished.append(children)
        else:
            inside = (part for child in children for part in child)
            finished.append([((step.rule, step.production), *inside, None)])
    return finished[0][0] if len(finished[0]) == 1 else tuple(part for child in finished[0] for part in child)


def _list_readings(chart: Chart, max_length: int) -> Iterator[Reading]:
    """Readings of at most `max_length` steps, each once, until the limit of work."""
    forest = Forest(chart)
    bnf, tables = chart.tables.bnf, chart.tables
    open_ends: list[tuple[tuple[Any, ...] | None, tuple[Any, ...] | None, int]] = []
    for end in reversed(chart.ends):
        root: Node = (True, tables.start, 0, end)
        open_ends.append(((root, None), None, 0))
    for _ in range(MAX_STEPS):
        if not open_ends:
            return
        # What is still to be read, last symbol on top, and what has been read, first step on top: both as linked lists.
        work, done, length = open_ends.pop()
        while work is not None and isinstance(work[0], Expand):
            done, length = (work[0], done), length + 1
            work = work[1]
        if work is None:
            yield _unlink(done)
            continue
        node, rest = work
        if length > max_length:
            continue
        is_rule, number, _, _ = node
        for choice in reversed(forest.options(node)):
            below, read = rest, done
            if is_rule:
                below = (Expand(bnf.rules[number].name, tables.production[choice]), below)
            elif isinstance(choice, tuple):
                terminal = bnf.terminals[tables.next_terminal[number - 1]]
                read = (Scan(terminal.name, choice[1], choice[2]), read)
            for part in forest.parts(node, choice):
                below = (part, below)
            open_ends.append((below, read, length + isinstance(choice, tuple)))


def _unlink(done: tuple[Any, ...] | None) -> Reading:
    steps = []
    while done is not None:
        steps.append(done[0])
        done = done[1]
    return tuple(steps)
