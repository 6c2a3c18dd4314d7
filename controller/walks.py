"""The automaton's side of sampling: what the network is given at each step, and where a token leads.

Two ways of one interface: a `TableWalk` where all states of the space fit in one table, `RuntimeWalk` everywhere else.
The first is numpy's on a CPU and torch's on other devices. `start_walk` picks.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int32
from torch import Tensor

from dslc.controller.heads import HeadStepper
from dslc.controller.network import FoldedWeights
from dslc.controller.policy import PolicyStates, RecurrentPolicy
from dslc.controller.steps import Steps, gather_steps
from dslc.controller.tape import RowTape


class RuntimeWalk:
    """Sequences in step through the policy's runtime, with its heads and counters."""

    def __init__(self, policy: RecurrentPolicy, weights: FoldedWeights, tokens: Int32[Tensor, "time batch"]) -> None:
        """See `NumpyTableWalk`."""
        rows = tokens.shape[1]
        self._policy, self._weights, self._tokens = policy, weights, tokens
        self._runtime = policy.make_runtime(rows)
        self._starts = policy.blocked_logits + weights.bias
        self._heads = None
        if policy.automaton.heads is not None:
            self._heads = HeadStepper(policy.heads, policy.automaton.num_tokens, rows, policy.budget, policy.device)
        self._previous = torch.full((rows,), policy.automaton.pad_id, dtype=torch.int32, device=policy.device)
        self._inputs: list[Tensor] = []
        self._rows: list[Tensor] = []
        self._masks: list[Tensor] = []
        self._finished: list[Tensor] = []

    def begin(self, position: int, tape: RowTape) -> None:
        """Write what the network starts from at the next step: x U + b of its lowest layer, and the logits."""
        gates, logits = tape.open(position)
        seen, row = self._runtime.observe(self._previous)
        self._inputs.append(seen)
        self._rows.append(row)
        self._weights.add_inputs(self._policy.feature_ids(seen), position, gates)
        if self._heads is None:
            torch.index_select(self._starts, 0, row, out=logits)
        else:
            logits.copy_(self._weights.bias)

    def restrict(self, logits: Float[Tensor, "batch token"], hidden: Float[Tensor, "batch hidden"]) -> None:
        """What comes behind the network: the scores of heads, and what counters forbid."""
        if self._heads is not None:
            self._finished.append(self._heads.tracker.finished)
            self._heads.write_logits(logits, hidden, self._previous, len(self._rows) - 1)
            logits += self._policy.blocked_logits.index_select(0, self._rows[-1])
        if self._policy.automaton.registers is not None:
            self._masks.append(self._runtime.mask().clone())
            logits.masked_fill_(~self._masks[-1], -torch.inf)

    def advance(self, position: int) -> None:
        """Take the tokens of this position, an allowed one in every sequence, the padding id behind its end."""
        tokens = self._tokens[position]
        self._runtime.advance(tokens)
        if self._heads is not None:
            self._heads.tracker.advance(tokens)
        self._previous = tokens

    def are_done(self) -> bool:
        """Whether all sequences are finished."""
        return bool(self._runtime.is_done().all())

    def gather(self) -> Steps:
        """All steps so far, cut after the longest sequence."""
        tokens = self._tokens[: len(self._rows)]
        parts = (list(tokens), self._inputs, self._rows, self._masks, self._finished)
        return gather_steps(self._policy, *parts, batch_size=tokens.shape[1])


