"""How many nodes of some rules are finished, for a batch of sequences: the walk of `dslc.automaton.heads`.

As for masks there are two of one interface with tensors in it: numpy's is faster on a CPU, torch's steps on any device
without a host synchronisation. `make_tracker` picks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, Int32, Int64
from torch import Tensor

from dslc.automaton.heads import NodeMarks
from dslc.controller.copy_table import copy_table


@dataclass(frozen=True, slots=True)
class MarkTensors:
    """The tables of `NodeMarks` on a device, under the same names."""

    slot_base: Int64[Tensor, "position"]
    next: Int64[Tensor, "position"]
    behind: Int64[Tensor, "position rule"]
    run: Int64[Tensor, "cell"]
    lead: Int64[Tensor, "cell rule"]
    start_finished: Int64[Tensor, "rule"]

    @classmethod
    def from_marks(cls, marks: NodeMarks, device: torch.device | str) -> MarkTensors:
        """A copy of the tables on `device`."""
        arrays = (marks.slot_base, marks.next, marks.behind, marks.run, marks.lead, marks.start_finished)
        return cls(*(copy_table(array, device, torch.int64) for array in arrays))


class TorchNodeTracker:
    """Numbers of finished nodes, in step with a runtime; no host synchronisation, and no loop over nodes."""

    def __init__(
        self,
        marks: NodeMarks,
        batch_size: int,
        budget: int,
        device: torch.device | str = "cpu",
        tables: MarkTensors | None = None,
    ) -> None:
        tables = MarkTensors.from_marks(marks, device) if tables is None else tables
        self._tables = tables
        width = budget + 2
        """Each choice writes at most one return address; one more for the empty stack's sentinel."""
        self._top = torch.full((batch_size,), marks.start_position, dtype=torch.int64, device=device)
        self._offset = torch.arange(batch_size, device=device) * width
        self._depth = torch.ones_like(self._top)
        self._stack = torch.zeros(batch_size * width, dtype=torch.int64, device=device)
        self._pending = torch.zeros(batch_size, len(marks.rules), dtype=torch.int64, device=device)
        self._kept = torch.zeros(batch_size * width, len(marks.rules), dtype=torch.int64, device=device)
        self._finished = tables.start_finished.repeat(batch_size, 1)

    @property
    def finished(self) -> Int64[Tensor, "batch rule"]:
        """Nodes of each rule that are finished so far; a step leaves what was given out as it is."""
        return self._finished

    def advance(self, tokens: Int[Tensor, "batch"]) -> None:
        """Take an allowed token in every sequence; the padding id where it is done."""
        tables = self._tables
        cell = tables.slot_base.index_select(0, self._top) + tokens
        following = tables.next.index_select(0, self._top)
        run = tables.run.index_select(0, cell)
        enters, goes_on = run > 0, following > 0
        closes = tables.behind.index_select(0, self._top) + self._pending.masked_fill(goes_on[:, None], 0)
        self._finished = self._finished + tables.lead.index_select(0, cell) + closes.masked_fill(enters[:, None], 0)
        place = self._offset + self._depth
        self._stack[place] = following
        self._kept[place] = self._pending
        self._depth = (self._depth + goes_on.long() - (~enters).long()).clamp_(min=0)
        popped_from = self._offset + self._depth
        self._top = torch.where(enters, run, self._stack.index_select(0, popped_from))
        self._pending = torch.where(enters[:, None], closes, self._kept.index_select(0, popped_from))


class NumpyNodeTracker:
    """As `TorchNodeTracker`, on a CPU. Rules are the first axis, so that a step is one of long rows."""

    def __init__(self, marks: NodeMarks, batch_size: int, budget: int) -> None:
        self._slot_base, self._next = marks.slot_base.astype(np.intp), marks.next.astype(np.intp)
        self._run = marks.run.astype(np.intp)
        self._behind, self._lead = marks.behind.T.astype(np.intp), marks.lead.T.astype(np.intp)
        width = budget + 2
        rules = len(marks.rules)
        self._top = np.full(batch_size, marks.start_position, np.intp)
        self._place = np.arange(batch_size) * width + 1
        """Above the innermost return address."""
        self._bottom = np.arange(batch_size) * width
        self._stack = np.zeros(batch_size * width, np.intp)
        self._pending = np.zeros((rules, batch_size), np.intp)
        self._kept = np.zeros((rules, batch_size * width), np.intp)
        self._finished = np.repeat(marks.start_finished.astype(np.intp)[:, None], batch_size, 1)

    @property
    def finished(self) -> Int64[Tensor, "batch rule"]:
        """See `TorchNodeTracker`."""
        return torch.from_numpy(self._finished.T)

    def advance(self, tokens: Int[Tensor, "batch"]) -> None:
        """See `TorchNodeTracker`."""
        top, place = self._top, self._place
        cell = self._slot_base.take(top) + tokens.numpy()
        following, run = self._next.take(top), self._run.take(cell)
        ends, is_last = run == 0, following == 0
        closes = self._behind.take(top, 1)
        closes += self._pending * is_last
        self._finished = self._finished + self._lead.take(cell, 1) + closes * ends
        self._stack[place] = following
        self._kept[:, place] = self._pending
        place = place + ~is_last
        place -= ends
        self._place = np.maximum(place, self._bottom, out=place)
        self._top = np.where(ends, self._stack.take(place), run)
        self._pending = np.where(ends, self._kept.take(place, 1), closes)


NodeTracker = TorchNodeTracker | NumpyNodeTracker
"""Numbers of finished nodes of a batch, as tensors on its device."""


def make_tracker(
    marks: NodeMarks,
    batch_size: int,
    budget: int,
    device: torch.device | str = "cpu",
    tables: MarkTensors | None = None,
) -> NodeTracker:
    """The faster tracker for a device; `tables` are a copy of the marks there, made if None."""
    if torch.device(device).type == "cpu":
        return NumpyNodeTracker(marks, batch_size, budget)
    return TorchNodeTracker(marks, batch_size, budget, device, tables)


def count_rows(
    previous: Int32[Tensor, "batch time"], finished: Int[Tensor, "batch time"], yes: int, no: int
) -> Int64[Tensor, "batch time"]:
    """How many of two tokens precede each step in a row; a row begins with the sequence and behind each finished node.

    Args:
        previous: Tokens before each step.
        finished: Nodes that are finished before each step.
        yes: Token id.
        no: Token id.

    Example:
        >>> tokens = torch.tensor([[9, 9, 1, 9, 0, 1]], dtype=torch.int32)
        >>> count_rows(tokens, torch.tensor([[0, 1, 1, 2, 2, 2]]), 1, 0)
        tensor([[0, 0, 1, 0, 1, 2]])
    """
    said = ((previous == yes) | (previous == no)).cumsum(1)
    begins = finished > torch.nn.functional.pad(finished[:, :-1], (1, 0))
    return said - (said * begins).cummax(1).values
