"""The registers of a batch of sequences, in numpy: what `BatchRuntime` keeps beside positions and slack where they are
too many to be folded into states (`dslc.automaton.compose`).

What it does is said in `dslc.automaton.registers`. All sequences began together, so one number of tokens left is
enough: that of a finished one does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.registers import NEVER_TOKENS

if TYPE_CHECKING:
    from dslc.automaton.tables import TokenAutomaton

IndexArray = NDArray[np.intp]
NeedArray = NDArray[np.int16] | NDArray[np.int32]
MAX_NARROW_TOKENS = 8_000
"""Budgets below this are counted in 16 bits, twice as fast; then it stands for no way at all, and two are added without
overflow."""


class BatchCounters:
    """Totals and after vectors of `batch_size` sequences, and the after vectors of their return addresses.

    The batch is the last axis wherever something is computed, so that numpy's inner loops are long.
    """

    def __init__(self, automaton: TokenAutomaton, batch_size: int, budget: int) -> None:
        registers = automaton.registers
        assert registers is not None, "the automaton counts"
        self._registers = registers
        self._num_stages = registers.num_stages
        self._budget = budget
        self._position = automaton.wide.position
        self._slot = automaton.slot.astype(np.intp)
        width = automaton.num_tokens + 1
        is_narrow = budget < MAX_NARROW_TOKENS
        dtype: Any = np.int16 if is_narrow else np.int32
        self._never = MAX_NARROW_TOKENS if is_narrow else NEVER_TOKENS

        def narrow(needs: NDArray[np.int32]) -> Any:
            return np.ascontiguousarray(np.minimum(needs, self._never), dtype)

        self._gain = registers.gain.astype(np.intp).reshape(-1)
        self._add = registers.add.astype(np.intp)
        self._add_to = np.ascontiguousarray(self._add.T[:-1])
        """[R, R + 1] total by what is added and what it is added to."""
        self._follow = narrow(registers.follow.transpose(1, 2, 0))
        """[Q, R, P]."""
        self._reachable = np.flatnonzero(np.any(registers.follow < NEVER_TOKENS, (0, 1))).tolist()
        """What something adds that can follow a position."""
        needs = registers.choice[registers.slot_choices]  # [S, most, Q, R]
        self._needs = narrow(needs.transpose(3, 1, 0, 2).reshape(registers.size, needs.shape[1], -1))
        """[R, most, S * Q] needs of the choices of each slot."""
        self._cells = registers.choice_of_cell.reshape(-1, width).astype(np.intp) * batch_size
        """[S, V + 1] where the answer for a token's choice stands in the flat array [most, batch]."""
        self._end = narrow(registers.end)
        self._columns = np.arange(batch_size, dtype=np.intp)
        cells = batch_size * (budget + 3)
        self._totals = np.zeros(batch_size, np.intp)
        self._after: NeedArray = np.zeros((registers.size + 1, batch_size), dtype)
        """[R + 1, batch] of the current run."""
        self._kept = np.zeros((cells, registers.size + 1), dtype)
        """The after vector of each return address, in the places of the flat stack of positions."""
        self._kept_above = self._kept[batch_size:]
        self._joined: NeedArray | None = None
        if self._num_stages > 1:
            self._tail = np.ascontiguousarray(registers.tail.T.astype(np.intp))
            """[Q + 1, P]."""
            self._is_last = automaton.next == 0
            self._same = np.arange(self._num_stages + 1, dtype=np.intp)
            self._late = np.zeros((self._num_stages + 1, batch_size), np.intp)
            """[Q + 1, batch] of the current run."""
            self._kept_late = np.zeros((cells, self._num_stages + 1), np.intp)
            self._kept_late_above = self._kept_late[batch_size:]
        self._left = budget

    def reset(self) -> None:
        """Starts all sequences anew."""
        self._totals.fill(self._registers.start)
        self._after[:] = self._end[:, None]
        self._kept[:] = self._end
        if self._num_stages > 1:
            self._late[:] = self._same[:, None]
            self._kept_late[:] = self._same
        self._joined = None
        self._left = self._budget

    def _join(self, top: IndexArray) -> NeedArray:
        """[R + 1, batch] the after vectors behind the slots to fill: of what follows them in their run, and of it."""
        if self._joined is None:
            follow = self._follow.take(top, 2)
            joined = np.full_like(self._after, self._never)
            by_stage = joined[:-1].reshape(-1, self._num_stages, joined.shape[1])
            for added in self._reachable:
                tokens = follow[:, added]
                if tokens.min() < self._never:
                    ways = self._after.take(self._add[:-1, added], 0).reshape(by_stage.shape)
                    ways += tokens
                    np.minimum(by_stage, ways, out=by_stage)
            self._joined = joined
        return self._joined

    def restrict(self, mask: NDArray[np.bool_], top: IndexArray) -> None:
        """Takes the tokens that no sentence within the counts has here out of a mask [batch, V + 1]."""
        top = self._position.take(top)
        joined = self._join(top)
        slot = self._slot.take(top)
        fewest = self._needs.take(self._with_stage(slot), 2)
        reached = self._add_to.take(self._totals, 1)
        reached *= len(top)
        reached += self._columns
        fewest += joined.take(reached)[:, None]
        is_allowed = fewest.min(0) <= self._left
        cells = self._cells.take(slot, 0)
        cells += self._columns[:, None]
        within = is_allowed.take(cells)
        within[:, -1] = True  # padding: only what is finished takes it
        within[top == 0] = True
        mask &= within

    def _with_stage(self, numbers: IndexArray) -> IndexArray:
        """Index into what is stored by number and stage."""
        return numbers if self._num_stages == 1 else numbers * self._num_stages + self._totals % self._num_stages

    def count(self, top: IndexArray, cell: IndexArray, _tokens: NDArray[np.integer]) -> None:
        """Takes the choices of some cells, before the positions move."""
        top = self._position.take(top)
        self._join(top)
        if self._num_stages == 1:
            self._totals = self._add[self._totals, np.where(top > 0, self._gain.take(cell), 0)]
        else:
            counted = self._add[self._totals, self._gain.take(self._with_stage(cell))]
            self._totals = np.where(top > 0, counted, self._totals)
            # What changes when the slot is filled; where it is the last of its run, what is late comes right behind.
            tail = self._tail.take(top, 1)
            self._leaving = np.where(self._is_last.take(top), np.take_along_axis(self._late, tail, 0), tail)
        self._left -= 1

    def push(self, pointer: IndexArray) -> None:
        """Keeps the after vectors beside the return addresses that are written above the innermost ones."""
        self._kept_above[pointer] = self._after.T
        if self._num_stages > 1:
            self._kept_late_above[pointer] = self._late.T

    def pop(self, pointer: IndexArray, ends: NDArray[np.bool_]) -> None:
        """The after vectors of the next slots: of the runs that open, or as kept beside the innermost addresses."""
        assert self._joined is not None, "choices are counted first"
        self._after = np.where(ends, self._kept_above.take(pointer, 0).T, self._joined)
        self._joined = None
        if self._num_stages > 1:
            stage = self._totals % self._num_stages
            reached = self._leaving[stage, self._columns]
            self._totals += np.where(ends, reached - stage, 0)
            self._late = np.where(ends, self._kept_late_above.take(pointer, 0).T, self._leaving)
