"""Whether the tables of an automaton fit together, for tables that come from a file."""

from __future__ import annotations

import numpy as np

from dslc.automaton.heads import find_heads_fault
from dslc.automaton.tables import TokenAutomaton


def find_table_fault(automaton: TokenAutomaton) -> str | None:
    """What would make a runtime read outside the tables or push without end; None if nothing does.

    Whether the numbers are those of the grammar is not looked at.
    """
    slots, width = automaton.num_slots, automaton.num_tokens + 1
    positions = automaton.num_positions
    shapes = {
        "slot": (positions,),
        "slot_base": (positions,),
        "next": (positions,),
        "row_base": (positions,),
        "row_cap": (positions,),
        "mask": (len(automaton.mask), width),
        "run": (max(1, slots) * width,),
        "extra": (max(1, slots) * width,),
        "need": (slots,),
    }
    for name, shape in shapes.items():
        if getattr(automaton, name).shape != shape:
            return f"table `{name}` has the shape {getattr(automaton, name).shape}, not {shape}"
    if positions == 0 or not 0 <= automaton.start_position < positions:
        return f"there is no start position {automaton.start_position}"
    if [token.id for token in automaton.vocabulary] != list(range(automaton.num_tokens)):
        return "the tokens are not numbered in order"
    last_row = automaton.row_base.astype(np.int64) + automaton.row_cap
    bounds = (
        ("slot", automaton.slot, max(1, slots)),
        ("run", automaton.run, positions),
        ("row_base", automaton.row_base, len(automaton.mask)),
        ("row_cap", last_row, len(automaton.mask)),
        ("row_cap", automaton.row_cap, len(automaton.mask)),
        # What follows a position is numbered before it, so that a run ends.
        ("next", automaton.next, np.maximum(np.arange(positions), 1)),
    )
    for name, table, bound in bounds:
        if bool(np.any(table < 0)) or bool(np.any(table >= bound)):
            return f"table `{name}` points outside"
    if not np.array_equal(automaton.slot_base, automaton.slot * width):
        return "table `slot_base` does not follow from `slot`"
    if bool(np.any(automaton.extra < 0)) or bool(np.any(automaton.need < 1)):
        return "a choice or a slot costs less than it can"
    return None if automaton.heads is None else find_heads_fault(automaton.heads, automaton.num_tokens)
