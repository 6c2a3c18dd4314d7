"""Networks with skip connections, written by hand from the text of a sentence: no tree, no graph, no torch.nn."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional


def read_sentence(text: str) -> list[tuple[list[int], tuple[int, ...]]]:
    """For each layer the earlier layers that it takes, numbered from 0, and its five numbers."""
    numbers = [int(word) for word in text.split()]
    layers: list[tuple[list[int], tuple[int, ...]]] = []
    while numbers:
        decisions, numbers = numbers[: len(layers)], numbers[len(layers) :]
        layers.append(([j for j, decision in enumerate(decisions) if decision == 1], tuple(numbers[:5])))
        numbers = numbers[5:]
    return layers


def stack_in_depth(parts: list[Tensor]) -> Tensor:
    """Each on a black canvas of the largest height and width, its first row and column on the canvas's."""
    height, width = max(part.shape[2] for part in parts), max(part.shape[3] for part in parts)
    first = parts[0]
    rows = []
    for part in parts:
        right = torch.zeros(*part.shape[:3], width - part.shape[3], dtype=first.dtype)
        wide = torch.cat([part, right], 3)
        below = torch.zeros(*part.shape[:2], height - part.shape[2], width, dtype=first.dtype)
        rows.append(torch.cat([wide, below], 2))
    return torch.cat(rows, 1)


def run_by_hand(text: str, images: Tensor, trained: Iterable[Tensor]) -> Tensor:
    """Scores in training mode; `trained` in order: filters, scale and offset of each layer, then the classifier's."""
    parameters = list(trained)
    values: list[Tensor] = []
    unused: set[int] = set()
    for number, (taken, (height, width, down, right, filters)) in enumerate(read_sentence(text)):
        given = stack_in_depth([values[j] for j in taken]) if taken else images
        weight, scale, offset = parameters.pop(0), parameters.pop(0), parameters.pop(0)
        assert weight.shape == (filters, given.shape[1], height, width)
        framed = functional.pad(given, (width // 2, width // 2, height // 2, height // 2))
        kept = functional.conv2d(framed, weight)[:, :, ::down, ::right]
        mean = kept.mean((0, 2, 3), keepdim=True)
        variance = ((kept - mean) ** 2).mean((0, 2, 3), keepdim=True)
        normal = (kept - mean) / (variance + 1e-5) ** 0.5
        values.append((normal * scale.reshape(1, -1, 1, 1) + offset.reshape(1, -1, 1, 1)).clamp(min=0))
        unused = {*unused, number} - set(taken)
    last = stack_in_depth([values[j] for j in sorted(unused)])
    pooled = last.flatten(2).sum(2) / (last.shape[2] * last.shape[3])
    weight, bias = parameters
    return pooled @ weight.T + bias
