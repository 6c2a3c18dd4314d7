"""A recurrent policy over the tokens of an automaton."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dslc.automaton.starting import StartingTable
from dslc.automaton.tables import TokenAutomaton
from dslc.automaton.unroll import unroll_automaton
from dslc.controller.copy_table import copy_table
from dslc.controller.heads import PolicyHeads
from dslc.controller.masking import AutomatonTensors, Runtime, check_rows, make_runtime
from dslc.controller.network import DistinctInputs, FoldedWeights, fold_weights
from dslc.controller.presets import SMALL, Input, Preset

POSITION_CAP = 256
"""Positions with an embedding of their own; every later token shares that of the last, so any budget works."""

LEAST_LOG_PROB = -1e4
"""Stands for a starting probability that no float holds: an allowed token is never at zero."""

_REFINED: WeakKeyDictionary[StartingTable, tuple[TokenAutomaton, TokenAutomaton, NDArray[np.float32]]] = (
    WeakKeyDictionary()
)
"""What `refine_rows` gave before, behind the automaton that it was given: each policy of a space asks for the same."""

FEATURES = (Input.PREVIOUS, Input.SLOT, Input.PARENT, Input.SIBLING)
"""Order of the feature axis of `inputs` tensors; the position is implied by the time axis."""


@dataclass(frozen=True, slots=True, eq=False)
class PolicyStates:
    """The states of an unrolled automaton as a policy sees them; see `dslc.automaton.unroll`."""

    next: Int64[Tensor, "state token"]
    features: Int32[Tensor, "state feature"]
    rows: Int32[Tensor, "state"]
    inputs: DistinctInputs


class RecurrentPolicy(nn.Module):
    """An LSTM over previous token, slot, parent, sibling and position, whose logits are added to a starting table.

    logits = table[row] + W h + b, over the allowed tokens; W and b start at zero where the preset says so, and then a
    fresh policy is exactly the table's distribution. `row` is a row of `automaton.mask`, which this class refines:
    its rows are by (slot, slack) as finely as the table's, so that one index gives both what is allowed and where it
    starts.

    Tokens with a head of their own (see `dslc.controller.heads`) have its score in the place of theirs in W h + b.
    """

    def __init__(
        self,
        automaton: TokenAutomaton,
        budget: int,
        preset: Preset = SMALL,
        *,
        table: StartingTable | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        """Build it with weights from a generator of its own.

        Args:
            automaton: The space.
            budget: Most tokens of a sequence.
            preset: Sizes and initialisation.
            table: Where a fresh policy starts; equal logits if None or if the preset does not start at a table.
            seed: Of the initial weights, the same on every device.
            device: Where the weights live.
        """
        super().__init__()
        self.preset = preset
        self.budget = budget
        if table is None or not preset.starts_at_table:
            logits = np.zeros(automaton.mask.shape, np.float32)
        else:
            automaton, logits = refine_rows(automaton, table)
        self.automaton = automaton
        mask = copy_table(automaton.mask, "cpu")
        check_rows(mask)
        starts = torch.tensor(logits)
        self.start_logits: Tensor
        self.blocked_logits: Tensor
        self.mask: Tensor
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("start_logits", starts, persistent=False)
        self.register_buffer("blocked_logits", starts.masked_fill(~mask, -torch.inf), persistent=False)

        width = automaton.num_tokens + 1
        sizes = {Input.PREVIOUS: width, Input.SLOT: automaton.num_slots, Input.PARENT: width, Input.SIBLING: width}
        used = [feature for feature in FEATURES if feature in preset.inputs]
        offsets = np.cumsum([0, *(sizes[feature] for feature in used)])
        self._columns = None if len(used) == len(FEATURES) else [FEATURES.index(feature) for feature in used]
        self.feature_offsets: Tensor
        self.register_buffer("feature_offsets", torch.tensor(offsets[:-1], dtype=torch.int32), persistent=False)
        self.feature_sizes = tuple(sizes[feature] for feature in used)
        """Rows of the embedding that each feature has that the preset uses."""
        self.embedding = nn.Parameter(torch.empty(int(offsets[-1]), preset.embedding_size))
        num_positions = min(budget, POSITION_CAP) if Input.POSITION in preset.inputs else 1
        self.position = nn.Parameter(torch.zeros(max(num_positions, 1), preset.embedding_size))
        self.lstm = nn.LSTM(preset.embedding_size, preset.hidden_size, preset.num_layers)
        self.output = nn.Linear(preset.hidden_size, width)
        self.heads = PolicyHeads(automaton.heads, preset)
        self._initialise(torch.Generator().manual_seed(seed))
        self.to(device)
        self.network_parameters = (self.embedding, self.position, *self.lstm.parameters(), *self.output.parameters())
        """All weights but those of heads, in the order of `fold_weights`; listed once, since listing takes as long as a
        step of the network."""
        self._states = self._unroll()
        is_cpu = torch.device(device).type == "cpu"
        self._tables = None if is_cpu else AutomatonTensors.from_automaton(automaton, device)

    def _unroll(self) -> PolicyStates | None:
        """The table of all states, where the space is small enough for one and has no heads."""
        unrolled = None if self.automaton.heads is not None else unroll_automaton(self.automaton, self.budget)
        if unrolled is None:
            return None
        arrays = (unrolled.next.astype(np.int64), unrolled.features, unrolled.rows, unrolled.positions)
        following, features, rows, positions = (torch.from_numpy(array).to(self.device) for array in arrays)
        inputs = DistinctInputs(self.feature_ids(features).contiguous(), positions.clamp(max=len(self.position) - 1))
        return PolicyStates(following, features, rows, inputs)

    @property
    def states(self) -> PolicyStates | None:
        """The table of all states, where there is one."""
        return self._states

    def start_again(self, seed: int) -> None:
        """Weights as fresh ones of that seed, in place."""
        device = self.device
        self.to("cpu")  # where fresh weights are drawn, so that they are the same on every device
        self._initialise(torch.Generator().manual_seed(seed))
        self.to(device)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        preset = self.preset
        limit = preset.weight_range
        embeddings = [self.embedding, self.position] if Input.POSITION in preset.inputs else [self.embedding]
        for weights in embeddings:
            if preset.normal_embeddings:
                weights.normal_(generator=generator)
            else:
                weights.uniform_(-limit, limit, generator=generator)
        if Input.POSITION not in preset.inputs:
            self.position.requires_grad_(False)
        for weights in self.lstm.parameters():
            weights.uniform_(-limit, limit, generator=generator)
        for weights in self.output.parameters():
            if preset.starts_at_table:
                weights.zero_()
            else:
                weights.uniform_(-limit, limit, generator=generator)
        self.heads.initialise(preset, generator)

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return self.embedding.device

    def make_runtime(self, batch_size: int) -> Runtime:
        """A tracking runtime over the refined automaton: its `rows()` are what `step` and `forward` take."""
        return make_runtime(self.automaton, batch_size, self.budget, self.device, track=True, tables=self._tables)

    def forward(
        self,
        inputs: Int32[Tensor, "batch time feature"],
        rows: Int32[Tensor, "batch time"],
        finished: Int32[Tensor, "batch time rule"] | None = None,
        *,
        is_twice_differentiable: bool = False,
    ) -> Float[Tensor, "batch time token"]:
        """Logits of recorded steps, all at once; disallowed tokens are not yet masked.

        Args:
            inputs: In the order of FEATURES.
            rows: Rows of `automaton.mask`.
            finished: Nodes that are finished before each step, where the space has heads.
            is_twice_differentiable: Slower, the same numbers; without it there are first derivatives only.
        """
        batch, time, _ = inputs.shape
        ids = self.feature_ids(inputs.transpose(0, 1)).reshape(time * batch, -1)
        if is_twice_differentiable:
            embedded = functional.embedding(ids, self.embedding).sum(1).view(time, batch, -1)
        else:
            embedded = functional.embedding_bag(ids, self.embedding, mode="sum").view(time, batch, -1)
        with _without_cudnn(self.device):
            hidden, _ = self.lstm(embedded + self._position_rows(time)[:, None])
        logits: Tensor = self.output(hidden).transpose(0, 1)
        if self.automaton.heads is not None:
            assert finished is not None, "a head asks about finished nodes"
            previous = inputs[:, :, FEATURES.index(Input.PREVIOUS)]
            logits = self.heads.write_logits(logits, hidden.transpose(0, 1), previous, finished)
        return logits + functional.embedding(rows, self.start_logits)

    def feature_ids(self, inputs: Int32[Tensor, "*rows feature"]) -> Int32[Tensor, "*rows used"]:
        """Rows of the embedding, one for each feature that the preset uses."""
        used = inputs if self._columns is None else inputs[..., self._columns]
        return used + self.feature_offsets

    def _position_rows(self, time: int) -> Float[Tensor, "time embedding"]:
        """Embeddings by position, the last repeated beyond the cap."""
        extra = time - len(self.position)
        if extra <= 0:
            return self.position[:time]
        return torch.cat((self.position, self.position[-1:].expand(extra, -1)))

    def fold(self) -> FoldedWeights:
        """The network's weights of this moment, as `dslc.controller.network` reads them."""
        return fold_weights(self.network_parameters, self.preset.num_layers)


