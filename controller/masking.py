"""Automaton tables as tensors, and distributions over the allowed tokens.

Two runtimes with one interface and tensors in it: `TorchRuntime` steps on any device without a host synchronisation,
and on a CPU, where numpy steps faster, `NumpyRuntime` hands numpy's arrays over without a copy. `make_runtime` picks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Int32
from torch import Tensor

from dslc.automaton.batch import BatchRuntime
from dslc.automaton.tables import TokenAutomaton
from dslc.controller.copy_table import copy_table
from dslc.controller.counters import RegisterTensors, TorchCounters

LOWEST_LOGIT = -1e30
"""Stands in for -inf at an allowed token: its probability is 0 in float32, and nothing becomes NaN."""


@dataclass(frozen=True, slots=True)
class AutomatonTensors:
    """The tables of a `TokenAutomaton` on a device, under the same names."""

    device: torch.device
    pad_id: int
    start_position: int
    slot: Int32[Tensor, "position"]
    slot_base: Int32[Tensor, "position"]
    next: Int32[Tensor, "position"]
    row_base: Int32[Tensor, "position"]
    row_cap: Int32[Tensor, "position"]
    mask: Bool[Tensor, "row token"]
    run: Int32[Tensor, "cell"]
    extra: Int32[Tensor, "cell"]
    registers: RegisterTensors | None

    @classmethod
    def from_automaton(cls, automaton: TokenAutomaton, device: torch.device | str) -> AutomatonTensors:
        """A copy of the tables on `device`."""
        return cls(
            torch.device(device),
            automaton.pad_id,
            automaton.start_position,
            copy_table(automaton.slot, device),
            copy_table(automaton.slot_base, device),
            copy_table(automaton.next, device),
            copy_table(automaton.row_base, device),
            copy_table(automaton.row_cap, device),
            copy_table(automaton.mask, device),
            copy_table(automaton.run, device),
            copy_table(automaton.extra, device),
            RegisterTensors.from_automaton(automaton, device),
        )


class TorchRuntime:
    """The automaton's step (see `dslc.automaton.tables`) in torch operations, in place, with no host synchronisation.

    Separate one-dimensional int32 tables read by `index_select`: faster than packed rows or `[]` indexing.
    """

    def __init__(
        self,
        automaton: TokenAutomaton,
        batch_size: int,
        budget: int,
        device: torch.device | str = "cpu",
        track: bool = False,
        tables: AutomatonTensors | None = None,
    ) -> None:
        # The scalar checks of the budget live in the numpy runtime; a batch of one costs next to nothing.
        first = BatchRuntime(automaton, 1, budget)
        tables = AutomatonTensors.from_automaton(automaton, device) if tables is None else tables
        self.device = tables.device
        self.track = track
        self._tables = tables
        width = budget + 2
        """Each choice writes at most one return address; one more for the empty stack's sentinel."""

        def filled(value: int, *size: int) -> Tensor:
            return torch.full(size or (batch_size,), value, dtype=torch.int32, device=tables.device)

        self.top = filled(int(first.top[0]))
        """Position on top, 0 when done."""
        self.slack = filled(int(first.slack[0]))
        """Tokens left minus the fewest that finish the sequence."""
        self._offset = torch.arange(batch_size, device=tables.device, dtype=torch.int64) * width
        self._depth = filled(1)
        self._stack = filled(0, batch_size * width)
        self.parent = filled(tables.pad_id)
        """Token whose choice left the current run, the padding id for none; needs `track`."""
        self.sibling = filled(tables.pad_id)
        """Token of the previous slot of the same run, the padding id for none; needs `track`."""
        self._none = filled(tables.pad_id)
        self._counters = None if tables.registers is None else TorchCounters(tables.registers, batch_size, budget)
        if track:
            self._parents = filled(tables.pad_id, batch_size * width)
            self._siblings = filled(tables.pad_id, batch_size * width)

    @property
    def slot(self) -> Int32[Tensor, "batch"]:
        """Slot to fill; needs `track`."""
        return self._tables.slot.index_select(0, self.top)

    def rows(self) -> Int32[Tensor, "batch"]:
        """Row of the automaton's mask."""
        tables = self._tables
        cap = tables.row_cap.index_select(0, self.top)
        return torch.minimum(cap, self.slack, out=cap).add_(tables.row_base.index_select(0, self.top))

    def mask(self) -> Bool[Tensor, "batch token"]:
        """True where a token is allowed; only the padding id once a sequence is done."""
        mask = self._tables.mask.index_select(0, self.rows())
        if self._counters is not None:
            self._counters.restrict(mask, self.top)
        return mask

    def advance(self, tokens: Int[Tensor, "batch"]) -> None:
        """Take an allowed token in every sequence, in place."""
        tables = self._tables
        tokens = tokens.to(torch.int32)
        cell = tables.slot_base.index_select(0, self.top).add_(tokens)
        following = tables.next.index_select(0, self.top)
        run = tables.run.index_select(0, cell)
        self.slack.sub_(tables.extra.index_select(0, cell))
        place = self._offset + self._depth
        self._stack[place] = following
        if self._counters is not None:
            self._counters.count(self.top, cell)
            self._counters.push(place)
        enters = run > 0
        self._depth.add_(following > 0).add_(run == 0, alpha=-1).clamp_(min=0)
        popped_from = self._offset + self._depth
        if self._counters is not None:
            self._counters.pop(popped_from, enters)
        torch.where(enters, run, self._stack.index_select(0, popped_from), out=self.top)
        if self.track:
            self._parents[place] = self.parent
            self._siblings[place] = tokens
            torch.where(enters, tokens, self._parents.index_select(0, popped_from), out=self.parent)
            torch.where(enters, self._none, self._siblings.index_select(0, popped_from), out=self.sibling)

    def observe(
        self, previous: Int32[Tensor, "batch"]
    ) -> tuple[Int32[Tensor, "batch feature"], Int32[Tensor, "batch"]]:
        """What a policy sees at the step that comes, as copies: `previous`, slot, parent, sibling; and the mask's rows.

        Needs `track`.
        """
        return torch.stack((previous, self.slot, self.parent, self.sibling), 1), self.rows()

    def is_done(self) -> Bool[Tensor, "batch"]:
        """True where the sentence is finished."""
        return self.top == 0


