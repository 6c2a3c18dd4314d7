"""The automaton for a batch of sequences on the CPU, in numpy: no loop over sequences, tokens or stack."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.batch_composed import ComposedCounters
from dslc.automaton.batch_counters import BatchCounters
from dslc.automaton.budget import check_budget
from dslc.automaton.tables import TokenAutomaton

Int32Array = NDArray[np.int32]


class BatchRuntime:
    """States of `batch_size` sequences, all advanced by one token at a time, in place.

    Arrays that `rows` and `mask` return are reused by their next call: copy what must last. A finished sequence allows
    and takes the padding token V alone.
    """

    def __init__(
        self, automaton: TokenAutomaton, batch_size: int, budget: int, *, track: bool = False, compose: bool = True
    ) -> None:
        """Starts all sequences with at most `budget` tokens.

        Args:
            automaton: The tables.
            batch_size: Sequences in step.
            budget: Most tokens of a sequence.
            track: Whether the features of the next slot are kept too.
            compose: Whether registers are folded into states where the tables are small; the masks are the same.

        Raises:
            DslcError: DSLC322 if no sentence fits the budget, with the smallest that works.
        """
        check_budget(automaton, budget)
        self.automaton = automaton
        self.batch_size = batch_size
        self.budget = budget
        self.track = track
        self._tables = automaton.wide
        # A return address waits for at least one token, so budget of them are the most. Below them stands the sentinel
        # "done"; a finished sequence has taken it and rests one cell lower. Cells of one depth lie side by side, since
        # sequences in step are about equally deep: a cell above or below is `batch_size` away.
        cells = batch_size * (budget + 3)
        self._bottom = np.arange(batch_size, dtype=np.intp) + batch_size
        self._pointer = self._bottom.copy()
        """[batch] index of the innermost return address in the flat stack."""
        self._stack = np.zeros(cells, np.intp)
        self._above = self._stack[batch_size:]
        """The stack from the cell above a pointer on."""
        # Position 0 pushes what it then pops, so that "done" stays.
        is_last = self._tables.next == 0
        self._pushes = np.where(is_last & (self._tables.position > 0), 0, batch_size)
        """[2 P] how far the pointer rises."""
        self._pops = np.where(self._tables.position > 0, 0, batch_size)
        """[2 P] how far it falls where a choice leaves that."""
        self._top, self._slack = (np.empty(batch_size, np.intp) for _ in range(2))
        self._make_buffers()
        self._counters = None if automaton.registers is None else self._make_counters(compose)
        if track:
            # Parent and sibling, two int32 side by side, move as one integer of 64 bits.
            self._relatives, self._opened = (np.empty((batch_size, 2), np.int32) for _ in range(2))
            self._packed, self._packed_opened = (pair.view(np.int64)[:, 0] for pair in (self._relatives, self._opened))
            self._packed_stack = np.empty(cells, np.int64)
            self._packed_above = self._packed_stack[batch_size:]
        self.reset()

    def _make_buffers(self) -> None:
        """What a step writes into, for as many sequences as there are; nothing in it outlasts a step."""
        size = self.batch_size
        self._value = np.empty(size, np.intp)
        self._here = np.empty((4, size), np.intp)
        """What the tables say of the positions on top, and then, of the cells that are taken."""
        self._row_cap, self._row_base, self._cell, self._following = self._here
        self._is_looked_up = False
        self._taken = np.empty((2, size), np.intp)
        self._extra, self._run = self._taken
        self._ends = np.empty(size, np.bool_)
        """[batch] the choice left no run."""
        self._opens = np.empty(size, np.bool_)
        """[batch] it left one."""
        self._narrow_row = np.empty(size, np.int32)
        self._mask = np.empty((size, self.automaton.num_tokens + 1), np.bool_)

    def _make_counters(self, compose: bool) -> BatchCounters | ComposedCounters:
        composed = self.automaton.composed if compose else None
        if composed is None:
            return BatchCounters(self.automaton, self.batch_size, self.budget)
        return ComposedCounters(composed, self.batch_size, self.budget, self.automaton.min_tokens)

    def reset(self) -> None:
        """Starts all sequences anew."""
        self._stack.fill(0)
        self._pointer[:] = self._bottom
        self._top.fill(self.automaton.start_position)
        self._slack.fill(self.budget - self.automaton.start_need)
        self._is_looked_up = False
        if self._counters is not None:
            self._counters.reset()
        if self.track:
            self._relatives.fill(self.automaton.pad_id)
            self._opened.fill(self.automaton.pad_id)
            self._packed_stack.fill(self._packed[0] if self.batch_size else 0)

    def keep(self, rows: NDArray[np.intp]) -> None:
        """Goes on with some of the sequences, in this order; not in a space that counts nodes."""
        assert self._counters is None, "counted nodes stay with all sequences"
        self.batch_size = len(rows)
        # Pointers are places of the flat stacks, which stay as they are: the next cell is as far away as before.
        self._bottom, self._pointer = self._bottom.take(rows), self._pointer.take(rows)
        self._top, self._slack = self._top.take(rows), self._slack.take(rows)
        self._make_buffers()
        if self.track:
            self._relatives, self._opened = self._relatives.take(rows, 0), self._opened[: len(rows)]
            self._packed, self._packed_opened = (pair.view(np.int64)[:, 0] for pair in (self._relatives, self._opened))

    # --- state: new arrays ------------------------------------------------------------------------------------------

    @property
    def top(self) -> Int32Array:
        """[batch] position of the slot to fill, 0 when finished."""
        return self._tables.position.take(self._top).astype(np.int32)

    @property
    def slack(self) -> Int32Array:
        """[batch] tokens left - the fewest that finish everything open."""
        return self._slack.astype(np.int32)

    @property
    def slot(self) -> Int32Array:
        """[batch] slot to fill, 0 when finished."""
        return self._tables.slot.take(self._top).astype(np.int32)

    @property
    def parent(self) -> Int32Array:
        """[batch] token whose choice left the run that the slot stands in, V for none; only with `track`."""
        return self._relatives[:, 0].copy()

    @property
    def sibling(self) -> Int32Array:
        """[batch] token of the slot before in the same run, V for none; only with `track`."""
        return self._relatives[:, 1].copy()

    def features(self, previous: NDArray[np.integer]) -> Int32Array:
        """[batch, 4] the token before, slot, parent and sibling, at once; only with `track`."""
        features = np.empty((self.batch_size, 4), np.int32)
        features[:, 0] = previous
        features[:, 1] = self._tables.slot.take(self._top, None, self._value, "clip")
        features[:, 2:] = self._relatives
        return features

    def is_done(self) -> NDArray[np.bool_]:
        """[batch] True where the sentence is finished."""
        return np.equal(self._top, 0)

    # --- a step -----------------------------------------------------------------------------------------------------

    def _look_up(self) -> None:
        """Reads the tables once a step, whoever asks first."""
        if not self._is_looked_up:
            self._tables.by_position.take(self._top, 1, self._here, "clip")
            self._is_looked_up = True

    def _find_rows(self) -> NDArray[np.intp]:
        self._look_up()
        np.minimum(self._row_cap, self._slack, out=self._value)
        return np.add(self._row_base, self._value, out=self._value)

    def rows(self) -> Int32Array:
        """[batch] row of the automaton's mask for each sequence."""
        self._narrow_row[:] = self._find_rows()
        return self._narrow_row

    def mask(self) -> NDArray[np.bool_]:
        """[batch, V + 1] True where a token can come next within the budget."""
        mask = self.automaton.mask.take(self._find_rows(), 0, self._mask, "clip")
        if self._counters is not None:
            self._counters.restrict(mask, self._top)
        return mask

    def advance(self, tokens: NDArray[np.integer]) -> None:
        """Takes one token a sequence, each allowed by `mask`; V for a finished one."""
        top, pointer, value, run = self._top, self._pointer, self._value, self._run
        self._look_up()
        self._is_looked_up = False
        np.add(self._cell, tokens, out=self._cell)
        self._tables.by_cell.take(self._cell, 1, self._taken, "clip")
        np.subtract(self._slack, self._extra, out=self._slack)
        if self._counters is not None:
            self._counters.count(top, self._cell, tokens)
        # Push: the cell above the innermost return address is free, so it is written even where nothing is pushed.
        self._above[pointer] = self._following
        if self._counters is not None:
            self._counters.push(pointer)
        if self.track:
            self._relatives[:, 1] = tokens  # the sibling of what waits
            self._packed_above[pointer] = self._packed
        self._pushes.take(top, None, value, "clip")
        np.add(pointer, value, out=pointer)
        # Pop where the choice leaves no run; the sentinel says that all is done.
        self._pops.take(run, None, value, "clip")
        np.subtract(pointer, value, out=pointer)
        self._above.take(pointer, None, value, "clip")
        np.maximum(run, value, out=top)
        if self._counters is not None:
            self._counters.pop(pointer, np.logical_not(run, out=self._ends))
        if self.track:
            # Of the next slot: of the run that opens, or as they were kept with the return address.
            self._opened[:, 0] = tokens
            self._packed_above.take(pointer, None, self._packed, "clip")
            np.putmask(self._packed, np.greater(run, 0, out=self._opens), self._packed_opened)
