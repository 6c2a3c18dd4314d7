"""The automaton's side of sampling: what the network is given at each step, and where a token leads.

Two ways of one interface: `TableWalk` where all states of the space fit in one table, `RuntimeWalk` everywhere else.
`start_walk` picks.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from dslc.controller.heads import HeadStepper
from dslc.controller.network import FoldedWeights
from dslc.controller.policy import RecurrentPolicy
from dslc.controller.steps import Steps, gather_steps


class RuntimeWalk:
    """Sequences in step through the policy's runtime, with its heads and counters."""

    def __init__(self, policy: RecurrentPolicy, weights: FoldedWeights, rows: int) -> None:
        self._policy, self._weights = policy, weights
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

    def begin(self, position: int, gates: Float[Tensor, "batch gate"], logits: Float[Tensor, "batch token"]) -> None:
        """Write what the network starts from at the next step: x U + b of its lowest layer, and the logits."""
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

    def advance(self, tokens: Int32[Tensor, "batch"]) -> None:
        """Take an allowed token in every sequence, the padding id behind its end."""
        self._runtime.advance(tokens)
        if self._heads is not None:
            self._heads.tracker.advance(tokens)
        self._previous = tokens

    def are_done(self) -> bool:
        """Whether all sequences are finished."""
        return bool(self._runtime.is_done().all())

    def gather(self, tokens: Int32[Tensor, "time batch"]) -> Steps:
        """All steps so far, cut after the longest sequence."""
        parts = (list(tokens), self._inputs, self._rows, self._masks, self._finished)
        return gather_steps(self._policy, *parts, batch_size=tokens.shape[1])


class TableWalk:
    """Sequences in step through the table of an unrolled automaton: a state is a row of every table."""

    def __init__(self, policy: RecurrentPolicy, weights: FoldedWeights | None, rows: int) -> None:
        """Without weights it can `look` and `advance`."""
        assert policy.states is not None, "the automaton is unrolled"
        self._states = policy.states
        if weights is not None:
            self._gates = policy.states.inputs.fold(weights)
            self._logits = policy.blocked_logits.index_select(0, policy.states.rows) + weights.bias
        self._width = self._states.next.shape[1]
        self._next = self._states.next.reshape(-1)
        self._now = np.ones(rows, np.int64)
        self._been = np.empty((policy.budget, rows), np.int64)
        self._cell = np.empty(rows, np.int64)

    def look(self, position: int) -> Int64[Tensor, "batch"]:
        """The states now, which are noted."""
        self._been[position] = self._now
        return torch.from_numpy(self._now)

    def begin(self, position: int, gates: Float[Tensor, "batch gate"], logits: Float[Tensor, "batch token"]) -> None:
        """See `RuntimeWalk`."""
        now = self.look(position)
        torch.index_select(self._gates, 0, now, out=gates)
        torch.index_select(self._logits, 0, now, out=logits)

    def restrict(self, logits: Float[Tensor, "batch token"], hidden: Float[Tensor, "batch hidden"]) -> None:
        """See `RuntimeWalk`: there is nothing."""

    def advance(self, tokens: Int32[Tensor, "batch"]) -> None:
        """See `RuntimeWalk`."""
        np.multiply(self._now, self._width, out=self._cell)
        np.add(self._cell, tokens.numpy(), out=self._cell)
        self._next.take(self._cell, None, self._now, "clip")

    def are_done(self) -> bool:
        """See `RuntimeWalk`."""
        return not self._now.any()

    def gather(self, tokens: Int32[Tensor, "time batch"]) -> Steps:
        """See `RuntimeWalk`."""
        been = torch.from_numpy(self._been[: len(tokens)])
        lengths = been.count_nonzero(0)
        time = int(lengths.max()) if been.shape[1] else 0
        states = been[:time].t().contiguous()
        return Steps(
            tokens=tokens[:time].t().contiguous(),
            lengths=lengths,
            inputs=self._states.features[states],
            rows=self._states.rows[states],
            states=states,
        )


Walk = RuntimeWalk | TableWalk
"""Many sequences on their way through the automaton."""


def start_walk(policy: RecurrentPolicy, weights: FoldedWeights, rows: int) -> Walk:
    """So many sequences at their start, by the quicker way that the policy has."""
    return (RuntimeWalk if policy.states is None else TableWalk)(policy, weights, rows)
