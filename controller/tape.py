"""The network of a policy, forward, written out in buffers that are made once.

Of each step t and layer, x the layer's input, h and c the hidden state and the cell of the step before:

    a = x U + h W + b               four gates side by side
    o, i, f = sigmoid(a)            output, input and forget gate, the first three of a
    g = 2 sigmoid(a) - 1            what is new, the last of a
    c' = f c + 2 i g
    r = 2 sigmoid(c') - 1
    h' = o r
    z = start + h' V + v            logits, of the top layer

That is torch's LSTM with the weights of g, and so the cell, twice as large: tanh(x) = 2 sigmoid(2x) - 1, and a sigmoid
of all gates takes half the time of sigmoid and tanh. A step is a handful of calls, because at the batch sizes of a
search calls cost as much as arithmetic. What needs no recurrence is done for all steps at once.

Two ways to write the same: on a `RowTape` each sequence of a batch has a row at each step, for sampling, where nobody
knows yet how it goes on; on a `NodeTape` those that begin alike share one, for updates.

Tapes are made and written on in torch's inference mode, where a call costs less than under `no_grad`. What autograd is
to read of them is copied outside of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from dslc.controller.network import FoldedWeights
from dslc.controller.paths import Paths

LARGEST_TAPE = 1 << 24
"""Numbers in the buffers of a tape that is kept from sampling to the update."""
ROLLING = 2
"""Steps of a tape on which only the present and the last one are kept."""
ROW_PARTS = 7
"""Buffers of a layer on a tape of rows, in its units."""
NODE_PARTS = 14
"""The same of a tape of nodes."""


@dataclass(frozen=True, slots=True)
class LayerStep:
    """One step of a layer: views of its buffers."""

    gates: Float[Tensor, "node gate"]
    out: Float[Tensor, "node hidden"]
    into: Float[Tensor, "node hidden"]
    keep: Float[Tensor, "node hidden"]
    new: Float[Tensor, "node hidden"]
    cells: Float[Tensor, "node hidden"]
    squashed: Float[Tensor, "node hidden"]
    """r: tanh of the cells of torch's LSTM."""
    hidden: Float[Tensor, "node hidden"]


