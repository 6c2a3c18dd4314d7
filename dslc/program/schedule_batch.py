"""What has to be computed for a population of programs, found in numpy without an object a program.

A program is a row of instructions in prefix order: an op, then what it is applied to. The rows stand by length, the
longest first, and their instructions column by column, so that what a column has is one stretch of a flat array and the
instruction behind each stands at the same place of the next stretch: such a number of an instruction is its *place*.
All rows are read at once from right to left, a column at a time, which gives the operands of each op, how high it
stands above its leaves, and a hash of what follows. Equal parts of programs are found by their hashes, in whatever row
they stand, and computed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dslc.program.elementwise import ElementwiseTables
from dslc.program.write_postfix import make_lines, write_postfix

IndexArray = NDArray[np.intp]
Kind = TypeVar("Kind", bound=np.generic)
_BUCKETS = 1 << 16
"""Cells of the table in which equal parts are looked for; a power of two."""
_BUCKET_SHIFT = np.uint64(48)
_HASH_SEED = 0
_MULTIPLIER = 0x9E3779B97F4A7C15
"""Of the polynomial hash; odd."""


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """What has to be computed for a population, every value once, operands before what uses them.

    Values are numbered: the constants and inputs first, then what is computed.
    """

    codes: IndexArray
    """[computed] instruction of each."""
    operands: IndexArray
    """[most operands, computed] numbers of its operands; 0 where it has fewer."""
    bounds: IndexArray
    """[group + 1] where the groups of one height and one instruction begin; the last is the end. Of one height the
    instructions with most operands come first."""
    heights: IndexArray
    """[group] how high the values of each group stand above their leaves."""
    roots: IndexArray
    """[batch] number of each program's value."""
    numbers: IndexArray
    """[place] number of the value of the part that begins there."""
    afters: IndexArray
    """[place] where the instruction behind that part stands; behind all places where the part ends its program."""
    lasts: IndexArray
    """[place] where the last operand of an op begins."""
    order: IndexArray
    """[batch] programs, the longest first."""
    firsts: IndexArray
    """[time + 1] the first place of each column; the last is the end."""
    columns: IndexArray
    """[place and behind] column of each place; behind all places the length of each program in `order`."""

    def owners(self) -> IndexArray:
        """[place] the program it belongs to."""
        places = np.arange(len(self.numbers))
        return self.order.take(places - self.firsts.take(self.columns[: len(places)]))

    def places(self, programs: IndexArray, columns: IndexArray) -> IndexArray:
        """Places of columns of programs; columns within their lengths."""
        rank = np.empty_like(self.order)
        rank[self.order] = np.arange(len(self.order))
        found: IndexArray = self.firsts.take(columns) + rank.take(programs)
        return found

    def by_place(self, matrix: NDArray[Kind]) -> NDArray[Kind]:
        """[place] of [program, column]."""
        return _by_place(matrix.take(self.order, 0), np.diff(self.firsts))

    def sizes(self) -> IndexArray:
        """[place] instructions of the part that begins there."""
        sizes: IndexArray = self.columns.take(self.afters) - self.columns[: len(self.afters)]
        return sizes


class _Layout(NamedTuple):
    """The instructions of a population by place."""

    codes: NDArray[np.int16]
    """[place] instructions."""
    order: IndexArray
    firsts: IndexArray
    columns: IndexArray


class _Parts(NamedTuple):
    """What the walk from right to left finds, by place."""

    afters: IndexArray
    lasts: IndexArray
    middle: list[IndexArray]
    """Of ops of more than two operands the places of those between the first and the last."""
    heights: NDArray[np.int16]
    hashes: NDArray[np.uint64]
    """[place and behind] of all instructions from there to the end of the program; 0 behind all places."""


