"""The network of a policy, forward and backward through time, written out in buffers that are made once.

Of each step t and layer, x the layer's input, h and c the hidden state and the cell of the step before:

    a = x U + h W + b               four gates side by side
    o, i, f = sigmoid(a)            output, input and forget gate, the first three of a
    g = 2 sigmoid(a) - 1            what is new, the last of a
    c' = f c + 2 i g
    r = 2 sigmoid(c') - 1
    h' = o r
    z = start + h' V + v            logits, of the top layer

That is torch's LSTM with the weights of g, and so the cell, twice as large: tanh(x) = 2 sigmoid(2x) - 1, and a sigmoid
of all gates takes half the time of sigmoid and tanh. Backwards, dx the gradient by x, and dh, dc those that come from
the step after:

    dh' = dz V^T + da W^T
    dc' = dc f + dh' o (1 - r^2) / 2
    da = (dh' h' (1 - o), dc' 2 g i (1 - i), dc' c f (1 - f), dc' i (1 - g^2))
    dx = da U^T,  dU = x^T da,  dW = h^T da,  db = sum of da

A step is a handful of calls, because at the batch sizes of a search calls cost as much as arithmetic. What needs no
recurrence is done for all steps at once. Of a lowest layer x U + b is a sum of rows of a folded table; what reads such
rows is `DistinctInputs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

LARGEST_TAPE = 1 << 24
"""Numbers in the buffers of a tape that is kept from sampling to the update."""
CACHED_ROWS = 160
"""Rows of all steps that go back through the network at a time: their gates and gradients fit a processor's cache."""
ROLLING = 2
"""Steps of a tape on which only the present and the last one are kept."""


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


