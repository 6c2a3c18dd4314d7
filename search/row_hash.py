"""A number for each token row, by which repeated sentences are known without keeping them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.cuttings import Cuttings

Keys = NDArray[np.uint64]
_SEED = 0
_MULTIPLIER = 0x9E3779B97F4A7C15
"""Of the polynomial hash; odd, so that it has an inverse."""


class RowHash:
    """64-bit keys of sentences: equal ones have equal keys; of n million others, n^2 / 40 million pairs share one.

    The key is a sum over the places, each with a number of its token times a power of its place. So the key of a child
    follows from those of the stretches that it is made of.
    """

    def __init__(self, num_tokens: int, budget: int) -> None:
        """For sentences of at most `budget` tokens, ids below `num_tokens`, filled up with the id `num_tokens`."""
        numbers = np.random.default_rng(_SEED).integers(0, 1 << 64, num_tokens + 1, dtype=np.uint64)
        numbers[num_tokens] = 0
        self._budget = budget
        self._powers = np.array([pow(_MULTIPLIER, n, 1 << 64) for n in range(-budget, budget + 1)], np.uint64)
        """[n + budget] the n-th power."""
        self._table = (self._powers[budget : 2 * budget, None] * numbers).ravel()
        self._offsets = np.arange(budget) * (num_tokens + 1)

    def keys(self, tokens: NDArray[np.integer[Any]]) -> Keys:
        """Keys [sentence] of rows [sentence, time]; how far a row is filled up does not matter.

        Example:
            >>> hash = RowHash(3, 4)
            >>> bool(hash.keys(np.array([[0, 1, 3, 3]]))[0] == hash.keys(np.array([[0, 1]]))[0])
            True
        """
        keys: Keys = self._terms(tokens).sum(1)
        return keys

    def count_distinct(self, tokens: NDArray[np.integer[Any]]) -> int:
        """How many different sentences there are among rows [sentence, time].

        Example:
            >>> RowHash(3, 4).count_distinct(np.array([[0, 1], [0, 3], [0, 1]]))
            2
        """
        keys = np.sort(self.keys(tokens))  # np.unique takes eight times as long
        return int((keys[1:] != keys[:-1]).sum()) + min(len(keys), 1)

    def beginnings(self, tokens: NDArray[np.integer[Any]]) -> Keys:
        """[row, time + 1] the key of what stands before each place of rows [row, time]."""
        rows, time = tokens.shape
        keys = np.zeros((rows, time + 1), np.uint64)
        np.cumsum(self._terms(tokens), 1, out=keys[:, 1:])
        return keys

    def keys_of_children(self, beginnings: Keys, children: Cuttings) -> Keys:
        """Keys of children that are not written yet, from the beginnings [row, budget + 1] of the stock's rows."""
        rows, begins, ends = children
        starts = rows * beginnings.shape[1]
        terms = beginnings.take(starts + ends)
        terms -= beginnings.take(starts + begins)
        # As far to the right as they move.
        lengths = ends - begins
        moved = np.cumsum(lengths, 0) - lengths - begins
        terms *= self._powers.take(moved + self._budget)
        keys: Keys = terms.sum(0)
        return keys

    def _terms(self, tokens: NDArray[np.integer[Any]]) -> Keys:
        return self._table.take(tokens + self._offsets[: tokens.shape[1]])
