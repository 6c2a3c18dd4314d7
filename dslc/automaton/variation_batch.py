"""Sentences made from others by the thousand, in numpy: parts exchanged, taken out, put in, choices changed.

The part of a token is the token and all that fills the run it opens: a stretch of the sentence. It may stand wherever
its slot is, since what a grammar and its inherited constraints ask of a place is the slot; with the budget looked at by
adding lengths, every child is a sentence. Spaces that count nodes (`at_most`, `at_least`) look at whole sentences and
are refused here.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.batch import BatchRuntime
from dslc.automaton.cuttings import Cuttings, Ids, Indices, Stock, cut, find_sources
from dslc.automaton.lower import NO_CHOICE
from dslc.automaton.tables import TokenAutomaton

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
        return count_leading(self.slots >= 0)


def count_leading(flags: Flags) -> Indices:
    """[row] true columns of each row, of which all stand before the first false one.

    Example:
        >>> count_leading(np.array([[True, False], [True, True], [False, False]]))
        array([1, 2, 0])
    """
    count: Indices = np.asarray(flags.argmin(1))
    count[flags[:, -1]] = flags.shape[1]
    return count


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
        left = np.array([len(run) for run in runs])[automaton.run].reshape(num_slots, width)
        is_choice = (automaton.extra < NO_CHOICE).reshape(num_slots, width)
        self._width = width
        self._num_start_slots = len(self._run_slots(automaton.start_position))
        self._more = np.append(np.zeros((1, width), np.intp), left - 1, 0).ravel()
        """[(slot + 1) * width + token] by how much it raises the number of open slots; 0 in the first row."""
        run_of, is_taken = automaton.run.reshape(num_slots, width).tolist(), is_choice.tolist()
        twins: list[list[int]] = []
        wraps: list[list[tuple[int, int, int]]] = []
        for slot in range(num_slots):
            run = run_of[slot]
            tokens = [token for token in range(width - 1) if is_taken[slot][token]]
            for token in range(width):
                is_here = is_taken[slot][token] and token < width - 1
                twins.append([t for t in tokens if t != token and run[t] == run[token]] if is_here else [])
            found = []
            for token in tokens:
                inside = runs[run[token]]
                if 0 < len(inside) <= 2 and all(each == slot for each in inside):
                    found += [(token, place, len(inside)) for place in range(len(inside))]
            wraps.append(found)
        self._num_twins, self._twins = _as_table(twins)
        """[slot * width + token, number] the other tokens of the slot that leave the same run."""
        self._num_wraps, self._wraps = _as_table(wraps, 3)
        """[slot, number] choices that leave one or two slots of the same kind: token, place of the slot, how many."""
        self._row_of_choice = np.where(is_choice.ravel(), np.cumsum(is_choice), 0)
        """[slot * width + token] the row of a stock that has this token alone; 0 where it cannot stand."""
        self.first_row = 1 + int(is_choice.sum())
        """Of a stock the row of its first sentence."""

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
            slots[t] = np.where(column != self.automaton.pad_id, runtime.slot, -1)
            runtime.advance(column)
        return Sentences(all_tokens, np.ascontiguousarray(slots.T))

    def pair_tokens(self, slot: int) -> list[int]:
        """Tokens of a slot that leave two slots of the same kind."""
        found = self._wraps[slot, : self._num_wraps[slot]].tolist()
        return [token for token, place, number in found if number == 2 and place == 0]

    def mark_ends(self, sentences: Sentences) -> Sentences:
        """With the ends of all parts: of sentences that are parents again and again."""
        count = len(sentences.tokens)
        # Of each column how many slots are open before it, times the number of sentences, plus the sentence: a cell of
        # [missing, sentence], where the next column to the right before which so many are open will stand.
        missing = np.empty((self.budget + 1, count), np.intp)
        missing[0] = np.arange(self._num_start_slots * count, (self._num_start_slots + 1) * count)
        (self._more * count).take(self._cells(sentences), None, missing[1:], "clip")
        for before, here in pairwise(missing):
            here += before
        # Before where one fewer is open a part ends: the same cells, read one row of cells above.
        one_fewer = np.zeros(int(missing.max(initial=0)) + count + 1, np.int16)
        nearest = one_fewer[count:]
        ends = np.empty((self.budget, count), np.int16)
        nearest[missing[self.budget]] = self.budget
        for column in range(self.budget - 1, -1, -1):
            one_fewer.take(missing[column], None, ends[column], "clip")
            nearest[missing[column]] = column
        return sentences._replace(ends=np.ascontiguousarray(ends.T))

    # --- children ---------------------------------------------------------------------------------------------------

    def graft(self, parents: Sentences, donors: Sentences, *, shrinking: int = 0) -> tuple[Sentences, Flags]:
        """Each parent with one part, drawn evenly, replaced by a part of its donor for the same slot.

        The part of the donor is drawn evenly. Subtree crossover (koza1992) with slots for types; with fresh donors,
        subtree mutation. The last `shrinking` parents, which have to be their own donors, have it replaced by a part
        inside it. Also gives which are children: a donor may have no such part, or the child be over the budget.
        """
        stock, own, others = self._make_stock(parents, donors)
        return self._write_children(stock, *self.plan_graft(stock, own, others, shrinking=shrinking))

    def shrink(self, parents: Sentences) -> tuple[Sentences, Flags]:
        """Each parent with one part replaced by a part of the same slot inside it."""
        return self.graft(parents, parents, shrinking=len(parents.tokens))

    def change(self, parents: Sentences) -> tuple[Sentences, Flags]:
        """Each parent with one token replaced by another of its slot that leaves the same run."""
        stock, own = self._make_stock(parents)
        return self._write_children(stock, *self.plan_change(stock, own))

    def insert(self, parents: Sentences, donors: Sentences) -> tuple[Sentences, Flags]:
        """Each parent with one part put inside a new choice of its slot, beside one of its donor if it leaves two."""
        stock, own, others = self._make_stock(parents, donors)
        return self._write_children(stock, *self.plan_insert(stock, own, others))

    def _write_children(self, stock: Stock, children: Cuttings, is_child: Flags) -> tuple[Sentences, Flags]:
        return self.write(stock, children), is_child

    # --- children that are planned ----------------------------------------------------------------------------------

    def begin_stock(self, num_rows: int) -> Stock:
        """A stock for so many sentences, behind its `first_row` own rows: the empty one and one for each choice."""
        rows = self.first_row + num_rows
        tokens = np.full((rows, self.budget), self.automaton.pad_id, np.int16)
        slots, ends = np.full_like(tokens, -1), np.full_like(tokens, 1)
        cells = np.flatnonzero(self._row_of_choice)
        slots[1 : self.first_row, 0], tokens[1 : self.first_row, 0] = np.divmod(cells, self._width)
        return Stock(tokens, slots, ends, (slots >= 0).sum(1))

    def fill_stock(self, stock: Stock, rows: Indices | slice, sentences: Sentences) -> None:
        """Puts sentences there."""
        ends = sentences.ends if sentences.ends is not None else self.mark_ends(sentences).ends
        assert ends is not None, "they are marked"
        stock.tokens[rows], stock.slots[rows], stock.ends[rows] = sentences.tokens, sentences.slots, ends
        stock.lengths[rows] = sentences.lengths()

    def _make_stock(self, *groups: Sentences) -> tuple[Any, ...]:
        """A stock of these, and the rows of each."""
        bounds = np.cumsum([self.first_row, *(len(group.tokens) for group in groups)]).tolist()
        stock = self.begin_stock(bounds[-1] - self.first_row)
        for group, begin, end in zip(groups, bounds, bounds[1:], strict=False):
            self.fill_stock(stock, slice(begin, end), group)
        return stock, *(np.arange(begin, end) for begin, end in pairwise(bounds))

    def write(self, stock: Stock, children: Cuttings) -> Sentences:
        """The children."""
        rows, begins, ends = children
        sources = find_sources(rows * self.budget + begins, ends - begins, self.budget, 0)
        return Sentences(stock.tokens.take(sources), stock.slots.take(sources))

    def plan_graft(
        self, stock: Stock, parents: Indices, donors: Indices, *, shrinking: int = 0
    ) -> tuple[Cuttings, Flags]:
        """As `graft`, of rows of a stock."""
        begins, ends = self._draw_parts(stock, parents)
        slots = stock.slots.take(parents * self.budget + begins)
        is_same = stock.slots.take(donors, 0) == slots[:, None]
        if shrinking:
            columns = np.arange(self.budget)
            is_same[-shrinking:] &= (columns > begins[-shrinking:, None]) & (columns < ends[-shrinking:, None])
        froms, has = self._draw_true(is_same)
        tos = self._take_ends(stock, donors, froms)
        zero = np.zeros_like(begins)
        children = cut((parents, zero, begins), (donors, froms, tos), (parents, ends, stock.lengths.take(parents)))
        return self._keep_fitting(children, has)

    def plan_change(self, stock: Stock, parents: Indices) -> tuple[Cuttings, Flags]:
        """As `change`, of rows of a stock."""
        lengths = stock.lengths.take(parents)
        places = self._draw_below(lengths)
        at = parents * self.budget + places
        cells = stock.slots.take(at).astype(np.intp) * self._width
        count = self._num_twins[cells + stock.tokens.take(at)]
        drawn = self._twins[cells + stock.tokens.take(at), self._draw_below(np.maximum(count, 1))]
        zero, one = np.zeros_like(places), np.ones_like(places)
        choices = self._row_of_choice.take(cells + drawn)
        children = cut((parents, zero, places), (choices, zero, one), (parents, places + 1, lengths))
        return self._keep_fitting(children, count > 0)

    def plan_insert(self, stock: Stock, parents: Indices, donors: Indices) -> tuple[Cuttings, Flags]:
        """As `insert`, of rows of a stock."""
        begins, ends = self._draw_parts(stock, parents)
        slots = stock.slots.take(parents * self.budget + begins).astype(np.intp)
        count = self._num_wraps[slots]
        token, place, number = self._wraps[slots, self._draw_below(np.maximum(count, 1))].T
        froms, has = self._draw_true(stock.slots.take(donors, 0) == slots[:, None])
        tos = np.where(number == 2, self._take_ends(stock, donors, froms), froms)
        zero, one = np.zeros_like(begins), np.ones_like(begins)
        is_first = place == 0
        children = cut(
            (parents, zero, begins),
            (self._row_of_choice.take(slots * self._width + token), zero, one),
            (np.where(is_first, parents, donors), np.where(is_first, begins, froms), np.where(is_first, ends, tos)),
            (np.where(is_first, donors, parents), np.where(is_first, froms, begins), np.where(is_first, tos, ends)),
            (parents, ends, stock.lengths.take(parents)),
        )
        return self._keep_fitting(children, (count > 0) & (has | (number == 1)))

    def _keep_fitting(self, children: Cuttings, is_child: Flags) -> tuple[Cuttings, Flags]:
        is_child = is_child & (children.lengths() <= self.budget)
        return children.take(np.flatnonzero(is_child)), is_child

    # --- parts ------------------------------------------------------------------------------------------------------

    def _draw_below(self, limits: NDArray[Any]) -> Indices:
        drawn: Indices = (self.generator.random(len(limits)) * limits).astype(np.intp)
        return drawn

    def _draw_parts(self, stock: Stock, rows: Indices) -> tuple[Indices, Indices]:
        begins = self._draw_below(stock.lengths.take(rows))
        return begins, self._take_ends(stock, rows, begins)

    def _take_ends(self, stock: Stock, rows: Indices, begins: Indices) -> Indices:
        return stock.ends.take(rows * self.budget + begins).astype(np.intp)

    def _draw_true(self, flags: Flags) -> tuple[Indices, Flags]:
        """One of the true columns of each row, evenly, and whether there is one."""
        rows, width = flags.shape
        cells = flags.ravel().nonzero()[0]
        total = np.bincount(cells // width, minlength=rows)
        cells = np.append(cells, 0)
        drawn = cells.take(total.cumsum() - total + self._draw_below(total)) - np.arange(0, rows * width, width)
        return np.where(total > 0, drawn, 0), total > 0

    def _cells(self, sentences: Sentences) -> Indices:
        """[budget, sentence] (slot + 1) * width + token, which behind the end is in the first row."""
        cells = sentences.slots.T.astype(np.intp)
        cells += 1
        cells *= self._width
        cells += sentences.tokens.T
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
        begin_of_donors = parents.tokens.size
        row_starts = (rows * self.budget, begin_of_donors + rows * donors.tokens.shape[1])
        firsts = np.stack([begins.take(rows) + row_starts[owner] for owner, begins, _ in stretches])
        lengths = np.stack([(ends - begins).take(rows) for _, begins, ends in stretches])
        sources = find_sources(firsts, lengths, self.budget, begin_of_donors + donors.tokens.size)
        filler = np.full(self.budget, self.automaton.pad_id, np.int16), np.full(self.budget, -1, np.int16)
        tokens = np.concatenate((parents.tokens.ravel(), donors.tokens.ravel(), filler[0]))
        slots = np.concatenate((parents.slots.ravel(), donors.slots.ravel(), filler[1]))
        return Sentences(tokens.take(sources), slots.take(sources)), is_child


def _as_table(lists: list[list[Any]], width: int = 1) -> tuple[Indices, Indices]:
    """Lists of different lengths as a table, filled up with zeros, and the lengths."""
    lengths = np.array([len(each) for each in lists], np.intp)
    table = np.zeros((len(lists), max(int(lengths.max(initial=0)), 1), width), np.intp)
    for row, each in enumerate(lists):
        if each:
            table[row, : len(each)] = np.reshape(each, (len(each), width))
    return lengths, table[:, :, 0] if width == 1 else table
