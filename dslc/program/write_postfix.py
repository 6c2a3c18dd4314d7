"""Programs in postfix order as arrays, of spaces whose sentences are not in prefix order.

Each choice of a slot and a token has a form: which of its own instructions stand between the parts that fill the slots
it leaves. Sizes of parts are found from right to left, and from left to right where each part begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.batch import BatchRuntime
from dslc.program.elementwise import ElementwiseTables

IndexArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
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


def make_lines(tables: ElementwiseTables) -> Lines:
    """The forms of a space."""
    numbers = {instruction: number for number, instruction in enumerate(tables.instructions)}
    most_slots = max((cell.num_slots for cell in tables.cells if cell), default=0)
    sizes = [sum(not isinstance(item, int) for item in cell.form) if cell else 0 for cell in tables.cells]
    count = len(tables.cells)
    lines = Lines(
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


def write_postfix(tables: ElementwiseTables, lines: Lines, tokens: NDArray[np.integer[Any]]) -> IndexArray:
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
