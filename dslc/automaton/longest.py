"""Length of the longest sentence of a grammar without cycles."""

from __future__ import annotations

from dslc.automaton.tables import TokenAutomaton


def longest_sentence(automaton: TokenAutomaton) -> int:
    """Tokens of the longest sentence; the grammar must have no cycle.

    A run counts the sum of its slots, a slot 1 + its longest choice, in an order that finishes every part before the
    whole.
    """
    slot = automaton.slot.tolist()
    following = automaton.next.tolist()
    width = automaton.num_tokens + 1
    run = automaton.run.tolist()
    exists = (automaton.extra <= automaton.max_budget).tolist()
    longest_of_slot: dict[int, int] = {}
    runs_of_slot: dict[int, list[int]] = {}
    order: list[int] = []

    def slots_of_run(position: int) -> list[int]:
        slots = []
        while position:
            slots.append(slot[position])
            position = following[position]
        return slots

    pending = [(False, opened) for opened in slots_of_run(automaton.start_position)]
    while pending:  # depth first over slots; a slot is put in `order` after everything that its choices can open
        is_finished, opened = pending.pop()
        if is_finished:
            order.append(opened)
        elif opened not in runs_of_slot:
            cells = range(opened * width, opened * width + width - 1)
            runs_of_slot[opened] = sorted({run[cell] for cell in cells if exists[cell]})
            pending.append((True, opened))
            pending.extend((False, inner) for first in runs_of_slot[opened] for inner in slots_of_run(first))

    def length_of_run(position: int) -> int:
        return sum(longest_of_slot[opened] for opened in slots_of_run(position))

    for finished in order:
        longest_of_slot[finished] = 1 + max(length_of_run(first) for first in runs_of_slot[finished])
    return length_of_run(automaton.start_position)
