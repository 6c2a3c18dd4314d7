"""Children of a population, made as arrays: who the parents are, what is cut from them, which of it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dslc.automaton.cuttings import Cuttings, Indices, join_cuttings
from dslc.automaton.variation_batch import BatchVariation, Sentences
from dslc.search.members import Members
from dslc.search.outcome import ORIGINS
from dslc.search.row_hash import RowHash
from dslc.space import Space

POOL = 4096
"""Sentences drawn at random at a time, of which parts are donors of mutations."""
POOL_USES = 8
"""Times that a sentence of the pool is used on average before the pool is drawn anew."""
MUTATION, CROSSOVER = ORIGINS.index("mutation"), ORIGINS.index("crossover")


class Plan(NamedTuple):
    """Children that are not written yet, in any order."""

    children: Cuttings
    origins: NDArray[np.uint8]
    """[child] MUTATION or CROSSOVER."""
    keys: NDArray[np.uint64]
    """[child] as `RowHash` has them."""


class Breeder:
    """Keeps members and random sentences in a stock and breeds from them.

    In the stock two pools of random sentences stand before the members, so that children of the one before can still
    be written when a new one has been drawn.
    """

    def __init__(
        self,
        variation: BatchVariation,
        row_hash: RowHash,
        ways: NDArray[np.float64],
        niche: int,
        rank_power: float,
        draw_random: Callable[[int], Sentences],
    ) -> None:
        """Nobody lives.

        Args:
            variation: Of the space.
            row_hash: Of its sentences.
            ways: Shares of crossover, growth, shrinking, change and insertion.
            niche: Sentences of one length that live.
            rank_power: See `Members.draw`.
            draw_random: Gives so many random sentences.
        """
        self._variation, self._generator, self._hash = variation, variation.generator, row_hash
        self._ways, self._rank_power, self._draw_random = ways, rank_power, draw_random
        self.members = Members(niche)
        self._first_member = variation.first_row + 2 * POOL
        self._stock = variation.begin_stock(2 * POOL + min(niche * variation.budget, POOL))
        self._beginnings = row_hash.beginnings(self._stock.tokens)
        self._pool_row = self._first_member
        """First row of the pool; there is none yet."""
        self.pool_uses = 0.0
        """How often a sentence of the pool was used, on average."""

    # --- who is there -------------------------------------------------------------------------------------------------

    def draw_parents(self, count: int) -> Indices:
        """Rows of members, see `Members.draw`."""
        return self.members.draw(count, self._rank_power, self._generator)

    def draw_pool(self, count: int) -> Indices:
        """Rows of random sentences."""
        if self._pool_row == self._first_member or self.pool_uses > POOL_USES:
            self._put_pool(self._draw_random(POOL))
            self.pool_uses = 0.0
        self.pool_uses += count / POOL
        return self._pool_row + self._generator.integers(POOL, size=count)

    def _put_pool(self, sentences: Sentences) -> None:
        first = self._variation.first_row
        self._pool_row = first if self._pool_row != first else first + POOL
        self._put(np.arange(self._pool_row, self._pool_row + POOL), sentences)

    def sentences(self, rows: Indices) -> Sentences:
        """What stands in rows of the stock."""
        return Sentences(self._stock.tokens.take(rows, 0), self._stock.slots.take(rows, 0))

    def _put(self, rows: Indices, sentences: Sentences) -> None:
        self._variation.fill_stock(self._stock, rows, sentences)
        self._beginnings[rows] = self._hash.beginnings(sentences.tokens)

    def settle(self, sentences: Sentences, rewards: NDArray[np.float64]) -> None:
        """Takes those in that can live: of each reward the shortest, of each length the best."""
        candidates = np.flatnonzero(rewards > rewards.min(initial=0.0))
        self._take_in(sentences.take(candidates), rewards.take(candidates))

    def _take_in(self, sentences: Sentences, rewards: NDArray[np.float64]) -> None:
        chosen, places = self.members.settle(rewards, sentences.lengths())
        rows = self._find_room(len(chosen))
        self.members.rows[places] = rows
        self._put(rows, sentences.take(chosen))

    def _find_room(self, count: int) -> Indices:
        """Rows where nobody lives; the stock grows where there are too few."""
        first, rows = self._first_member, len(self._stock.lengths)
        if len(self.members) > rows - first:
            rows = first + 2 * len(self.members)
            self._stock.grow(rows)
            more = np.zeros((rows - len(self._beginnings), self._beginnings.shape[1]), np.uint64)
            self._beginnings = np.concatenate((self._beginnings, more))
        is_free = np.ones(rows - first, bool)
        is_free[self.members.rows[self.members.rows >= 0] - first] = False
        return first + np.flatnonzero(is_free)[:count]

    # --- children -----------------------------------------------------------------------------------------------------

    def plan(self, count: int) -> Plan:
        """About so many children; some do not fit, so they are fewer."""
        bounds = np.floor(np.cumsum(self._ways) * count + self._generator.random()).astype(np.intp).tolist()
        crossed, grown, shrunk, changed, inserted = (end - begin for begin, end in pairwise([0, *bounds]))
        variation, stock = self._variation, self._stock
        # Few calls for many: a parent grows with a part of a random sentence, and shrinks with one of its own.
        parents = self.draw_parents(crossed + grown + shrunk)
        donors = np.concatenate((self.draw_parents(crossed), self.draw_pool(grown), parents[crossed + grown :]))
        grafted, is_child = variation.plan_graft(stock, parents, donors, shrinking=shrunk)
        changes, _ = variation.plan_change(stock, self.draw_parents(changed))
        insertions, _ = variation.plan_insert(stock, self.draw_parents(inserted), self.draw_pool(inserted))
        children = join_cuttings(grafted, changes, insertions)
        origins = np.full(children.rows.shape[1], MUTATION, np.uint8)
        origins[: int(is_child[:crossed].sum())] = CROSSOVER
        # Shuffled, so that each way has its share of the first ones.
        order = self._generator.permutation(len(origins))
        children = children.take(order)
        return Plan(children, origins[order], self._hash.keys_of_children(self._beginnings, children))

    def write(self, children: Cuttings) -> Sentences:
        """Planned children, as long as nobody has settled since."""
        return self._variation.write(self._stock, children)

    # --- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Members and the pool; how often that was used is a number of its own."""
        members = self.sentences(self.members.rows)
        state: dict[str, Any] = {
            "members": torch.tensor(np.stack((members.tokens, members.slots))),
            "rewards": torch.tensor(self.members.rewards),
        }
        if self._pool_row < self._first_member:
            pool = self.sentences(np.arange(self._pool_row, self._pool_row + POOL))
            state["pool"] = torch.tensor(np.stack((pool.tokens, pool.slots)))
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.members.clear()
        self._take_in(Sentences(*state["members"].numpy()), state["rewards"].numpy())
        if "pool" in state:
            self._put_pool(Sentences(*state["pool"].numpy()))


def draw_even(space: Space, variation: BatchVariation, count: int) -> Sentences:
    """Random sentences of a space, lengths evenly, by the variation's generator."""
    seed = int(variation.generator.integers(1 << 62))
    if not space.batch_sampler.has_tables:
        return variation.trace(space.sample_tokens(count, seed=seed, lengths="even"))
    return space.batch_sampler.sample_sentences(count, np.random.default_rng(seed), "even")
