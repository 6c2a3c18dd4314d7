"""Registers folded into the automaton: one state for position, total and what follows, so that a step counts nothing.

What decides which tokens are allowed is the position on top, the total, and what follows the current run: its after
vector and its late map (see `dslc.automaton.registers`), together what is *behind*. Tokens are spent on what is behind
whatever is chosen, so an after vector matters up to a constant only: less its smallest entry, and without the entries
that no budget pays, there are few of them. A *frame* is a position with what is behind its run, a *state* a frame with
a total, and states have the tables of an automaton that counts nothing:

    slack of counts = tokens left - the fewest to a sentence within the counts

of which a choice costs `extra` again. Frames are return addresses; the total with which a run ends is known where it
ends, so a choice leaves either a state, or a total that is added to the address that is popped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.registers import NEVER_TOKENS

if TYPE_CHECKING:
    from dslc.automaton.tables import TokenAutomaton

MAX_COMPOSED_CELLS = 500_000
"""Cells of composed tables, ten bytes each; what has more is counted step by step (`dslc.automaton.batch_counters`)."""
MAX_FRAMES = 4_096
"""A tenth of a millisecond each while tables are made."""
NEVER_EXTRA = np.iinfo(np.int16).max
"""Slack that no sequence has: larger budgets are not composed."""

IndexArray = NDArray[np.intp]
Needs = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class ComposedTables:
    """States are numbered frame * R + total, those of frame 0 are done; a row is a slot with what is behind, and a
    total."""

    num_totals: int
    """R."""
    start: int
    """State before the first token."""
    row: IndexArray
    """[states] row of a state."""
    cell_base: IndexArray
    """[states] row * (V + 1)."""
    next: IndexArray
    """[states] first state of the frame that is pushed, 0 for none."""
    extra: NDArray[np.int16]
    """[rows, V + 1] slack of counts that a token costs; NEVER_EXTRA where it is no choice."""
    target: IndexArray
    """[rows * (V + 1)] state behind a token, or where its choice leaves no run, the total: less than R."""


def compose_registers(automaton: TokenAutomaton) -> ComposedTables | None:
    """The tables of an automaton that counts, without counting; None where they are too large."""
    if automaton.max_budget >= NEVER_EXTRA or automaton.num_positions > MAX_FRAMES:
        return None
    composing = _Composing(automaton)
    return composing.write_tables() if composing.find_frames() else None


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A slot with what is behind it, for all totals."""

    slot: int
    behind: int
    fewest: Needs
    """[most, R] fewest tokens to the end by choice, up to a constant."""


