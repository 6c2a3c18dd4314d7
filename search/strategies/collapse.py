"""Noticing a policy that says the same few programs long before a search ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dslc.space import Space

PATIENCE = 3
"""Batches running that must look collapsed."""
FEWEST_BATCHES = 10
"""Batches that a space must have programs for: a smaller one is exhausted rather than collapsed."""


class RestartOptions(Protocol):
    """What the options of a strategy that restarts have; see `PolicyOptions`."""

    @property
    def restart_below(self) -> float:
        """Share of distinct programs, and nats of a sentence, below which a batch looks collapsed."""

    @property
    def restart_until(self) -> float:
        """Share of the evaluations within which a collapse is answered."""


class CollapseWatch:
    """Counts batches that look collapsed, and restarts."""

    def __init__(self, space: Space, options: RestartOptions, evaluations: int, batch: int) -> None:
        self._below = options.restart_below if space.count() >= FEWEST_BATCHES * batch else 0.0
        self._until = options.restart_until * evaluations
        self._running = 0
        self.restarts = 0
        """Collapses that were answered."""

    def has_collapsed(self, sentences: Sequence[tuple[int, ...]], entropy: float, told: int) -> bool:
        """Whether the policy is to start again now; counts it as done.

        Args:
            sentences: The policy's last batch.
            entropy: Of the policy, in nats a sentence.
            told: Evaluations so far, of the batch too.
        """
        return self.has_collapsed_to(len(set(sentences)) / max(len(sentences), 1), entropy, told)

    def has_collapsed_to(self, share: float, entropy: float, told: int) -> bool:
        """As `has_collapsed`, of the share of distinct sentences in the last batch."""
        looks_collapsed = min(share, entropy) < self._below and told < self._until
        self._running = self._running + 1 if looks_collapsed else 0
        if self._running < PATIENCE:
            return False
        self._running = 0
        self.restarts += 1
        return True

    def to_json(self) -> list[int]:
        """Its state."""
        return [self._running, self.restarts]

    def load_json(self, state: Sequence[int]) -> None:
        """Take over what `to_json` gave."""
        self._running, self.restarts = state
