"""The registers of an automaton in torch operations; what they do is said in `dslc.automaton.registers`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int, Int32, Int64
from torch import Tensor

from dslc.automaton.registers import NEVER_TOKENS
from dslc.automaton.tables import TokenAutomaton
from dslc.controller.copy_table import copy_table


@dataclass(frozen=True, slots=True)
class RegisterTensors:
    """The tables of `Registers` on a device, under the same names; axes joined by _ are one."""

    num_stages: int
    size: int
    start: int
    slot: Int32[Tensor, "position"]
    is_last: Bool[Tensor, "position"]
    gain: Int32[Tensor, "cell_stage"]
    follow: Int32[Tensor, "position stage total"]
    choice: Int32[Tensor, "choice_stage total"]
    tail: Int64[Tensor, "position last_stage"]
    add: Int64[Tensor, "total_or_none total_or_none"]
    slot_choices: Int32[Tensor, "slot choice"]
    choice_of_cell: Int64[Tensor, "slot token"]
    end: Int32[Tensor, "total_or_none"]

    @classmethod
    def from_automaton(cls, automaton: TokenAutomaton, device: torch.device | str) -> RegisterTensors | None:
        """A copy of the tables on `device`, None if the automaton has none."""
        registers = automaton.registers
        if registers is None:
            return None
        return cls(
            num_stages=registers.num_stages,
            size=registers.size,
            start=registers.start,
            slot=copy_table(automaton.slot, device),
            is_last=copy_table(automaton.next, device) == 0,
            gain=copy_table(registers.gain, device).view(-1),
            follow=copy_table(registers.follow, device),
            choice=copy_table(registers.choice, device).view(-1, registers.size),
            tail=copy_table(registers.tail, device, torch.int64),
            add=copy_table(registers.add, device, torch.int64),
            slot_choices=copy_table(registers.slot_choices, device),
            choice_of_cell=copy_table(registers.choice_of_cell, device, torch.int64).view(-1, automaton.num_tokens + 1),
            end=copy_table(registers.end, device),
        )


class TorchCounters:
    """Totals, after vectors and late maps of a batch, beside the positions of a `TorchRuntime`.

    No host synchronisation.
    """

    def __init__(self, tables: RegisterTensors, batch_size: int, budget: int) -> None:
        self._tables = tables
        self._size, self._num_stages = tables.size, tables.num_stages
        self._left = budget
        device = tables.slot.device
        self._totals = torch.full((batch_size,), tables.start, dtype=torch.int64, device=device)
        self._after = tables.end.repeat(batch_size, 1)
        self._kept = tables.end.repeat(batch_size * (budget + 2), 1)
        same = torch.arange(self._num_stages + 1, device=device)
        self._late = same.repeat(batch_size, 1)
        self._kept_late = same.repeat(batch_size * (budget + 2), 1)
        self._joined: Int32[Tensor, "batch total"] | None = None

    def _join(self, top: Int32[Tensor, "batch"]) -> Int32[Tensor, "batch total"]:
        """The after vectors behind the slots to fill: of what follows them in their run, and of the run."""
        if self._joined is None:
            follow = self._tables.follow.index_select(0, top)
            shape = (len(top), -1, self._num_stages, self._size)
            ways = self._after.index_select(1, self._tables.add[:-1, :-1].reshape(-1)).view(shape)
            joined = (ways + follow[:, None]).amin(3).clamp_(max=NEVER_TOKENS).view(len(top), self._size)
            self._joined = torch.nn.functional.pad(joined, (0, 1), value=NEVER_TOKENS)
        return self._joined

    def restrict(self, mask: Bool[Tensor, "batch token"], top: Int32[Tensor, "batch"]) -> None:
        """Takes the tokens that no sentence within the counts has here out of a mask."""
        reached = self._join(top).gather(1, self._tables.add.index_select(0, self._totals)[:, :-1])
        slot = self._tables.slot.index_select(0, top)
        rows = self._tables.slot_choices.index_select(0, slot)
        rows = rows * self._num_stages + (self._totals % self._num_stages)[:, None]
        needs = self._tables.choice.index_select(0, rows.view(-1)).view(*rows.shape, self._size)
        is_allowed = (needs + reached[:, None]).amin(2) <= self._left
        within = is_allowed.gather(1, self._tables.choice_of_cell.index_select(0, slot))
        within[:, -1] = True  # padding: only what is finished takes it
        mask &= within | (top == 0)[:, None]

    def count(self, top: Int32[Tensor, "batch"], cell: Int[Tensor, "batch"]) -> None:
        """Takes the choices of some cells, before the positions move."""
        self._join(top)
        gain = self._tables.gain.index_select(0, cell * self._num_stages + self._totals % self._num_stages)
        self._totals = torch.where(top > 0, self._tables.add[self._totals, gain.to(torch.int64)], self._totals)
        tail = self._tables.tail.index_select(0, top)
        is_last = self._tables.is_last.index_select(0, top)[:, None]
        # What changes when the slot is filled; where it is the last of its run, what is late comes right behind.
        self._leaving = torch.where(is_last, self._late.gather(1, tail), tail)
        self._left -= 1

    def push(self, place: Int[Tensor, "batch"]) -> None:
        """Keeps the after vectors beside the return addresses that are written."""
        self._kept[place] = self._after
        self._kept_late[place] = self._late

    def pop(self, popped_from: Int[Tensor, "batch"], enters: Bool[Tensor, "batch"]) -> None:
        """The after vectors of the next slots: of the runs that open, or as kept beside the popped addresses."""
        assert self._joined is not None, "choices are counted first"
        self._after = torch.where(enters[:, None], self._joined, self._kept.index_select(0, popped_from))
        self._joined = None
        stage = self._totals % self._num_stages
        reached = self._leaving.gather(1, stage[:, None])[:, 0]
        self._totals = torch.where(enters, self._totals, self._totals + reached - stage)
        self._late = torch.where(enters[:, None], self._leaving, self._kept_late.index_select(0, popped_from))
