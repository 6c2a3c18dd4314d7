"""The counters of an automaton: what `at_most` and `at_least` have to know at each step, as tables.

Beside the position and the stack, a sequence has the *total* of all that its choices counted so far, and for what
follows the current run the fewest tokens that finish it, by the total with which it begins: the *after* vector, which
stands beside each return address too. A choice is allowed iff the fewest tokens to a sentence that may end so are no
more than are left:

    1 + min over e of (need of the choice's run by what it adds, e) + after[total + e] <= tokens left

Reading one e is not enough: a choice can be finished in ways that count differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

NEVER_TOKENS = 1 << 26
"""Stands for no way at all: more than any budget, and several are added without overflow."""


@dataclass(frozen=True, eq=False)
class Registers:
    """R totals, and one more for DEAD, which no choice leaves."""

    names: tuple[str, ...]
    """The counted names."""
    start: int
    """Total before the first token."""
    add: NDArray[np.int32]
    """[R + 1, R + 1] sum of two totals."""
    accepts: NDArray[np.bool_]
    """[R] whether a sentence may have the total."""
    gain: NDArray[np.int32]
    """[S * (V + 1)] what the choice of a cell adds, with all that it leaves no choice about; 0 where there is none."""
    rest: NDArray[np.int32]
    """[P, R] fewest tokens of a position and what follows in its run, by what they add; position 0 takes none."""
    choice: NDArray[np.int32]
    """[K, R] distinct rows of needs of choices: fewest tokens by what they add, their own token counted. Row 0 is that
    of no choice."""
    slot_choices: NDArray[np.int32]
    """[S, most] rows of `choice` that a slot has, filled up with 0."""
    choice_of_cell: NDArray[np.int32]
    """[S * (V + 1)] index into the slot's row of `slot_choices`."""

    @property
    def size(self) -> int:
        """R."""
        return len(self.accepts)

    @property
    def end(self) -> NDArray[np.int32]:
        """[R + 1] the after vector at the end of a sentence: no token where the total may stand, else never."""
        return np.append(np.where(self.accepts, 0, NEVER_TOKENS), NEVER_TOKENS).astype(np.int32)

    @cached_property
    def scalar(self) -> ScalarRegisters:
        """The tables for plain Python, made when first asked for."""

        def sparse(rows: NDArray[np.int32]) -> list[tuple[tuple[int, int], ...]]:
            return [tuple((e, n) for e, n in enumerate(row) if n < NEVER_TOKENS) for row in rows.tolist()]

        return ScalarRegisters(
            self.add.tolist(), tuple(self.end.tolist()), sparse(self.rest), sparse(self.choice), self.gain.tolist(),
            self.slot_choices.tolist(), self.choice_of_cell.tolist(),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class ScalarRegisters:
    """Tables of registers as lists, for plain Python."""

    add: list[list[int]]
    end: tuple[int, ...]
    rest: list[tuple[tuple[int, int], ...]]
    """[position] (what it adds, fewest tokens), without those that take too many."""
    choice: list[tuple[tuple[int, int], ...]]
    gain: list[int]
    slot_choices: list[list[int]]
    choice_of_cell: list[int]

    def join_after(self, position: int, after: tuple[int, ...]) -> tuple[int, ...]:
        """The after vector before a position, from the one behind the run that it stands in."""
        rest = self.rest[position]
        return tuple([min([n + after[row[e]] for e, n in rest], default=NEVER_TOKENS) for row in self.add])

    def fewest(self, choice: int, total: int, after: tuple[int, ...]) -> int:
        """Fewest tokens to the end of a sentence that takes a choice."""
        row = self.add[total]
        return min([n + after[row[e]] for e, n in self.choice[choice]], default=NEVER_TOKENS)
