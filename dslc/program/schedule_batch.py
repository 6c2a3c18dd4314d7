"""What has to be computed for a population of programs, found in numpy without an object a program.

A program is a row of instructions in prefix order: an op, then what it is applied to. The instructions of all programs
stand one after the other in one flat array; the number of an instruction there is its *place*. What is asked of
programs (where a part ends, how high it stands above its leaves, whether it was there before) follows for all places at
once from sums over that array, so nothing is done instruction by instruction, and nothing is computed for padding.
Equal parts of programs are found by their hashes, in whatever program they stand, and computed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.variation_batch import count_leading
from dslc.program.elementwise import ElementwiseTables
from dslc.program.write_postfix import make_lines, write_postfix

Flags = NDArray[np.bool_]
Hashes = NDArray[np.uint64]
IndexArray = NDArray[np.intp]
_BUCKETS = 1 << 16
"""Cells of the table in which equal parts are looked for; a power of two."""
_BUCKET_SHIFT = np.uint64(48)
_HASH_SEED = 0
_MULTIPLIER = 0x9E3779B97F4A7C15
"""Of the polynomial hash; odd, so that it has an inverse."""
_INVERSE = pow(_MULTIPLIER, -1, 1 << 64)


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """What has to be computed for a population, every value once, operands before what uses them.

    Values are numbered: the constants and inputs first, then what is computed.
    """

    codes: IndexArray
    """[computed] instruction of each."""
    operands: IndexArray
    """[most operands, computed] numbers of its operands; any numbers where it has fewer."""
    bounds: IndexArray
    """[group + 1] where the groups of one height and one instruction begin; the last is the end. Of one height the
    instructions with most operands come first."""
    heights: IndexArray
    """[group] how high the values of each group stand above their leaves."""
    roots: IndexArray
    """[batch] number of each program's value."""
    numbers: IndexArray
    """[place] number of the value of the part that begins there."""
    instructions: IndexArray
    """[place] the instruction there."""
    afters: IndexArray
    """[place] the place behind the part that begins there."""
    begins: IndexArray
    """[batch] the first place of each program."""

    def owners(self) -> IndexArray:
        """[place] the program it belongs to."""
        return np.arange(len(self.begins)).repeat(self._lengths())

    def columns(self) -> IndexArray:
        """[place] how many instructions of its program stand before it."""
        columns: IndexArray = np.arange(len(self.afters)) - self.begins.repeat(self._lengths())
        return columns

    def _lengths(self) -> IndexArray:
        return self.afters.take(self.begins) - self.begins

    def places(self, programs: IndexArray, columns: IndexArray) -> IndexArray:
        """Places of columns of programs; columns within their lengths."""
        found: IndexArray = self.begins.take(programs) + columns
        return found

    def sizes(self) -> IndexArray:
        """[place] instructions of the part that begins there."""
        sizes: IndexArray = self.afters - np.arange(len(self.afters))
        return sizes


class _Layout(NamedTuple):
    """The instructions of a population by place."""

    codes: IndexArray
    """[place] instructions."""
    lengths: IndexArray
    """[batch] of the programs in their order."""