class Scheduler:
    """Turns sentences of a space into schedules."""

    def __init__(self, tables: ElementwiseTables) -> None:
        self.tables = tables
        pad = tables.pad_code
        self._arity = tables.arity[:pad].astype(np.intp)
        self._most = int(self._arity.max(initial=0))
        is_leaf = self._arity == 0
        self.num_leaves = int(is_leaf.sum())
        """Values that are known before anything is computed."""
        self.leaf_of_code = np.where(is_leaf, np.cumsum(is_leaf) - 1, -1)
        """[instruction] number of the value of each leaf, -1 for ops."""
        self._is_op = ~is_leaf
        by_arity = np.argsort(-self._arity, kind="stable")
        self._rank_of_code = np.argsort(by_arity).astype(np.int16)
        """[instruction] most operands first."""
        self._salt = np.random.default_rng(_HASH_SEED).integers(1, 1 << 63, pad, dtype=np.uint64)
        self._powers = np.ones(1, np.uint64)
        self._codes_by_token = None if tables.code_by_token is None else tables.code_by_token.astype(np.int16)
        self._lines = None if tables.code_by_token is not None else make_lines(tables)

    def schedule(self, tokens: NDArray[np.integer[Any]]) -> Schedule:
        """The schedule of sentences [batch, time], filled up with V behind their ends."""
        if self._codes_by_token is not None:
            return self._schedule_prefix(self._codes_by_token.take(tokens), is_reversed=False)
        assert self._lines is not None, "made with the tables"
        postfix = write_postfix(self.tables, self._lines, tokens)
        return self._schedule_prefix(postfix[:, ::-1].astype(np.int16), is_reversed=True)

    def _schedule_prefix(self, codes: NDArray[np.int16], *, is_reversed: bool) -> Schedule:
        """Of programs [batch, time] in prefix order; operands in reverse where `is_reversed`."""
        layout = self._lay_out(codes)
        parts = self._find_parts(layout)
        nodes = self._is_op.take(layout.codes).nonzero()[0]
        representative = self._find_equal(layout, parts, nodes)
        chosen = nodes[representative == nodes]
        kinds = layout.codes.take(chosen)
        levels = parts.heights.take(chosen) * np.int16(self.tables.pad_code + 1) + self._rank_of_code.take(kinds)
        sorting = levels.argsort(kind="stable")
        chosen, kinds, levels = chosen.take(sorting), kinds.take(sorting), levels.take(sorting)
        number_of = self.leaf_of_code.take(layout.codes)
        number_of[chosen] = np.arange(self.num_leaves, self.num_leaves + len(chosen))
        number_of[nodes] = number_of.take(representative)
        operands = np.zeros((max(self._most, 2), len(chosen)), np.intp)
        widths = np.diff(layout.firsts)
        number_of.take(chosen + widths.take(layout.columns.take(chosen)), None, operands[0], "clip")
        number_of.take(parts.lasts.take(chosen), None, operands[1], "clip")
        if self._most > 2 or is_reversed:
            arities = self._arity.take(kinds)
            _order_operands(operands, arities, [number_of.take(each.take(chosen)) for each in parts.middle])
            if is_reversed:
                _reverse_operands(operands, arities)
        is_begin = np.ones(len(levels), bool)
        np.not_equal(levels[1:], levels[:-1], out=is_begin[1:])
        begins = is_begin.nonzero()[0]
        roots = np.empty(len(codes), np.intp)
        roots[layout.order] = number_of[: len(codes)]
        return Schedule(
            kinds.astype(np.intp),
            operands,
            np.append(begins, len(chosen)),
            levels[begins] // np.int16(self.tables.pad_code + 1),
            roots,
            number_of,
            parts.afters,
            parts.lasts,
            *layout[1:],
        )

    def _lay_out(self, codes: NDArray[np.int16]) -> _Layout:
        lengths = (codes != self.tables.pad_code).sum(1)
        order = np.argsort(-lengths.astype(np.int16), kind="stable")
        longest = int(lengths.max(initial=0))
        widths = len(codes) - np.cumsum(np.bincount(lengths, minlength=longest + 1))[:longest]
        firsts = np.zeros(longest + 1, np.intp)
        np.cumsum(widths, out=firsts[1:])
        flat = _by_place(codes.take(order, 0), widths)
        columns = np.concatenate((np.repeat(np.arange(longest), widths), lengths.take(order)))
        return _Layout(flat, order, firsts, columns)

    def _find_parts(self, layout: _Layout) -> _Parts:
        batch, count, firsts = len(layout.order), len(layout.codes), layout.firsts.tolist()
        stretches = list(zip(firsts, firsts[1:], [*firsts[2:], count], strict=False))
        # How many values are still missing before each instruction, times the batch, plus the row. Where n are, an op
        # has its last operand at the next place where n are, and its part ends at the next where n - 1 are.
        missing = ((self._arity - 1) * batch).take(layout.codes)
        before = np.arange(batch, 2 * batch)
        for begin, end, after_next in stretches:
            here = missing[begin:end]
            following = (here + before)[: after_next - end]
            here[:], before = before, following
        # [missing + 1, batch] the next place to the right; two views, for as many missing and for one less.
        table = np.zeros(int(missing.max(initial=batch)) + batch + 1, np.intp)
        next_less, next_same = table, table[batch:]
        next_same[:batch] = np.arange(count, count + batch)
        ids = np.arange(count)
        afters, lasts = np.empty(count, np.intp), np.zeros(count, np.intp)
        middle = [np.zeros(count, np.intp) for _ in range(self._most - 2)]
        heights, is_op = np.zeros(count, np.int16), self._is_op.take(layout.codes).view(np.int8)
        hashes = np.zeros(count + batch, np.uint64)
        self._salt.take(layout.codes, None, hashes[:count], "clip")
        above, rest = np.empty(batch, np.int16), np.empty(batch, np.uint64)
        # Arrays, since a call with a plain number takes twice as long here.
        multiplier, one = np.array(_MULTIPLIER, np.uint64), np.array(1, np.int16)
        for begin, end, after_next in reversed(stretches):
            here = missing[begin:end]
            next_less.take(here, None, afters[begin:end], "clip")
            more = after_next - end
            if more:
                # Programs that go on; those that do not end here with a leaf.
                mine, behind = slice(begin, begin + more), slice(end, after_next)
                last, level = lasts[mine], heights[mine]
                next_same.take(here[:more], None, last, "clip")
                heights.take(last, None, above[:more], "clip")
                np.maximum(heights[behind], above[:more], out=level)
                for number, places in enumerate(middle):
                    # Operand number + 2 of k begins where k - number - 2 more are missing than here.
                    open_ones = np.maximum(self._arity.take(layout.codes[mine]) - (number + 2), 0)
                    next_same.take(here[:more] + open_ones * batch, None, places[mine], "clip")
                    np.maximum(level, heights.take(places[mine]), out=level, where=open_ones > 0)
                np.add(level, one, out=level)
                np.multiply(level, is_op[mine], out=level)
                np.multiply(hashes[behind], multiplier, out=rest[:more])
                own = hashes[mine]
                np.add(own, rest[:more], out=own)
            next_same[here] = ids[begin:end]
        return _Parts(afters, lasts, middle, heights, hashes)

    def _find_equal(self, layout: _Layout, parts: _Parts, nodes: IndexArray) -> IndexArray:
        """Of each node one whose part is equal to its own, often the same for all equal ones."""
        self._extend_powers(len(layout.firsts))
        afters, columns = parts.afters.take(nodes), layout.columns
        sizes = columns.take(afters)
        sizes -= columns.take(nodes)
        # Of the part alone: without what follows it.
        behind = parts.hashes.take(afters)
        behind *= self._powers.take(sizes)
        hashes = parts.hashes.take(nodes)
        hashes -= behind
        np.multiply(hashes, np.uint64(_MULTIPLIER), out=behind)
        behind >>= _BUCKET_SHIFT
        buckets = behind.view(np.intp)
        table = np.empty(_BUCKETS, np.int32)
        table[buckets] = np.arange(len(nodes), dtype=np.int32)
        found = table.take(buckets)
        return np.where(hashes.take(found) == hashes, nodes.take(found), nodes)

    def _extend_powers(self, time: int) -> None:
        if len(self._powers) > time:
            return
        powers = [1]
        for _ in range(time):
            powers.append(powers[-1] * _MULTIPLIER % (1 << 64))
        self._powers = np.array(powers, np.uint64)


def _by_place(matrix: NDArray[Kind], widths: IndexArray) -> NDArray[Kind]:
    by_column = matrix[:, : len(widths)].T.copy()
    return np.concatenate([column[:width] for column, width in zip(by_column, widths.tolist(), strict=True)])


def _order_operands(operands: IndexArray, arities: IndexArray, middle: list[IndexArray]) -> None:
    """Puts the last operand of each op at its place, and those between where they belong."""
    last = operands[1].copy()
    for number, between in enumerate(middle):
        operands[number + 1] = np.where(arities > number + 2, between, operands[number + 1])
    for count in range(3, len(operands) + 1):
        has = arities == count
        operands[count - 1, has] = last[has]


def _reverse_operands(operands: IndexArray, arities: IndexArray) -> None:
    for count in range(2, len(operands) + 1):
        has = arities == count
        operands[:count, has] = operands[:count, has][::-1]
