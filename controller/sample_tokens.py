"""The tokens of many samples and nothing else: for searches that score thousands of sentences and learn from few.

`sample_rollout` keeps distributions of all sequences to the end of the longest. Here sequences leave the batch soon
after they end, those that begin alike go through the network together, and its step is few calls into memory of its
own. Nothing is kept but tokens and, for the few that teach, what the network saw (`StepRecord`).

All squashing is by one function, as in `dslc.controller.tape`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from dslc.automaton.batch import BatchRuntime
from dslc.controller.network import FoldedWeights
from dslc.controller.policy import FEATURES, RecurrentPolicy
from dslc.controller.presets import Input
from dslc.controller.rollout import sample_rollout
from dslc.controller.steps import Steps

MOST_JOINED = 1024
"""Rows of a table of what several inputs add to the gates together."""
LANES = 16
"""Logits are filled up to a multiple of so many, -inf: a product with fewer columns takes several times as long."""
LEAVING = 0.2
"""Share of the batch that has ended when those sequences leave it."""
MOST_ALIKE = 0.9
"""Rows a sequence beyond which each sequence has its own: telling apart those that begin alike then costs more."""


class StepRecord:
    """What a policy saw on the way to sequences that are sampled together."""

    def __init__(self, policy: RecurrentPolicy) -> None:
        self._pad_id = policy.automaton.pad_id
        self._written: list[tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int32]]] = []

    def write(self, alive: NDArray[np.intp], inputs: NDArray[np.int32], rows: NDArray[np.int32]) -> None:
        """The step that comes, of the sequences that are in the batch, in ascending order; the arrays are kept."""
        self._written.append((alive, inputs, rows))

    def steps(self, tokens: NDArray[np.int16], chosen: Sequence[int]) -> Steps:
        """The steps of some of the sequences [count, budget], cut after the longest of them."""
        index = np.array(chosen, np.intp)
        lengths = (tokens[index] != self._pad_id).sum(1)
        time = int(lengths.max(initial=0))
        # After the end row 0 stands, which allows padding only, so that nothing there has a gradient.
        inputs = np.zeros((len(index), time, len(FEATURES)), np.int32)
        rows = np.zeros((len(index), time), np.int32)
        known: NDArray[np.intp] | None = None
        for position, (alive, its_inputs, its_rows) in enumerate(self._written[:time]):
            if alive is not known:
                known, place = alive, alive.searchsorted(index)
                there = np.flatnonzero(alive.take(place, mode="clip") == index)
                place = place.take(there)
            inputs[there, position], rows[there, position] = its_inputs.take(place, 0), its_rows.take(place)
        return Steps(
            *(torch.from_numpy(part) for part in (tokens[index, :time].astype(np.int32), lengths, inputs, rows))
        )


def can_record(policy: RecurrentPolicy) -> bool:
    """Whether sequences leave the batch and a `StepRecord` can be written: on a CPU, of spaces that count nothing."""
    return policy.device.type == "cpu" and policy.automaton.heads is None and policy.automaton.registers is None


@torch.inference_mode()
def sample_tokens(
    policy: RecurrentPolicy,
    count: int,
    generator: torch.Generator,
    record: StepRecord | None = None,
    weights: FoldedWeights | None = None,
) -> NDArray[np.int16]:
    """Independent sequences [count, budget] from the policy, filled up with the padding id.

    As `sample_rollout` draws them, but with other random numbers.

    Args:
        policy: Where they come from.
        count: How many.
        generator: On the policy's device; all randomness comes from it.
        record: Filled, if there is one; only where `can_record`.
        weights: The policy's, where they are folded already.
    """
    automaton = policy.automaton
    out = np.full((policy.budget, count), automaton.pad_id, np.int16)
    if not count:
        return np.ascontiguousarray(out.T)
    if not can_record(policy):
        tokens = sample_rollout(policy, count, generator).tokens.t().cpu().numpy()
        out[: len(tokens)] = tokens
        return np.ascontiguousarray(out.T)
    runtime = BatchRuntime(automaton, count, policy.budget, track=True)
    network, beginnings = _Network(policy, weights or policy.fold()), _Beginnings(count)
    alive = np.arange(count)
    previous = np.full(count, automaton.pad_id, np.int32)
    for position in range(policy.budget):
        features, rows = runtime.features(previous), runtime.rows().copy()
        if record is not None:
            record.write(alive, features, rows)
        logits = network.step(beginnings.pick(features), position, beginnings.pick(rows))
        # As `TokenDrawer` draws.
        cumulative = beginnings.spread(torch.softmax(logits, -1).cumsum(-1))
        threshold = torch.rand((len(alive), 1), generator=generator).mul_(cumulative[:, -1:])
        previous = torch.searchsorted(cumulative, threshold, right=True, out_int32=True)[:, 0].numpy()
        runtime.advance(previous)
        out[position, alive] = previous
        goes_on = np.flatnonzero(~runtime.is_done())
        if not len(goes_on):
            break
        if len(goes_on) <= (1 - LEAVING) * len(alive):
            alive, previous = alive.take(goes_on), previous.take(goes_on)
            runtime.keep(goes_on)
            if beginnings.are_shared:
                beginnings.keep(goes_on)
            else:
                network.keep(goes_on)
        if beginnings.are_shared:
            network.keep(beginnings.part(previous, automaton.num_tokens + 1))
    return np.ascontiguousarray(out.T)


class _Beginnings:
    """Which row of the network each sequence has: those that begin alike share one, until most have their own."""

    def __init__(self, count: int) -> None:
        self._row: NDArray[np.intp] | None = np.zeros(count, np.intp)
        """Of each sequence; None: each has its own, in order."""
        self._first: NDArray[np.intp] = np.zeros(1, np.intp)
        """A sequence of each row."""

    @property
    def are_shared(self) -> bool:
        """Whether several sequences may have one row."""
        return self._row is not None

    def pick(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        """Of what the sequences have, that of each row."""
        return values if self._row is None else values.take(self._first, 0)

    def spread(self, values: Float[Tensor, "row token"]) -> Float[Tensor, "sequence token"]:
        """Of what the rows have, that of each sequence."""
        return values if self._row is None else values.index_select(0, torch.from_numpy(self._row))

    def keep(self, goes_on: NDArray[np.intp]) -> None:
        """Goes on with some of the sequences; a row without one is left behind when the others part."""
        assert self._row is not None, "who has a row of its own is kept with it"
        self._row = self._row.take(goes_on)

    def part(self, tokens: NDArray[np.int32], width: int) -> NDArray[np.intp]:
        """Tell apart what goes on with different tokens below `width`; of each row, from which one it comes."""
        assert self._row is not None, "who has a row of its own parts from nobody"
        before, numbers = self._row, np.arange(len(self._row))
        # As np.unique does, without sorting: one sequence of each kind has the number that was written last.
        kind = before * width + tokens
        last = np.empty(len(self._first) * width, np.intp)
        last[kind] = numbers
        self._first = np.flatnonzero(last.take(kind) == numbers)
        if len(self._first) > MOST_ALIKE * len(before):
            self._row = None
            return before
        last[kind.take(self._first)] = numbers[: len(self._first)]
        self._row = last.take(kind)
        return before.take(self._first)


class _Network:
    """The network's state for a batch, computed as a `RowTape` does; at first of one row."""

    def __init__(self, policy: RecurrentPolicy, weights: FoldedWeights) -> None:
        self._weights = weights
        starts = policy.blocked_logits + weights.bias
        missing = -starts.shape[1] % LANES
        self._output = torch.nn.functional.pad(weights.output, (0, missing))
        self._starts = torch.nn.functional.pad(starts, (0, missing), value=-torch.inf)
        by_feature = torch.split(weights.by_feature, list(policy.feature_sizes))
        used = [FEATURES.index(feature) for feature in FEATURES if feature in policy.preset.inputs]
        self._tables = list(_join_tables(list(zip(used, by_feature, strict=True))))
        self._by_position = weights.by_position.unbind(0) if Input.POSITION in policy.preset.inputs else None
        if self._by_position is None:
            self._tables[0] = (self._tables[0][0], self._tables[0][1] + weights.by_position[0].numpy())
        self._hidden, self._cells = ([torch.zeros(1, weights.hidden_size) for _ in weights.layers] for _ in range(2))
        self._minus_one = torch.tensor(-1.0)
        self._make_buffers(1)

    def keep(self, kept: NDArray[np.intp]) -> None:
        """Goes on with these rows, in this order; one may be there several times."""
        rows = torch.from_numpy(kept)
        self._hidden = [each.index_select(0, rows) for each in self._hidden]
        self._cells = [each.index_select(0, rows) for each in self._cells]
        self._make_buffers(len(kept))

    def _make_buffers(self, rows: int) -> None:
        size = self._hidden[0].shape[1]
        self._gates, self._more = torch.empty(rows, 4 * size), torch.empty(rows, 4 * size)
        self._parts = self._gates.chunk(4, 1)

    def step(self, features: NDArray[np.int32], position: int, rows: NDArray[np.int32]) -> Float[Tensor, "batch token"]:
        """Logits of the next step, -inf where the rows of the policy's mask allow nothing and behind the last token."""
        gates = self._gates
        for number, (strides, table) in enumerate(self._tables):
            ids = sum(features[:, feature] * stride for feature, stride in strides)
            added = self._more if number else gates
            table.take(ids, 0, added.numpy(), "clip")
            if number:
                gates += added
        if self._by_position is not None:
            gates += self._by_position[min(position, len(self._by_position) - 1)]
        for layer, own in enumerate(self._weights.layers):
            hidden, cell = self._hidden[layer], self._cells[layer]
            if layer:
                torch.addmm(own.bias, self._hidden[layer - 1], own.upward, out=gates)
            gates.addmm_(hidden, own.recurrent).sigmoid_()
            out, into, keep, new = self._parts
            torch.add(self._minus_one, new, alpha=2, out=new)
            cell.mul_(keep).addcmul_(into, new, value=2)
            torch.sigmoid(cell, out=hidden)
            torch.add(self._minus_one, hidden, alpha=2, out=hidden).mul_(out)
        return self._starts.index_select(0, torch.from_numpy(rows)).addmm_(self._hidden[-1], self._output)


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