class _Composing:
    """Frames that can be reached, breadth first."""

    def __init__(self, automaton: TokenAutomaton) -> None:
        registers = automaton.registers
        assert registers is not None, "the automaton counts"
        self._automaton, self._registers = automaton, registers
        self._width = automaton.num_tokens + 1
        self._size, self._num_stages = registers.size, registers.num_stages
        self._stage = np.arange(self._size) % self._num_stages
        self._sums = registers.add[:-1, :-1]
        """[R, R] total by what it was and what is added."""
        choices = automaton.run.reshape(-1, self._width)
        self._choices = [
            [(int(kind), int(run)) for kind, run in sorted(set(zip(kinds, runs, strict=True))) if run]
            for kinds, runs in zip(
                registers.choice_of_cell.reshape(-1, self._width).tolist(), choices.tolist(), strict=True
            )
        ]
        """[slot] (choice, run) of those that leave one."""
        self._slot, self._next = automaton.slot.tolist(), automaton.next.tolist()
        self._behinds: dict[tuple[bytes, bytes], int] = {}
        self._afters: list[Needs] = []
        self._lates: list[Needs] = []
        self._frames: dict[tuple[int, int], int] = {(0, -1): 0}
        self._rows: dict[tuple[int, int], int] = {}
        self._row_list: list[_Row] = []
        self._row_of_frame: list[int] = [0]
        self._next_of_frame: list[int] = [0]

    def find_frames(self) -> bool:
        """Whether there are few enough for tables."""
        nothing = self._find_behind(self._registers.end, np.arange(self._num_stages + 1, dtype=np.int32))
        if self._automaton.start_position:
            self._find_frame(self._automaton.start_position, nothing)
        cells_of_row = self._size * self._width
        frames = list(self._frames)[1:]
        for position, behind in frames:  # grows
            following = self._next[position]
            known = len(self._frames)
            self._next_of_frame.append(self._find_frame(following, behind) if following else 0)
            row = self._find_row(position, behind)
            self._row_of_frame.append(row)
            frames += list(self._frames)[known:]
            if len(self._row_list) * cells_of_row > MAX_COMPOSED_CELLS or len(self._frames) > MAX_FRAMES:
                return False
        return True

    def _find_behind(self, after: Needs, late: Needs) -> int:
        after = np.minimum(after - min(after.min(), NEVER_TOKENS), NEVER_TOKENS).astype(np.int32)
        after[after > self._automaton.max_budget] = NEVER_TOKENS
        key = (after.tobytes(), late.tobytes())
        number = self._behinds.get(key)
        if number is None:
            number = self._behinds[key] = len(self._afters)
            self._afters.append(after)
            self._lates.append(late)
        return number

    def _find_frame(self, position: int, behind: int) -> int:
        return self._frames.setdefault((position, behind), len(self._frames))

    def _find_row(self, position: int, behind: int) -> int:
        """The row of a frame, whose choices find more frames where it is new."""
        registers = self._registers
        after, late, tail = self._afters[behind], self._lates[behind], registers.tail[position]
        joined = np.full(self._size + 1, NEVER_TOKENS, np.int32)
        joined[:-1] = (registers.follow[position][self._stage] + after[self._sums]).min(1)
        slot = self._slot[position]
        inner = self._find_behind(joined, tail if self._next[position] else late[tail])
        row = self._rows.get((slot, inner))
        if row is None:
            row = self._rows[slot, inner] = len(self._row_list)
            needs = registers.choice[registers.slot_choices[slot]][:, self._stage]  # [most, R, R]
            fewest = (needs + self._afters[inner][self._sums]).min(2)
            self._row_list.append(_Row(slot, inner, fewest))
            can_be = (fewest < NEVER_TOKENS).any(1)
            for choice, run in self._choices[slot]:
                if can_be[choice]:
                    self._find_frame(run, inner)
        return row

    # --- tables -----------------------------------------------------------------------------------------------------

    def write_tables(self) -> ComposedTables:
        """The tables of all frames. Row 0 is that of what is done."""
        size, width = self._size, self._width
        shape = (len(self._row_list) + 1, size, width)
        extra, target = np.full(shape, NEVER_EXTRA, np.int16), np.zeros(shape, np.intp)
        totals = np.arange(size)
        extra[0, :, -1], target[0] = 0, totals[:, None]
        for number, row in enumerate(self._row_list, 1):
            extra[number], target[number] = self._write_row(row)
        row_of_frame = np.array([0, *(row + 1 for row in self._row_of_frame[1:])], np.intp)
        rows = (row_of_frame[:, None] * size + totals).reshape(-1)
        start = len(self._frames) > 1
        return ComposedTables(
            num_totals=size,
            start=start * size + self._registers.start,
            row=rows,
            cell_base=rows * width,
            next=np.repeat(np.array(self._next_of_frame, np.intp) * size, size),
            extra=extra.reshape(-1, width),
            target=target.reshape(-1),
        )

    def _write_row(self, row: _Row) -> tuple[Needs, IndexArray]:
        """[R, V + 1] slack that the tokens cost, and what is behind them."""
        registers, size, num_stages = self._registers, self._size, self._num_stages
        cells = slice(row.slot * self._width, (row.slot + 1) * self._width)
        by_token = row.fewest[registers.choice_of_cell[cells]].T
        extra = by_token - row.fewest.min(0)[:, None]
        can_be = (by_token < NEVER_TOKENS) & (extra <= self._automaton.max_budget)
        reached = registers.add[np.arange(size)[:, None], registers.gain[cells].T[self._stage]]  # [R, V + 1]
        runs = self._automaton.run[cells]
        leaving = self._lates[row.behind]
        stage = leaving[reached % num_stages]
        ended = np.where((stage < num_stages) & (reached < size), reached - reached % num_stages + stage, 0)
        frames = np.array([self._frames.get((run, row.behind), 0) if run else 0 for run in runs.tolist()])
        target = np.where(runs > 0, frames * size + np.where(reached < size, reached, 0), ended)
        return np.where(can_be, extra, NEVER_EXTRA), np.where(can_be, target, 0)
