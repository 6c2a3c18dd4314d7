"""The network of a policy, backward through time, written out; `dslc.controller.tape` has the way forward.

Of each step and layer, with its names, dx the gradient by x, and dh, dc those that come from the steps after:

    dh' = dz V^T + da W^T
    dc' = dc f + dh' o (1 - r^2) / 2
    da = (dh' h' (1 - o), dc' 2 g i (1 - i), dc' c f (1 - f), dc' i (1 - g^2))
    dx = da U^T,  dU = x^T da,  dW = h^T da,  db = sum of da

A node that several come from has the sum of their gradients.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from dslc.controller.network import DistinctInputs, FoldedWeights, LayerWeights, unfold_gates
from dslc.controller.paths import Paths
from dslc.controller.tape import NodeTape

CACHED_ROWS = 160
"""Nodes whose factors are computed at a time, or those of one step: gates and gradients fit a processor's cache."""


def differentiate(
    tape: NodeTape,
    weights: FoldedWeights,
    inputs: DistinctInputs,
    place: Int64[Tensor, "node"],
    by_logits: Float[Tensor, "node token"],
    paths: Paths,
) -> list[Tensor]:
    """Gradients by all weights, in the order and layout of `fold_weights`, from those by the logits.

    Args:
        tape: On which the paths are written.
        weights: Those that they were written with.
        inputs: Of the lowest layer.
        place: Which of them each node has.
        by_logits: Of each node.
        paths: From which node each comes.
    """
    count, first = len(by_logits), paths.counts[0]
    by_weights = [by_logits.t() @ tape.hidden[-1][:count], by_logits.sum(0)]
    by_hidden, by_cells = tape.by_hidden[:count], tape.by_cells[:count]
    torch.mm(by_logits, weights.output.t(), out=by_hidden)
    for layer in range(len(weights.layers) - 1, -1, -1):
        own = weights.layers[layer]
        by_cells.zero_()
        by_gates = _differentiate_layer(tape, layer, own, paths)
        by_recurrent = by_gates[first:].t() @ tape.hidden_before[layer][first:count]
        if layer:
            by_upward, by_bias = tape.hidden[layer - 1][:count].t() @ by_gates, by_gates.sum(0)
            torch.mm(by_gates, own.upward.t(), out=by_hidden)
            by_inputs = []
        else:
            *by_inputs, by_upward, by_bias = inputs.differentiate(weights, place, by_gates)
        of_layer = [unfold_gates(each) for each in (by_upward.t(), by_recurrent, by_bias)]
        by_weights = [*by_inputs, *of_layer, of_layer[-1], *by_weights]
    return by_weights


def _differentiate_layer(tape: NodeTape, layer: int, weights: LayerWeights, paths: Paths) -> Float[Tensor, "node gate"]:
    """da of all nodes, from dh' without what comes through later steps, and zeros: there the sums of dh' and dc' go."""
    counts, count, back = paths.counts, sum(paths.counts), weights.recurrent.t()
    size = len(weights.recurrent)
    passed = torch.empty_like(tape.by_after[: max(counts)])
    all_by_gates, all_by_after, all_by_hidden, all_by_cell, all_keeps, all_into_cell, *all_by_parts = (
        tape.split(part, counts)
        for part in (
            tape.by_gates[layer],
            tape.by_after,
            tape.by_hidden,
            tape.by_cells,
            tape.gate_parts[layer][2],
            tape.into_cell[layer],
            *tape.by_gate_parts[layer],
        )
    )
    stop, row = len(counts), count
    for t in range(len(counts) - 1, -1, -1):
        if t < stop:  # the steps up to here have been gone through
            until = row
            while stop and (stop == t + 1 or until - row + counts[stop - 1] <= CACHED_ROWS):
                stop -= 1
                row -= counts[stop]
            _write_factors(tape, layer, row, until)
        by_state, by_cell = all_by_hidden[t], all_by_cell[t]
        if t < len(counts) - 1:
            parents = paths.parents[t + 1]
            if parents is None:
                by_state.addmm_(all_by_gates[t + 1], back)
                torch.mul(all_by_cell[t + 1], all_keeps[t + 1], out=by_cell)
            else:
                both = passed[: counts[t + 1]]
                torch.mm(all_by_gates[t + 1], back, out=both[:, :size])
                torch.mul(all_by_cell[t + 1], all_keeps[t + 1], out=both[:, size:])
                all_by_after[t].index_add_(0, parents, both)
        by_cell.addcmul_(by_state, all_into_cell[t], value=0.5)
        all_by_parts[0][t].mul_(by_state)
        for by_part in all_by_parts[1:]:  # by its own: a product that spreads one over three takes twice as long
            by_part[t].mul_(by_cell)
    return tape.by_gates[layer][:count]


def _write_factors(tape: NodeTape, layer: int, start: int, stop: int) -> None:
    """What the gradients by states and cells are multiplied by: it does not depend on them."""
    gates, by_gates, hidden, squashed, before, into_cell = (
        part[layer][start:stop]
        for part in (tape.gates, tape.by_gates, tape.hidden, tape.squashed, tape.cells_before, tape.into_cell)
    )
    out, into, keep, new = gates.chunk(4, 1)
    by_out, by_into, by_keep, by_new = by_gates.chunk(4, 1)
    torch.addcmul(hidden, hidden, out, value=-1, out=by_out)  # h' (1 - o)
    factor = torch.mul(into, new).mul_(2)
    torch.addcmul(factor, factor, into, value=-1, out=by_into)  # 2 g i (1 - i)
    torch.addcmul(into, factor, new, value=-0.5, out=by_new)  # i (1 - g^2)
    torch.mul(keep, before, out=factor)
    torch.addcmul(factor, factor, keep, value=-1, out=by_keep)  # c f (1 - f)
    torch.addcmul(out, hidden, squashed, value=-1, out=into_cell)  # o (1 - r^2)
