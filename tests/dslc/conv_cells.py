"""Convolutional cells for tests: sentences, trees made by hand, and cells computed by hand without torch.nn."""

from __future__ import annotations

import random
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from dslc.program.tree import Leaf, ParseTree

OPERATIONS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "identity")
# The two cells that the authors of ENAS found are not among these: they are given in figures only.
GOLDENS = {
    "only_identities": "0 identity 1 identity 1 identity 2 identity 2 identity 3 identity",
    "a_chain": "0 sep_conv_3x3 1 sep_conv_5x5 2 max_pool_3x3 2 identity 3 sep_conv_3x3 3 avg_pool_3x3",
    "many_loose_ends": "1 sep_conv_3x3 1 identity 1 avg_pool_3x3 1 sep_conv_5x5 1 max_pool_3x3 1 max_pool_3x3",
    "an_unused_input": "0 sep_conv_5x5 0 sep_conv_5x5 2 sep_conv_3x3 0 identity 3 identity 2 avg_pool_3x3",
    "five_blocks": "0 sep_conv_3x3 1 identity 1 sep_conv_5x5 1 avg_pool_3x3 2 max_pool_3x3 0 sep_conv_5x5"
    " 3 identity 2 sep_conv_3x3 5 sep_conv_5x5 0 max_pool_3x3",
    "twice_the_same": "0 max_pool_3x3 0 max_pool_3x3 2 identity 2 identity 3 sep_conv_5x5 3 sep_conv_5x5",
}


def random_sentence(generator: random.Random, num_blocks: int) -> str:
    """Uniform: each block takes any two of the inputs and the blocks before it."""
    words = []
    for number in range(num_blocks):
        for _ in range(2):
            words += [str(generator.randrange(2 + number)), generator.choice(OPERATIONS)]
    return " ".join(words)


def tree_of(text: str) -> ParseTree:
    """The tree of a sentence of `start: block+`."""
    words = text.split()
    blocks = []
    for start in range(0, len(words), 4):
        children: list[ParseTree | Leaf | None] = []
        for place in (start, start + 2):
            children.append(Leaf("INPUT", words[place]))
            children.append(ParseTree(words[place + 1], (), 0, "operation", place + 1, place + 2))
        blocks.append(ParseTree("block", tuple(children), 0, "block", start, start + 4))
    return ParseTree("start", tuple(blocks), 0, "start", 0, len(words))


def run_by_hand(text: str, first: Tensor, second: Tensor, trained: Iterable[Tensor]) -> Tensor:
    """The cell's output in training mode; `trained` in order: those of each separable convolution, then the last."""
    parameters = iter(trained)
    words = text.split()
    values = [first, second]
    unused = {0, 1}
    for a, one, b, other in zip(words[::4], words[1::4], words[2::4], words[3::4], strict=True):
        left = _apply(one, values[int(a)], parameters)
        right = _apply(other, values[int(b)], parameters)
        unused = {*unused, len(values)} - {int(a), int(b)}
        values.append(left + right)
    loose = torch.cat([values[i] for i in sorted(unused)], 1).clamp(min=0)
    mixed = torch.einsum("bchw,oc->bohw", loose, next(parameters).flatten(1))
    found = _normalize(mixed, parameters)
    assert next(parameters, None) is None
    return found


def _apply(operation: str, x: Tensor, parameters: Iterable[Tensor]) -> Tensor:
    given = iter(parameters)
    match operation.rsplit("_", 1):
        case ["sep_conv", size]:
            for _ in range(2):
                x = _separate(x.clamp(min=0), int(size[0]), next(given), next(given))
                x = _normalize(x, given)
            return x
        case ["avg_pool", "3x3"]:
            counts = _windows(torch.ones_like(x), 0.0).sum(-1)
            return _windows(x, 0.0).sum(-1) / counts
        case ["max_pool", "3x3"]:
            return _windows(x, -torch.inf).amax(-1)
    assert operation == "identity"
    return x


def _separate(x: Tensor, size: int, depthwise: Tensor, pointwise: Tensor) -> Tensor:
    """Each channel by its own filter, then every place by one matrix."""
    edge = size // 2
    framed = functional.pad(x, (edge, edge, edge, edge))
    height, width = x.shape[2:]
    total = torch.zeros_like(x)
    for row in range(size):
        for column in range(size):
            shifted = framed[:, :, row : row + height, column : column + width]
            total = total + depthwise[:, 0, row, column].reshape(1, -1, 1, 1) * shifted
    return torch.einsum("bchw,oc->bohw", total, pointwise.flatten(1))


def _normalize(x: Tensor, parameters: Iterable[Tensor]) -> Tensor:
    given = iter(parameters)
    scale, offset = next(given), next(given)
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    return (x - mean) / (variance + 1e-5) ** 0.5 * scale.reshape(1, -1, 1, 1) + offset.reshape(1, -1, 1, 1)


def _windows(x: Tensor, outside: float) -> Tensor:
    """The nine values around each place, in a last axis."""
    framed = functional.pad(x, (1, 1, 1, 1), value=outside)
    height, width = x.shape[2:]
    return torch.stack([framed[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)], -1)
