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
        self._gates_of_feature = policy.embedding @ policy.input_weight
        self._gates_of_position = torch.addmm(policy.biases[0], policy.position, policy.input_weight)
        self._recurrent = [weight.detach() for weight in policy.recurrent]
        self._upward = [weight.detach() for weight in policy.upward]
        self._biases = [bias.detach() for bias in policy.biases]
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
                gates = torch.addmm(self._biases[layer], self._hidden[layer - 1], self._upward[layer - 1])
            gates.addmm_(hidden, recurrent)
            gates[:, : 3 * size].sigmoid_()
            out, into, keep, new = gates.chunk(4, 1)
            new.tanh_()
            cell.mul_(keep).addcmul_(into, new)
            torch.tanh(cell, out=hidden).mul_(out)
        return torch.addmm(self._output_bias, self._hidden[-1], self._output)