class RowTape:
    """What the network goes through with a batch, a row a sequence, time the first axis of everything.

    A rolling tape keeps the present step and the one before, for sampling alone.
    """

    @torch.inference_mode()
    def __init__(self, weights: FoldedWeights, steps: int, rows: int, *, is_rolling: bool = False) -> None:
        size, like = weights.hidden_size, weights.bias
        kept = ROLLING if is_rolling else steps
        self.steps, self.rows, self.is_rolling = steps, rows, is_rolling
        layers = range(len(weights.layers))
        self.gates = [like.new_empty(kept, rows, 4 * size) for _ in layers]
        self.cells = [like.new_zeros(kept + 1, rows, size) for _ in layers]
        """The first is that before the first step, zeros."""
        self.squashed, self.hidden = ([like.new_empty(kept, rows, size) for _ in layers] for _ in range(2))
        self.logits = like.new_empty(kept, rows, len(like))
        # Views of each step, made once: they cost as much as arithmetic.
        self._now = [
            [
                LayerStep(*(gates[t], *gates[t].chunk(4, 1), cells[t + 1], squashed[t], hidden[t]))
                for gates, cells, squashed, hidden in zip(
                    self.gates, self.cells, self.squashed, self.hidden, strict=True
                )
            ]
            for t in range(kept)
        ]
        self._after = [[(step.hidden, step.cells) for step in now] for now in self._now]
        self._opened = [(now[0].gates, logits) for now, logits in zip(self._now, self.logits.unbind(0), strict=True)]
        is_cpu = like.device.type == "cpu"
        self._arrays = [(gates.numpy(), logits.numpy()) for gates, logits in self._opened] if is_cpu else []
        self._minus_one = like.new_full((), -1.0)

    def open(self, t: int) -> tuple[Float[Tensor, "row gate"], Float[Tensor, "row token"]]:
        """Where to write, before step t, x U + b of the lowest layer, and what the logits start at."""
        return self._opened[t % ROLLING if self.is_rolling else t]

    def open_arrays(self, t: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `open`, on a CPU, for numpy to write there."""
        return self._arrays[t % ROLLING if self.is_rolling else t]

    def step(self, weights: FoldedWeights, t: int) -> Float[Tensor, "row hidden"]:
        """Step t, from that before it; returns the states of the top layer."""
        kept, last = (t % ROLLING, (t - 1) % ROLLING) if self.is_rolling else (t, t - 1)
        return _run_step(
            weights, self._now[kept], self._after[last] if t else None, self._opened[kept][1], self._minus_one
        )


class NodeTape:
    """What the network goes through along paths, a row a node, and where gradients go."""

    @torch.inference_mode()
    def __init__(self, weights: FoldedWeights, nodes: int) -> None:
        """For at most so many nodes."""
        size, like = weights.hidden_size, weights.bias
        self.num_nodes = nodes
        layers = range(len(weights.layers))
        self.gates, self.by_gates = ([like.new_empty(nodes, 4 * size) for _ in layers] for _ in range(2))
        self.squashed, self.into_cell = ([like.new_empty(nodes, size) for _ in layers] for _ in range(2))
        """`into_cell`: twice the factors from the gradient by h' to that by c'."""
        # States and cells side by side, since they are gathered and summed together.
        self.after, self.before = ([like.new_empty(nodes, 2 * size) for _ in layers] for _ in range(2))
        """`before`: those of each node's parent, zeros at the beginning."""
        self.by_after = like.new_empty(nodes, 2 * size)
        self.by_hidden, self.by_cells = self.by_after.chunk(2, 1)
        self.gate_parts, self.by_gate_parts = (
            [each.chunk(4, 1) for each in part] for part in (self.gates, self.by_gates)
        )
        self.logits = like.new_empty(nodes, len(like))
        self.hidden, self.hidden_before = ([each[:, :size] for each in part] for part in (self.after, self.before))
        self.cells, self.cells_before = ([each[:, size:] for each in part] for part in (self.after, self.before))
        self.version = 0
        """How many batches have been written on it."""
        self._minus_one = like.new_full((), -1.0)
        self._counts: list[int] = []
        self._views: dict[int, tuple[Tensor, ...]] = {}
        """By buffer, of steps of so many nodes."""

    def follow(self, weights: FoldedWeights, paths: Paths) -> None:
        """Let the network go along paths: the lowest gates hold x U + b and the logits what z starts at."""
        self.version += 1
        counts = paths.counts
        layers = [self._view_steps(layer, counts) for layer in range(len(weights.layers))]
        after, before, hidden, cells = (
            [self.split(each, counts) for each in part]
            for part in (self.after, self.before, self.hidden_before, self.cells_before)
        )
        for t, (logits, parents) in enumerate(zip(self.split(self.logits, counts), paths.parents, strict=True)):
            if t:
                for target, source in zip(before, after, strict=True):
                    if parents is None:
                        target[t].copy_(source[t - 1])
                    else:
                        torch.index_select(source[t - 1], 0, parents, out=target[t])
            last = [(states[t], its[t]) for states, its in zip(hidden, cells, strict=True)] if t else None
            _run_step(weights, [steps[t] for steps in layers], last, logits, self._minus_one)
        self._clear_beginning(counts)

    def split(self, buffer: Tensor, counts: list[int]) -> tuple[Tensor, ...]:
        """Views of each step of a buffer of this tape; made anew only when the steps have other numbers of nodes."""
        if counts != self._counts:
            self._counts, self._views = counts, {}
        key = id(buffer)
        if key not in self._views:
            self._views[key] = buffer[: sum(counts)].split_with_sizes(counts)
        return self._views[key]

    def pick(self, rows: RowTape, paths: Paths) -> None:
        """Take over what has been written a row a sequence."""
        self.version += 1
        count, picked, first = len(paths.picked), paths.picked, paths.counts[0]
        torch.index_select(rows.logits.flatten(0, 1), 0, picked, out=self.logits[:count])
        for layer in range(len(self.gates)):
            for own, other in ((self.gates, rows.gates), (self.squashed, rows.squashed)):
                torch.index_select(other[layer].flatten(0, 1), 0, picked, out=own[layer][:count])
            hidden, cells = rows.hidden[layer].flatten(0, 1), rows.cells[layer].flatten(0, 1)
            self.hidden[layer][:count] = hidden.index_select(0, picked)
            self.cells_before[layer][:count] = cells.index_select(0, picked)  # they are one step longer
            self.hidden_before[layer][first:count] = hidden.index_select(0, picked[first:] - rows.rows)
        self._clear_beginning(paths.counts)

    def _view_steps(self, layer: int, counts: list[int]) -> list[LayerStep]:
        """Each step of a layer."""
        states = self.cells[layer], self.squashed[layer], self.hidden[layer]
        parts = self.gates[layer], *self.gate_parts[layer], *states
        return [LayerStep(*step) for step in zip(*(self.split(part, counts) for part in parts), strict=True)]

    def _clear_beginning(self, counts: list[int]) -> None:
        for part in self.before:
            part[: counts[0]].zero_()


def _run_step(
    weights: FoldedWeights,
    now: Sequence[LayerStep],
    before: Sequence[tuple[Tensor, Tensor]] | None,
    logits: Float[Tensor, "node token"],
    minus_one: Float[Tensor, ""],
) -> Float[Tensor, "node hidden"]:
    """One step of all layers, with the states and cells of each before it, None at the beginning."""
    below: Tensor | None = None
    for layer, (own, step) in enumerate(zip(weights.layers, now, strict=True)):
        gates, new, cells, squashed = step.gates, step.new, step.cells, step.squashed
        if below is not None:
            torch.addmm(own.bias, below, own.upward, out=gates)
        if before is not None:
            gates.addmm_(before[layer][0], own.recurrent)
        gates.sigmoid_()
        torch.add(minus_one, new, alpha=2, out=new)
        if before is None:
            torch.mul(step.into, new, out=cells).mul_(2)
        else:
            torch.mul(step.keep, before[layer][1], out=cells).addcmul_(step.into, new, value=2)
        torch.sigmoid(cells, out=squashed)
        torch.add(minus_one, squashed, alpha=2, out=squashed)
        below = torch.mul(step.out, squashed, out=step.hidden)
    assert below is not None, "a network has a layer"
    logits.addmm_(below, weights.output)
    return below


def count_numbers(weights: FoldedWeights, steps: int, rows: int) -> int:
    """Numbers in the buffers of a tape of rows and of one of as many nodes."""
    size = weights.hidden_size
    return steps * rows * ((len(weights.layers) * (ROW_PARTS + NODE_PARTS) + 2) * size + 2 * len(weights.bias))
