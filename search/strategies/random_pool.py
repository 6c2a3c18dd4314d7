"""Random sentences by the thousand, of which parts are donors of mutations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from dslc.automaton.uniform import Lengths
from dslc.automaton.variation_batch import BatchVariation, Sentences
from dslc.space import Space

POOL = 4096
"""Sentences drawn at random at a time."""
POOL_USES = 8
"""Times that a sentence of the pool is used on average before the pool is drawn anew."""


class RandomPool:
    """Sentences drawn at random, lengths evenly; drawn anew when they were used often enough."""

    def __init__(self, space: Space, variation: BatchVariation, generator: np.random.Generator) -> None:
        """Nothing is drawn yet."""
        self._space, self._variation, self._generator = space, variation, generator
        self._sentences: Sentences | None = None
        self._uses = 0.0

    def draw(self, count: int) -> Sentences:
        """So many that are in no pool."""
        lengths: Lengths = "even"
        seed = int(self._generator.integers(1 << 62))
        return self._variation.trace(self._space.sample_tokens(count, seed=seed, lengths=lengths))

    def take(self, count: int) -> Sentences:
        """So many of the pool, with replacement."""
        if self._sentences is None or self._uses > POOL_USES:
            self._sentences, self._uses = self._variation.mark_ends(self.draw(POOL)), 0.0
        self._uses += count / POOL
        return self._sentences.take(self._generator.integers(POOL, size=count))

    def state_dict(self) -> dict[str, Any]:
        """Flat, without the generator."""
        state: dict[str, Any] = {"uses": self._uses}
        if self._sentences is not None:
            state["tokens"] = torch.tensor(self._sentences.tokens)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self._uses, self._sentences = state["uses"], None
        if "tokens" in state:
            self._sentences = self._variation.mark_ends(self._variation.trace(state["tokens"].numpy()))
