"""The heads of a policy that decide about nodes: anchors, yes or no about one, and pointers, which of them.

An item is the network's state at the first step after a node is finished, the first that has read all of it. Both heads
score an item by v . tanh(W_item h_item + W_now h). An anchor's yes has this score for its logit and no has 0, so that
between the two yes has the probability sigmoid(v . tanh(W_prev h_j + W_curr h_i)) of Zoph and Le (2017), section 3.3.
A pointer's literal has the score of what it names, a learned vector in the item's place where that is an input.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, Int32, Int64
from torch import Tensor, nn

from dslc.automaton.heads import AnchorTokens, Heads, PointerTokens
from dslc.controller.presets import Preset
from dslc.controller.tracking import MarkTensors, NodeTracker, count_rows, make_tracker

_NOT_YET = torch.iinfo(torch.int64).max
"""Number of finished nodes at a step that has not come."""


class NodeHead(nn.Module):
    """Scores of items, as the module says; `inputs` are the learned vectors, none for an anchor."""

    def __init__(
        self, hidden_size: int, tokens: tuple[int, ...], targets: tuple[int, ...] = (), num_inputs: int = 0
    ) -> None:
        super().__init__()
        self.tokens: Tensor
        self.targets: Tensor
        # On the device of the weights: a copy from the host in each rollout would make it wait.
        self.register_buffer("tokens", torch.tensor(tokens), persistent=False)
        self.register_buffer("targets", torch.tensor(targets), persistent=False)
        self.item = nn.Parameter(torch.empty(hidden_size, hidden_size))
        """W_item [hidden, hidden]."""
        self.now = nn.Parameter(torch.empty(hidden_size, hidden_size))
        """W_now [hidden, hidden]."""
        self.score = nn.Parameter(torch.empty(hidden_size))
        """v [hidden]."""
        if num_inputs:
            self.inputs: nn.Parameter | None = nn.Parameter(torch.empty(num_inputs, hidden_size))
        else:
            self.register_parameter("inputs", None)

    @torch.no_grad()
    def initialise(self, preset: Preset, generator: torch.Generator) -> None:
        """Draw the weights as the preset says; all scores start at 0 where its output layer does."""
        limit = preset.weight_range
        self.item.uniform_(-limit, limit, generator=generator)
        self.now.uniform_(-limit, limit, generator=generator)
        if preset.starts_at_table:
            self.score.zero_()
        else:
            self.score.uniform_(-limit, limit, generator=generator)
        if self.inputs is not None:
            if preset.normal_embeddings:
                self.inputs.normal_(generator=generator)
            else:
                self.inputs.uniform_(-limit, limit, generator=generator)

    def forward(
        self, items: Float[Tensor, "*rows hidden"], now: Float[Tensor, "*#rows hidden"]
    ) -> Float[Tensor, "*rows"]:
        """Scores of items that have been through `item` already, and of states that have been through `now`."""
        return torch.tanh(items + now) @ self.score


class PolicyHeads(nn.ModuleDict):
    """The heads of a space, by terminal; without any it is empty and changes nothing."""

    def __init__(self, heads: Heads | None, preset: Preset) -> None:
        super().__init__()
        self.heads = heads
        self._marks: MarkTensors | None = None
        if heads is not None:
            for anchor in heads.anchors:
                self[anchor.terminal] = NodeHead(preset.hidden_size, (anchor.no, anchor.yes))
            for pointer in heads.pointers:
                self[pointer.terminal] = NodeHead(
                    preset.hidden_size, pointer.tokens, pointer.targets, pointer.num_inputs
                )

    def head(self, terminal: str) -> NodeHead:
        """The head of a terminal."""
        head = self[terminal]
        assert isinstance(head, NodeHead), "there are no others"
        return head

    def initialise(self, preset: Preset, generator: torch.Generator) -> None:
        """Draw the weights, head by head."""
        for terminal in self:
            self.head(terminal).initialise(preset, generator)

    def make_tracker(self, batch_size: int, budget: int, device: torch.device) -> NodeTracker:
        """A tracker at the start of sequences, its tables copied to a device once."""
        assert self.heads is not None, "a space without heads marks no nodes"
        if device.type != "cpu" and (self._marks is None or self._marks.next.device != device):
            self._marks = MarkTensors.from_marks(self.heads.marks, device)
        return make_tracker(self.heads.marks, batch_size, budget, device, self._marks)

    def write_logits(
        self,
        logits: Float[Tensor, "batch time token"],
        hidden: Float[Tensor, "batch time hidden"],
        previous: Int32[Tensor, "batch time"],
        finished: Int[Tensor, "batch time rule"],
    ) -> Float[Tensor, "batch time token"]:
        """The logits of recorded steps with those of the heads in the place of their tokens'.

        Args:
            logits: Of the output layer.
            hidden: States that they were made from.
            previous: Tokens before each step.
            finished: Nodes of each rule of the marks that are finished before each step.
        """
        assert self.heads is not None, "a space without heads has nothing to write"
        for anchor in self.heads.anchors:
            head, numbers = self.head(anchor.terminal), finished[:, :, anchor.rule].long().contiguous()
            asked = count_rows(previous, numbers, anchor.yes, anchor.no)
            place, exists = _find_items(numbers, asked, numbers)
            items = hidden @ head.item.t()
            items = items.gather(1, place[:, :, None].expand_as(items)) * exists[:, :, None]
            scores = head(items, hidden @ head.now.t())
            answers = torch.stack((torch.zeros_like(scores), scores), 2)
            logits = logits.index_copy(2, head.tokens, answers)
        for pointer in self.heads.pointers:
            head, numbers = self.head(pointer.terminal), finished[:, :, pointer.rule].long().contiguous()
            targets = head.targets
            nodes = (targets - pointer.num_inputs).clamp(min=0)
            # Where a node is finished does not depend on the step that asks, so items are gathered once a sequence.
            place, _ = _find_items(numbers, nodes.expand(len(numbers), -1), numbers[:, -1:])
            items = hidden @ head.item.t()
            items = items.gather(1, place[:, :, None].expand(-1, -1, items.shape[2]))
            items = _put_inputs(items, head, pointer)[:, None]
            exists = (nodes < numbers[:, :, None]) | (targets < pointer.num_inputs)
            scores = head(items * exists[..., None], (hidden @ head.now.t())[:, :, None])
            logits = logits.index_copy(2, head.tokens, scores)
        return logits


class HeadStepper:
    """The heads one step at a time, without a gradient, with the weights of the moment at which it was made.

    Few calls matter here as in `dslc.controller.tape`: W_item and W_now are one product, and what is not finished is
    a row of zeros in the memory of items.
    """

    @torch.no_grad()
    def __init__(self, heads: PolicyHeads, num_tokens: int, batch_size: int, budget: int, device: torch.device) -> None:
        assert heads.heads is not None, "a space without heads needs no stepper"
        self.tracker = heads.make_tracker(batch_size, budget, device)
        self._sequences = torch.arange(batch_size, device=device)
        # Read by searchsorted, a number that no node has at the steps that have not come.
        self._finished = [
            torch.full((batch_size, budget), _NOT_YET, device=device) for _ in range(len(heads.heads.marks.rules))
        ]
        self._anchors = [
            _AnchorStep(each, heads.head(each.terminal), num_tokens, self._sequences) for each in heads.heads.anchors
        ]
        self._pointers = [
            _PointerStep(each, heads.head(each.terminal), self._sequences) for each in heads.heads.pointers
        ]

    @torch.no_grad()
    def write_logits(
        self,
        logits: Float[Tensor, "batch token"],
        hidden: Float[Tensor, "batch hidden"],
        previous: Int32[Tensor, "batch"],
        position: int,
    ) -> None:
        """As in `PolicyHeads`, of the step that comes, in place; steps come in order.

        Args:
            logits: Of the output layer.
            hidden: State that they were made from.
            previous: The token before.
            position: Number of tokens that precede.
        """
        now_finished = self.tracker.finished.unbind(1)
        for finished, numbers in zip(self._finished, now_finished, strict=True):
            finished[:, position] = numbers
        for anchor in self._anchors:
            anchor.write(logits, hidden, previous, self._finished[anchor.tokens.rule], position)
        for pointer in self._pointers:
            pointer.write(logits, hidden, self._finished[pointer.tokens.rule], position)


class _Memory:
    """W_item times the states of all steps so far, behind a row of zeros, in a buffer that grows by doubling."""

    def __init__(self, head: NodeHead, sequences: Int64[Tensor, "batch"]) -> None:
        self._weights = torch.cat((head.item, head.now)).t().contiguous()
        self._rows = torch.zeros(16, len(sequences), len(head.item), device=sequences.device)

    def add(
        self, hidden: Float[Tensor, "batch hidden"], position: int
    ) -> tuple[Float[Tensor, "row hidden"], Float[Tensor, "batch hidden"]]:
        """Rows of all steps, those of step t from (t + 1) * batch on, and W_now times the state."""
        items, now = (hidden @ self._weights).chunk(2, 1)
        if position + 1 == len(self._rows):
            self._rows = torch.cat((self._rows, torch.zeros_like(self._rows)))
        self._rows[position + 1] = items
        return self._rows.view(-1, self._rows.shape[2]), now


class _AnchorStep:
    """One anchor of a `HeadStepper`."""

    def __init__(
        self, tokens: AnchorTokens, head: NodeHead, num_tokens: int, sequences: Int64[Tensor, "batch"]
    ) -> None:
        self.tokens = tokens
        self._sequences = sequences
        self._memory = _Memory(head, sequences)
        self._score = head.score.detach().clone()  # aligned in memory, see `fold_weights`
        self._row = torch.zeros_like(sequences)
        self._is_answer = torch.zeros(num_tokens + 1, dtype=torch.int64, device=sequences.device)
        self._is_answer[head.tokens] = 1
        self._before = torch.zeros_like(sequences)

    def write(
        self,
        logits: Float[Tensor, "batch token"],
        hidden: Float[Tensor, "batch hidden"],
        previous: Int32[Tensor, "batch"],
        finished: Int64[Tensor, "batch time"],
        position: int,
    ) -> None:
        row = self._row.add_(self._is_answer.index_select(0, previous))
        numbers = finished[:, position]
        row.masked_fill_(numbers > self._before, 0)
        self._before = numbers
        # Row 0 of the memory stands for what is not finished yet.
        place = torch.searchsorted(finished, row[:, None], right=True)[:, 0].add_(1).masked_fill_(row >= numbers, 0)
        rows, now = self._memory.add(hidden, position)
        items = rows.index_select(0, place.mul_(len(row)).add_(self._sequences))
        logits[:, self.tokens.yes] = items.add_(now).tanh_() @ self._score
        logits[:, self.tokens.no] = 0.0


class _PointerStep:
    """One pointer of a `HeadStepper`."""

    def __init__(self, tokens: PointerTokens, head: NodeHead, sequences: Int64[Tensor, "batch"]) -> None:
        self.tokens = tokens
        self._sequences = sequences[:, None]
        self._memory = _Memory(head, sequences)
        self._score = head.score.detach().clone()  # aligned in memory, see `fold_weights`
        self._head = head
        self._nodes = (head.targets - tokens.num_inputs).clamp(min=0).repeat(len(sequences), 1)

    def write(
        self,
        logits: Float[Tensor, "batch token"],
        hidden: Float[Tensor, "batch hidden"],
        finished: Int64[Tensor, "batch time"],
        position: int,
    ) -> None:
        place = torch.searchsorted(finished, self._nodes, right=True).add_(1)
        place.masked_fill_(self._nodes >= finished[:, position, None], 0)
        rows, now = self._memory.add(hidden, position)
        items = rows[place.mul_(len(logits)).add_(self._sequences)]
        items = _put_inputs(items, self._head, self.tokens)
        logits[:, self._head.tokens] = torch.tanh(items + now[:, None]) @ self._score


def _find_items(
    finished: Int64[Tensor, "batch time"], nodes: Int64[Tensor, "batch node"], now: Int64[Tensor, "batch #node"]
) -> tuple[Int64[Tensor, "batch node"], Bool[Tensor, "batch node"]]:
    """The first step at which a node is finished, and whether it is by now; 0 where it is not."""
    exists = nodes < now
    place = torch.searchsorted(finished, nodes.contiguous(), right=True)
    return place.masked_fill(~exists, 0), exists


def _put_inputs(
    items: Float[Tensor, "batch node hidden"], head: NodeHead, pointer: PointerTokens
) -> Float[Tensor, "batch node hidden"]:
    """The learned vectors, through W_item, where an input is named."""
    if head.inputs is None:
        return items
    learned = (head.inputs @ head.item.t()).index_select(0, head.targets.clamp(max=pointer.num_inputs - 1))
    return torch.where((head.targets < pointer.num_inputs)[:, None], learned, items)