@torch.no_grad()
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
        self, weights: FoldedWeights, place: Int64[Tensor, "row"], by_gates: Float[Tensor, "row gate"]
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
    ids: Int32[Tensor, "time batch used"], feature_sizes: Sequence[int], num_positions: int
) -> tuple[DistinctInputs, Int64[Tensor, "row"]]:
    """The distinct inputs of recorded steps, and which of them each step has.

    Args:
        ids: Rows of the embedding.
        feature_sizes: Rows that each feature has of it; they follow one another.
        num_positions: Those with an embedding of their own.
    """
    time, batch, used = ids.shape
    positions = torch.arange(time).clamp(max=num_positions - 1)
    key = positions[:, None].expand(time, batch)
    for feature, size in enumerate(feature_sizes):  # where a feature's rows begin does not tell inputs apart
        key = key * size + ids[:, :, feature]
    _, first, place = np.unique(key.numpy(), return_index=True, return_inverse=True)
    rows = torch.from_numpy(first)
    distinct = DistinctInputs(ids.reshape(-1, used).index_select(0, rows), positions.index_select(0, rows // batch))
    return distinct, torch.from_numpy(place.reshape(-1))


class Tape:
    """What the network went through: gates, cells and states of each step of a batch, and where gradients go.

    Time is the first axis of everything. A rolling tape keeps the present step and the one before, for sampling
    alone.
    """

    def __init__(
        self, weights: FoldedWeights, time: int, rows: int, *, is_rolling: bool = False, has_gradients: bool = False
    ) -> None:
        size, like = weights.hidden_size, weights.bias
        kept = ROLLING if is_rolling else time

        def empty(*shape: int) -> Tensor:
            return like.new_empty(kept, rows, *shape)

        self.time, self.rows, self.is_rolling, self.dtype = time, rows, is_rolling, like.dtype
        layers = range(len(weights.layers))
        self.gates = [empty(4 * size) for _ in layers]
        self.cells = [like.new_zeros(kept + 1, rows, size) for _ in layers]
        """The first is that before the first step, zeros."""
        self.squashed = [empty(size) for _ in layers]
        """r: tanh of the cells of torch's LSTM."""
        self.hidden = [empty(size) for _ in layers]
        self.logits = empty(len(like))
        self._minus_one = like.new_full((), -1.0)
        self.version = 0
        """How many passes have been written on it."""
        self._make_views(time)
        if has_gradients:
            self.by_gates = [empty(4 * size) for _ in layers]
            self.by_hidden = empty(size)
            self._make_spans(max(1, CACHED_ROWS // max(rows, 1)))

    def _make_spans(self, steps: int) -> None:
        """Cut time into spans of so many steps, with views of each step for the way back."""
        size, like = self.hidden[0].shape[2], self.by_hidden
        scratch = like.new_empty(steps, self.rows, size), like.new_empty(steps, self.rows, size)
        self.spans = [
            [Span(self, layer, start, min(start + steps, self.time), scratch) for start in range(0, self.time, steps)]
            for layer in range(len(self.gates))
        ]
        self.by_cell, self.by_state = like.new_empty(self.rows, size), like.new_empty(self.rows, size)
        self.by_all = [each.unbind(0) for each in self.by_gates]
        self.keep = [each[:, :, 2 * size : 3 * size].unbind(0) for each in self.gates]
        self.by_hidden_steps = self.by_hidden.unbind(0)

    def _make_views(self, time: int) -> None:
        """Views of each step, made once: they cost as much as arithmetic."""
        size = self.hidden[0].shape[2]

        def views(buffer: Tensor) -> list[Tensor]:
            steps = list(buffer.unbind(0))
            return (steps * (time // ROLLING + 1))[:time] if self.is_rolling else steps

        self._gates = [views(each) for each in self.gates]
        self._out, self._into, self._keep, self._new = (
            [views(each[:, :, gate * size : (gate + 1) * size]) for each in self.gates] for gate in range(4)
        )
        self._cells = [views(each[1:]) for each in self.cells]
        self._squashed = [views(each) for each in self.squashed]
        self._hidden = [views(each) for each in self.hidden]
        self.lowest_gates = self._gates[0]
        self.states = self._hidden[-1]
        """Of the top layer, by step."""
        self.all_logits = views(self.logits)
        """By step."""

    def copy_rows(self, tape: Tape, rows: Int64[Tensor, "row"], time: int) -> None:
        """Take over what another tape holds of some sequences, of so many steps."""
        parts = (self.gates, self.cells, self.squashed, self.hidden, [self.logits])
        others = (tape.gates, tape.cells, tape.squashed, tape.hidden, [tape.logits])
        for part, other in zip(parts, others, strict=True):
            for own, its in zip(part, other, strict=True):
                steps = time + 1 if part is self.cells else time
                torch.index_select(its[:steps], 1, rows, out=own[:steps])

    def step(self, weights: FoldedWeights, t: int) -> None:
        """Step t, from that before it: its lowest gates hold x U + b and its logits what z starts at, v included."""
        for layer, own in enumerate(weights.layers):
            gates, cells, hidden = self._gates[layer][t], self._cells[layer], self._hidden[layer]
            into, new, squashed = self._into[layer][t], self._new[layer][t], self._squashed[layer][t]
            if layer:
                torch.addmm(own.bias, self._hidden[layer - 1][t], own.upward, out=gates)
            if t:
                gates.addmm_(hidden[t - 1], own.recurrent)
            gates.sigmoid_()
            torch.add(self._minus_one, new, alpha=2, out=new)
            if t:
                torch.mul(self._keep[layer][t], cells[t - 1], out=cells[t]).addcmul_(into, new, value=2)
            else:
                torch.mul(into, new, out=cells[t]).mul_(2)
            torch.sigmoid(cells[t], out=squashed)
            torch.add(self._minus_one, squashed, alpha=2, out=squashed)
            torch.mul(self._out[layer][t], squashed, out=hidden[t])
        self.all_logits[t].addmm_(self.states[t], weights.output)


def count_numbers(weights: FoldedWeights, time: int, rows: int) -> int:
    """Numbers in the buffers of a tape with gradients."""
    per_layer = 11 * weights.hidden_size
    return time * rows * (len(weights.layers) * per_layer + weights.hidden_size + len(weights.bias))


def differentiate(
    tape: Tape,
    weights: FoldedWeights,
    inputs: DistinctInputs,
    place: Int64[Tensor, "row"],
    by_logits: Float[Tensor, "row token"],
    time: int,
) -> list[Tensor]:
    """Gradients by all weights, in the order and layout of `fold_weights`, from those by the logits of `time` steps."""
    last = tape.hidden[-1][:time].view(len(by_logits), -1)
    by_weights = [by_logits.t() @ last, by_logits.sum(0)]
    by_hidden = tape.by_hidden[:time]
    torch.mm(by_logits, weights.output.t(), out=by_hidden.view(len(by_logits), -1))
    for layer in range(len(weights.layers) - 1, -1, -1):
        own = weights.layers[layer]
        by_gates = _differentiate_layer(tape, layer, own, time)
        before = tape.hidden[layer][: time - 1].view(-1, weights.hidden_size)
        by_recurrent = by_gates[tape.rows :].t() @ before
        if layer:
            below = tape.hidden[layer - 1][:time].view(len(by_gates), -1)
            by_upward, by_bias = below.t() @ by_gates, by_gates.sum(0)
            torch.mm(by_gates, own.upward.t(), out=by_hidden.view(len(by_gates), -1))
            by_inputs = []
        else:
            *by_inputs, by_upward, by_bias = inputs.differentiate(weights, place, by_gates)
        of_layer = [_unfold_gates(each) for each in (by_upward.t(), by_recurrent, by_bias)]
        by_weights = [*by_inputs, *of_layer, of_layer[-1], *by_weights]
    return by_weights


class Span:
    """A few steps of a layer on a tape, few enough for the processor's cache, on the way back."""

    def __init__(self, tape: Tape, layer: int, start: int, stop: int, scratch: tuple[Tensor, Tensor]) -> None:
        size = tape.hidden[layer].shape[2]
        self.steps = range(stop - 1, start - 1, -1)
        self._gates = tape.gates[layer][start:stop].view(stop - start, tape.rows, 4, size).unbind(2)
        self._before = tape.cells[layer][start:stop]
        self._squashed, self._hidden = tape.squashed[layer][start:stop], tape.hidden[layer][start:stop]
        by_gates = tape.by_gates[layer][start:stop].view(stop - start, tape.rows, 4, size)
        self._by_gates = by_gates.unbind(2)
        self._into_cell, self._factor = (each[: stop - start] for each in scratch)
        self.into_cell = self._into_cell.unbind(0)[::-1]
        """Twice the factors from dh' to dc', the last step first; so are the next two."""
        self.by_out = self._by_gates[0].unbind(0)[::-1]
        self.by_others = [tuple(each.unbind(1))[1:] for each in by_gates.unbind(0)[::-1]]
        self._zero = tape.cells[layer].new_zeros(())

    def write_factors(self) -> None:
        """What the gradients by states and cells are multiplied by, for all steps: it does not depend on them."""
        out, into, keep, new = self._gates
        by_out, by_into, by_keep, by_new = self._by_gates
        hidden, factor = self._hidden, self._factor
        torch.addcmul(hidden, hidden, out, value=-1, out=by_out)  # h' (1 - o)
        torch.addcmul(self._zero, into, new, value=2, out=factor)
        torch.addcmul(factor, factor, into, value=-1, out=by_into)  # 2 g i (1 - i)
        torch.addcmul(into, factor, new, value=-0.5, out=by_new)  # i (1 - g^2)
        torch.mul(keep, self._before, out=factor)
        torch.addcmul(factor, factor, keep, value=-1, out=by_keep)  # c f (1 - f)
        torch.addcmul(out, hidden, self._squashed, value=-1, out=self._into_cell)  # o (1 - r^2)


def _differentiate_layer(tape: Tape, layer: int, weights: LayerWeights, time: int) -> Float[Tensor, "row gate"]:
    """da of all steps, from dh' without what comes through later steps."""
    by_cell, by_state, back = tape.by_cell, tape.by_state, weights.recurrent.t()
    by_all, by_hidden, keep = tape.by_all[layer], tape.by_hidden_steps, tape.keep[layer]
    for span in reversed(tape.spans[layer]):
        if span.steps[-1] >= time:
            continue
        span.write_factors()
        for t, into_cell, by_out, by_others in zip(
            span.steps, span.into_cell, span.by_out, span.by_others, strict=True
        ):
            if t >= time:
                continue
            if t == time - 1:
                by_state.copy_(by_hidden[t])
                torch.mul(by_state, into_cell, out=by_cell).mul_(0.5)
            else:
                torch.addmm(by_hidden[t], by_all[t + 1], back, out=by_state)
                by_cell.mul_(keep[t + 1]).addcmul_(by_state, into_cell, value=0.5)
            by_out.mul_(by_state)
            for each in by_others:  # by its own: a product that spreads one over three takes twice as long
                each.mul_(by_cell)
    return tape.by_gates[layer][:time].view(time * tape.rows, -1)


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
    folded = torch.cat((weight[3 * size :], weight[: 3 * size]))
    folded[3 * size :].mul_(2)
    return folded


def _unfold_gates(gradient: Tensor) -> Tensor:
    """The gradient by what `_fold_gates` folds, from that by what it made of it."""
    size = len(gradient) // 4
    unfolded = torch.cat((gradient[size:], gradient[:size]))
    unfolded[2 * size : 3 * size].mul_(2)
    return unfolded