def _without_cudnn(device: torch.device) -> AbstractContextManager[object]:
    """PyTorch's own LSTM on a GPU.

    cuDNN's rounds factors to 10 bits (TF32), so that scores were up to 0.4% off those with which tokens were drawn,
    and its gradient has no gradient.
    """
    return nullcontext() if device.type != "cuda" else torch.backends.cudnn.flags(enabled=False)


def refine_rows(automaton: TokenAutomaton, table: StartingTable) -> tuple[TokenAutomaton, NDArray[np.float32]]:
    """The automaton with the table's rows for its own, and the table's logits float32 [rows, V + 1].

    The mask's rows tell slacks apart only as far as that decides what is allowed; the table's go on. The refined
    automaton allows the same tokens in every state within the table's budget. It is kept as long as the table is.
    """
    known = _REFINED.get(table)
    if known is not None and known[0] is automaton:
        return known[1:]
    num_rows = len(table.log_probs)
    mask = np.zeros((num_rows, automaton.num_tokens + 1), np.bool_)
    blocks = np.stack((table.row_base, table.row_cap, automaton.row_base, automaton.row_cap), 1)
    for base, cap, mask_base, mask_cap in np.unique(blocks, axis=0).tolist():
        slacks = np.arange(cap + 1)
        mask[base + slacks] = automaton.mask[mask_base + np.minimum(slacks, mask_cap)]
    logits = np.where(mask, np.maximum(table.log_probs, LEAST_LOG_PROB), 0.0).astype(np.float32)
    refined = replace(automaton, row_base=table.row_base, row_cap=table.row_cap, mask=mask)
    _REFINED[table] = automaton, refined, logits
    return refined, logits
