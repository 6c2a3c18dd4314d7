"""Parts of programs whose values are known: found by what they are worth, or by how near they are to something wanted.

A part is known by a key: the slot that it fills and a weighted sum of its values, rounded, which two parts of different
values hardly ever share. Keys make it cheap to see which parts of a batch are new, and to look for the one that is what
the other operand of an op would have to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dslc.automaton.cuttings import Indices
from dslc.automaton.tables import TokenAutomaton
from dslc.automaton.variation_batch import Sentences, join_sentences
from dslc.program.schedule_batch import Schedule

Array = NDArray[np.float64]
Keys = NDArray[np.int64]
LARGEST = 1e6
"""Parts with larger values, and wanted values that are larger, are left out: distances to them say nothing."""
SMALLEST = 1e-9
"""Parts none of whose values is as large are left out too: they are nothing but zero with rounding errors."""
PRECISION, TINY = 1e-11, 1e-12
"""Relative and absolute differences up to which two sums of values are the same."""
ROUNDED_BITS = 22
"""Last bits of a float64 that a key does not have: 9 significant digits remain."""
_BUCKETS = 1 << 16
"""Cells of the table in which a key is looked for; a power of two."""
_MULTIPLIER = 0x9E3779B97F4A7C15
_BUCKET_SHIFT = np.uint64(48)
PART_NAMES = ("tokens", "slots", "values", "keys", "ages", "told")
"""Names of what a state has."""


class KnownParts:
    """Half the simplest of all that were seen, half the youngest; in the order of their slots."""

    sentences: Sentences
    """Each part with the slots that its tokens fill."""
    values: Array
    """[part, point] what each comes to."""
    lengths: Indices
    """[part] number of tokens."""
    stretches: dict[int, slice]
    """By slot the parts that fill it."""

    def __init__(self, automaton: TokenAutomaton, num_points: int, most: int, longest: int) -> None:
        """Nothing is known at first.

        Args:
            automaton: Of the space.
            num_points: Values of a part.
            most: Parts that are kept.
            longest: Tokens of the longest part that is kept.
        """
        self._pad_id, self._num_slots, self._most, self._longest = automaton.pad_id, automaton.num_slots, most, longest
        self._weights = np.random.default_rng(0).uniform(1, 2, num_points)
        self._largest_sum = LARGEST * float(self._weights.sum())
        self._largest_difference = self._largest_sum * PRECISION + TINY
        self._ops: dict[int, list[tuple[int, str]]] = {}
        """[slot] tokens that leave two slots of its kind, with their ops."""
        self._told = 0
        self.sentences = Sentences(np.empty((0, longest), np.int16), np.empty((0, longest), np.int16))
        self.values = np.empty((0, num_points))
        self._keys, self._ages = np.empty(0, np.int64), np.empty(0, np.intp)
        self.lengths, self._sizes = np.empty(0, np.intp), np.empty(0, np.int16)
        self._room = np.empty(0)
        self._index()

    def __len__(self) -> int:
        return len(self._keys)

    def add_op(self, slot: int, token: int, op: str) -> None:
        """Pairs of parts of a slot can be joined by a token of it; ops without an inverse are left out."""
        if op in ("add", "sub", "mul", "divide"):
            self._ops.setdefault(slot, []).append((token, op))

    def _index(self) -> None:
        """What follows from the keys and slots."""
        slots = self.sentences.slots[:, 0]
        bounds = np.searchsorted(slots, np.arange(self._num_slots + 1)).tolist()
        self.stretches = {slot: slice(begin, end) for slot, (begin, end) in enumerate(pairwise(bounds)) if end > begin}
        buckets, places = _find_buckets(self._keys), np.arange(len(self._keys))
        self._table = np.zeros(_BUCKETS, np.int32)
        self._table[buckets] = places
        # Where two keys share a cell, those that the table does not have.
        self._others = np.sort(self._keys[self._table.take(buckets) != places])
        self._has_figures = False

    def _find_figures(self) -> None:
        """What follows from the values, once it is asked for."""
        if self._has_figures:
            return
        self._half_squares = np.einsum("ij,ij->i", self.values, self.values) / 2
        self._sums = self.values @ self._weights
        with np.errstate(divide="ignore", over="ignore"):
            self._inverted = 1 / self.values
        self._has_figures = True

    # --- what is wanted -----------------------------------------------------------------------------------------------

    def distances(self, wanted: Array, stretch: slice) -> Array:
        """[row, part] half the squared distances of values to [row, point], but for a number a row; reused."""
        self._find_figures()
        values = self.values[stretch]
        size = len(wanted) * len(values)
        if len(self._room) < size:
            self._room = np.empty(size)
        distances = self._room[:size].reshape(len(wanted), -1)
        np.matmul(-wanted, values.T, out=distances)
        distances += self._half_squares[stretch]
        return distances

    def find_pairs(self, wanted: Array, slot: int) -> Indices:
        """Rows (row of `wanted`, token of an op, left part, right part): the op of the parts is what is wanted.

        Sums of values are compared, so the first operand that an op needs beside each right part is one number.
        """
        self._find_figures()
        stretch = self.stretches[slot]
        sums, weighted = self._sums[stretch], wanted * self._weights
        total = weighted.sum(1)[:, None]
        pairs = [np.empty((0, 4), np.intp)]
        for token, op in self._ops.get(slot, []):
            with np.errstate(all="ignore"):
                if op == "add":
                    needed = total - sums
                elif op == "sub":
                    needed = total + sums
                elif op == "mul":
                    needed = weighted @ self._inverted[stretch].T
                else:
                    needed = weighted @ self.values[stretch].T
                lefts = self._table.take(_find_buckets(self._make_keys(needed, slot)))
                distances = self._sums.take(lefts)
                distances -= needed
                np.abs(distances, out=distances)
                rows, rights = (distances <= self._largest_difference).nonzero()
                # Never infinite, so that what is not finite is not found.
                allowed = np.minimum(np.abs(needed[rows, rights]), self._largest_sum) * PRECISION + TINY
                is_found = distances[rows, rights] <= allowed
            rows, rights = rows[is_found], rights[is_found]
            lefts = lefts[rows, rights]
            found = np.stack((rows, np.full(len(rows), token), lefts, rights + stretch.start), 1)
            pairs.append(found[(lefts >= stretch.start) & (lefts < stretch.stop)])
        return np.concatenate(pairs)

    # --- what is kept -------------------------------------------------------------------------------------------------

    def remember(self, sentences: Sentences, schedule: Schedule, values: Array) -> None:
        """Takes the short parts of programs that were just evaluated, one for each slot and value.

        Args:
            sentences: The programs.
            schedule: What was computed.
            values: [number, point] by the numbers of the schedule.
        """
        budget = sentences.tokens.shape[1]
        sizes = schedule.sizes()
        short = (sizes <= self._longest).nonzero()[0]
        cells = schedule.owners() * budget
        cells += schedule.columns()
        slots = sentences.slots.take(cells.take(short)).astype(np.intp)
        # One place for each slot and number of a value.
        place_of = np.full(len(values) * self._num_slots, -1, np.intp)
        place_of[schedule.numbers.take(short) * self._num_slots + slots] = short
        pairs = (place_of >= 0).nonzero()[0]
        places = place_of.take(pairs)
        with np.errstate(all="ignore"):
            sums = values @ self._weights
        numbers, slots = np.divmod(pairs, self._num_slots)
        keys = self._make_keys(sums.take(numbers), slots)
        fresh = self._find_new(keys)
        known = values.take(numbers.take(fresh), 0)
        with np.errstate(invalid="ignore"):
            largest = np.abs(known).max(1, initial=0.0)
        is_usable = (largest >= SMALLEST) & (largest <= LARGEST)
        fresh, known = fresh[is_usable], known[is_usable]
        places = places.take(fresh)
        lengths = sizes.take(places)
        self._keep(self._cut_out(sentences, cells.take(places), lengths), known, keys.take(fresh), lengths)

    def _cut_out(self, sentences: Sentences, cells: Indices, lengths: Indices) -> Sentences:
        """The parts that begin at some cells of the sentences."""
        columns = np.arange(self._longest)
        source = cells[:, None] + columns
        np.minimum(source, sentences.tokens.size - 1, out=source)
        is_behind = columns >= lengths[:, None]
        tokens, slots = sentences.tokens.take(source), sentences.slots.take(source)
        np.putmask(tokens, is_behind, self._pad_id)
        np.putmask(slots, is_behind, -1)
        return Sentences(tokens, slots)

    def _find_new(self, keys: Keys) -> Indices:
        """The first of each key that is not known; of few keys more than one."""
        buckets = _find_buckets(keys)
        table = np.empty(_BUCKETS, np.int32)
        table[buckets[::-1]] = np.arange(len(keys), dtype=np.int32)[::-1]
        chosen = table.take(buckets)
        is_new = (chosen == np.arange(len(keys))) | (keys.take(chosen) != keys)
        if len(self):
            is_new &= self._keys.take(self._table.take(buckets)) != keys
        new = is_new.nonzero()[0]
        if len(self._others):
            at = np.minimum(np.searchsorted(self._others, keys.take(new)), len(self._others) - 1)
            new = new[self._others.take(at) != keys.take(new)]
        return np.asarray(new)

    def _keep(self, new: Sentences, values: Array, keys: Keys, lengths: Indices) -> None:
        """Of what is known and new half of the simplest, and the youngest of the others."""
        sizes = np.concatenate((self._sizes, (lengths + _count_kinds(new.tokens, self._pad_id)).astype(np.int16)))
        ages = np.concatenate((self._ages, np.full(len(keys), self._told)))
        by_size = np.argsort(sizes, kind="stable")
        others = by_size[self._most // 2 :]
        since = np.minimum(self._told - ages.take(others), np.iinfo(np.int16).max).astype(np.int16)
        youngest = others[np.argsort(since, kind="stable")[: self._most - self._most // 2]]
        stays = np.concatenate((by_size[: self._most // 2], youngest))
        slots = np.concatenate((self.sentences.slots[:, 0], new.slots[:, 0])).take(stays)
        stays = stays[np.argsort(slots, kind="stable")]
        self.sentences = join_sentences(self.sentences, new).take(stays)
        self.values = np.concatenate((self.values, values)).take(stays, 0)
        self._keys = np.concatenate((self._keys, keys)).take(stays)
        self.lengths = np.concatenate((self.lengths, lengths)).take(stays)
        self._sizes, self._ages = sizes.take(stays), ages.take(stays)
        self._told += 1
        self._index()

    def _make_keys(self, sums: Array, slots: Indices | int) -> Keys:
        """Of sums of values, rounded, and slots; what is not finite has keys too, but no such part is kept."""
        bits = (sums + 0.0).view(np.int64)  # no negative zero
        bits += 1 << (ROUNDED_BITS - 1)
        bits >>= ROUNDED_BITS
        bits *= self._num_slots
        bits += slots
        return bits

    # --- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """The parts and how old they are, by the names PART_NAMES."""
        parts = self.sentences.tokens, self.sentences.slots, self.values, self._keys, self._ages, np.array(self._told)
        return {name: torch.tensor(part) for name, part in zip(PART_NAMES, parts, strict=True)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state_dict`."""
        tokens, slots, self.values, self._keys, self._ages, told = (state[name].numpy().copy() for name in PART_NAMES)
        self.sentences, self._told = Sentences(tokens, slots), int(told)
        self.lengths = self.sentences.lengths()
        self._sizes = (self.lengths + _count_kinds(tokens, self._pad_id)).astype(np.int16)
        self._index()


def _find_buckets(keys: Keys) -> Indices:
    mixed = keys.view(np.uint64) * np.uint64(_MULTIPLIER)
    mixed >>= _BUCKET_SHIFT
    return mixed.view(np.intp)


def _count_kinds(tokens: NDArray[np.int16], pad_id: int) -> Indices:
    """[part] how many different tokens it has."""
    rows, width = len(tokens), pad_id + 1
    has = np.zeros(rows * width, bool)
    has[tokens + np.arange(0, rows * width, width)[:, None]] = True
    return np.asarray(has.reshape(rows, width)[:, :pad_id].sum(1))