class Scheduler:
    """Turns sentences of a space into schedules."""

    def __init__(self, tables: ElementwiseTables) -> None:
        self.tables = tables
        pad = tables.pad_code
        self._arity = tables.arity[:pad].astype(np.intp)
        self._most = max(int(self._arity.max(initial=0)), 2)
        self._missing_more = self._arity - 1
        """[instruction] by how many values more are missing behind it than before it."""
        is_leaf = self._arity == 0
        self.num_leaves = int(is_leaf.sum())
        """Values that are known before anything is computed."""
        self.leaf_of_code = np.where(is_leaf, np.cumsum(is_leaf) - 1, -1)
        """[instruction] number of the value of each leaf, -1 for ops."""
        by_arity = np.argsort(-self._arity, kind="stable")
        self._rank_of_code = np.argsort(by_arity)
        """[instruction] most operands first."""
        self._salt = np.random.default_rng(_HASH_SEED).integers(1, 1 << 63, pad, dtype=np.uint64)
        self._powers = self._inverses = np.ones(0, np.uint64)
        """[place] powers of the multiplier of the hash, and their inverses."""
        self._lines = None if tables.code_by_token is not None else make_lines(tables)

    def schedule(self, tokens: NDArray[np.integer[Any]]) -> Schedule:
        """The schedule of sentences [batch, time], filled up with V behind their ends."""
        if self.tables.code_by_token is not None:
            return self._schedule(_lay_out(tokens, self.tables.code_by_token), is_reversed=False)
        assert self._lines is not None, "made with the tables"
        postfix = write_postfix(self.tables, self._lines, tokens)
        return self._schedule(_lay_out(postfix[:, ::-1], np.arange(self.tables.pad_code + 1)), is_reversed=True)

    def _schedule(self, layout: _Layout, *, is_reversed: bool) -> Schedule:
        """Of programs in prefix order; operands in reverse where `is_reversed`."""
        codes = layout.codes
        longest = int(layout.lengths.max(initial=0))
        missing_more = self._missing_more.take(codes)
        is_leaf = missing_more < 0
        afters, depths = _find_parts(missing_more, is_leaf, longest)
        nodes = (~is_leaf).nonzero()[0]
        behind = afters.take(nodes)
        equal = self._find_equal(codes, nodes, behind)
        chosen = (equal == np.arange(len(nodes))).nonzero()[0]
        places = nodes.take(chosen)
        kinds, heights = codes.take(places), _find_heights(depths, places, behind.take(chosen), longest)
        levels = heights * len(self._arity) + self._rank_of_code.take(kinds)
        sorting = _argsort_small(levels, longest * len(self._arity))
        places, kinds, levels = places.take(sorting), kinds.take(sorting), levels.take(sorting)
        number_of_node = np.empty_like(nodes)
        number_of_node[chosen.take(sorting)] = np.arange(self.num_leaves, self.num_leaves + len(chosen))
        numbers = self.leaf_of_code.take(codes)
        numbers[nodes] = number_of_node.take(equal)
        is_begin = np.ones(len(levels), bool)
        np.not_equal(levels[1:], levels[:-1], out=is_begin[1:])
        bounds = is_begin.nonzero()[0]
        begins = layout.lengths.cumsum() - layout.lengths
        return Schedule(
            kinds,
            self._find_operands(numbers, afters, places, kinds, is_reversed=is_reversed),
            np.append(bounds, len(levels)),
            levels.take(bounds) // len(self._arity),
            numbers.take(begins),
            numbers,
            codes,
            afters,
            begins,
        )

    def _find_equal(self, codes: IndexArray, nodes: IndexArray, behind: IndexArray) -> IndexArray:
        """Of each node one whose part is equal to its own, often the same for all equal ones: the last.

        `behind` are the places behind the parts of the nodes.
        """
        # The hash of a part is a sum over its instructions, each with its number times a power of the multiplier.
        terms = self._salt.take(codes)
        terms *= self._find_powers(len(codes))
        sums = _sum_before(terms)
        hashes = sums.take(behind)
        hashes -= sums.take(nodes)
        hashes *= self._inverses.take(nodes)
        buckets = hashes * np.uint64(_MULTIPLIER)
        buckets >>= _BUCKET_SHIFT
        cells = buckets.view(np.intp)
        # [bucket] a part; only those that have one are read. Narrow, as more than that is not in the nearest caches.
        found = np.empty(_BUCKETS, np.min_scalar_type(len(nodes)))
        found[cells] = np.arange(len(nodes), dtype=found.dtype)
        equal: IndexArray = found.take(cells).astype(np.intp)
        is_other = (hashes.take(equal) != hashes).nonzero()[0]
        equal[is_other] = is_other
        return equal

    def _find_powers(self, count: int) -> Hashes:
        if len(self._powers) < count:
            self._powers, self._inverses = (_make_powers(base, 2 * count) for base in (_MULTIPLIER, _INVERSE))
        return self._powers[:count]

    def _find_operands(
        self, numbers: IndexArray, afters: IndexArray, places: IndexArray, kinds: IndexArray, *, is_reversed: bool
    ) -> IndexArray:
        """[most operands, computed] numbers of the operands of ops: each begins where the one before it ends."""
        operands = np.empty((self._most, len(places)), np.intp)
        begins = places + 1
        for number, row in enumerate(operands):
            if number:
                begins = afters.take(begins, None, None, "clip")
            numbers.take(begins, None, row, "clip")
        if is_reversed:
            _reverse_operands(operands, self._arity.take(kinds))
        return operands


