"""A population as arrays: who lives, who is picked as a parent, and children by the thousand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dslc.automaton.cuttings import Cuttings, Indices, join_cuttings
from dslc.automaton.variation_batch import BatchVariation, Sentences, join_sentences
from dslc.search.breeder import CROSSOVER, MUTATION, POOL, POOL_USES, draw_even
from dslc.search.row_hash import RowHash
from dslc.search.strategies.population import EvolutionParts
from dslc.space import Space

SPARE = 1.75
"""Children planned for each that is missing, since some cannot be made at the place drawn."""
MOST_ROUNDS = 4
"""Rounds of breeding for one batch."""


class ArrayPopulation:
    """What `Population` is, with the same options, for batches of hundreds: no object a sentence.

    Its children are those of `BatchVariation`: two parents always graft, whatever the option `graft`, since mixing
    them place by place goes token by token. What cannot be made at the place drawn is left out, and another child is
    made; so is, with `unseen`, what lives already.

    In the stock that children are cut from stand the pool, the members, best first, and children that are mutated.
    """

    def __init__(self, space: Space, options: EvolutionParts, generator: np.random.Generator) -> None:
        """Empty, over a space that counts no nodes; all randomness comes from the generator."""
        self._space, self._options, self._generator = space, options, generator
        self._variation = BatchVariation(space.lowering.automaton, space.max_tokens, generator)
        self._hash = RowHash(len(space.vocabulary), space.max_tokens)
        self._num_elite = round(options.elite * options.population)
        self._stock = self._variation.begin_stock(POOL + options.population)
        self._first_pooled = self._variation.first_row
        self._first_member = self._first_pooled + POOL
        self._first_mutated = self._first_member + options.population
        self._pool_uses: float | None = None
        """How often a sentence of the pool was used, on average; None: none is drawn yet."""
        self._told = 0
        self._bred: Sentences | None = None
        """So as not to find their slots again; no part of the state."""
        self.clear()

    def __len__(self) -> int:
        return len(self._rewards)

    def median(self) -> float:
        """Of the rewards; 0 where nobody lives."""
        return float(self._rewards[len(self) // 2]) if len(self) else 0.0

    # --- who lives ----------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """All die."""
        self._rewards, self._born = np.empty(0), np.empty(0, np.int64)

    def add(self, tokens: NDArray[np.int16], rewards: NDArray[np.float64]) -> None:
        """Take sentences with their rewards in; those for whom there is no place any more die."""
        is_bred = self._bred is not None and self._bred.tokens is tokens
        sentences = self._bred if self._bred is not None and is_bred else self._variation.trace(tokens)
        sentences = join_sentences(self._members(), sentences)
        born = np.concatenate((self._born, np.arange(self._told, self._told + len(rewards))))
        rewards = np.concatenate((self._rewards, rewards))
        self._told += len(tokens)
        # The young before the old where rewards are equal, so that a plateau is drifted over. Members stand so already,
        # and all that are told now are younger.
        young_first = np.concatenate((np.arange(len(rewards) - 1, len(self) - 1, -1), np.arange(len(self))))
        order = young_first.take(np.argsort(-rewards.take(young_first), kind="stable"))
        if self._options.unseen:
            order = order[self._find_first(sentences.tokens[order])]
        excess = len(order) - self._options.population
        if excess > 0:
            oldest = np.argpartition(born[order[self._num_elite :]], excess - 1)[:excess]
            order = np.delete(order, self._num_elite + oldest)
        self._put(self._first_member, sentences.take(order))
        self._rewards, self._born = rewards[order], born[order]

    def _members(self) -> Sentences:
        rows = slice(self._first_member, self._first_member + len(self))
        return Sentences(self._stock.tokens[rows], self._stock.slots[rows])

    def _put(self, first: int, sentences: Sentences) -> Indices:
        """Rows of the stock from the first, in which these stand now."""
        end = first + len(sentences.tokens)
        if end > len(self._stock.lengths):
            self._stock.grow(end)
        self._variation.fill_stock(self._stock, slice(first, end), sentences)
        return np.arange(first, end)

    def _find_first(self, tokens: NDArray[np.int16]) -> Indices:
        """Rows of sentences that are in no row before them."""
        return np.sort(np.unique(self._hash.keys(tokens), return_index=True)[1])

    # --- children -----------------------------------------------------------------------------------------------------

    def breed(self, count: int, mutation: float) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """So many children [count, max_tokens], mutated with that probability, and their origins in ORIGINS."""
        children, origins = self._members().take(np.arange(0)), np.empty(0, np.uint8)
        for _ in range(MOST_ROUNDS):
            missing = count - len(origins)
            plan, kinds = self._plan(int(SPARE * missing) + 16, mutation)
            if not self._options.unseen:  # all will do
                plan, kinds = plan.take(np.arange(min(missing, len(kinds)))), kinds[:missing]
            children = join_sentences(children, self._variation.write(self._stock, plan))
            origins = np.concatenate((origins, kinds))
            if self._options.unseen:
                rows = self._find_first(np.concatenate((self._members().tokens, children.tokens)))
                rows = rows[rows >= len(self)][:count] - len(self)
                children, origins = children.take(rows), origins[rows]
            if len(origins) == count:
                break
        # Where nothing can be made, parents are proposed again.
        again = self._members().take(self._pick(count - len(origins)) - self._first_member)
        self._bred = join_sentences(children, again)
        return self._bred.tokens, np.append(origins, np.full(len(again.tokens), MUTATION, np.uint8))

    def _plan(self, count: int, mutation: float) -> tuple[Cuttings, NDArray[np.uint8]]:
        """About so many children in any order, and their origins; some cannot be made, so they are fewer."""
        draw, variation, stock = self._generator.random, self._variation, self._stock
        num_crossed = int((draw(count) < self._options.crossover).sum())
        crossed, _ = variation.plan_graft(stock, self._pick(num_crossed), self._pick(num_crossed))
        is_mutated = draw(crossed.rows.shape[1]) < mutation
        mutated = variation.write(stock, crossed.take(np.flatnonzero(is_mutated)))
        parents = np.concatenate((self._put(self._first_mutated, mutated), self._pick(count - num_crossed)))
        mutants, places = self._mutate(parents)
        children = join_cuttings(crossed.take(np.flatnonzero(~is_mutated)), mutants)
        origins = np.full(children.rows.shape[1], CROSSOVER, np.uint8)
        origins[len(origins) - len(places) :][places >= len(mutated.tokens)] = MUTATION
        # Shuffled, so that each way has its share of the first ones.
        order = self._generator.permutation(len(origins))
        return children.take(order), origins[order]

    def _mutate(self, parents: Indices) -> tuple[Cuttings, Indices]:
        """Children of one parent each, a quarter in each of four ways, and the places of their parents.

        A part of a random sentence in place of one's own, a part inside it in its place, another choice that leaves the
        same slots, the part inside a new choice.
        """
        variation, stock = self._variation, self._stock
        ways = [np.arange(way, len(parents), 4) for way in range(4)]
        grown, shrunk, changed, inserted = (parents[places] for places in ways)
        random = self._draw_pool(len(grown) + len(inserted))
        # One call for two ways: what shrinks is its own donor.
        donors = np.concatenate((random[: len(grown)], shrunk))
        made = (
            variation.plan_graft(stock, np.concatenate((grown, shrunk)), donors, shrinking=len(shrunk)),
            variation.plan_change(stock, changed),
            variation.plan_insert(stock, inserted, random[len(grown) :]),
        )
        is_child = np.concatenate([flags for _, flags in made])
        return join_cuttings(*(children for children, _ in made)), np.concatenate(ways)[is_child]

    def _pick(self, count: int) -> Indices:
        """The best of so many tournaments: with members in order, the least of a few numbers drawn evenly."""
        power = 1.0 / self._options.tournament
        places = (1.0 - self._generator.random(count) ** power) * len(self)
        return self._first_member + places.astype(np.intp)

    def _draw_pool(self, count: int) -> Indices:
        """Random sentences, lengths evenly."""
        if self._pool_uses is None or self._pool_uses > POOL_USES:
            self._put(self._first_pooled, draw_even(self._space, self._variation, POOL))
            self._pool_uses = 0.0
        self._pool_uses += count / POOL
        return self._first_pooled + self._generator.integers(POOL, size=count)

    # --- its state ----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Flat, without the generator."""
        state = {
            "members": torch.tensor(self._members().tokens),
            "rewards": torch.tensor(self._rewards),
            "born": torch.tensor(self._born),
            "told": self._told,
            "pool_uses": self._pool_uses,
        }
        if self._pool_uses is not None:
            state["pool"] = torch.tensor(self._stock.tokens[self._first_pooled : self._first_member])
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self._rewards, self._born = state["rewards"].numpy().copy(), state["born"].numpy().copy()
        self._told, self._pool_uses = state["told"], state["pool_uses"]
        self._put(self._first_member, self._variation.trace(state["members"].numpy()))
        if "pool" in state:
            self._put(self._first_pooled, self._variation.trace(state["pool"].numpy()))
