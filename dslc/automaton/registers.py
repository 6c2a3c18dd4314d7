"""The counters of an automaton: what `at_most`, `at_least` and `ref` have to know at each step, as tables.

Beside the position and the stack, a sequence has the *total* of all that its choices counted so far together with the
stage of what is referred to, and for what follows the current run the fewest tokens that finish it, by the total with
which it begins: the *after* vector, which stands beside each return address too. A choice is allowed iff the fewest
tokens to a sentence that may end so are no more than are left:

    1 + min over e of (need of the choice's run by what it adds, e) + after[total + e] <= tokens left

Reading one e is not enough: a choice can be finished in ways that count differently.

A total is count * Q + stage, Q the number of stages. Counts are added, so what is certain counts when it is chosen. A
stage changes in reading order: before the first slot of the choice's run, and behind each slot of it (its *tail*).
What has to change at the end of a run that is not on the stack any more waits beside the after vector, as one map of
stages: the *late* map.
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
    num_stages: int
    """Q; 1 where nothing refers."""
    start: int
    """Total before the first token."""
    add: NDArray[np.int32]
    """[R + 1, R + 1] total of two parts one after the other: sum of the counts, stage of the second."""
    accepts: NDArray[np.bool_]
    """[R] whether a sentence may have the total."""
    gain: NDArray[np.int32]
    """[S * (V + 1), Q] what the choice of a cell adds, by the stage before: all that it leaves no choice about is
    counted, and the stage is that of the first slot of its run."""
    tail: NDArray[np.int32]
    """[P, Q + 1] stage behind a position's slot and what stands up to the next one, by the stage at the end of the
    slot; Q stands for none."""
    follow: NDArray[np.int32]
    """[P, Q, R] fewest tokens of what follows a position in its run, its tail included, by what it adds; none for
    position 0."""
    choice: NDArray[np.int32]
    """[K, Q, R] distinct needs of choices: fewest tokens by what they add, their own token counted. Row 0 is that of no
    choice."""
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

        def sparse(tables: NDArray[np.int32]) -> list[SparseNeeds]:
            return [
                [tuple((e, n) for e, n in enumerate(row) if n < NEVER_TOKENS) for row in rows]
                for rows in tables.tolist()
            ]

        stages = range(self.num_stages + 1)
        return ScalarRegisters(
            self.num_stages, self.add.tolist(), tuple(self.end.tolist()), tuple(stages), sparse(self.follow),
            sparse(self.choice), self.gain.tolist(), [tuple(row) for row in self.tail.tolist()],
            self.slot_choices.tolist(), self.choice_of_cell.tolist(),
        )  # fmt: skip


SparseNeeds = list[tuple[tuple[int, int], ...]]
"""[stage] (what is added, fewest tokens), without those that take too many."""


@dataclass(frozen=True, slots=True, eq=False)
class ScalarRegisters:
    """Tables of registers as lists, for plain Python."""

    num_stages: int
    add: list[list[int]]
    end: tuple[int, ...]
    same: tuple[int, ...]
    """The late map that changes nothing."""
    follow: list[SparseNeeds]
    choice: list[SparseNeeds]
    gain: list[list[int]]
    tail: list[tuple[int, ...]]
    slot_choices: list[list[int]]
    choice_of_cell: list[int]

    def join_after(self, position: int, after: tuple[int, ...]) -> tuple[int, ...]:
        """The after vector behind the slot of a position, from the one behind its run."""
        follow, num_stages = self.follow[position], self.num_stages
        return tuple(
            [
                min([n + after[row[e]] for e, n in follow[total % num_stages]], default=NEVER_TOKENS)
                for total, row in enumerate(self.add)
            ]
        )

    def fewest(self, choice: int, total: int, after: tuple[int, ...]) -> int:
        """Fewest tokens to the end of a sentence that takes a choice."""
        row = self.add[total]
        ways = self.choice[choice][total % self.num_stages]
        return min([n + after[row[e]] for e, n in ways], default=NEVER_TOKENS)
