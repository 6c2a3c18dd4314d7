"""A policy's network one step at a time, without a gradient: what sampling uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from dslc.controller.policy import RecurrentPolicy


class Stepper:
    """The network's state for a batch, changed in place, with the weights of the moment at which it was made.

    What an input adds to the gates is one row of a folded table, not a product; all buffers and views are made once.
    """

    @torch.no_grad()
    def __init__(self, policy: RecurrentPolicy, batch_size: int) -> None:
        size = policy.preset.hidden_size
        layers = range(policy.preset.num_layers)
        weights = {name: weight.detach() for name, weight in policy.lstm.named_parameters()}
        first = weights["weight_ih_l0"].t()
        self._biases = [weights[f"bias_ih_l{layer}"] + weights[f"bias_hh_l{layer}"] for layer in layers]
        self._gates_of_feature = policy.embedding @ first
        self._gates_of_position = torch.addmm(self._biases[0], policy.position, first)
        self._recurrent = [weights[f"weight_hh_l{layer}"].t().contiguous() for layer in layers]
        self._upward = [weights[f"weight_ih_l{layer}"].t().contiguous() for layer in layers]
        self._output = policy.output.weight.detach().t().contiguous()
        self._output_bias = policy.output.bias.detach()
        self._policy = policy
        num_features = len(policy.feature_offsets)
        self._bags = torch.arange(0, batch_size * num_features, num_features, dtype=torch.int32, device=policy.device)
        self._hidden = [torch.zeros(batch_size, size, device=policy.device) for _ in self._recurrent]
        self._cells = [torch.zeros(batch_size, size, device=policy.device) for _ in self._recurrent]

    def step(self, inputs: Tensor, position: int) -> Tensor:
        """What the network adds to the starting logits of the next step, float [batch, V + 1].

        Args:
            inputs: int32 [batch, feature], in the order of `dslc.controller.policy.FEATURES`.
            position: Number of tokens that precede.
        """
        size = self._policy.preset.hidden_size
        ids = self._policy.feature_ids(inputs).view(-1)
        # Direct, because functional.embedding_bag would make the bags anew at every step.
        gates: Tensor = torch.embedding_bag(self._gates_of_feature, ids, self._bags)[0]
        gates += self._gates_of_position[min(position, len(self._gates_of_position) - 1)]
        for layer, recurrent in enumerate(self._recurrent):
            hidden, cell = self._hidden[layer], self._cells[layer]
            if layer:
                gates = torch.addmm(self._biases[layer], self._hidden[layer - 1], self._upward[layer])
            gates.addmm_(hidden, recurrent)
            # torch's order of gates.
            into, keep, new, out = gates.chunk(4, 1)
            gates[:, : 2 * size].sigmoid_()
            new.tanh_()
            out.sigmoid_()
            cell.mul_(keep).addcmul_(into, new)
            torch.tanh(cell, out=hidden).mul_(out)
        return torch.addmm(self._output_bias, self._hidden[-1], self._output)
