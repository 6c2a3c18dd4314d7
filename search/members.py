"""Who lives in a population kept by length: of every length the best, at most one for each reward."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.cuttings import Indices

Array = NDArray[np.float64]
DIGITS = 9
"""Decimals to which the rewards of two sentences are equal: then they are taken to mean the same."""


class Members:
    """By length, and of each length the best first."""

    def __init__(self, niche: int) -> None:
        """Of one length so many live."""
        self._niche = niche
        self.clear()

    def clear(self) -> None:
        """Nobody lives."""
        self.rows, self.rewards = np.empty(0, np.intp), np.empty(0)
        self._lengths = np.empty(0, np.intp)
        self._starts, self._sizes = np.empty(0, np.intp), np.empty(0, np.intp)

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, count: int, rank_power: float, generator: np.random.Generator) -> Indices:
        """Rows of parents: a length that occurs, evenly, then a member of it by rank."""
        niches = (generator.random(count) * len(self._starts)).astype(np.intp)
        ranks = (generator.random(count) ** rank_power * self._sizes[niches]).astype(np.intp)
        return self.rows.take(self._starts[niches] + ranks)

    def settle(self, rewards: Array, lengths: Indices) -> tuple[Indices, Indices]:
        """Takes in some of these newcomers.

        Returns:
            Which of them, and their places in `rows`, where what stands has to be written. Members that have died have
            left `rows` already.
        """
        num_members = len(self)
        rewards, lengths = np.concatenate((self.rewards, rewards)), np.concatenate((self._lengths, lengths))
        chosen = _choose_one_each(rewards, lengths)
        chosen = chosen[np.argsort(lengths[chosen].astype(np.int16), kind="stable")]
        sizes = np.bincount(lengths[chosen])
        sizes = sizes[sizes > 0]
        ranks = np.arange(len(chosen)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        chosen = chosen[ranks < self._niche]
        self._sizes = np.minimum(sizes, self._niche)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self.rewards, self._lengths = rewards[chosen], lengths[chosen]
        is_new = chosen >= num_members
        places = np.flatnonzero(is_new)
        old, self.rows = self.rows, np.full(len(chosen), -1)
        stays = np.flatnonzero(~is_new)
        self.rows[stays] = old[chosen[stays]]
        return chosen[places] - num_members, places


def _choose_one_each(rewards: Array, lengths: Indices) -> Indices:
    """Of each rounded reward the highest, of these the shortest, of these the first; the best ones first."""
    order = np.argsort(-rewards)
    sorted_rewards = rewards[order]
    rounded = np.round(sorted_rewards, DIGITS)
    begins = np.flatnonzero(np.append(True, rounded[1:] != rounded[:-1])[: len(order)])
    # Equal ones are in any order yet.
    is_highest = sorted_rewards == np.repeat(sorted_rewards[begins], np.diff(begins, append=len(order)))
    preference = np.where(is_highest, lengths[order] * len(order) + order, np.iinfo(np.intp).max)
    best: Indices = np.minimum.reduceat(preference, begins) if len(order) else preference
    return best % max(len(order), 1)
