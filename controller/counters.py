"""The registers of an automaton in torch operations; what they do is said in `dslc.automaton.registers`."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Int, Int32
from torch import Tensor

from dslc.automaton.registers import NEVER_TOKENS
from dslc.automaton.tables import TokenAutomaton


class TorchCounters:
    """Totals and after vectors of a batch, beside the positions of a `TorchRuntime`; no host synchronisation."""

    def __init__(self, automaton: TokenAutomaton, batch_size: int, budget: int, device: torch.device) -> None:
        registers = automaton.registers
        assert registers is not None, "the automaton counts"
        self._size = registers.size
        self._width = automaton.num_tokens + 1
        self._left = budget

        def move(array: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> Tensor:
            return torch.from_numpy(np.array(array)).to(device)

        self._slot, self._next = move(automaton.slot), move(automaton.next)
        self._gain, self._rest, self._choice = move(registers.gain), move(registers.rest), move(registers.choice)
        self._add = move(registers.add).to(torch.int64)
        self._slot_choices = move(registers.slot_choices)
        self._choice_of_cell = move(registers.choice_of_cell).view(-1, self._width).to(torch.int64)
        self._totals = torch.full((batch_size,), registers.start, dtype=torch.int64, device=device)
        end = move(registers.end)
        self._after = end.repeat(batch_size, 1)
        self._kept = end.repeat(batch_size * (budget + 2), 1)
        self._joined: Int32[Tensor, "batch total"] | None = None

    def _join(self, top: Int32[Tensor, "batch"]) -> Int32[Tensor, "batch total"]:
        """The after vectors of the slots to fill: of what follows them in their run, and of the run."""
        if self._joined is None:
            rest = self._rest.index_select(0, self._next.index_select(0, top))
            ways = self._after.index_select(1, self._add[:, :-1].reshape(-1)).view(len(top), self._size + 1, self._size)
            self._joined = (ways + rest[:, None]).amin(2).clamp_(max=NEVER_TOKENS)
        return self._joined

    def restrict(self, mask: Bool[Tensor, "batch token"], top: Int32[Tensor, "batch"]) -> None:
        """Takes the tokens that no sentence within the counts has here out of a mask."""
        reached = self._join(top).gather(1, self._add.index_select(0, self._totals)[:, :-1])
        slot = self._slot.index_select(0, top)
        rows = self._slot_choices.index_select(0, slot)
        needs = self._choice.index_select(0, rows.view(-1)).view(*rows.shape, self._size)
        is_allowed = (needs + reached[:, None]).amin(2) <= self._left
        within = is_allowed.gather(1, self._choice_of_cell.index_select(0, slot))
        within[:, -1] = True  # padding: only what is finished takes it
        mask &= within | (top == 0)[:, None]

    def count(self, top: Int32[Tensor, "batch"], cell: Int[Tensor, "batch"]) -> None:
        """Takes the choices of some cells, before the positions move."""
        self._join(top)
        gain = self._gain.index_select(0, cell) * (top > 0)
        self._totals = self._add[self._totals, gain.to(torch.int64)]
        self._left -= 1

    def push(self, place: Int[Tensor, "batch"]) -> None:
        """Keeps the after vectors beside the return addresses that are written."""
        self._kept[place] = self._after

    def pop(self, popped_from: Int[Tensor, "batch"], enters: Bool[Tensor, "batch"]) -> None:
        """The after vectors of the next slots: of the runs that open, or as kept beside the popped addresses."""
        assert self._joined is not None, "choices are counted first"
        self._after = torch.where(enters[:, None], self._joined, self._kept.index_select(0, popped_from))
        self._joined = None
