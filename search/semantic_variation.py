"""Children that are aimed: a part is replaced by the known part whose values are nearest to what is wanted there.

What a program should be at each point is known in regression. So what a part of it should be follows by inverting the
ops above it (semantic backpropagation), and among the parts of all living programs, whose values are known, the nearest
to that takes its place (random desired operator).

Source:
    pawlak2015 (Pawlak, Wieloch, Krawiec: Semantic backpropagation for designing search operators in genetic
    programming).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dslc.automaton.variation_batch import BatchVariation, Flags, Indices, Sentences, join_sentences
from dslc.program.elementwise import Apply
from dslc.program.evaluate_batch import BatchEvaluator, Schedule
from dslc.program.inverses import INVERSES, Inverse

Array = NDArray[np.float64]
LARGEST = 1e6
"""Parts with larger values, and wanted values that are larger, are left out: distances to them say nothing."""
NEAREST = 2
"""Children of each place: with so many of the nearest parts."""
MOST_PAIRS = 4
"""Children of each place that is completed: the shortest."""
PRECISION, TINY = 1e-11, 1e-12
"""Relative and absolute differences up to which two sums of values are the same."""
DIGITS = 9
"""Significant digits to which the values of two parts are equal."""

GUIDE_PARTS = ("tokens", "slots", "values", "keys", "ages", "told")
"""Names of what a state has."""


class SemanticVariation:
    """Aims at the outputs of a regression, with parts of the programs that were evaluated before."""

    def __init__(
        self,
        variation: BatchVariation,
        evaluator: BatchEvaluator,
        outputs: Array,
        generator: np.random.Generator,
        *,
        most_parts: int = 4000,
        longest: int = 15,
    ) -> None:
        """For programs of a space in prefix order.

        Args:
            variation: Of the space.
            evaluator: At the points.
            outputs: [point] what a program should be there.
            generator: All randomness comes from it.
            most_parts: Parts that are remembered: half the simplest, half the youngest.
            longest: Tokens of the longest part that is.
        """
        codes = evaluator.tables.code_by_token
        assert codes is not None, "programs are in prefix order"
        self._codes_by_token = codes
        self._variation, self._evaluator, self._outputs, self._generator = variation, evaluator, outputs, generator
        self._most, self._longest = most_parts, longest
        self._inverses: list[tuple[int, int, Inverse]] = []
        for code, instruction in enumerate(evaluator.tables.instructions):
            if isinstance(instruction, Apply):
                for side in range(instruction.arity):
                    inverse = INVERSES.get((instruction.op, side))
                    if inverse is not None and instruction.operation is None:
                        self._inverses.append((code, side, inverse))
        automaton = variation.automaton
        by_code = {code: inverse for code, side, inverse in self._inverses if side == 0}
        self._pair_ops: list[list[tuple[int, Inverse]]] = [[] for _ in range(automaton.num_slots)]
        """[slot] tokens that leave two slots of its kind, with what their first operand has to be."""
        for slot in range(automaton.num_slots):
            for token in variation.pair_tokens(slot):
                if int(codes[token]) in by_code:
                    self._pair_ops[slot].append((token, by_code[int(codes[token])]))
        points = len(outputs)
        self._parts = Sentences(np.empty((0, longest), np.int16), np.empty((0, longest), np.int16))
        self._keys = self._sorted_keys = np.empty(0)
        self._ages = np.empty(0, np.intp)
        self._told = 0
        self._values = np.empty((0, points))
        self._half_squares = np.empty(0)
        self._slots: list[tuple[int, slice]] = []
        self._weights = np.random.default_rng(0).uniform(1, 2, points)

    def __len__(self) -> int:
        return len(self._keys)

    def remember(self, sentences: Sentences, schedule: Schedule, values: Array) -> None:
        """Takes the short parts of programs that were just evaluated, one for each slot and value."""
        time, count = schedule.numbers.shape
        places = np.arange(time)[:, None]
        lengths = schedule.afters // count - places
        slots = sentences.slots[:, :time].T
        begins, owners = ((slots >= 0) & (lengths <= self._longest)).nonzero()
        numbers, kinds = schedule.numbers[begins, owners], slots[begins, owners]
        # A number for each value and slot tells what is known and what the batch has twice.
        with np.errstate(all="ignore"):
            sums = values[: len(schedule.codes) + self._evaluator.num_leaves] @ self._weights
            keys = _round(sums)[numbers] + kinds * (4 * LARGEST * len(self._weights))
        is_new = np.isfinite(keys)
        if len(self._keys):
            at = np.minimum(np.searchsorted(self._sorted_keys, keys), len(self._keys) - 1)
            is_new &= self._sorted_keys[at] != keys
        new = is_new.nonzero()[0]
        keys, first = np.unique(keys[new], return_index=True)
        first = new[first]
        known = values[numbers[first]]
        is_usable = np.abs(known).max(1, initial=0.0) <= LARGEST
        first, keys, known = first[is_usable], keys[is_usable], known[is_usable]
        begins, owners = begins[first], owners[first]
        columns = np.arange(self._longest)
        source = np.minimum(begins[:, None] + columns, sentences.tokens.shape[1] - 1)
        is_inside = columns < lengths[begins, owners][:, None]
        tokens = np.where(is_inside, sentences.tokens[owners[:, None], source], self._variation.automaton.pad_id)
        own = np.where(is_inside, sentences.slots[owners[:, None], source], -1)
        parts = join_sentences(self._parts, Sentences(tokens.astype(np.int16), own.astype(np.int16)))
        all_keys, known = np.concatenate((self._keys, keys)), np.concatenate((self._values, known))
        # Half of what is kept are the simplest of all, the others the youngest.
        by_size = np.argsort(
            parts.lengths() + _count_kinds(parts.tokens, self._variation.automaton.pad_id), kind="stable"
        )
        others = by_size[self._most // 2 :]
        ages = np.concatenate((self._ages, np.full(len(keys), self._told)))
        youngest = others[np.argsort(-ages[others], kind="stable")[: self._most - self._most // 2]]
        stays = np.concatenate((by_size[: self._most // 2], youngest))
        stays = stays[np.argsort(parts.slots[stays, 0], kind="stable")]
        self._parts, self._values = parts.take(stays), known[stays]
        self._keys, self._ages = all_keys[stays], ages[stays]
        self._told += 1
        self._index()

    def _index(self) -> None:
        """What follows from the parts."""
        self._sorted_keys = np.sort(self._keys)
        self._half_squares = np.einsum("ij,ij->i", self._values, self._values) / 2
        kinds = self._parts.slots[:, 0]
        ends = np.append((kinds[1:] != kinds[:-1]).nonzero()[0] + 1, len(kinds)).tolist()
        self._sums, self._lengths = self._values @ self._weights, self._parts.lengths()
        self._slots = [(int(kinds[end - 1]), slice(begin, end)) for begin, end in zip([0, *ends], ends, strict=False)]
        self._orders = {slot: np.argsort(self._sums[stretch], kind="stable") for slot, stretch in self._slots}

    def state_dict(self) -> dict[str, Tensor]:
        """The parts and how old they are, by the names GUIDE_PARTS; the generator is the caller's."""
        parts = self._parts.tokens, self._parts.slots, self._values, self._keys, self._ages, np.array(self._told)
        return {name: torch.tensor(part) for name, part in zip(GUIDE_PARTS, parts, strict=True)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state_dict`."""
        tokens, slots, self._values, self._keys, self._ages, told = (state[name].numpy().copy() for name in GUIDE_PARTS)
        self._parts, self._told = Sentences(tokens, slots), int(told)
        if len(self._keys):
            self._index()

    def breed(self, parents: Sentences) -> tuple[Sentences, Flags]:
        """Children: NEAREST of each parent, the nearest ones of all first."""
        lengths = parents.lengths()
        parents = parents.take(lengths > 1)
        lengths = parents.lengths()
        count, time = len(lengths), int(lengths.max(initial=0))
        if not count or not len(self):
            return parents.take(np.empty(0, np.intp)), np.empty(0, bool)
        schedule = self._evaluator.schedule(parents.tokens[:, :time])
        values = self._evaluator.compute(schedule)
        # Any part but the whole.
        begins = 1 + (self._generator.random(count) * (lengths - 1)).astype(np.intp)
        rows = np.arange(count)
        wanted = self._pull_back(parents, schedule, values, begins * count + rows)
        with np.errstate(all="ignore"):
            usable = (np.abs(wanted).max(1) <= LARGEST).nonzero()[0]
        parents, begins, wanted = parents.take(usable), begins[usable], wanted[usable]
        ends = (schedule.afters // count)[begins, usable]
        slots = parents.slots[np.arange(len(begins)), begins]
        donors = np.zeros((NEAREST, len(begins)), np.intp)
        has = np.zeros(len(begins), bool)
        for slot, stretch in self._slots:
            mine = (slots == slot).nonzero()[0]
            if not len(mine):
                continue
            # The nearest in Euclid's distance: |w - v|^2 / 2 up to what is the same for all.
            distances = self._half_squares[stretch] - wanted[mine] @ self._values[stretch].T
            for rank in range(NEAREST):
                found = distances.argmin(1)
                donors[rank, mine] = found + stretch.start
                distances[np.arange(len(mine)), found] = np.inf
            has[mine] = True
        given = self._parts.take(donors.ravel())
        whole = parents.take(np.tile(np.arange(len(begins)), NEAREST))
        begins, ends = np.tile(begins, NEAREST), np.tile(ends, NEAREST)
        zero = np.zeros_like(begins)
        stretches = ((0, zero, begins), (1, zero, given.lengths()), (0, ends, whole.lengths()))
        return self._variation.join(whole, given, np.tile(has, NEAREST), *stretches)

    def complete(self, parents: Sentences) -> tuple[Sentences, Flags]:
        """Children whose new part is an op of two known parts that is exactly what is wanted there: few or none.

        Of each parent one place, the whole for the first of them. For every known part and op it follows what the other
        operand would have to be, and that is looked for among the known ones by a number of its values.
        """
        lengths = parents.lengths()
        count, time = len(lengths), int(lengths.max(initial=0))
        schedule = self._evaluator.schedule(parents.tokens[:, :time])
        values = self._evaluator.compute(schedule)
        begins = (self._generator.random(count) * lengths).astype(np.intp)
        begins[:1] = 0
        rows = np.arange(count)
        wanted = self._pull_back(parents, schedule, values, begins * count + rows)
        ends = (schedule.afters // count)[begins, rows]
        slots = parents.slots[rows, begins]
        stretch_of = dict(self._slots)
        found: list[tuple[int, int, int, int]] = []
        for row in rows.tolist():
            stretch = stretch_of.get(int(slots[row]))
            if stretch is not None and np.abs(wanted[row]).max() <= LARGEST:
                room = self._variation.budget - int(lengths[row]) + int(ends[row] - begins[row]) - 1
                found += [(row, *each) for each in self._find_pairs(wanted[row], int(slots[row]), stretch, room)]
        of, tokens, lefts, rights = np.array(found, np.intp).reshape(-1, 4).T
        own = np.full((len(of), 1), self._variation.automaton.pad_id, np.int16)
        own[:, 0] = tokens
        left, right = self._parts.take(lefts), self._parts.take(rights)
        given = Sentences(
            np.concatenate((own, left.tokens, right.tokens), 1),
            np.concatenate((slots[of][:, None], left.slots, right.slots), 1),
        )
        zero, one = np.zeros(len(of), np.intp), np.ones(len(of), np.intp)
        second = one + self._longest
        return self._variation.join(
            parents.take(of),
            given,
            np.ones(len(of), bool),
            (0, zero, begins[of]),
            (1, zero, one),
            (1, one, one + left.lengths()),
            (1, second, second + right.lengths()),
            (0, ends[of], lengths[of]),
        )

    def _find_pairs(self, wanted: Array, slot: int, stretch: slice, room: int) -> list[tuple[int, int, int]]:
        """Token of an op and its two operands, as numbers of parts, that together have at most `room` tokens."""
        values, sums = self._values[stretch], self._sums[stretch]
        order = self._orders[slot]
        ordered = sums[order]
        lengths = self._lengths[stretch]
        pairs: list[tuple[int, int, int, int]] = []
        for token, inverse in self._pair_ops[slot]:
            with np.errstate(all="ignore"):
                needed = inverse(wanted, values) @ self._weights
            needed[~np.isfinite(needed)] = 4 * LARGEST * len(wanted)
            at = np.searchsorted(ordered, needed - PRECISION * np.abs(needed) - TINY)
            at = np.minimum(at, len(ordered) - 1)
            is_found = np.abs(ordered[at] - needed) <= PRECISION * np.abs(needed) + TINY
            rights = is_found.nonzero()[0]
            lefts = order[at[rights]]
            total = lengths[lefts] + lengths[rights]
            for place in np.argsort(total, kind="stable")[:MOST_PAIRS].tolist():
                if total[place] <= room:
                    first, second = int(lefts[place]) + stretch.start, int(rights[place]) + stretch.start
                    pairs.append((int(total[place]), token, first, second))
        return [(token, left, right) for _, token, left, right in sorted(pairs)[:MOST_PAIRS]]

    def _pull_back(self, parents: Sentences, schedule: Schedule, values: Array, places: Indices) -> Array:
        """[place, point] what the part at each place would have to be for its program to have the wanted values."""
        time, count = schedule.numbers.shape
        tables = self._evaluator.tables
        codes = self._codes_by_token[parents.tokens[:, :time].T].ravel()
        arity = tables.arity[codes]
        ops = ((codes != tables.pad_code) & (arity > 0)).nonzero()[0]
        # Of each place the op above it, which operand it is, and the place of the other operand.
        parent, side, other = (np.full((time + 1) * count, empty, np.intp) for empty in (-1, 0, 0))
        firsts, lasts = ops + count, schedule.lasts.ravel()[ops]
        parent[firsts] = ops
        parent[lasts] = ops
        is_binary = arity[ops] == 2
        side[lasts[is_binary]] = 1
        other[firsts[is_binary]], other[lasts[is_binary]] = lasts[is_binary], firsts[is_binary]
        numbers = schedule.numbers.ravel()
        paths = [places]
        while True:
            above = np.where(paths[-1] >= 0, parent[paths[-1]], -1)
            if not (above >= 0).any():
                break
            paths.append(above)
        wanted = np.tile(self._outputs, (len(places), 1))
        with np.errstate(all="ignore"):
            # From the root down; where a path is shorter nothing is done at first.
            for below, above in zip(paths[-2::-1], paths[:0:-1], strict=True):
                live = (above >= 0).nonzero()[0]
                kinds, sides = codes[above[live]], side[below[live]]
                others = numbers[np.minimum(other[below[live]], len(numbers) - 1)]
                is_done = np.zeros(len(live), bool)
                for code, which, inverse in self._inverses:
                    mine = ((kinds == code) & (sides == which)).nonzero()[0]
                    if len(mine):
                        wanted[live[mine]] = inverse(wanted[live[mine]], values[others[mine]])
                        is_done[mine] = True
                wanted[live[~is_done]] = np.nan
        return wanted


def _round(sums: Array) -> Array:
    """To DIGITS significant digits."""
    scale = 10.0 ** (DIGITS - np.ceil(np.log10(np.abs(sums))))
    return np.where(sums == 0, 0.0, np.round(sums * scale) / scale)


def _count_kinds(tokens: NDArray[np.int16], pad_id: int) -> Indices:
    """[part] how many different tokens it has."""
    ordered = np.sort(tokens, 1)
    is_new = np.ones(ordered.shape, bool)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return np.asarray((is_new & (ordered != pad_id)).sum(1))
