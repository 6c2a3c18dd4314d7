"""Recurrent cells written a second time: two published ones in PyTorch, and any tree in numpy; no code of dslc."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dslc.program.tree import Leaf, ParseTree

Array = NDArray[np.float64]

NASCELL = (
    "add sigmoid , add relu , add sigmoid , elem_mult relu , add tanh , add sigmoid , add tanh , add sigmoid "
    "/ elem_mult tanh , add tanh , elem_mult tanh , add sigmoid / elem_mult identity , add tanh / elem_mult tanh "
    "/ inject add tanh / cell 12 , 8"
)
"""The published cell as a sentence."""
WORKED_EXAMPLE = "add tanh , elem_mult relu / elem_mult sigmoid / inject add relu / cell 1 , 0"
"""The paper's example of base 2."""
LSTM_LIKE = (
    "add identity , add identity , add sigmoid , add tanh , add identity , add identity , add identity , add identity "
    "/ add sigmoid , elem_mult identity , add identity , add identity / add tanh , add sigmoid / elem_mult identity "
    "/ inject elem_mult identity / cell 12 , 8"
)
"""An LSTM: leaves 0 and 1 make the forget gate, 2 the input gate, 3 the candidate, 4 to 7 the output gate."""


class NASCell(nn.Module):
    """The cell of TensorFlow's `contrib.rnn.NASCell`, without its optional bias and projection."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(8 * hidden_size, input_size))
        self.u = nn.Parameter(torch.randn(8 * hidden_size, hidden_size))

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        x0, x1, x2, x3, x4, x5, x6, x7 = nn.functional.linear(x, self.w).chunk(8, dim=1)
        h0, h1, h2, h3, h4, h5, h6, h7 = nn.functional.linear(h, self.u).chunk(8, dim=1)
        # First layer.
        first0 = torch.sigmoid(x0 + h0)
        first1 = torch.relu(x1 + h1)
        first2 = torch.sigmoid(x2 + h2)
        first3 = torch.relu(x3 * h3)
        first4 = torch.tanh(x4 + h4)
        first5 = torch.sigmoid(x5 + h5)
        first6 = torch.tanh(x6 + h6)
        first7 = torch.sigmoid(x7 + h7)
        # Second layer, and the memory into its first value.
        second0 = torch.tanh(first0 * first1)
        second1 = torch.tanh(first2 + first3)
        second2 = torch.tanh(first4 * first5)
        second3 = torch.sigmoid(first6 + first7)
        second0 = torch.tanh(second0 + c)
        # Third and last layer.
        new_c = second0 * second1
        third1 = torch.tanh(second2 + second3)
        return torch.tanh(new_c * third1), new_c


class WorkedExample(nn.Module):
    """Zoph and Le 2017, section 3.4: the worked example of base 2, step by step."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.w1, self.w3 = (nn.Parameter(torch.randn(hidden_size, input_size)) for _ in range(2))
        self.w2, self.w4 = (nn.Parameter(torch.randn(hidden_size, hidden_size)) for _ in range(2))

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        a0 = torch.tanh(x @ self.w1.T + h @ self.w2.T)
        a1 = torch.relu((x @ self.w3.T) * (h @ self.w4.T))
        a0_new = torch.relu(a0 + c)
        a2 = torch.sigmoid(a0_new * a1)
        return a2, (x @ self.w3.T) * (h @ self.w4.T)


class LSTMLike(nn.Module):
    """The cell of LSTM_LIKE as one would write it by hand, with its eight pairs of weights."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(8 * hidden_size, input_size) / hidden_size**0.5)
        self.u = nn.Parameter(torch.randn(8 * hidden_size, hidden_size) / hidden_size**0.5)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        sums = nn.functional.linear(x, self.w) + nn.functional.linear(h, self.u)
        f0, f1, i, g, o0, o1, o2, o3 = sums.chunk(8, dim=1)
        new_c = torch.sigmoid(f0 + f1) * c + torch.sigmoid(i) * torch.tanh(g)
        output_gate = torch.sigmoid((o0 + o1) + (o2 + o3))
        return torch.tanh(new_c) * output_gate, new_c


@dataclass
class Kinks:
    """Distances from the places where a cell has no derivative."""

    distances: list[float] = field(default_factory=list)

    def add(self, distance: Array) -> None:
        # A value that is exactly there is there in a whole neighbourhood: a rectifier after a rectifier.
        moved = np.abs(distance[distance != 0])
        if moved.size:
            self.distances.append(float(moved.min()))

    @property
    def nearest(self) -> float:
        return min(self.distances, default=np.inf)


def interpret_cell(
    tree: ParseTree, w: Array, u: Array, x: Array, h: Array, c: Array, kinks: Kinks | None = None
) -> tuple[Array, Array]:
    """The next h and c of a tree of leaves, nodes, inject and indices, by recursion from the root.

    Args:
        tree: as the shipped grammar makes it.
        w: weights of the input [leaves * hidden, input], leaf by leaf.
        u: weights of h [leaves * hidden, hidden], leaf by leaf.
        x: input [batch, input].
        h: last output [batch, hidden].
        c: last memory [batch, hidden].
        kinks: gets the distances of all values from kinks.
    """
    parts = [child for child in tree.children if isinstance(child, ParseTree)]
    words = {id(part): [leaf.text for leaf in part.children if isinstance(leaf, Leaf)] for part in parts}
    cells = [words[id(part)] for part in parts if part.name in ("leaf", "node")]
    num_leaves = sum(part.name == "leaf" for part in parts)
    (inject,) = (words[id(part)] for part in parts if part.name == "inject")
    ((source, entry),) = ([int(word) for word in words[id(part)]] for part in parts if part.name == "indices")
    size = h.shape[1]
    children: dict[int, tuple[int, int]] = {}
    level, next_number = list(range(num_leaves)), num_leaves
    while len(level) > 1:
        above = list(range(next_number, next_number + len(level) // 2))
        for place, number in enumerate(above):
            children[number] = (level[2 * place], level[2 * place + 1])
        level, next_number = above, next_number + len(above)
    (root,) = level
    assert len(cells) == next_number
    memory: list[Array] = []

    def combine(name: str, a: Array, b: Array) -> Array:
        if name == "max" and kinks is not None:
            kinks.add(a - b)
        return {"add": a + b, "elem_mult": a * b, "max": np.where(a > b, a, b)}[name]

    def activate(name: str, v: Array) -> Array:
        if name == "relu" and kinks is not None:
            kinks.add(v)
        match name:
            case "identity":
                return v
            case "tanh":
                return 2 / (1 + np.exp(-2 * v)) - 1
            case "sigmoid":
                return 1 / (1 + np.exp(-v))
            case "relu":
                return np.where(v > 0, v, 0.0)
            case "sin":
                return np.sin(v)
        raise AssertionError(name)

    def value(number: int) -> Array:
        combination, activation = cells[number]
        if number < num_leaves:
            rows = slice(number * size, (number + 1) * size)
            before = combine(combination, x @ w[rows].T, h @ u[rows].T)
        else:
            left, right = children[number]
            before = combine(combination, value(left), value(right))
        if number == source:
            memory.append(before)
        result = activate(activation, before)
        return activate(inject[1], combine(inject[0], result, c)) if number == entry else result

    output = value(root)
    return output, memory[0]
