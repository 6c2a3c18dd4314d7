"""The automaton for a batch of sequences on the CPU, in numpy: no loop over sequences, tokens or stack."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.budget import check_budget
from dslc.automaton.tables import TokenAutomaton

Int32Array = NDArray[np.int32]


class BatchRuntime:
    """States of `batch_size` sequences, all advanced by one token at a time, in place.

    Arrays that a method returns are reused by the next call of the same method: copy what must last. A finished
    sequence allows and takes the padding token V alone.
    """

    top: Int32Array
    """[batch] position of the slot to fill, 0 when finished."""
    slack: Int32Array
    """[batch] tokens left - the fewest that finish everything open."""
    slot: Int32Array
    """[batch] slot to fill, 0 when finished; only with `track`."""
    parent: Int32Array
    """[batch] token whose choice left the run that the slot stands in, V for none; only with `track`."""
    sibling: Int32Array
    """[batch] token of the slot before in the same run, V for none; only with `track`."""

    def __init__(self, automaton: TokenAutomaton, batch_size: int, budget: int, *, track: bool = False) -> None:
        """Starts all sequences with at most `budget` tokens.

        Raises:
            DslcError: DSLC322 if no sentence fits the budget, with the smallest that works.
        """
        check_budget(automaton, budget)
        self.automaton = automaton
        self.batch_size = batch_size
        self.budget = budget
        self.track = track
        # A return address waits for at least one token, so budget of them are the most; cell 0 is the sentinel "done".
        depth = budget + 2
        self._stack = np.zeros(batch_size * depth, np.int32)
        self._bottom = np.arange(batch_size, dtype=np.intp) * depth
        self._pointer = self._bottom.copy()
        """[batch] index of the innermost return address in the flat stack."""
        self.top = np.empty(batch_size, np.int32)
        self.slack = np.empty(batch_size, np.int32)
        self._row = np.empty(batch_size, np.int32)
        self._cap = np.empty(batch_size, np.int32)
        self._cell = np.empty(batch_size, np.int32)
        self._following = np.empty(batch_size, np.int32)
        self._run = np.empty(batch_size, np.int32)
        self._popped = np.empty(batch_size, np.int32)
        self._flag = np.empty(batch_size, np.bool_)
        self._mask = np.empty((batch_size, automaton.num_tokens + 1), np.bool_)
        if track:
            self.slot = np.empty(batch_size, np.int32)
            self.parent = np.empty(batch_size, np.int32)
            self.sibling = np.empty(batch_size, np.int32)
            self._parent_stack = np.empty(batch_size * depth, np.int32)
            self._sibling_stack = np.empty(batch_size * depth, np.int32)
        self.reset()

    def reset(self) -> None:
        """Starts all sequences anew."""
        automaton = self.automaton
        self._stack.fill(0)
        self._pointer[:] = self._bottom
        self.top.fill(automaton.start_position)
        self.slack.fill(self.budget - automaton.min_tokens)
        if self.track:
            for array in (self.parent, self.sibling, self._parent_stack, self._sibling_stack):
                array.fill(automaton.pad_id)
            np.take(automaton.slot, self.top, out=self.slot, mode="clip")

    def rows(self) -> Int32Array:
        """[batch] row of the automaton's mask for each sequence."""
        automaton = self.automaton
        np.take(automaton.row_cap, self.top, out=self._cap, mode="clip")
        np.minimum(self._cap, self.slack, out=self._cap)
        np.take(automaton.row_base, self.top, out=self._row, mode="clip")
        np.add(self._row, self._cap, out=self._row)
        return self._row

    def mask(self) -> NDArray[np.bool_]:
        """[batch, V + 1] True where a token can come next within the budget."""
        np.take(self.automaton.mask, self.rows(), axis=0, out=self._mask, mode="clip")
        return self._mask

    def advance(self, tokens: NDArray[np.integer]) -> None:
        """Takes one token a sequence, each allowed by `mask`; V for a finished one."""
        automaton = self.automaton
        cell, following, run, popped, pointer = self._cell, self._following, self._run, self._popped, self._pointer
        np.take(automaton.slot_base, self.top, out=cell, mode="clip")
        np.add(cell, tokens, out=cell, casting="unsafe")
        np.take(automaton.extra, cell, out=popped, mode="clip")
        np.subtract(self.slack, popped, out=self.slack)
        np.take(automaton.run, cell, out=run, mode="clip")
        np.take(automaton.next, self.top, out=following, mode="clip")
        # Push: the cell above the innermost return address is free, so it is written even where nothing is pushed.
        pointer += 1
        self._stack[pointer] = following
        if self.track:
            self._advance_features(tokens)
        np.equal(following, 0, out=self._flag)
        np.subtract(pointer, self._flag, out=pointer)
        # Pop where the choice leaves no run: top comes from the stack, and the sentinel says that all is done.
        np.take(self._stack, pointer, out=popped, mode="clip")
        np.equal(run, 0, out=self._flag)
        np.subtract(pointer, self._flag, out=pointer)
        np.maximum(pointer, self._bottom, out=pointer)
        np.copyto(run, popped, where=self._flag)
        np.copyto(self.top, run)
        if self.track:
            np.take(automaton.slot, self.top, out=self.slot, mode="clip")

    def is_done(self) -> NDArray[np.bool_]:
        """[batch] True where the sentence is finished; a new array."""
        return np.equal(self.top, 0)

    def _advance_features(self, tokens: NDArray[np.integer]) -> None:
        """Parent and sibling of the next slot, kept with each return address."""
        pointer = self._pointer  # of the pushed return address
        self._parent_stack[pointer] = self.parent
        self._sibling_stack[pointer] = tokens
        source = pointer - (self._following == 0)
        opens = self._run != 0
        pad = self.automaton.pad_id
        parent = np.where(opens, tokens, self._parent_stack[source])
        sibling = np.where(opens, pad, self._sibling_stack[source])
        done = ~opens & (source <= self._bottom)
        parent[done] = pad
        sibling[done] = pad
        np.copyto(self.parent, parent, casting="unsafe")
        np.copyto(self.sibling, sibling, casting="unsafe")
