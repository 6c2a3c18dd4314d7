"""A policy's network one step at a time, without a gradient: what sampling uses."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from dslc.controller.policy import RecurrentPolicy


class Stepper:
    """The network's state for a batch, changed in place, with the weights of the moment at which it was made.

    What an input adds to the gates is one row of a folded table, not a product; buffers and views are made once,
    because at the batch sizes of a search the cost is that of calls, not of arithmetic.
    """

    @torch.no_grad()
    def __init__(self, policy: RecurrentPolicy, batch_size: int) -> None:
        size, device = policy.preset.hidden_size, policy.device
        layers = range(policy.preset.num_layers)
        weights = {name: _order_gates(weight.detach()) for name, weight in policy.lstm.named_parameters()}
        biases = [weights[f"bias_ih_l{layer}"] + weights[f"bias_hh_l{layer}"] for layer in layers]
        first = weights["weight_ih_l0"].t()
        self._gates_of_feature = policy.embedding @ first
        self._gates_of_position = torch.addmm(biases[0], policy.position, first).unbind(0)
        self._biases = biases
        self._recurrent = [weights[f"weight_hh_l{layer}"].t().contiguous() for layer in layers]
        self._upward = [weights[f"weight_ih_l{layer}"].t().contiguous() for layer in layers]
        self._output = policy.output.weight.detach().t().contiguous()
        self._starts = policy.blocked_logits + policy.output.bias.detach()
        self._bias = policy.output.bias.detach()
        self._feature_ids = policy.feature_ids
        num_features = len(policy.feature_offsets)
        self._bags = torch.arange(0, batch_size * num_features, num_features, dtype=torch.int32, device=device)
        self._hidden = [torch.zeros(batch_size, size, device=device) for _ in layers]
        self._cells = [torch.zeros(batch_size, size, device=device) for _ in layers]
        self._gates = torch.empty(batch_size, 4 * size, device=device)
        self._sigmoids = self._gates[:, : 3 * size]
        self._parts = self._gates.chunk(4, 1)

    @property
    def hidden(self) -> Float[Tensor, "batch hidden"]:
        """State that the last step's output was made from; the next step overwrites it."""
        return self._hidden[-1]

    def step(
        self, inputs: Int32[Tensor, "batch feature"], position: int, rows: Int32[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch token"]:
        """Logits of the next step, -inf where the rows allow nothing.

        Args:
            inputs: In the order of `dslc.controller.policy.FEATURES`.
            position: Number of tokens that precede.
            rows: Rows of the policy's mask; None for what the network adds to the starting logits, unmasked.
        """
        gates = self._gates
        into, keep, out, new = self._parts
        positions = self._gates_of_position
        bias = positions[position] if position < len(positions) else positions[-1]
        for layer, recurrent in enumerate(self._recurrent):
            hidden, cell = self._hidden[layer], self._cells[layer]
            if layer == 0:
                torch.addmm(bias, hidden, recurrent, out=gates)
                # Direct, because functional.embedding_bag would make the bags anew at every step.
                ids = self._feature_ids(inputs).view(-1)
                gates += torch.embedding_bag(self._gates_of_feature, ids, self._bags)[0]
            else:
                torch.addmm(self._biases[layer], hidden, recurrent, out=gates)
                gates.addmm_(self._hidden[layer - 1], self._upward[layer])
            self._sigmoids.sigmoid_()
            new.tanh_()
            cell.mul_(keep).addcmul_(into, new)
            torch.tanh(cell, out=hidden).mul_(out)
        if rows is None:
            return torch.addmm(self._bias, self._hidden[-1], self._output)
        return self._starts.index_select(0, rows).addmm_(self._hidden[-1], self._output)


def _order_gates(weight: Tensor) -> Tensor:
    """Rows of the gates input, forget, new, output (torch's order) as input, forget, output, new: sigmoids side by
    side."""
    into, keep, new, out = weight.chunk(4)
    return torch.cat((into, keep, out, new))
