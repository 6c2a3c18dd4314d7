"""The counters of an automaton whose other tables are finished."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.registers import NEVER_TOKENS, Registers
from dslc.automaton.stages import SAME
from dslc.automaton.totals import Gains, Needs
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.limits import Limit


def make_registers(
    gains: Gains,
    start_step: int,
    slots: Sequence[int],
    positions: Sequence[tuple[int, int, int]],
    choices: dict[int, tuple[int, int]],
    width: int,
) -> Registers:
    """The tables of what choices count and change.

    Args:
        gains: What the parts of the grammar count and change.
        start_step: How the stage changes before the first slot of a sentence.
        slots: Symbol of each slot.
        positions: Of each, its slot, the position after it in its run, which has a lower number, and how the stage
            changes when the slot is filled.
        choices: Of each cell, the first position of the run that the choice leaves, and how the stage changes before.
        width: V + 1.

    Raises:
        DslcError: DSLC323 if the tables pass the limit.
    """
    totals = gains.totals
    size, num_stages, stages = totals.size, totals.num_stages, totals.stages
    if len(positions) * num_stages * size > Limit.TABLE_CELLS.number:
        raise _too_large()
    nothing = gains.start_needs(0, SAME, 0)
    # What a position and what follows it need, by what they add; the choices are counted from the runs they leave.
    rests: list[Needs] = [nothing]
    follows: list[Needs] = [nothing]
    for slot, after, step in positions[1:]:
        follows.append(totals.step_before(rests[after], step))
        rests.append(totals.join(totals.step(gains.needs[slots[slot]], step), rests[after]))
    num_cells = max(1, len(slots)) * width
    gain = np.tile(np.arange(num_stages, dtype=np.int32), (num_cells, 1))
    choice_of_cell = np.zeros(num_cells, np.int32)
    empty: tuple[tuple[tuple[int, int], ...], ...] = ((),) * num_stages
    rows = {empty: 0}
    rows_of_slot: list[dict[int, int]] = [{0: 0} for _ in slots] or [{0: 0}]
    for cell, (run, step) in choices.items():
        slot, token = divmod(cell, width)
        own = gains.start_needs(gains.of_choice(slots[slot], token), step, 1)
        gain[cell] = [next(iter(ways), totals.dead) for ways in own]
        needs = tuple(tuple(sorted(ways.items())) for ways in totals.join(own, rests[run]))
        row = rows.setdefault(needs, len(rows))
        choice_of_cell[cell] = rows_of_slot[slot].setdefault(row, len(rows_of_slot[slot]))
    slot_choices = np.zeros((len(rows_of_slot), max(map(len, rows_of_slot))), np.int32)
    for slot, of_slot in enumerate(rows_of_slot):
        slot_choices[slot, : len(of_slot)] = list(of_slot)
    if len(rows) * num_stages * size > Limit.TABLE_CELLS.number:
        raise _too_large()

    def table(needs: Iterable[Iterable[Iterable[tuple[int, int]]]], height: int) -> NDArray[np.int32]:
        dense = np.full((height, num_stages, size), NEVER_TOKENS, np.int32)
        for row, of_row in enumerate(needs):
            for stage, pairs in enumerate(of_row):
                for total, tokens in pairs:
                    dense[row, stage, total] = tokens
        return dense

    return Registers(
        names=tuple(map(str, totals.subjects)),
        num_stages=num_stages,
        start=totals.find(gains.closed[gains.split.start], stages.read(start_step)[0]),
        add=np.array(totals.add, np.int32),
        accepts=np.array(totals.accepts, np.bool_),
        gain=gain,
        tail=np.array([(*stages.read(step), stages.never) for _, _, step in positions], np.int32),
        follow=table(([ways.items() for ways in each] for each in follows), len(follows)),
        choice=table(rows, len(rows)),
        slot_choices=slot_choices,
        choice_of_cell=choice_of_cell,
    )


def _too_large() -> DslcError:
    limit = Limit.TABLE_CELLS
    return DslcError(
        Diagnostic(
            Code.TABLES_TOO_LARGE,
            Severity.ERROR,
            f"what the constraints count makes more than {limit.number:,} table cells",
            help=limit.advise("count fewer names, or up to smaller numbers"),
        )
    )