class NumpyRuntime:
    """`BatchRuntime` with its arrays handed over as CPU tensors that share their memory."""

    def __init__(self, automaton: TokenAutomaton, batch_size: int, budget: int, track: bool = False) -> None:
        self.device = torch.device("cpu")
        self._runtime = BatchRuntime(automaton, batch_size, budget, track=track)

    @property
    def top(self) -> Int32[Tensor, "batch"]:
        """See `TorchRuntime`."""
        return torch.from_numpy(self._runtime.top)

    @property
    def slack(self) -> Int32[Tensor, "batch"]:
        """See `TorchRuntime`."""
        return torch.from_numpy(self._runtime.slack)

    @property
    def slot(self) -> Int32[Tensor, "batch"]:
        """See `TorchRuntime`."""
        return torch.from_numpy(self._runtime.slot)

    @property
    def parent(self) -> Int32[Tensor, "batch"]:
        """See `TorchRuntime`."""
        return torch.from_numpy(self._runtime.parent)

    @property
    def sibling(self) -> Int32[Tensor, "batch"]:
        """See `TorchRuntime`."""
        return torch.from_numpy(self._runtime.sibling)

    def rows(self) -> Int32[Tensor, "batch"]:
        """See `TorchRuntime`."""
        return torch.from_numpy(self._runtime.rows())

    def mask(self) -> Bool[Tensor, "batch token"]:
        """See `TorchRuntime`."""
        return torch.from_numpy(self._runtime.mask())

    def advance(self, tokens: Int[Tensor, "batch"]) -> None:
        """See `TorchRuntime`."""
        self._runtime.advance(tokens.numpy())

    def observe(
        self, previous: Int32[Tensor, "batch"]
    ) -> tuple[Int32[Tensor, "batch feature"], Int32[Tensor, "batch"]]:
        """See `TorchRuntime`."""
        runtime = self._runtime
        return torch.from_numpy(runtime.features(previous.numpy())), torch.from_numpy(runtime.rows().copy())

    def is_done(self) -> Bool[Tensor, "batch"]:
        """See `TorchRuntime`."""
        return torch.from_numpy(self._runtime.is_done())


