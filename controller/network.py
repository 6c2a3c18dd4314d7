"""The weights of a policy's network as its hand-written passes read them, and the inputs of its lowest layer.

`dslc.controller.tape` has the formulas and the way forward, `dslc.controller.backward_pass` the way back. Of a lowest
layer x U + b is a sum of rows of a folded table; what reads such rows is `DistinctInputs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One LSTM layer's, its gates in the order output, input, forget, new; those of the last doubled."""

    upward: Float[Tensor, "input gate"]
    """U."""
    recurrent: Float[Tensor, "hidden gate"]
    """W."""
    bias: Float[Tensor, "gate"]
    """b."""


@dataclass(frozen=True, slots=True)
class FoldedWeights:
    """The weights as the passes read them: made anew whenever they change, without a gradient."""

    embedding: Float[Tensor, "feature embedding"]
    position: Float[Tensor, "position embedding"]
    by_feature: Float[Tensor, "feature gate"]
    """What a feature adds to the gates of the lowest layer."""
    by_position: Float[Tensor, "position gate"]
    """What a position adds, with the bias in it."""
    layers: tuple[LayerWeights, ...]
    output: Float[Tensor, "hidden token"]
    """V."""
    bias: Float[Tensor, "token"]
    """v."""

    @property
    def hidden_size(self) -> int:
        """Units of a layer."""
        return len(self.layers[0].recurrent)

    def add_inputs(self, ids: Int32[Tensor, "row used"], position: int, gates: Float[Tensor, "row gate"]) -> None:
        """Write x U + b of the lowest layer at one position into `gates`."""
        sums = _sum_rows(self.by_feature, ids)
        torch.add(sums, self.by_position[min(position, len(self.by_position) - 1)], out=gates)


@torch.inference_mode()
def fold_weights(weights: Sequence[Tensor], num_layers: int) -> FoldedWeights:
    """Fold the weights embedding, position, then of each layer input weights, recurrent weights and the two biases in
    torch's order of gates, then weights and bias of the output layer."""
    embedding, position, *others, output, bias = (weight.detach() for weight in weights)
    layers = []
    for layer in range(num_layers):
        upward, recurrent, *biases = others[4 * layer : 4 * layer + 4]
        bias_of_gates = _fold_gates(biases[0] + biases[1])
        layers.append(LayerWeights(_fold_gates(upward).t(), _fold_gates(recurrent).t(), bias_of_gates))
    lowest = layers[0]
    return FoldedWeights(
        embedding=embedding,
        position=position,
        # Copies, like all that is folded: where weights lie in memory decides about the last bits of a product, and a
        # search that goes on has them elsewhere.
        by_feature=embedding.clone() @ lowest.upward,
        by_position=torch.addmm(lowest.bias, position.clone(), lowest.upward),
        layers=tuple(layers),
        output=output.clone().t(),
        bias=bias.clone(),
    )


class DistinctInputs:
    """Inputs of steps that are told apart: most steps of most batches have seen the same as another step.

    The lowest layer's x U + b is computed once for each distinct input, and so is what its gradient becomes.
    """

    def __init__(self, ids: Int32[Tensor, "distinct used"], positions: Int64[Tensor, "distinct"]) -> None:
        """`ids` are rows of the embedding, `positions` those of the embedding by position."""
        self.ids, self.positions = ids, positions
        self._features = ids.t().to(torch.int64).contiguous().unbind(0)

    def fold(self, weights: FoldedWeights) -> Float[Tensor, "distinct gate"]:
        """x U + b of each."""
        return _sum_rows(weights.by_feature, self.ids).add_(weights.by_position.index_select(0, self.positions))

    def differentiate(
        self, weights: FoldedWeights, place: Int64[Tensor, "node"], by_gates: Float[Tensor, "node gate"]
    ) -> list[Tensor]:
        """Gradients by embedding, position, U and b of the lowest layer; `place` says which input each step has."""
        distinct = by_gates.new_zeros(len(self.ids), by_gates.shape[1]).index_add_(0, place, by_gates)
        by_feature, by_position = torch.zeros_like(weights.by_feature), torch.zeros_like(weights.by_position)
        for rows in self._features:
            by_feature.index_add_(0, rows, distinct)
        by_position.index_add_(0, self.positions, distinct)
        by_upward = torch.addmm(weights.embedding.t() @ by_feature, weights.position.t(), by_position)
        upward = weights.layers[0].upward.t()
        return [by_feature @ upward, by_position @ upward, by_upward, by_position.sum(0)]


def tell_apart(
    ids: Int32[Tensor, "node used"], positions: Int64[Tensor, "node"], feature_sizes: Sequence[int], num_positions: int
) -> tuple[DistinctInputs, Int64[Tensor, "node"]]:
    """The distinct inputs of recorded steps, and which of them each has.

    Args:
        ids: Rows of the embedding.
        positions: Of the steps.
        feature_sizes: Rows that each feature has of the embedding; they follow one another.
        num_positions: Those with an embedding of their own.
    """
    positions = positions.clamp(max=num_positions - 1)
    key = positions
    for feature, size in enumerate(feature_sizes):  # where a feature's rows begin does not tell inputs apart
        key = key * size + ids[:, feature]
    _, first, place = np.unique(key.numpy(), return_index=True, return_inverse=True)
    rows = torch.from_numpy(first)
    return DistinctInputs(ids.index_select(0, rows), positions.index_select(0, rows)), torch.from_numpy(place)


def _sum_rows(table: Float[Tensor, "entry number"], ids: Int32[Tensor, "row used"]) -> Float[Tensor, "row number"]:
    """Of each row the sum of its entries of a table. Direct, because functional.embedding_bag makes the bags anew."""
    sums: Tensor = torch.embedding_bag(table, ids.reshape(-1), _make_bags(*ids.shape, ids.device))[0]
    return sums


@lru_cache(maxsize=8)
def _make_bags(rows: int, used: int, device: torch.device) -> Int32[Tensor, "row"]:
    """Where each row's entries begin."""
    return torch.arange(0, rows * used, used, dtype=torch.int32, device=device)


def _fold_gates(weight: Tensor) -> Tensor:
    """Rows of the gates input, forget, new, output (torch's order) as output, input, forget, twice new."""
    size = len(weight) // 4
    return weight.roll(size, 0).mul_(_double_gate(3, size, weight.ndim, weight.device))


def unfold_gates(gradient: Tensor) -> Tensor:
    """The gradient by what `_fold_gates` folds, from that by what it made of it."""
    size = len(gradient) // 4
    return gradient.roll(-size, 0).mul_(_double_gate(2, size, gradient.ndim, gradient.device))


@lru_cache(maxsize=8)
def _double_gate(number: int, size: int, num_axes: int, device: torch.device) -> Float[Tensor, "gate *_"]:
    """Factors of rows: 2 for one of four gates of `size` units, 1 for the others; one call for all costs least."""
    factors = torch.ones(4, size, device=device)
    factors[number] = 2
    return factors.view(-1, *[1] * (num_axes - 1))