class NumpyTableWalk:
    """Sequences in step through the table of an unrolled automaton: a state is a row of every table."""

    def __init__(
        self, policy: RecurrentPolicy, weights: FoldedWeights | None, tokens: Int32[Tensor, "time batch"]
    ) -> None:
        """Nothing taken yet.

        Args:
            policy: Whose table.
            weights: Its own; without them a walk can `advance` only.
            tokens: Where those of each position stand before `advance` takes them.
        """
        assert policy.states is not None, "the automaton is unrolled"
        self._states = policy.states
        if weights is not None:
            self._gates, self._logits = (part.numpy() for part in _fold_states(policy, policy.states, weights))
        # numpy's calls, since they cost a third of torch's.
        self._next, self._tokens = policy.states.next.numpy(), tokens.numpy()
        self._been = np.ones((len(tokens) + 1, tokens.shape[1]), np.int64)
        self._now = self._been[0]
        self._time = 0

    def begin(self, position: int, tape: RowTape) -> None:
        """See `RuntimeWalk`."""
        assert position == self._time, "one step after the other"
        gates, logits = tape.open_arrays(position)
        self._gates.take(self._now, 0, gates, "clip")
        self._logits.take(self._now, 0, logits, "clip")

    def restrict(self, logits: Float[Tensor, "batch token"], hidden: Float[Tensor, "batch hidden"]) -> None:
        """See `RuntimeWalk`: there is nothing."""

    def advance(self, position: int) -> None:
        """See `RuntimeWalk`."""
        self._time = position + 1
        self._been[position + 1] = self._now = self._next[self._now, self._tokens[position]]

    def are_done(self) -> bool:
        """See `RuntimeWalk`."""
        return not self._now.any()

    def gather(self) -> Steps:
        """See `RuntimeWalk`."""
        been = self._been[: self._time]
        lengths = np.count_nonzero(been, 0)
        time = int(lengths.max(initial=0))
        states = np.ascontiguousarray(been[:time].T)
        return Steps(
            tokens=torch.from_numpy(np.ascontiguousarray(self._tokens[:time].T)),
            lengths=torch.from_numpy(lengths),
            inputs=torch.from_numpy(self._states.features.numpy().take(states, 0)),
            rows=torch.from_numpy(self._states.rows.numpy().take(states)),
            states=torch.from_numpy(states),
        )


class TorchTableWalk:
    """As `NumpyTableWalk`, on any device and with no host synchronisation in a step."""

    def __init__(
        self, policy: RecurrentPolicy, weights: FoldedWeights | None, tokens: Int32[Tensor, "time batch"]
    ) -> None:
        """See `NumpyTableWalk`."""
        assert policy.states is not None, "the automaton is unrolled"
        self._states, self._tokens = policy.states, tokens
        if weights is not None:
            self._gates, self._logits = _fold_states(policy, policy.states, weights)
        self._been = torch.ones((len(tokens) + 1, tokens.shape[1]), dtype=torch.int64, device=tokens.device)
        self._time = 0

    def begin(self, position: int, tape: RowTape) -> None:
        """See `RuntimeWalk`."""
        assert position == self._time, "one step after the other"
        gates, logits = tape.open(position)
        torch.index_select(self._gates, 0, self._been[position], out=gates)
        torch.index_select(self._logits, 0, self._been[position], out=logits)

    def restrict(self, logits: Float[Tensor, "batch token"], hidden: Float[Tensor, "batch hidden"]) -> None:
        """See `RuntimeWalk`: there is nothing."""

    def advance(self, position: int) -> None:
        """See `RuntimeWalk`."""
        self._time = position + 1
        following = self._states.next
        cells = torch.add(self._tokens[position], self._been[position], alpha=following.shape[1])
        torch.index_select(following.view(-1), 0, cells, out=self._been[position + 1])

    def are_done(self) -> bool:
        """See `RuntimeWalk`."""
        return not bool(self._been[self._time].any())

    def gather(self) -> Steps:
        """See `RuntimeWalk`."""
        states, been = self._states, self._been[: self._time]
        lengths = been.count_nonzero(0)
        time = int(lengths.max()) if been.shape[1] else 0
        been = been[:time].t().clone(memory_format=torch.contiguous_format)
        return Steps(
            tokens=self._tokens[:time].t().contiguous(),
            lengths=lengths,
            inputs=states.features.index_select(0, been.view(-1)).view(*been.shape, states.features.shape[1]),
            rows=states.rows.take(been),
            states=been,
        )


TableWalk = NumpyTableWalk | TorchTableWalk
Walk = RuntimeWalk | TableWalk
"""Many sequences on their way through the automaton."""


def start_walk(policy: RecurrentPolicy, weights: FoldedWeights, tokens: Int32[Tensor, "time batch"]) -> Walk:
    """Sequences at their start, by the quickest way that the policy has; see `NumpyTableWalk`."""
    return (RuntimeWalk if policy.states is None else start_table_walk)(policy, weights, tokens)


def start_table_walk(
    policy: RecurrentPolicy, weights: FoldedWeights | None, tokens: Int32[Tensor, "time batch"]
) -> TableWalk:
    """The same through a table; see `NumpyTableWalk`."""
    return (NumpyTableWalk if tokens.device.type == "cpu" else TorchTableWalk)(policy, weights, tokens)


def _fold_states(
    policy: RecurrentPolicy, states: PolicyStates, weights: FoldedWeights
) -> tuple[Float[Tensor, "state gate"], Float[Tensor, "state token"]]:
    """What the network starts from in each state; see `RuntimeWalk.begin`."""
    return states.inputs.fold(weights), policy.blocked_logits.index_select(0, states.rows) + weights.bias
