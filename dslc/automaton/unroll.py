"""A small automaton without its stack: one table from a state and a token to the next state, for one budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.scalar import ScalarState, advance_state, allowed_tokens, start_state
from dslc.automaton.tables import TokenAutomaton

MOST_CHOICES = 4096
"""Choices of an automaton that is unrolled: it is done in a few hundredths of a second, or given up."""

Int32Array = NDArray[np.int32]
_Relatives: TypeAlias = "tuple[()] | tuple[tuple[int, int], _Relatives]"
"""Parent and sibling that wait beside each return address, innermost first."""


@dataclass(frozen=True, slots=True, eq=False)
class Unrolled:
    """All states that sentences within the budget go through; those that differ in anything that a policy sees, or in
    what can follow, are different ones. State 0 is the end, 1 the start."""

    next: Int32Array
    """[state, V + 1] state after each token, -1 where a token is not allowed."""
    features: Int32Array
    """[state, 4] the token before, slot, parent and sibling, as of `BatchRuntime.features`."""
    rows: Int32Array
    """[state] row of the automaton's mask."""
    positions: NDArray[np.int64]
    """[state] tokens that precede; 0 at the end."""


_KNOWN: WeakKeyDictionary[TokenAutomaton, dict[tuple[int, int], Unrolled | None]] = WeakKeyDictionary()
"""Of each automaton what was asked for before, by budget and most choices: each policy asks for the same."""


def unroll_automaton(automaton: TokenAutomaton, budget: int, most_choices: int = MOST_CHOICES) -> Unrolled | None:
    """The automaton unrolled for sentences of at most `budget` tokens; None if it has more choices than that in all,
    or counters. It is kept as long as the automaton is."""
    if automaton.registers is not None:
        return None
    known = _KNOWN.setdefault(automaton, {})
    if (budget, most_choices) not in known:
        known[budget, most_choices] = _unroll(automaton, budget, most_choices)
    return known[budget, most_choices]


def _unroll(automaton: TokenAutomaton, budget: int, most_choices: int) -> Unrolled | None:
    pad_id = automaton.pad_id
    none = (pad_id, pad_id)
    seen = [(0, pad_id, 0, 0, *none), (0, pad_id, automaton.start_position, budget - automaton.start_need, *none)]
    choices: list[tuple[int, int, int]] = [(0, pad_id, 0)]
    start = start_state(automaton, budget)
    if not start.top:  # every sentence is forced text
        return None
    level: dict[tuple[int, ScalarState, tuple[int, int], _Relatives], int] = {(pad_id, start, none, ()): 1}
    position = 0
    while level:
        position += 1
        following: dict[tuple[int, ScalarState, tuple[int, int], _Relatives], int] = {}
        for (_, state, (parent, _), waiting), number in level.items():
            tokens = allowed_tokens(automaton, state)
            # Each state that follows has a choice at least, so what is too large is given up a level earlier.
            if len(choices) + len(tokens) + len(following) > most_choices:
                return None
            for token in tokens:
                after = advance_state(automaton, state, token)
                if not after.top:
                    choices.append((number, token, 0))
                    continue
                relatives, still_waiting = _move_relatives(automaton, state, token, parent, waiting)
                key = (token, after, relatives, still_waiting)
                if key not in following:
                    following[key] = len(seen)
                    seen.append((position, token, after.top, after.slack, *relatives))
                choices.append((number, token, following[key]))
        level = following
    positions, previous, tops, slacks, parents, siblings = np.array(seen).T
    table = np.full((len(seen), pad_id + 1), -1, np.int32)
    for number, token, following_number in choices:
        table[number, token] = following_number
    rows = automaton.row_base[tops] + np.minimum(automaton.row_cap[tops], slacks)
    features = np.stack((previous, automaton.slot[tops], parents, siblings), 1)
    return Unrolled(table, features.astype(np.int32), rows.astype(np.int32), positions.astype(np.int64))


def _move_relatives(
    automaton: TokenAutomaton, state: ScalarState, token: int, parent: int, waiting: _Relatives
) -> tuple[tuple[int, int], _Relatives]:
    """Parent and sibling of the slot after a token, and those that wait then."""
    _, run = automaton.scalar.choices[state.top][token]
    goes_on = bool(automaton.scalar.next[state.top])
    if run:
        return (token, automaton.pad_id), ((parent, token), waiting) if goes_on else waiting
    if goes_on:
        return (parent, token), waiting
    return (waiting[0], waiting[1]) if waiting else ((automaton.pad_id, automaton.pad_id), ())
