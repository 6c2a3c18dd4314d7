"""A number for each token row, by which repeated sentences are known without keeping them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SEED = 0


class RowHash:
    """64-bit keys of sentences: equal ones have equal keys; of n million others, n^2 / 40 million pairs share one."""

    def __init__(self, num_tokens: int, budget: int) -> None:
        """For sentences of at most `budget` tokens, ids below `num_tokens`, filled up with the id `num_tokens`."""
        generator = np.random.default_rng(_SEED)
        table = generator.integers(0, 1 << 64, (budget, num_tokens + 1), dtype=np.uint64)
        table[:, num_tokens] = 0
        self._table = table.ravel()
        self._offsets = np.arange(budget) * (num_tokens + 1)

    def keys(self, tokens: NDArray[np.integer[Any]]) -> NDArray[np.uint64]:
        """Keys [sentence] of rows [sentence, time]; how far a row is filled up does not matter.

        Example:
            >>> hash = RowHash(3, 4)
            >>> bool(hash.keys(np.array([[0, 1, 3, 3]]))[0] == hash.keys(np.array([[0, 1]]))[0])
            True
        """
        keys: NDArray[np.uint64] = self._table.take(tokens + self._offsets[: tokens.shape[1]]).sum(1)
        return keys
