"""Values of whole populations in numpy: tokens [batch, time] to values [batch, point], without an object a program.

A program is a row of instructions in prefix order: an op, then what it is applied to. All rows are read at once from
right to left, a column at a time, which gives the operands of each op and how high it stands above its leaves. Equal
parts of programs are found by a hash of their instructions, in whatever row they stand, and computed once. Then each
height and op is one call of numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.batch import BatchRuntime
from dslc.program.elementwise import Apply, Constant, ElementwiseTables, Input, instruction_meaning

Array = NDArray[np.float64]
IndexArray = NDArray[np.intp]
_BUCKETS = 1 << 16
"""Cells of the table in which equal parts are looked for; a power of two."""
_HASH_SEED = 0
_MULTIPLIER = 0x9E3779B97F4A7C15
"""Of the polynomial hash; odd, so that it has an inverse modulo 2^64."""


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
    """[group + 1] where the groups of one height and one instruction begin; the last is the end."""
    roots: IndexArray
    """[batch] number of each program's value."""
    numbers: IndexArray
    """[time, batch] number of the value of the part that begins at each instruction."""
    afters: IndexArray
    """[time, batch] the instruction behind that part, as a place in the flat [time + 1, batch]."""
    lasts: IndexArray
    """[time, batch] the instruction where the last operand of an op begins, as such a place."""