def _lay_out(rows: NDArray[np.integer[Any]], codes: NDArray[np.integer[Any]]) -> _Layout:
    """Rows [batch, time], filled up with the last number that has a code behind their ends."""
    is_code = rows != len(codes) - 1
    return _Layout(codes.take(rows[is_code]), count_leading(is_code))


def _find_parts(missing_more: IndexArray, is_leaf: Flags, longest: int) -> tuple[IndexArray, IndexArray]:
    """[place] the place behind the part that begins there, and of how many ops the place is in the parts."""
    # Before the last operand of an op as many values are missing as before the op, and more in between. So if places
    # are sorted by how many are missing, an op has its last operand behind it, that perhaps its own, and so on to the
    # leaf with which all of their parts end.
    sorting = _argsort_small(_sum_before(missing_more)[:-1], longest)
    ends = is_leaf.take(sorting).nonzero()[0]
    leaves = sorting.take(ends)
    num_ending = ends + 1  # the leaf among them
    num_ending[1:] -= num_ending[:-1].copy()
    afters = np.empty_like(sorting)
    afters[sorting] = (leaves + 1).repeat(num_ending)
    # Behind an op one more is open, behind a leaf fewer by those that end with it.
    steps = np.ones_like(sorting)
    steps[leaves] = 1 - num_ending
    return afters, _sum_before(steps)


def _sum_before(terms: NDArray[Any]) -> NDArray[Any]:
    """[place] the sum of the terms of all places before it; one place more than there are terms."""
    sums = np.empty(len(terms) + 1, terms.dtype)
    sums[0] = 0
    np.cumsum(terms, out=sums[1:])
    return sums


def _find_heights(depths: IndexArray, begins: IndexArray, ends: IndexArray, longest: int) -> IndexArray:
    """How high parts stand above their leaves: how much deeper the deepest place is than the one where it begins."""
    exponents = np.frexp(np.arange(longest + 1))[1] - 1
    # [exponent, place] the greatest depth of 2 ** exponent places.
    greatest = np.zeros((exponents.max(initial=0) + 1, len(depths)), np.min_scalar_type(longest))
    greatest[0] = depths
    for exponent, (shorter, longer) in enumerate(pairwise(greatest)):
        width = 1 << exponent
        np.maximum(shorter[:-width], shorter[width:], out=longer[:-width])
    # Each part is as two of these that overlap.
    exponent_of = exponents.take(ends - begins)
    cells = exponent_of * len(depths)
    found = greatest.take(cells + begins)
    np.maximum(found, greatest.take(cells + ends - (1 << exponent_of)), out=found)
    heights: IndexArray = found - depths.take(begins)
    return heights


def _argsort_small(keys: IndexArray, largest: int) -> IndexArray:
    """A stable order of keys that differ by at most that much, which numpy finds in linear time if they are short."""
    return keys.astype(np.min_scalar_type(largest)).argsort(kind="stable")


def _make_powers(base: int, count: int) -> Hashes:
    powers = np.full(count, base, np.uint64)
    powers[0] = 1
    np.multiply.accumulate(powers, out=powers)
    return powers


def _reverse_operands(operands: IndexArray, arities: IndexArray) -> None:
    for count in range(2, len(operands) + 1):
        has = arities == count
        operands[:count, has] = operands[:count, has][::-1]
