"""The registers of a batch of sequences, in numpy: what `BatchRuntime` keeps beside positions and slack.

What it does is said in `dslc.automaton.registers`. All sequences began together, so one number of tokens left is
enough: that of a finished one does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.registers import NEVER_TOKENS

if TYPE_CHECKING:
    from dslc.automaton.tables import TokenAutomaton

IndexArray = NDArray[np.intp]


class BatchCounters:
    """Totals and after vectors of `batch_size` sequences, and the after vectors of their return addresses."""

    def __init__(self, automaton: TokenAutomaton, batch_size: int, budget: int) -> None:
        registers = automaton.registers
        assert registers is not None, "the automaton counts"
        self._registers = registers
        self._budget = budget
        self._slot = automaton.slot
        self._next = automaton.next
        self._width = automaton.num_tokens + 1
        self._gain = registers.gain.astype(np.intp)
        self._add = registers.add.astype(np.intp)
        self._end = registers.end
        depth = budget + 3
        self._totals = np.zeros(batch_size, np.intp)
        self._after = np.zeros((batch_size, registers.size + 1), np.int32)
        """[batch, R + 1] of the current run."""
        self._kept = np.zeros((batch_size * depth, registers.size + 1), np.int32)
        """The after vector of each return address, in the places of the flat stack of positions."""
        self._joined: NDArray[np.int32] | None = None
        self._left = budget

    def reset(self) -> None:
        """Starts all sequences anew."""
        self._totals.fill(self._registers.start)
        self._after[:] = self._end
        self._kept[:] = self._end
        self._joined = None
        self._left = self._budget

    def _join(self, top: IndexArray) -> NDArray[np.int32]:
        """[batch, R + 1] the after vectors of the slots to fill: of what follows them in their run, and of the run."""
        if self._joined is None:
            following = self._next.take(top)
            self._joined = self._after.copy()
            rows = following.nonzero()[0]
            if len(rows):
                rest = self._registers.rest.take(following.take(rows), 0)
                # [rows, total before, what the rest adds]
                ways = self._after.take(rows, 0).take(self._add[:, :-1], 1)
                ways += rest[:, None]
                self._joined[rows] = np.minimum(ways.min(2), NEVER_TOKENS)
        return self._joined

    def restrict(self, mask: NDArray[np.bool_], top: IndexArray) -> None:
        """Takes the tokens that no sentence within the counts has here out of a mask [batch, V + 1]."""
        registers = self._registers
        joined = self._join(top)
        reached = np.take_along_axis(joined, self._add[self._totals, :-1], 1)
        slot = self._slot.take(top)
        fewest = registers.choice.take(registers.slot_choices.take(slot, 0), 0)
        fewest += reached[:, None]
        is_allowed = fewest.min(2) <= self._left
        cells = registers.choice_of_cell.reshape(-1, self._width).take(slot, 0)
        within = np.take_along_axis(is_allowed, cells, 1)
        within[:, -1] = True  # padding: only what is finished takes it
        within[top == 0] = True
        mask &= within

    def count(self, top: IndexArray, cell: IndexArray) -> None:
        """Takes the choices of some cells, before the positions move."""
        self._join(top)
        self._totals = self._add[self._totals, np.where(top > 0, self._gain.take(cell), 0)]
        self._left -= 1

    def push(self, pointer: IndexArray) -> None:
        """Keeps the after vectors beside the return addresses that are written above the innermost ones."""
        self._kept[pointer + 1] = self._after

    def pop(self, pointer: IndexArray, ends: NDArray[np.bool_]) -> None:
        """The after vectors of the next slots: of the runs that open, or as kept beside the innermost addresses."""
        assert self._joined is not None, "choices are counted first"
        self._after = np.where(ends[:, None], self._kept.take(pointer, 0), self._joined)
        self._joined = None