class BatchEvaluator:
    """Evaluates populations of one space at given points."""

    def __init__(self, tables: ElementwiseTables, inputs: Mapping[str, Array]) -> None:
        """Takes the value [point] of each input; raises KeyError if one is missing that the space uses."""
        self.tables = tables
        self.num_points = len(next(iter(inputs.values())))
        self._scheduler = Scheduler(tables)
        self._leaves = np.empty((self._scheduler.num_leaves, self.num_points))
        for number, instruction in enumerate(tables.instructions):
            row = self._scheduler.leaf_of_code[number]
            match instruction:
                case Input(name):
                    self._leaves[row] = inputs[name]
                case Constant(value):
                    self._leaves[row] = value
                case Apply() if instruction.arity == 0:
                    self._leaves[row] = instruction_meaning(instruction)()
        self._meanings = [instruction_meaning(i) if isinstance(i, Apply) else None for i in tables.instructions]
        self._values = np.empty((0, self.num_points))

    @property
    def num_leaves(self) -> int:
        """Values that are known before anything is computed; they are numbered first."""
        return len(self._leaves)

    def evaluate(self, tokens: NDArray[np.integer[Any]]) -> Array:
        """Values [batch, point] of sentences [batch, time], filled up with V behind their ends.

        They need not be finite. They are those of `interpret_graph` of each program's graph.
        """
        schedule = self._scheduler.schedule(tokens)
        return self.compute(schedule).take(schedule.roots, 0)

    def schedule(self, tokens: NDArray[np.integer[Any]]) -> Schedule:
        """What `evaluate` computes, and in which order."""
        return self._scheduler.schedule(tokens)

    def compute(self, schedule: Schedule) -> Array:
        """All values of a schedule [number, point]; reused by the next call."""
        first = len(self._leaves)
        total = first + len(schedule.codes)
        if len(self._values) < total:
            self._values = np.empty((total + total // 4, self.num_points))
            self._values[:first] = self._leaves
        values = self._values
        bounds = schedule.bounds.tolist()
        codes = schedule.codes[schedule.bounds[:-1]].tolist()
        operands = list(schedule.operands)
        with np.errstate(all="ignore"):
            for code, begin, end in zip(codes, bounds, bounds[1:], strict=False):
                meaning = self._meanings[code]
                assert meaning is not None, "leaves are not computed"
                out = values[first + begin : first + end]
                arguments = [row[begin:end] for row in operands[: self.tables.arity[code]]]
                if isinstance(meaning, np.ufunc):
                    meaning(*(values.take(argument, 0) for argument in arguments), out=out)
                else:
                    out[:] = meaning(*(values.take(argument, 0) for argument in arguments))
        return values


class Scheduler:
    """Turns sentences of a space into schedules."""

    def __init__(self, tables: ElementwiseTables) -> None:
        self.tables = tables
        pad = tables.pad_code
        self._arity = tables.arity
        self._most = int(self._arity[:pad].max(initial=0))
        is_leaf = self._arity[:pad] == 0
        self.num_leaves = int(is_leaf.sum())
        """Values that are known before anything is computed."""
        self.leaf_of_code = np.where(is_leaf, np.cumsum(is_leaf) - 1, -1)
        """[instruction] number of the value of each leaf, -1 for ops."""
        generator = np.random.default_rng(_HASH_SEED)
        self._salt = generator.integers(1, 1 << 63, pad + 1, dtype=np.uint64)
        self._salt[pad] = 0
        self._powers = np.ones(1, np.uint64)
        self._inverse_powers = self._powers
        self._leaf_by_code = np.append(self.leaf_of_code, 0)
        self._codes_by_token = None if tables.code_by_token is None else tables.code_by_token.astype(np.int16)
        self._lines = None if tables.code_by_token is not None else _make_lines(tables)

    def schedule(self, tokens: NDArray[np.integer[Any]]) -> Schedule:
        """The schedule of sentences [batch, time], filled up with V behind their ends."""
        if self._codes_by_token is not None:
            codes, is_reversed = self._codes_by_token.take(tokens.T), False
        else:
            assert self._lines is not None, "made with the tables"
            postfix = write_postfix(self.tables, self._lines, tokens)
            codes, is_reversed = postfix[:, ::-1].T.astype(np.int16), True
        return self._schedule_prefix(np.ascontiguousarray(codes), is_reversed)

    def _schedule_prefix(self, codes: NDArray[np.int16], is_reversed: bool) -> Schedule:
        """Of programs [time, batch] in prefix order; operands in reverse where `is_reversed`."""
        time, batch = codes.shape
        arity = self._arity.take(codes)
        # How many values are still missing before each column. Where n are, an op has its last operand at the next
        # place where n are, its first right behind it, and its part ends at the next place where n - 1 are.
        missing = np.empty((time + 1, batch), np.intp)
        missing[0] = batch
        np.cumsum(arity, 0, out=missing[1:])
        missing[1:] -= np.arange(time)[:, None]
        missing[1:] *= batch
        missing += np.arange(batch)
        place = missing
        nearest = np.zeros(int(missing.max()) + 1, np.intp)
        """[missing, batch] the next place to the right, as a number of the flat [time + 1, batch]."""
        nearest[:batch] = np.arange(time * batch, (time + 1) * batch)
        ids = np.arange(time * batch).reshape(time, batch)
        height = np.zeros((time + 1, batch), np.int16)
        flat_height = height.ravel()
        is_op = (arity > 0) & (codes != self.tables.pad_code)
        steps = is_op.astype(np.int16)
        last, after = np.empty((time, batch), np.intp), np.empty((time, batch), np.intp)
        middle = [np.zeros((time, batch), np.intp) for _ in range(self._most - 2)]
        above = np.empty(batch, np.int16)
        for t in range(time - 1, -1, -1):
            here, level = place[t], height[t]
            nearest.take(here - batch, None, after[t], "clip")
            nearest.take(here, None, last[t], "clip")
            flat_height.take(last[t], None, above, "clip")
            np.maximum(height[t + 1], above, out=level)
            for number, operands in enumerate(middle):
                # Operand number + 2 of k begins where k - number - 2 more are missing than here.
                open_ones = np.maximum(arity[t] - (number + 2), 0)
                nearest.take(here + open_ones * batch, None, operands[t], "clip")
                np.maximum(level, flat_height.take(operands[t]), out=level, where=open_ones > 0)
            level += 1
            level *= steps[t]
            nearest[here] = ids[t]
        nodes = is_op.ravel().nonzero()[0]
        flat = codes.ravel()
        representative = self._find_equal(codes, after, nodes)
        chosen = nodes[representative == nodes]
        kinds = flat[chosen]
        levels = flat_height[chosen] * np.int16(self.tables.pad_code + 1) + kinds
        order = levels.argsort(kind="stable")
        chosen, kinds, levels = chosen[order], kinds[order], levels[order]
        number_of = self._leaf_by_code.take(flat)
        number_of[chosen] = np.arange(self.num_leaves, self.num_leaves + len(chosen))
        number_of[nodes] = number_of[representative]
        operands = np.zeros((max(self._most, 2), len(chosen)), np.intp)
        number_of.take(chosen + batch, None, operands[0], "clip")
        number_of.take(last.ravel()[chosen], None, operands[1], "clip")
        if self._most > 2 or is_reversed:
            self._order_operands(operands, self._arity.take(kinds), [m.ravel()[chosen] for m in middle], number_of)
            if is_reversed:
                _reverse_operands(operands, self._arity.take(kinds))
        bounds = np.concatenate(([0], (levels[1:] != levels[:-1]).nonzero()[0] + 1, [len(chosen)]))
        return Schedule(
            kinds.astype(np.intp),
            operands,
            bounds[: 1 if not len(chosen) else None],
            number_of[:batch],
            number_of.reshape(time, batch),
            after,
            last,
        )

    @staticmethod
    def _order_operands(
        operands: IndexArray, arities: IndexArray, middle: list[IndexArray], number_of: IndexArray
    ) -> None:
        """Puts the last operand of each op at its place, and those between where they belong."""
        last = operands[1].copy()
        for number, places in enumerate(middle):
            operands[number + 1] = np.where(
                arities > number + 2, number_of.take(places, mode="clip"), operands[number + 1]
            )
        for count in range(3, len(operands) + 1):
            has = arities == count
            operands[count - 1, has] = last[has]

    def _find_equal(self, codes: NDArray[np.int16], after: IndexArray, nodes: IndexArray) -> IndexArray:
        """Of each node one whose part is equal to its own, often the same for all equal ones."""
        time, batch = codes.shape
        self._extend_powers(time)
        terms = self._salt.take(codes)
        terms *= self._powers[:time, None]
        sums = np.zeros((time + 1, batch), np.uint64)
        np.cumsum(terms, 0, out=sums[1:])
        flat = sums.ravel()
        hashes = flat.take(after.ravel().take(nodes))
        hashes -= flat.take(nodes)
        hashes *= self._inverse_powers.take(nodes // batch)
        buckets = ((hashes * np.uint64(_MULTIPLIER)) >> np.uint64(48)).astype(np.intp)
        table = np.empty(_BUCKETS, np.intp)
        table[buckets] = np.arange(len(nodes))
        found = table.take(buckets)
        return np.where(hashes.take(found) == hashes, nodes.take(found), nodes)

    def _extend_powers(self, time: int) -> None:
        if len(self._powers) >= time:
            return
        inverse = pow(_MULTIPLIER, -1, 1 << 64)
        powers, inverses = [1], [1]
        for _ in range(time):
            powers.append(powers[-1] * _MULTIPLIER % (1 << 64))
            inverses.append(inverses[-1] * inverse % (1 << 64))
        self._powers, self._inverse_powers = np.array(powers, np.uint64), np.array(inverses, np.uint64)


def _reverse_operands(operands: IndexArray, arities: IndexArray) -> None:
    for count in range(2, len(operands) + 1):
        has = arities == count
        operands[:count, has] = operands[:count, has][::-1]


# --- spaces whose sentences are not in prefix order ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """The forms of all choices as tables."""

    num_slots: IndexArray
    """[cell] slots that the choice leaves."""
    size: IndexArray
    """[cell] instructions of the choice itself."""
    slot_order: IndexArray
    """[most slots, cell] the slots in the order in which they are computed."""
    before: IndexArray
    """[most slots, cell] own instructions of the choice before each of these."""
    codes: IndexArray
    """[cell, most instructions] the own instructions."""
    gaps: IndexArray
    """[cell, most instructions] how many of the slots, in the order of `slot_order`, stand before each."""


def _make_lines(tables: ElementwiseTables) -> _Lines:
    numbers = {instruction: number for number, instruction in enumerate(tables.instructions)}
    most_slots = max((cell.num_slots for cell in tables.cells if cell), default=0)
    sizes = [sum(not isinstance(item, int) for item in cell.form) if cell else 0 for cell in tables.cells]
    count = len(tables.cells)
    lines = _Lines(
        np.array([cell.num_slots if cell else 0 for cell in tables.cells], np.intp),
        np.array(sizes, np.intp),
        np.zeros((most_slots, count), np.intp),
        np.zeros((most_slots, count), np.intp),
        np.zeros((count, max(sizes, default=0)), np.intp),
        np.zeros((count, max(sizes, default=0)), np.intp),
    )
    for place, cell in enumerate(tables.cells):
        if cell is None:
            continue
        slots = own = 0
        for item in cell.form:
            if isinstance(item, int):
                lines.slot_order[slots, place], lines.before[slots, place] = item, own
                slots += 1
            else:
                lines.codes[place, own], lines.gaps[place, own] = numbers[item], slots
                own += 1
        assert slots == cell.num_slots, "a form has each slot once"
    return lines


def write_postfix(tables: ElementwiseTables, lines: _Lines, tokens: NDArray[np.integer[Any]]) -> IndexArray:
    """Programs [batch, instruction] in postfix order of sentences [batch, time]; the padding stands before them."""
    cells = _find_cells(tables, tokens)
    time, batch = cells.shape
    num_slots = np.where(cells < 0, 1, lines.num_slots.take(cells, mode="clip"))
    is_token = cells >= 0
    missing = np.empty((time + 1, batch), np.intp)
    missing[0] = 1
    np.cumsum(num_slots - 1, 0, out=missing[1:])
    missing[1:] += 1
    rows = np.arange(batch)
    most = len(lines.slot_order)
    nearest = np.full((int(missing.max()) + 2, batch), time, np.intp)
    # Right to left: where the slots of each token begin, and how many instructions each part has.
    begins = np.full((time, most, batch), time, np.intp)
    size = np.zeros((time + 1, batch), np.intp)
    for t in range(time - 1, -1, -1):
        total = np.where(is_token[t], lines.size.take(cells[t], mode="clip"), 0)
        for slot in range(most):
            has = is_token[t] & (num_slots[t] > slot)
            begin = np.where(has, nearest[np.where(has, missing[t] + num_slots[t] - slot - 1, 0), rows], time)
            begins[t, slot] = begin
            total += size[begin, rows]
        size[t] = total
        nearest[missing[t], rows] = np.where(is_token[t], t, nearest[missing[t], rows])
    # Left to right: where each part begins among the instructions.
    width = int(size[0].max(initial=0))
    result = np.full((batch, width), tables.pad_code, np.intp)
    offset = np.zeros((time + 1, batch), np.intp)
    offset[0] = width - size[0]
    for t in range(time):
        here = is_token[t].nonzero()[0]
        cell = cells[t, here]
        starts = offset[t, here]
        passed = np.zeros((most + 1, len(here)), np.intp)  # instructions of the slots computed so far
        for place in range(most):
            has = num_slots[t, here] > place
            slot = lines.slot_order[place, cell]
            begin = np.where(has, begins[t, slot, here], time)
            offset[begin, here] = starts + lines.before[place, cell] + passed[place]
            passed[place + 1] = passed[place] + size[begin, here]
        for own in range(lines.codes.shape[1]):
            has = lines.size[cell] > own
            at = starts[has] + own + passed[lines.gaps[cell[has], own], has.nonzero()[0]]
            result[here[has], at] = lines.codes[cell[has], own]
    return result


def _find_cells(tables: ElementwiseTables, tokens: NDArray[np.integer[Any]]) -> IndexArray:
    """[1 + time, batch] the cell that each token takes, behind that of the start; -1 behind the end."""
    batch, time = tokens.shape
    automaton = tables.lowering.automaton
    runtime = BatchRuntime(automaton, batch, max(time, automaton.min_tokens))
    cells = np.empty((time + 1, batch), np.intp)
    cells[0] = len(tables.cells) - 1
    for t, column in enumerate(np.ascontiguousarray(tokens.T), start=1):
        cells[t] = runtime.slot * (automaton.num_tokens + 1) + column
        cells[t][column == automaton.pad_id] = -1
        runtime.advance(column)
    return cells
