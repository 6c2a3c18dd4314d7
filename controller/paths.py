"""Sequences that begin alike: what a network makes of a common beginning is made once.

A policy that has learned something repeats itself: 64 samples have some 20 different beginnings at a step. Sequences
with the same tokens so far are at one node, and all that have ended are at one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

FEWEST_SHARING = 16
"""Sequences from which on it pays to look for those that begin alike: a node that several come from costs calls."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The nodes that the sequences of a batch go through, numbered through all steps."""

    counts: list[int]
    """Nodes of each step."""
    parents: list[Int64[Tensor, "_"] | None]
    """Of each node of a step the one it comes from, numbered within the step before; None at the beginning, and where
    they are the same in order."""
    nodes: Int64[Tensor, "time batch"]
    """Where each sequence is before its token of that position."""
    picked: Int64[Tensor, "node"]
    """Of each node a step of a sequence that is there: position * batch + sequence."""


def find_paths(tokens: NDArray[np.int32], pad_id: int, fewest: int = FEWEST_SHARING) -> Paths:
    """The paths of sequences [time, batch], filled up with `pad_id` behind their ends.

    Of fewer than `fewest` sequences, at least 1, each has nodes of its own.

    Example:
        >>> paths = find_paths(np.array([[0, 1, 0], [5, 2, 3]], np.int32), pad_id=9, fewest=1)
        >>> paths.counts, paths.nodes.tolist()
        ([1, 2], [[0, 0, 0], [1, 2, 1]])
    """
    time, batch = tokens.shape
    if not time or batch < fewest:
        steps = torch.arange(time * batch)
        return Paths([batch] * time, [None] * time, steps.view(time, batch), steps)
    # As bytes, the first the largest part: an order of sentences as of words, for less than np.lexsort takes.
    order = np.ascontiguousarray(tokens.T, ">u2").view(f"S{2 * time}")[:, 0].argsort()
    ordered = tokens[:, order]
    # Sequences that begin alike are neighbours now: a node begins where one differs from its neighbour by then.
    begins = np.zeros((time, batch), np.bool_)
    begins[:, 0] = True
    np.logical_or.accumulate(ordered[:-1, 1:] != ordered[:-1, :-1], 0, out=begins[1:, 1:])
    # Those that have ended have one node together, where the first of them stands.
    ended = np.zeros((time, batch), np.bool_)
    np.equal(ordered[:-1], pad_id, out=ended[1:])
    begins &= ~ended
    late = np.flatnonzero(ended.any(1))
    first = ended[late].argmax(1)
    begins[late, first] = True
    number = begins.cumsum(1) - 1
    number[late] = np.where(ended[late], number[late, first][:, None], number[late])
    counts = begins.sum(1)
    starts = counts.cumsum() - counts
    nodes = np.empty((time, batch), np.int64)
    nodes[:, order] = number + starts[:, None]
    position, place = begins.nonzero()
    from_node = number[position - 1, place]  # at the beginning of no sense
    is_same = np.logical_and.reduceat(from_node == number[position, place], starts)
    is_same[1:] &= counts[1:] == counts[:-1]
    parents = torch.from_numpy(from_node).split_with_sizes(counts.tolist())
    return Paths(
        counts.tolist(),
        [
            None if t == 0 or same else each
            for t, (each, same) in enumerate(zip(parents, is_same.tolist(), strict=True))
        ],
        torch.from_numpy(nodes),
        torch.from_numpy(position * batch + order[place]),
    )
