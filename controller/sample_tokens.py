"""The tokens of many samples and nothing else: for searches that score thousands of sentences and learn from few.

`sample_rollout` keeps distributions of all sequences to the end of the longest. Here sequences leave the batch soon
after they end, and a step of the network is few calls into memory of its own. Nothing is kept but tokens and, for the
few that teach, what the network saw (`StepRecord`).

All squashing is by one function, as tanh(x) = 2 sigmoid(2x) - 1: the factors are folded into the weights, the cell is
kept as 2c and the hidden state as h / 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from dslc.automaton.batch import BatchRuntime
from dslc.controller.policy import FEATURES, RecurrentPolicy
from dslc.controller.presets import Input
from dslc.controller.rollout import draw_tokens, sample_rollout
from dslc.controller.steps import Steps

MOST_JOINED = 1024
"""Rows of a table of what several inputs add to the gates together."""
LANES = 16
"""Logits are filled up to a multiple of so many, -inf: a product with fewer columns takes several times as long."""
LEAVING = 0.2
"""Share of the batch that has ended when those sequences leave it."""


class StepRecord:
    """What a policy saw on the way to sequences that are sampled together."""

    def __init__(self, policy: RecurrentPolicy, count: int) -> None:
        # After the end row 0 stands, which allows padding only, so that nothing there has a gradient.
        self._inputs = np.zeros((policy.budget, count, len(FEATURES)), np.int32)
        self._rows = np.zeros((policy.budget, count), np.int32)
        self._pad_id = policy.automaton.pad_id

    def write(self, position: int, alive: NDArray[np.intp], inputs: NDArray[np.int32], rows: NDArray[np.int32]) -> None:
        """One step of the sequences that are in the batch."""
        self._inputs[position, alive], self._rows[position, alive] = inputs, rows

    def steps(self, tokens: NDArray[np.int16], chosen: Sequence[int]) -> Steps:
        """The steps of some of the sequences [count, budget], cut after the longest of them."""
        index = np.array(chosen, np.intp)
        lengths = (tokens[index] != self._pad_id).sum(1)
        time = int(lengths.max(initial=0))
        return Steps(
            torch.from_numpy(tokens[index, :time].astype(np.int32)),
            torch.from_numpy(lengths),
            torch.from_numpy(self._inputs[:time, index].transpose(1, 0, 2).copy()),
            torch.from_numpy(self._rows[:time, index].T.copy()),
        )


def can_record(policy: RecurrentPolicy) -> bool:
    """Whether sequences leave the batch and a `StepRecord` can be written: on a CPU, of spaces that count nothing."""
    return policy.device.type == "cpu" and policy.automaton.heads is None and policy.automaton.registers is None


@torch.no_grad()
def sample_tokens(
    policy: RecurrentPolicy, count: int, generator: torch.Generator, record: StepRecord | None = None
) -> NDArray[np.int16]:
    """Independent sequences [count, budget] from the policy, filled up with the padding id.

    As `sample_rollout` draws them, but with other random numbers.

    Args:
        policy: Where they come from.
        count: How many.
        generator: On the policy's device; all randomness comes from it.
        record: Filled, if there is one; only where `can_record`.
    """
    automaton = policy.automaton
    out = np.full((policy.budget, count), automaton.pad_id, np.int16)
    if not can_record(policy):
        tokens = sample_rollout(policy, count, generator).tokens.t().cpu().numpy()
        out[: len(tokens)] = tokens
        return np.ascontiguousarray(out.T)
    runtime = BatchRuntime(automaton, count, policy.budget, track=True)
    network = _Network(policy, count)
    alive = np.arange(count)
    previous = np.full(count, automaton.pad_id, np.int32)
    for position in range(policy.budget):
        features, rows = runtime.features(previous), runtime.rows()
        if record is not None:
            record.write(position, alive, features, rows)
        logits = network.step(features, position, rows)
        draws = torch.rand((len(alive), 1), generator=generator)
        previous = draw_tokens(torch.softmax(logits, -1), draws).numpy()
        runtime.advance(previous)
        out[position, alive] = previous
        goes_on = np.flatnonzero(~runtime.is_done())
        if len(goes_on) <= (1 - LEAVING) * len(alive):
            if not len(goes_on):
                break
            alive, previous = alive.take(goes_on), previous.take(goes_on)
            runtime.keep(goes_on)
            network.keep(torch.from_numpy(goes_on))
    return np.ascontiguousarray(out.T)


class _Network:
    """The network's state for a batch, with the weights of the moment at which it was made."""

    def __init__(self, policy: RecurrentPolicy, count: int) -> None:
        size = policy.preset.hidden_size
        layers = range(policy.preset.num_layers)
        weights = {name: weight.detach() for name, weight in policy.lstm.named_parameters()}
        biases = [_fold_gates(weights[f"bias_ih_l{i}"] + weights[f"bias_hh_l{i}"]) for i in layers]
        from_input = [_fold_gates(weights[f"weight_ih_l{i}"]).t().contiguous() for i in layers]
        self._recurrent = [2 * _fold_gates(weights[f"weight_hh_l{i}"]).t().contiguous() for i in layers]
        self._upward = [2 * each for each in from_input]
        self._biases = biases
        starts = policy.blocked_logits + policy.output.bias.detach()
        missing = -starts.shape[1] % LANES
        self._output = 2 * torch.nn.functional.pad(policy.output.weight.detach(), (0, 0, 0, missing)).t().contiguous()
        self._starts = torch.nn.functional.pad(starts, (0, missing), value=-torch.inf)
        by_feature = torch.split(policy.embedding.detach() @ from_input[0], list(policy.feature_sizes))
        used = [FEATURES.index(feature) for feature in FEATURES if feature in policy.preset.inputs]
        self._tables = list(_join_tables(list(zip(used, by_feature, strict=True))))
        by_position = policy.position.detach() @ from_input[0] + biases[0]
        self._by_position = by_position.unbind(0) if Input.POSITION in policy.preset.inputs else None
        if self._by_position is None:
            self._tables[0] = (self._tables[0][0], self._tables[0][1] + by_position[0].numpy())
        self._hidden = [torch.zeros(count, size) for _ in layers]
        self._cells = [torch.zeros(count, size) for _ in layers]
        self._gates, self._more = torch.empty(count, 4 * size), torch.empty(count, 4 * size)

    def keep(self, rows: Tensor) -> None:
        """Goes on with some of the sequences, in this order."""
        self._hidden = [each.index_select(0, rows) for each in self._hidden]
        self._cells = [each.index_select(0, rows) for each in self._cells]
        self._gates, self._more = self._gates[: len(rows)], self._more[: len(rows)]

    def step(self, features: NDArray[np.int32], position: int, rows: NDArray[np.int32]) -> Float[Tensor, "batch token"]:
        """Logits of the next step, -inf where the rows of the policy's mask allow nothing and
        behind the last token."""
        gates = self._gates
        for number, (strides, table) in enumerate(self._tables):
            ids = sum(features[:, feature] * stride for feature, stride in strides)
            added = self._more if number else gates
            table.take(ids, 0, added.numpy(), "clip")
            if number:
                gates += added
        if self._by_position is not None:
            gates += self._by_position[min(position, len(self._by_position) - 1)]
        for layer, (hidden, cell) in enumerate(zip(self._hidden, self._cells, strict=True)):
            if layer:
                torch.addmm(self._biases[layer], self._hidden[layer - 1], self._upward[layer], out=gates)
            gates.addmm_(hidden, self._recurrent[layer]).sigmoid_()
            into, keep, new, out = gates.chunk(4, 1)
            cell.mul_(keep).addcmul_(into, new.sub_(0.5), value=4)
            torch.sigmoid(cell, out=hidden).sub_(0.5).mul_(out)
        return self._starts.index_select(0, torch.from_numpy(rows)).addmm_(self._hidden[-1], self._output)


def _fold_gates(weight: Tensor) -> Tensor:
    """Rows of the gates input, forget, new, output, those of the new values doubled."""
    into, keep, new, out = weight.chunk(4)
    return torch.cat((into, keep, 2 * new, out))


def _join_tables(
    tables: list[tuple[int, Tensor]],
) -> Iterator[tuple[list[tuple[int, int]], NDArray[np.float32]]]:
    """As few tables as MOST_JOINED allows: (feature, its stride) of each that one joins, and the sums of their rows."""
    while tables:
        feature, joined = tables.pop(0)
        strides = [(feature, 1)]
        while tables and len(joined) * len(tables[0][1]) <= MOST_JOINED:
            feature, table = tables.pop(0)
            strides.append((feature, len(joined)))
            joined = (table[:, None] + joined).flatten(0, 1)
        yield strides, joined.numpy()
