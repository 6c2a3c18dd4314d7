"""Sentences that parts are cut from, and children made of such parts that are planned but not written yet.

Of thousands of planned children many are known already: they are told apart by hashes that follow from those of what
they are made of, and only the new ones are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int16]
Indices = NDArray[np.intp]


@dataclass(slots=True)
class Stock:
    """Rows of sentences, filled up with V behind their ends. The first row is empty."""

    tokens: Ids
    """[row, budget]."""
    slots: Ids
    """[row, budget] the slot that each token fills, -1 behind the end."""
    ends: Ids
    """[row, budget] where the part that begins there ends."""
    lengths: Indices
    """[row] number of tokens."""

    def grow(self, num_rows: int) -> None:
        """Makes room for more rows; what they hold is not said."""
        more = num_rows - len(self.lengths)
        for name in ("tokens", "slots", "ends", "lengths"):
            rows = getattr(self, name)
            setattr(self, name, np.concatenate((rows, np.zeros((more, *rows.shape[1:]), rows.dtype))))


class Cuttings(NamedTuple):
    """Children, each made of stretches of rows of a stock, one after the other."""

    rows: Indices
    """[stretch, child] where it is cut from."""
    begins: Indices
    """[stretch, child] its first column there."""
    ends: Indices
    """[stretch, child] the column behind it."""

    def take(self, children: Indices) -> Cuttings:
        """Some of the children."""
        return Cuttings(*(part.take(children, 1) for part in self))

    def lengths(self) -> Indices:
        """[child] number of tokens."""
        lengths: Indices = (self.ends - self.begins).sum(0)
        return lengths


def cut(*stretches: tuple[Indices, Indices, Indices]) -> Cuttings:
    """Children of stretches (rows, begins, ends), each [child]."""
    rows, begins, ends = (np.stack(part) for part in zip(*stretches, strict=True))
    return Cuttings(rows, begins, ends)


def join_cuttings(*groups: Cuttings) -> Cuttings:
    """All of them, one group after the other; those of fewer stretches have empty ones at the end."""
    most = max(len(group.rows) for group in groups)
    counts = [group.rows.shape[1] for group in groups]
    joined = Cuttings(*(np.zeros((most, sum(counts)), np.intp) for _ in Cuttings._fields))
    begin = 0
    for group, count in zip(groups, counts, strict=True):
        for whole, part in zip(joined, group, strict=True):
            whole[: len(part), begin : begin + count] = part
        begin += count
    return joined


def find_sources(firsts: Indices, lengths: Indices, budget: int, empty: int) -> Indices:
    """[child, budget] where each column of children comes from, in a flat array.

    Args:
        firsts: [stretch, child] where it begins in that array.
        lengths: [stretch, child] how long it is.
        budget: Columns.
        empty: Where an empty row begins, with which children are filled up.
    """
    behind = np.cumsum(lengths, 0)
    stretches, children = firsts.shape
    # By child, and of each child by stretch: from where column 0 would come, and how many columns.
    origins = np.full((children, stretches + 1), empty)
    origins[:, :stretches] = (firsts - behind + lengths).T
    repeats = np.empty((children, stretches + 1), np.intp)
    repeats[:, :stretches] = lengths.T
    repeats[:, stretches] = budget - behind[-1]
    sources: Indices = origins.ravel().repeat(repeats.ravel()).reshape(children, budget)
    sources += np.arange(budget)
    return sources
