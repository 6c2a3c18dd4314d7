"""Sentences made from others by the thousand, in numpy: parts exchanged, taken out, put in, choices changed.

The part of a token is the token and all that fills the run it opens: a stretch of the sentence. It may stand wherever
its slot is, since what a grammar and its inherited constraints ask of a place is the slot; with the budget looked at by
adding lengths, every child is a sentence. Spaces that count nodes (`at_most`, `at_least`) look at whole sentences and
are refused here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.batch import BatchRuntime
from dslc.automaton.lower import NO_CHOICE
from dslc.automaton.tables import TokenAutomaton

Ids = NDArray[np.int16]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]


class Sentences(NamedTuple):
    """A population, filled up with V behind the ends."""

    tokens: Ids
    """[sentence, budget]."""
    slots: Ids
    """[sentence, budget] the slot that each token fills, -1 behind the end."""
    ends: Ids | None = None
    """[sentence, budget] where the part that begins there ends; None where that is not known (see `mark_ends`)."""

    def take(self, rows: NDArray[Any]) -> Sentences:
        """Some of the sentences."""
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        ends = None if self.ends is None else self.ends.take(rows, 0)
        return Sentences(self.tokens.take(rows, 0), self.slots.take(rows, 0), ends)

    def lengths(self) -> Indices:
        """[sentence] number of tokens."""
        return np.asarray((self.slots >= 0).sum(1))


def join_sentences(*groups: Sentences) -> Sentences:
    """All of them, one group after the other."""
    ends = [group.ends for group in groups if group.ends is not None]
    return Sentences(
        np.concatenate([group.tokens for group in groups]),
        np.concatenate([group.slots for group in groups]),
        np.concatenate(ends) if len(ends) == len(groups) else None,
    )


class BatchVariation:
    """The tables of one space and budget for making sentences from others."""

    def __init__(self, automaton: TokenAutomaton, budget: int, generator: np.random.Generator) -> None:
        """Makes them; all randomness comes from the generator."""
        assert automaton.registers is None, "parts of sentences that count nodes cannot be exchanged freely"
        assert automaton.num_tokens < np.iinfo(np.int16).max, "tokens are kept as int16"
        self.automaton, self.budget, self.generator = automaton, budget, generator
        width, num_slots = automaton.num_tokens + 1, automaton.num_slots
        runs = [self._run_slots(position) for position in range(automaton.num_positions)]
        left = np.array([len(run) for run in runs], np.int16)[automaton.run].reshape(num_slots, width)
        is_choice = (automaton.extra < NO_CHOICE).reshape(num_slots, width)
        self._width = width
        self._num_start_slots = len(self._run_slots(automaton.start_position))
        self._more = np.append(left - 1, np.zeros((1, width), np.int16), 0).ravel()
        """[slot * width + token, and a last row behind the end] by how much it raises the number of open slots."""
        run_of = automaton.run.reshape(num_slots, width)
        twins: list[list[int]] = []
        wraps: list[list[tuple[int, int, int]]] = []
        for slot in range(num_slots):
            tokens = [token for token in range(width - 1) if is_choice[slot, token]]
            for token in range(width):
                same = [t for t in tokens if t != token and run_of[slot, t] == run_of[slot, token]]
                twins.append(same if token in tokens else [])
            found = []
            for token in tokens:
                inside = runs[run_of[slot, token]]
                if 0 < len(inside) <= 2 and all(each == slot for each in inside):
                    found += [(token, place, len(inside)) for place in range(len(inside))]
            wraps.append(found)
        self._num_twins, self._twins = _as_table(twins)
        """[slot * width + token, number] the other tokens of the slot that leave the same run."""
        self._num_wraps, self._wraps = _as_table(wraps, 3)
        """[slot, number] choices that leave one or two slots of the same kind: token, place of the slot, how many."""

    def _run_slots(self, position: int) -> list[int]:
        slots = []
        while position:
            slots.append(int(self.automaton.slot[position]))
            position = int(self.automaton.next[position])
        return slots

    def trace(self, tokens: NDArray[np.integer[Any]]) -> Sentences:
        """Finds the slots of whole sentences [sentence, time], filled up with V."""
        count, time = tokens.shape
        runtime = BatchRuntime(self.automaton, count, self.budget)
        all_tokens = np.full((count, self.budget), self.automaton.pad_id, np.int16)
        all_tokens[:, :time] = tokens
        slots = np.full((self.budget, count), -1, np.int16)
        for t, column in enumerate(np.ascontiguousarray(tokens.T)):
            np.copyto(slots[t], runtime.slot, casting="same_kind", where=column != self.automaton.pad_id)
            runtime.advance(column)
        return Sentences(all_tokens, np.ascontiguousarray(slots.T))

    def pair_tokens(self, slot: int) -> list[int]:
        """Tokens of a slot that leave two slots of the same kind."""
        found = self._wraps[slot, : self._num_wraps[slot]].tolist()
        return [token for token, place, number in found if number == 2 and place == 0]

    def mark_ends(self, sentences: Sentences) -> Sentences:
        """With the ends of all parts: of sentences that are parents again and again."""
        count = len(sentences.tokens)
        growth = self._more.take(self._cells(sentences)).T
        # [missing + 1, sentence] the next column to the right before which so many slots are open, and one more.
        missing = np.zeros((self.budget + 1, count), np.intp)
        np.cumsum(growth, 0, out=missing[1:])
        missing += self._num_start_slots
        missing *= count
        missing += np.arange(count)
        nearest = np.empty(int(missing.max(initial=0)) + count + 1, np.int16)
        ends = np.empty((self.budget, count), np.int16)
        nearest[missing[self.budget]] = self.budget
        for column in range(self.budget - 1, -1, -1):
            nearest.take(missing[column] - count, None, ends[column], "clip")
            nearest[missing[column]] = column
        return sentences._replace(ends=np.ascontiguousarray(ends.T))

    # --- children ---------------------------------------------------------------------------------------------------

    def graft(self, parents: Sentences, donors: Sentences, *, shrinking: int = 0) -> tuple[Sentences, Flags]:
        """Each parent with one part, drawn evenly, replaced by a part of its donor for the same slot.

        The part of the donor is drawn evenly. Subtree crossover (koza1992) with slots for types; with fresh donors,
        subtree mutation. The last `shrinking` parents, which have to be their own donors, have it replaced by a part
        inside it. Also gives which are children: a donor may have no such part, or the child be over the budget.
        """
        begins, ends = self._draw_parts(parents)
        slots = parents.slots[_rows(begins), begins]
        is_same = donors.slots == slots[:, None]
        if shrinking:
            columns = np.arange(self.budget)
            is_same[-shrinking:] &= (columns > begins[-shrinking:, None]) & (columns < ends[-shrinking:, None])
        froms, has = self._draw_true(is_same)
        tos = self._find_ends(donors, froms)
        zero = np.zeros_like(begins)
        return self.join(parents, donors, has, (0, zero, begins), (1, froms, tos), (0, ends, parents.lengths()))

    def shrink(self, parents: Sentences) -> tuple[Sentences, Flags]:
        """Each parent with one part replaced by a part of the same slot inside it."""
        return self.graft(parents, parents, shrinking=len(parents.tokens))

    def change(self, parents: Sentences) -> tuple[Sentences, Flags]:
        """Each parent with one token replaced by another of its slot that leaves the same run."""
        places = self._draw_below(parents.lengths())
        rows = _rows(places)
        cells = parents.slots[rows, places].astype(np.intp) * self._width + parents.tokens[rows, places]
        count = self._num_twins[cells]
        drawn = self._twins[cells, self._draw_below(np.maximum(count, 1))]
        is_child = count > 0
        rows = np.flatnonzero(is_child)
        tokens = parents.tokens.take(rows, 0)
        tokens[_rows(rows), places.take(rows)] = drawn.take(rows)
        return Sentences(tokens, parents.slots.take(rows, 0)), is_child

    def insert(self, parents: Sentences, donors: Sentences) -> tuple[Sentences, Flags]:
        """Each parent with one part put inside a new choice of its slot, beside one of its donor if it leaves two."""
        begins, ends = self._draw_parts(parents)
        rows = _rows(begins)
        slots = parents.slots[rows, begins].astype(np.intp)
        count = self._num_wraps[slots]
        token, place, number = self._wraps[slots, self._draw_below(np.maximum(count, 1))].T
        froms, has = self._draw_true(donors.slots == slots[:, None])
        tos = np.where(number == 2, self._find_ends(donors, froms), froms)
        own = np.full((len(rows), 1), self.automaton.pad_id, np.int16)
        own[:, 0] = token
        sources = Sentences(
            np.concatenate((donors.tokens, own), 1), np.concatenate((donors.slots, slots[:, None].astype(np.int16)), 1)
        )
        is_first = place == 0
        zero, last = np.zeros_like(begins), np.full_like(begins, self.budget)
        before = np.where(is_first, 0, tos - froms)
        return self.join(
            parents,
            sources,
            (count > 0) & (has | (number == 1)),
            (0, zero, begins),
            (1, last, last + 1),
            (1, froms, froms + before),
            (0, begins, ends),
            (1, froms + before, tos),
            (0, ends, parents.lengths()),
        )

    # --- parts ------------------------------------------------------------------------------------------------------

    def _draw_below(self, limits: NDArray[Any]) -> Indices:
        drawn: Indices = (self.generator.random(len(limits)) * limits).astype(np.intp)
        return drawn

    def _draw_parts(self, sentences: Sentences) -> tuple[Indices, Indices]:
        begins = self._draw_below(sentences.lengths())
        return begins, self._find_ends(sentences, begins)

    def _draw_true(self, flags: Flags) -> tuple[Indices, Flags]:
        """One of the true columns of each row, evenly, and whether there is one."""
        count = np.cumsum(flags, 1, dtype=np.int16)
        total = count[:, -1]
        wanted = self._draw_below(total) + 1
        return np.asarray((count == wanted[:, None]).argmax(1)), total > 0

    def _find_ends(self, sentences: Sentences, begins: Indices) -> Indices:
        """Behind the parts that begin there: the first place with fewer slots open than at the beginning."""
        rows = _rows(begins)
        if sentences.ends is not None:
            return sentences.ends[rows, begins].astype(np.intp)
        growth = np.cumsum(self._more.take(self._cells(sentences)), 1, dtype=np.int16)
        at = np.where(begins > 0, growth[rows, begins - 1], 0)
        is_closed = (growth < at[:, None]) & (np.arange(self.budget) >= begins[:, None])
        return np.asarray(is_closed.argmax(1)) + 1

    def _cells(self, sentences: Sentences) -> Indices:
        """[sentence, budget] slot * width + token, and behind the end the last row of `_more`."""
        cells = sentences.slots.astype(np.intp)
        cells *= self._width
        cells += sentences.tokens
        np.putmask(cells, sentences.slots < 0, len(self._more) - 1)
        return cells

    def join(
        self, parents: Sentences, donors: Sentences, is_child: Flags, *stretches: tuple[int, Indices, Indices]
    ) -> tuple[Sentences, Flags]:
        """Children of stretches of parents (0) and donors (1), each from a column to before another.

        Gives those where `is_child` that are within the budget, and which these are.
        """
        total = sum(ends - begins for _, begins, ends in stretches)
        is_child = is_child & (total <= self.budget)
        rows = np.flatnonzero(is_child)
        columns = np.arange(self.budget)
        begin_of_donors = parents.tokens.size
        row_starts = (rows * self.budget, begin_of_donors + rows * donors.tokens.shape[1])
        source = np.empty((len(rows), self.budget), np.intp)
        done = np.zeros(len(rows), np.intp)
        for owner, begins, ends in stretches:
            begins, ends = begins.take(rows), ends.take(rows)
            first = begins - done + row_starts[owner]
            np.copyto(source, columns + first[:, None], where=columns >= done[:, None])
            done += ends - begins
        np.putmask(source, columns >= done[:, None], begin_of_donors + donors.tokens.size)
        tokens = np.concatenate(
            (parents.tokens.ravel(), donors.tokens.ravel(), [self.automaton.pad_id]), dtype=np.int16
        )
        slots = np.concatenate((parents.slots.ravel(), donors.slots.ravel(), [-1]), dtype=np.int16)
        return Sentences(tokens.take(source, mode="clip"), slots.take(source, mode="clip")), is_child


def _rows(columns: Indices) -> Indices:
    return np.arange(len(columns))


def _as_table(lists: list[list[Any]], width: int = 1) -> tuple[Indices, Indices]:
    """Lists of different lengths as a table, filled up with zeros, and the lengths."""
    lengths = np.array([len(each) for each in lists], np.intp)
    table = np.zeros((len(lists), max(int(lengths.max(initial=0)), 1), width), np.intp)
    for row, each in enumerate(lists):
        if each:
            table[row, : len(each)] = np.reshape(each, (len(each), width))
    return lengths, table[:, :, 0] if width == 1 else table
