"""The best distinct sequences so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.search.rows import unpad_rows

LOOKED_AT = 3
"""Times the size: of a batch so many of the best are looked at first."""


class PriorityQueue:
    """At most `size` distinct token sequences with the highest rewards; of equals, those that came first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._rewards: dict[tuple[int, ...], float] = {}
        """Best first; a sequence seen again keeps the higher of its rewards."""

    def __len__(self) -> int:
        return len(self._rewards)

    @property
    def sequences(self) -> tuple[tuple[int, ...], ...]:
        """Best first."""
        return tuple(self._rewards)

    def push(self, results: Iterable[tuple[tuple[int, ...], float]]) -> None:
        """Take new sequences with their rewards in.

        Example:
            >>> queue = PriorityQueue(2)
            >>> queue.push([((0,), 0.1), ((1,), 0.3), ((2,), 0.2), ((1,), 0.3)])
            >>> queue.sequences
            ((1,), (2,))
        """
        worst = min(self._rewards.values()) if len(self._rewards) >= self.size else float("-inf")
        for tokens, reward in results:
            if reward < worst:  # most are: there is no place for it
                continue
            if reward > self._rewards.get(tokens, float("-inf")):
                self._rewards[tokens] = reward
        # sorted is stable: equals stay in the order in which they came.
        best = sorted(self._rewards.items(), key=lambda item: -item[1])[: self.size]
        self._rewards = dict(best)

    def push_rows(self, tokens: NDArray[np.integer[Any]], rewards: NDArray[np.float64], pad: int) -> None:
        """As `push`, of sentences [sentence, time], filled up with `pad` behind their ends."""
        worst = min(self._rewards.values()) if len(self._rewards) >= self.size else -np.inf
        rows = (rewards >= worst).nonzero()[0]
        if len(rows) > LOOKED_AT * self.size:
            # Where enough different ones are among the best rows, nothing below these finds a place.
            values = rewards[rows]
            best = rows[values >= np.partition(values, -LOOKED_AT * self.size)[-LOOKED_AT * self.size]]
            sentences = unpad_rows(tokens[best], pad)
            if len(set(sentences)) >= self.size:
                self.push(zip(sentences, rewards[best].tolist(), strict=True))
                return
        self.push(zip(unpad_rows(tokens[rows], pad), rewards[rows].tolist(), strict=True))

    def items(self) -> list[tuple[tuple[int, ...], float]]:
        """Sequences with their rewards, best first."""
        return list(self._rewards.items())

    def clear(self) -> None:
        """Forget all."""
        self._rewards = {}

    def to_json(self) -> list[list[object]]:
        """[[reward, [token, ...]], ...], best first."""
        return [[reward, list(tokens)] for tokens, reward in self._rewards.items()]

    def load_json(self, items: Sequence[Sequence[object]]) -> None:
        """Take over what `to_json` gave."""
        self._rewards = {}
        for reward, tokens in items:
            assert isinstance(reward, (int, float))
            assert isinstance(tokens, (list, tuple))
            self._rewards[tuple(int(token) for token in tokens)] = float(reward)
