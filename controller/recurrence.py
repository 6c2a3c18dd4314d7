"""A long short-term memory layer: its recurrence over time with a hand-written gradient.

In torch's own layer the cost at the batch sizes of a search is that of launching small operations; here a step is seven
operations forward and five backward, and all that needs no recurrence is done for all steps at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

NUM_GATES = 4
"""Output, input, forget, new: in this order the three sigmoid gates are neighbours, and so are the three that act on the cell."""


class _Layer(torch.autograd.Function):
    """h_t = o_t tanh(c_t), c_t = f_t c_{t-1} + i_t n_t, (o, i, f, n)_t = (sigmoid x 3, tanh)(x_t W + b + h_{t-1} U)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, recurrent: Tensor) -> Tensor:
        time, batch, _ = inputs.shape
        size = len(recurrent)
        # Few large temporaries: fresh memory costs more than the arithmetic at the batch sizes of a search.
        gates = torch.addmm(bias, inputs.reshape(time * batch, -1), weight).view(time, batch, -1)
        cells = gates.new_empty(time + 1, batch, size)
        hidden = gates.new_empty(time + 1, batch, size)
        cells[0].zero_()
        hidden[0].zero_()
        squashed = gates.new_empty(time, batch, size)
        whole = gates.unbind(0)
        sigmoids = gates[:, :, : 3 * size].unbind(0)
        out, into, keep, new = (part.unbind(0) for part in gates.chunk(NUM_GATES, 2))
        cell, state, squash = cells.unbind(0), hidden.unbind(0), squashed.unbind(0)
        for t in range(time):
            whole[t].addmm_(state[t], recurrent)
            sigmoids[t].sigmoid_()
            new[t].tanh_()
            torch.mul(cell[t], keep[t], out=cell[t + 1])
            cell[t + 1].addcmul_(into[t], new[t])
            torch.tanh(cell[t + 1], out=squash[t])
            torch.mul(squash[t], out[t], out=state[t + 1])
        ctx.save_for_backward(inputs, weight, recurrent, gates, cells, hidden, squashed)
        return hidden[1:]

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad_hidden: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        inputs, weight, recurrent, active, cells, hidden, squashed = ctx.saved_tensors
        time, batch, width = active.shape
        size = width // NUM_GATES
        gates = active.view(time, batch, NUM_GATES, size)
        out, into, keep, new = gates.unbind(2)
        # What a gate's input does to the cell (input, forget, new) or to the hidden state (output), for all steps at once;
        # each step then turns its slopes into gradients in place.
        slopes = torch.empty_like(gates)
        sigmoids = gates[:, :, :3]
        torch.addcmul(sigmoids, sigmoids, sigmoids, value=-1, out=slopes[:, :, :3])
        slopes[:, :, 0] *= squashed
        slopes[:, :, 1] *= new
        slopes[:, :, 2] *= cells[:-1]
        torch.mul(new, new, out=slopes[:, :, 3]).neg_().add_(1).mul_(into)
        through_output = torch.mul(squashed, squashed).neg_().add_(1).mul_(out)
        grad_gates = slopes.view(time, batch, width)
        grad_whole, of_output, of_cell = grad_gates.unbind(0), slopes[:, :, 0].unbind(0), slopes[:, :, 1:].unbind(0)
        keeps, throughs, given = keep.unbind(0), through_output.unbind(0), grad_hidden.unbind(0)
        backwards = recurrent.t().contiguous()
        grad_cell = grad_hidden.new_zeros(batch, size)
        grad_cell_wide = grad_cell[:, None]
        for t in range(time - 1, -1, -1):
            if t == time - 1:
                grad_state = given[t]
            else:
                grad_state = torch.addmm(given[t], grad_whole[t + 1], backwards)
                grad_cell.mul_(keeps[t + 1])
            grad_cell.addcmul_(grad_state, throughs[t])
            of_output[t].mul_(grad_state)
            of_cell[t].mul_(grad_cell_wide)
        flat = grad_gates.view(-1, width)
        return (
            (flat @ weight.t()).view(inputs.shape),
            inputs.reshape(time * batch, -1).t() @ flat,
            flat.sum(0),
            hidden[:-1].view(-1, size).t() @ flat,
        )


def run_layer(inputs: Tensor, weight: Tensor, bias: Tensor, recurrent: Tensor) -> Tensor:
    """Hidden states float [time, batch, hidden] of an LSTM layer that starts at zero.

    Args:
        inputs: float [time, batch, input].
        weight: float [input, 4 * hidden], to the gates in the order output, input, forget, new.
        bias: float [4 * hidden].
        recurrent: float [hidden, 4 * hidden], from the hidden state of the step before.

    Source:
        hochreiter1997, with the forget gate of gers2000.
    """
    hidden: Tensor = _Layer.apply(inputs, weight, bias, recurrent)  # type: ignore[no-untyped-call]
    return hidden
