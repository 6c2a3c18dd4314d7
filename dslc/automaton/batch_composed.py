"""The registers of a batch of sequences where they are folded into states: a second automaton beside the positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.compose import ComposedTables

IndexArray = NDArray[np.intp]


class ComposedCounters:
    """What `BatchCounters` keeps for `batch_size` sequences, in two numbers each: a state, and the slack of counts.

    Return addresses stand in the same places as those of the positions, so where one is pushed or popped, both are.
    """

    def __init__(self, tables: ComposedTables, batch_size: int, budget: int, min_tokens: int) -> None:
        self._tables = tables
        self._extra = tables.extra.reshape(-1)
        self._start_slack = budget - min_tokens
        self._state, self._cell, self._value = (np.empty(batch_size, np.intp) for _ in range(3))
        self._slack, self._spent = (np.empty(batch_size, np.int16) for _ in range(2))
        self._stack = np.empty(batch_size * (budget + 3), np.intp)
        self._above = self._stack[batch_size:]
        self._prices = np.empty((batch_size, tables.extra.shape[1]), np.int16)

    def reset(self) -> None:
        """Starts all sequences anew."""
        self._state.fill(self._tables.start)
        self._slack.fill(self._start_slack)
        self._stack.fill(0)

    def restrict(self, mask: NDArray[np.bool_], _top: IndexArray) -> None:
        """Takes the tokens that no sentence within the counts has here out of a mask [batch, V + 1]."""
        self._tables.row.take(self._state, None, self._value, "clip")
        self._tables.extra.take(self._value, 0, self._prices, "clip")
        np.less_equal(self._prices, self._slack[:, None], out=mask)  # what is left is allowed without the counts too

    def count(self, _top: IndexArray, _cell: IndexArray, tokens: NDArray[np.integer]) -> None:
        """Takes a token a sequence, before the positions move."""
        own = self._cell
        self._tables.cell_base.take(self._state, None, own, "clip")
        np.add(own, tokens, out=own)
        self._extra.take(own, None, self._spent, "clip")
        np.subtract(self._slack, self._spent, out=self._slack)

    def push(self, pointer: IndexArray) -> None:
        """Keeps the return addresses above the innermost ones."""
        self._tables.next.take(self._state, None, self._value, "clip")
        self._above[pointer] = self._value

    def pop(self, pointer: IndexArray, ends: NDArray[np.bool_]) -> None:
        """The next states: those that the choices left, or the innermost return addresses with the totals."""
        self._above.take(pointer, None, self._value, "clip")
        np.multiply(self._value, ends, out=self._value)
        self._tables.target.take(self._cell, None, self._state, "clip")
        np.add(self._state, self._value, out=self._state)
