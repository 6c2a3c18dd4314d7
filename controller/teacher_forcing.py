"""One teacher-forced pass of a policy and its gradient, written by hand: what every update of a search costs.

Autograd knows nothing of the network here. It is told the gradient of the whole pass, so that a step of the LSTM is a
handful of calls into preallocated memory in either direction, and what needs no recurrence is one call for all steps.
There is no second derivative; `RecurrentPolicy.forward` has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class RecordedSteps:
    """What the pass reads besides weights; time is the first axis, as of everything in this file."""

    ids: Int32[Tensor, "time batch used"]
    """Rows of the embedding."""
    feature_sizes: tuple[int, ...]
    """Rows of the embedding that each feature has; they follow one another."""
    starts: Float[Tensor, "time batch token"]
    """Logits to which those of the network are added, -inf where a token is not allowed."""
    tokens: Int64[Tensor, "time batch"]
    num_layers: int


@dataclass(frozen=True, slots=True)
class _Layer:
    """One LSTM layer's pass. Its gates stand in the order output, input, forget, new: the first three are sigmoids, and
    the last three are what the cell is made of."""

    inputs: Float[Tensor, "row input"]
    from_input: Float[Tensor, "gate input"]
    recurrent: Float[Tensor, "gate hidden"]
    gates: Float[Tensor, "time batch 4 hidden"]
    cells: Float[Tensor, "time batch hidden"]
    squashed: Float[Tensor, "time batch hidden"]
    """tanh of the cells."""
    hidden: Float[Tensor, "time batch hidden"]


def score_steps(
    recorded: RecordedSteps, weights: tuple[Tensor, ...]
) -> tuple[Float[Tensor, "time batch"], Float[Tensor, "time batch"]]:
    """Log-probabilities of the tokens and entropies of the distributions, in nats, once differentiable.

    Args:
        recorded: The steps.
        weights: Embedding, position, then of each layer input weights, recurrent weights and the two biases in torch's
            order of gates, then weights and bias of the output layer.
    """
    scored: tuple[Tensor, Tensor] = _Pass.apply(recorded, *weights)  # type: ignore[no-untyped-call]
    return scored


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, recorded: RecordedSteps, *weights: Tensor) -> tuple[Tensor, Tensor]:
        embedding, position, *others, output, bias = weights
        time, batch, used = recorded.ids.shape
        embedded = functional.embedding_bag(recorded.ids.view(-1, used), embedding, mode="sum")
        embedded.view(time, batch, -1).add_(position_rows(position, time)[:, None])
        layers: list[_Layer] = []
        inputs = embedded
        for layer in range(recorded.num_layers):
            layers.append(_run_layer(inputs, time, *others[4 * layer : 4 * layer + 4]))
            inputs = layers[-1].hidden.view(time * batch, -1)
        logits = torch.addmm(recorded.starts.view(time * batch, -1), inputs, output.t()).add_(bias)
        log_probs = torch.log_softmax(logits, -1)
        chosen = log_probs.gather(1, recorded.tokens.view(-1, 1)).view(time, batch)
        probs = log_probs.exp_()
        surprises = torch.special.entr(probs)  # -p log p, 0 where p is
        entropies = surprises.sum(-1).view(time, batch)
        ctx.recorded, ctx.layers = recorded, layers
        ctx.save_for_backward(position, output, probs, surprises, entropies)
        return chosen, entropies

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *by_scores: Tensor) -> tuple[Tensor | None, ...]:
        position, output, probs, surprises, entropies = ctx.saved_tensors
        recorded: RecordedSteps = ctx.recorded
        time, batch, _ = recorded.ids.shape
        by_chosen, by_entropy = (each.reshape(-1, 1) for each in by_scores)
        # d log p_k / d z_j = [j = k] - p_j, and d H / d z_j = -p_j (log p_j + H).
        by_logits = surprises * by_entropy
        by_logits.addcmul_(probs, by_chosen + by_entropy * entropies.view(-1, 1), value=-1)
        by_logits.scatter_add_(1, recorded.tokens.view(-1, 1), by_chosen)
        last: Tensor = ctx.layers[-1].hidden.view(time * batch, -1)
        by_weights: list[Tensor | None] = [by_logits.t() @ last, by_logits.sum(0)]
        by_inputs = by_logits @ output
        for layer in reversed(ctx.layers):
            by_inputs, by_layer = _differentiate_layer(layer, by_inputs.view(time, batch, -1))
            by_weights = [*by_layer, *by_weights]
        by_position = None
        if ctx.needs_input_grad[2]:
            by_position = torch.zeros_like(position)
            by_row, own = by_inputs.view(time, batch, -1).sum(1), min(time, len(position))
            by_position[:own] = by_row[:own]
            by_position[-1] += by_row[own:].sum(0)
        by_feature, first = [], 0
        for feature, size in enumerate(recorded.feature_sizes):
            rows = (recorded.ids[:, :, feature] - first).reshape(-1)  # a copy: a graph may be walked twice
            by_feature.append(torch.ops.aten.embedding_dense_backward(by_inputs, rows, size, -1, False))
            first += size
        return None, torch.cat(by_feature), by_position, *by_weights


def position_rows(position: Float[Tensor, "position embedding"], time: int) -> Float[Tensor, "time embedding"]:
    """Embeddings by position, the last repeated beyond the cap."""
    extra = time - len(position)
    if extra <= 0:
        return position[:time]
    return torch.cat((position, position[-1:].expand(extra, -1)))


def _run_layer(
    inputs: Float[Tensor, "row input"],
    time: int,
    from_input: Float[Tensor, "gate input"],
    recurrent: Float[Tensor, "gate hidden"],
    bias: Float[Tensor, "gate"],
    other_bias: Float[Tensor, "gate"],
) -> _Layer:
    size = recurrent.shape[1]
    from_input, recurrent = _output_first(from_input), _output_first(recurrent)
    flat = torch.addmm(_output_first(bias + other_bias), inputs, from_input.t())
    gates = flat.view(time, -1, 4 * size)
    cells, squashed, hidden = (gates.new_empty(time, gates.shape[1], size) for _ in range(3))
    by_gate = recurrent.t().contiguous()
    sigmoids, new = gates[:, :, : 3 * size].unbind(0), gates[:, :, 3 * size :].unbind(0)
    out, into, keep = (gates[:, :, i * size : (i + 1) * size].unbind(0) for i in range(3))
    all_cells, all_squashed, all_hidden, all_gates = (each.unbind(0) for each in (cells, squashed, hidden, gates))
    for t in range(time):
        if t:
            all_gates[t].addmm_(all_hidden[t - 1], by_gate)
        sigmoids[t].sigmoid_()
        new[t].tanh_()
        torch.mul(into[t], new[t], out=all_cells[t])
        if t:
            all_cells[t].addcmul_(keep[t], all_cells[t - 1])
        torch.tanh(all_cells[t], out=all_squashed[t])
        torch.mul(out[t], all_squashed[t], out=all_hidden[t])
    return _Layer(inputs, from_input, recurrent, gates.view(time, -1, 4, size), cells, squashed, hidden)


def _differentiate_layer(
    layer: _Layer, by_hidden: Float[Tensor, "time batch hidden"]
) -> tuple[Float[Tensor, "row input"], list[Tensor]]:
    """Gradients by the layer's inputs, and by its weights in torch's order of them and of gates."""
    time, batch, _, size = layer.gates.shape
    out, into, keep, new = layer.gates.unbind(2)
    # What does not depend on gradients comes first: factors of that by the hidden state (the output gate) and of that
    # by the cell (the other gates).
    by_gates = torch.empty_like(layer.gates)
    from_out, from_into, from_keep, from_new = by_gates.unbind(2)
    torch.mul(layer.hidden, 1 - out, out=from_out)
    added = into * new
    torch.mul(added, 1 - into, out=from_into)
    torch.mul(1 - new * new, into, out=from_new)
    torch.mul(keep[1:], 1 - keep[1:], out=from_keep[1:]).mul_(layer.cells[:-1])
    from_keep[0] = 0
    into_cell = out - layer.hidden * layer.squashed
    by_cell = torch.zeros_like(layer.cells[0])
    now = torch.empty_like(by_cell)
    all_gates = by_gates.view(time, batch, 4 * size).unbind(0)
    by_output, by_others = from_out.unbind(0), by_gates[:, :, 1:].unbind(0)
    all_hidden, all_into, all_keep = by_hidden.unbind(0), into_cell.unbind(0), keep.unbind(0)
    spread = by_cell[:, None]
    for t in range(time - 1, -1, -1):
        if t < time - 1:
            torch.addmm(all_hidden[t], all_gates[t + 1], layer.recurrent, out=now)
            by_cell.mul_(all_keep[t + 1])
        else:
            now.copy_(all_hidden[t])
        by_cell.addcmul_(now, all_into[t])
        by_output[t].mul_(now)
        by_others[t].mul_(spread)
    flat = by_gates.view(time * batch, 4 * size)
    before = layer.hidden[:-1].reshape(-1, size)
    by_bias = _output_last(flat.sum(0))
    by_weights = [_output_last(flat.t() @ layer.inputs), _output_last(flat[batch:].t() @ before), by_bias, by_bias]
    return flat @ layer.from_input, by_weights


def _output_first(weight: Tensor) -> Tensor:
    """Rows of the gates input, forget, new, output (torch's order) as output, input, forget, new."""
    size = len(weight) // 4
    return torch.cat((weight[3 * size :], weight[: 3 * size]))


def _output_last(weight: Tensor) -> Tensor:
    """Back in torch's order."""
    size = len(weight) // 4
    return torch.cat((weight[size:], weight[:size]))