Runtime = TorchRuntime | NumpyRuntime
"""Many sequences in step; every array is a tensor on `device`."""


def make_runtime(
    automaton: TokenAutomaton,
    batch_size: int,
    budget: int,
    device: torch.device | str = "cpu",
    track: bool = False,
    tables: AutomatonTensors | None = None,
) -> Runtime:
    """The fastest runtime for a device: numpy's over shared memory on a CPU, torch's own elsewhere.

    Args:
        automaton: The tables.
        batch_size: Sequences in step.
        budget: Most tokens of a sequence.
        device: Where the tensors live.
        track: Whether slot, parent and sibling are kept.
        tables: `AutomatonTensors` of the automaton on `device`, to copy them only once.

    Raises:
        DslcError: if no sentence fits the budget.
    """
    if torch.device(device).type == "cpu":
        return NumpyRuntime(automaton, batch_size, budget, track)
    return TorchRuntime(automaton, batch_size, budget, device, track, tables)


def check_rows(mask: Bool[Tensor, "*rows token"]) -> None:
    """Assert that every row of a mask allows a token: a row without one is a dead end, a bug in dslc.

    A host synchronisation, so it is called where tables are built, never in a step.
    """
    assert bool(mask.any(-1).all()), "a mask row allows no token: the automaton has a dead end"


def masked_log_softmax(
    logits: Float[Tensor, "*rows token"], mask: Bool[Tensor, "*rows token"]
) -> Float[Tensor, "*rows token"]:
    """Log-probabilities over the allowed tokens, in nats; -inf at the others.

    Never NaN, whatever the logits of disallowed tokens, and with -inf at allowed ones too. Renormalised: `exp` of
    every row that allows a token sums to 1.

    Args:
        logits: In nats.
        mask: True where a token is allowed.

    Example:
        >>> masked_log_softmax(torch.zeros(1, 3), torch.tensor([[True, False, True]])).exp()
        tensor([[0.5000, 0.0000, 0.5000]])
    """
    # The finite stand-in keeps gradients and differences finite; a row of equal stand-ins is still a distribution.
    filled = logits.clamp(min=LOWEST_LOGIT).masked_fill(~mask, 2 * LOWEST_LOGIT)
    return torch.log_softmax(filled, -1).masked_fill(~mask, -torch.inf)


def masked_entropy(
    log_probs: Float[Tensor, "*rows token"], mask: Bool[Tensor, "*rows token"]
) -> Float[Tensor, "*rows"]:
    """Entropy in nats of every row of `masked_log_softmax`.

    Example:
        >>> mask = torch.tensor([[True, False, True], [True, True, True]])
        >>> masked_entropy(masked_log_softmax(torch.zeros(2, 3), mask), mask)
        tensor([0.6931, 1.0986])
    """
    finite = log_probs.masked_fill(~mask, 0.0)
    return -(finite.exp() * finite * mask).sum(-1)


def masked_divergence(
    log_probs: Float[Tensor, "*rows token"],
    other: Float[Tensor, "*rows token"],
    mask: Bool[Tensor, "*rows token"],
) -> Float[Tensor, "*rows"]:
    """KL(p || q) in nats of every row, p = exp(log_probs) and q = exp(other) over the same allowed tokens.

    Example:
        >>> mask = torch.tensor([[True, True, False]])
        >>> p = masked_log_softmax(torch.tensor([[0.0, 0.0, 9.0]]), mask)
        >>> masked_divergence(p, p, mask)
        tensor([0.])
    """
    p = log_probs.masked_fill(~mask, 0.0)
    q = other.masked_fill(~mask, 0.0)
    return (p.exp() * (p - q) * mask).sum(-1)
