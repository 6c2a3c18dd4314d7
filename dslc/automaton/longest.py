"""Length of the longest sentence of a grammar without cycles."""

from __future__ import annotations

from dslc.automaton.registers import Registers
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

    registers = automaton.registers
    if registers is not None:
        return _longest_counted(automaton, registers, order)

    def length_of_run(position: int) -> int:
        return sum(longest_of_slot[opened] for opened in slots_of_run(position))

    for finished in order:
        longest_of_slot[finished] = 1 + max(length_of_run(first) for first in runs_of_slot[finished])
    return length_of_run(automaton.start_position)


def _longest_counted(automaton: TokenAutomaton, registers: Registers, order: list[int]) -> int:
    """As `longest_sentence`, among the totals that the registers accept: the longest by what a part adds."""
    add, dead, num_stages = registers.add.tolist(), registers.size, registers.num_stages
    slot_of, following = automaton.slot.tolist(), automaton.next.tolist()
    gains, tails = registers.gain.tolist(), registers.tail.tolist()
    longest: dict[int, list[dict[int, int]]] = {}

    def join(first: dict[int, int], second: list[dict[int, int]]) -> dict[int, int]:
        joined: dict[int, int] = {}
        for a, tokens in first.items():
            for b, more in second[a % num_stages].items():
                if add[a][b] != dead:
                    joined[add[a][b]] = max(joined.get(add[a][b], 0), tokens + more)
        return joined

    def change(lengths: dict[int, int], tail: list[int]) -> dict[int, int]:
        changed: dict[int, int] = {}
        for total, tokens in lengths.items():
            stage = total % num_stages
            if tail[stage] < num_stages:
                moved = total - stage + tail[stage]
                changed[moved] = max(changed.get(moved, 0), tokens)
        return changed

    def run_lengths(position: int, begin: dict[int, int]) -> dict[int, int]:
        """By what is added from before `begin` to the end of a run."""
        while position:
            begin = change(join(begin, longest[slot_of[position]]), tails[position])
            position = following[position]
        return begin

    width = automaton.num_tokens + 1
    for slot in order:
        longest[slot] = [{} for _ in range(num_stages)]
        for cell in range(slot * width, slot * width + width - 1):
            if automaton.extra[cell] <= automaton.max_budget:
                for of_slot, gain in zip(longest[slot], gains[cell], strict=True):
                    lengths = run_lengths(int(automaton.run[cell]), {gain: 1}) if gain != dead else {}
                    for total, tokens in lengths.items():
                        of_slot[total] = max(of_slot.get(total, 0), tokens)
    ends = run_lengths(automaton.start_position, {registers.start: 0})
    return max(tokens for total, tokens in ends.items() if registers.accepts[total])
