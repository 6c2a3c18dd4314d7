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
from dslc.controller.tracking import NodeTracker, count_rows

_NOT_YET = torch.iinfo(torch.int64).max
"""Number of finished nodes at a step that has not come."""


class NodeHead(nn.Module):
    """Scores of items, as the module says; `inputs` are the learned vectors, none for an anchor."""

    def __init__(self, hidden_size: int, num_inputs: int = 0) -> None:
        super().__init__()
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
        if heads is not None:
            for anchor in heads.anchors:
                self[anchor.terminal] = NodeHead(preset.hidden_size)
            for pointer in heads.pointers:
                self[pointer.terminal] = NodeHead(preset.hidden_size, pointer.num_inputs)

    def head(self, terminal: str) -> NodeHead:
        """The head of a terminal."""
        head = self[terminal]
        assert isinstance(head, NodeHead), "there are no others"
        return head

    def initialise(self, preset: Preset, generator: torch.Generator) -> None:
        """Draw the weights, head by head."""
        for terminal in self:
            self.head(terminal).initialise(preset, generator)

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
            logits = _write_anchor(logits, anchor, scores)
        for pointer in self.heads.pointers:
            head, numbers = self.head(pointer.terminal), finished[:, :, pointer.rule].long().contiguous()
            targets = torch.tensor(pointer.targets, device=hidden.device)
            nodes = (targets - pointer.num_inputs).clamp(min=0)
            # Where a node is finished does not depend on the step that asks, so items are gathered once a sequence.
            place, _ = _find_items(numbers, nodes.expand(len(numbers), -1), numbers[:, -1:])
            items = hidden @ head.item.t()
            items = items.gather(1, place[:, :, None].expand(-1, -1, items.shape[2]))
            items = _put_inputs(items, targets, head, pointer)[:, None]
            exists = (nodes < numbers[:, :, None]) | (targets < pointer.num_inputs)
            scores = head(items * exists[..., None], (hidden @ head.now.t())[:, :, None])
            logits = logits.index_copy(2, torch.tensor(pointer.tokens, device=hidden.device), scores)
        return logits


class HeadStepper:
    """The heads one step at a time, without a gradient, with the weights of the moment at which it was made."""

    @torch.no_grad()
    def __init__(self, heads: PolicyHeads, batch_size: int, budget: int, device: torch.device) -> None:
        assert heads.heads is not None, "a space without heads needs no stepper"
        self.tracker = NodeTracker(heads.heads.marks, batch_size, budget, device)
        self._anchors, self._pointers = heads.heads.anchors, heads.heads.pointers
        self._modules = heads
        self._sequences = torch.arange(batch_size, device=device)
        rules = len(heads.heads.marks.rules)
        self._finished = torch.full((rules, batch_size, budget), _NOT_YET, device=device)
        self._rows = {anchor.terminal: torch.zeros_like(self._sequences) for anchor in self._anchors}
        self._memory: dict[str, Tensor] = {}
        self._targets = {each.terminal: torch.tensor(each.targets, device=device) for each in self._pointers}
        self._tokens = {each.terminal: torch.tensor(each.tokens, device=device) for each in self._pointers}

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
        now_finished = self.tracker.finished
        self._finished[:, :, position] = now_finished.t()
        for anchor in self._anchors:
            head, finished = self._modules.head(anchor.terminal), self._finished[anchor.rule]
            numbers = now_finished[:, anchor.rule]
            row = self._rows[anchor.terminal] + ((previous == anchor.yes) | (previous == anchor.no))
            if position:
                row.masked_fill_(numbers > finished[:, position - 1], 0)
            self._rows[anchor.terminal] = row
            place, exists = _find_items(finished, row[:, None], numbers[:, None])
            items = self._remember(anchor.terminal, hidden @ head.item.t(), position)[place[:, 0], self._sequences]
            scores = head(items * exists, hidden @ head.now.t())
            logits[:, anchor.yes] = scores
            logits[:, anchor.no] = 0.0
        for pointer in self._pointers:
            head, finished = self._modules.head(pointer.terminal), self._finished[pointer.rule]
            targets = self._targets[pointer.terminal]
            nodes = (targets - pointer.num_inputs).clamp(min=0).expand(len(logits), -1)
            numbers = now_finished[:, pointer.rule, None]
            place, exists = _find_items(finished, nodes, numbers)
            memory = self._remember(pointer.terminal, hidden @ head.item.t(), position)
            items = _put_inputs(memory[place, self._sequences[:, None]], targets, head, pointer)
            items = items * (exists | (targets < pointer.num_inputs))[:, :, None]
            logits[:, self._tokens[pointer.terminal]] = head(items, (hidden @ head.now.t())[:, None])

    def _remember(
        self, name: str, items: Float[Tensor, "batch hidden"], position: int
    ) -> Float[Tensor, "time batch hidden"]:
        """The items of all steps so far, in a buffer that grows by doubling."""
        memory = self._memory.get(name)
        if memory is None or position == len(memory):
            grown = items.new_zeros(max(16, 2 * position), *items.shape)
            if memory is not None:
                grown[:position] = memory
            memory = self._memory[name] = grown
        memory[position] = items
        return memory


def _find_items(
    finished: Int64[Tensor, "batch time"], nodes: Int64[Tensor, "batch node"], now: Int64[Tensor, "batch #node"]
) -> tuple[Int64[Tensor, "batch node"], Bool[Tensor, "batch node"]]:
    """The first step at which a node is finished, and whether it is by now; 0 where it is not."""
    exists = nodes < now
    place = torch.searchsorted(finished, nodes.contiguous(), right=True)
    return place.masked_fill(~exists, 0), exists


def _write_anchor(
    logits: Float[Tensor, "batch time token"], anchor: AnchorTokens, scores: Float[Tensor, "batch time"]
) -> Float[Tensor, "batch time token"]:
    answers = torch.tensor((anchor.no, anchor.yes), device=logits.device)
    return logits.index_copy(2, answers, torch.stack((torch.zeros_like(scores), scores), 2))


def _put_inputs(
    items: Float[Tensor, "batch node hidden"], targets: Int64[Tensor, "node"], head: NodeHead, pointer: PointerTokens
) -> Float[Tensor, "batch node hidden"]:
    """The learned vectors, through W_item, where an input is named."""
    if head.inputs is None:
        return items
    learned = (head.inputs @ head.item.t()).index_select(0, targets.clamp(max=pointer.num_inputs - 1))
    return torch.where((targets < pointer.num_inputs)[:, None], learned, items)
