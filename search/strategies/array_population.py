"""A population as arrays: who lives, who is picked as a parent, and children by the thousand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dslc.automaton.variation_batch import BatchVariation, Sentences, join_sentences
from dslc.search.outcome import ORIGINS
from dslc.search.row_hash import RowHash
from dslc.search.strategies.population import EvolutionParts
from dslc.search.strategies.random_pool import RandomPool
from dslc.space import Space

SPARE = 1.5
"""Children made for each that is missing, since some cannot be made at the place drawn."""
MOST_ROUNDS = 4
"""Rounds of breeding for one batch."""
MUTATION, CROSSOVER = ORIGINS.index("mutation"), ORIGINS.index("crossover")


class ArrayPopulation:
    """What `Population` is, with the same options, for batches of hundreds: no object a sentence.

    Its children are those of `BatchVariation`: two parents always graft, whatever the option `graft`, since mixing
    them place by place goes token by token. What cannot be made at the place drawn is left out, and another child is
    made; so is, with `unseen`, what lives already.
    """

    def __init__(self, space: Space, options: EvolutionParts, generator: np.random.Generator) -> None:
        """Empty, over a space that counts no nodes; all randomness comes from the generator."""
        self._options, self._generator = options, generator
        self._variation = BatchVariation(space.lowering.automaton, space.max_tokens, generator)
        self._pool = RandomPool(space, self._variation, generator)
        self._hash = RowHash(len(space.vocabulary), space.max_tokens)
        self._num_elite = round(options.elite * options.population)
        self._told = 0
        # So as not to find their slots again; no part of the state.
        self._bred: Sentences | None = None
        self.clear()

    def __len__(self) -> int:
        return len(self._rewards)

    def median(self) -> float:
        """Of the rewards; 0 where nobody lives."""
        return float(self._rewards[len(self) // 2]) if len(self) else 0.0

    # --- who lives ----------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """All die."""
        self._members: Sentences | None = None
        """Best first."""
        self._rewards, self._born = np.empty(0), np.empty(0, np.int64)

    def add(self, tokens: NDArray[np.int16], rewards: NDArray[np.float64]) -> None:
        """Take sentences with their rewards in; those for whom there is no place any more die."""
        is_bred = self._bred is not None and self._bred.tokens is tokens
        sentences = self._bred if self._bred is not None and is_bred else self._variation.trace(tokens)
        born = np.concatenate((self._born, np.arange(self._told, self._told + len(rewards))))
        rewards = np.concatenate((self._rewards, rewards))
        self._told += len(tokens)
        if self._members is not None:
            sentences = join_sentences(self._members, sentences)
        # The young before the old where rewards are equal, so that a plateau is drifted over.
        order = np.lexsort((-born, -rewards))
        if self._options.unseen:
            order = order[self._find_first(sentences.tokens[order])]
        excess = len(order) - self._options.population
        if excess > 0:
            oldest = np.argsort(born[order[self._num_elite :]], kind="stable")[:excess]
            order = np.delete(order, self._num_elite + oldest)
        self._members = self._variation.mark_ends(sentences.take(order))
        self._rewards, self._born = rewards[order], born[order]

    def _find_first(self, tokens: NDArray[np.int16]) -> NDArray[np.intp]:
        """Rows of sentences that are in no row before them."""
        return np.sort(np.unique(self._hash.keys(tokens), return_index=True)[1])

    # --- children -----------------------------------------------------------------------------------------------------

    def breed(self, count: int, mutation: float) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """So many children [count, max_tokens], mutated with that probability, and their origins in ORIGINS."""
        children, origins = self._pick(0)._replace(ends=None), np.empty(0, np.uint8)
        for _ in range(MOST_ROUNDS):
            made, kinds = self._make(int(SPARE * (count - len(origins))) + 16, mutation)
            children, origins = join_sentences(children, made), np.concatenate((origins, kinds))
            if self._options.unseen:
                rows = self._find_unseen(children)
                children, origins = children.take(rows), origins[rows]
            if len(origins) >= count:
                break
        rows = np.arange(min(len(origins), count))
        # Where nothing can be made, parents are proposed again.
        again = self._pick(count - len(rows))._replace(ends=None)
        self._bred = join_sentences(children.take(rows), again)
        return self._bred.tokens, np.append(origins[rows], np.full(len(again.tokens), MUTATION, np.uint8))

    def _find_unseen(self, children: Sentences) -> NDArray[np.intp]:
        """Rows of those that do not live and are in no row before them."""
        assert self._members is not None, "there are parents"
        rows = self._find_first(np.concatenate((self._members.tokens, children.tokens)))
        return rows[rows >= len(self)] - len(self)

    def _make(self, count: int, mutation: float) -> tuple[Sentences, NDArray[np.uint8]]:
        """About so many children in any order; some cannot be made, so they are fewer."""
        draw = self._generator.random
        num_crossed = int((draw(count) < self._options.crossover).sum())
        crossed, _ = self._variation.graft(self._pick(num_crossed), self._pick(num_crossed))
        is_mutated = draw(len(crossed.tokens)) < mutation
        parents = join_sentences(crossed.take(is_mutated), self._pick(count - num_crossed))
        mutants, rows = self._mutate(parents)
        children = join_sentences(crossed.take(~is_mutated), mutants)
        origins = np.full(len(children.tokens), CROSSOVER, np.uint8)
        origins[len(children.tokens) - len(rows) :][rows >= is_mutated.sum()] = MUTATION
        # Shuffled, so that each way has its share of the first ones.
        order = self._generator.permutation(len(origins))
        return children.take(order), origins[order]

    def _mutate(self, parents: Sentences) -> tuple[Sentences, NDArray[np.intp]]:
        """Children of one parent each, a quarter in each of four ways, and the rows of their parents.

        A part of a random sentence in place of one's own, a part inside it in its place, another choice that leaves the
        same slots, the part inside a new choice.
        """
        variation, pool, count = self._variation, self._pool, len(parents.tokens)
        ways = [np.arange(way, count, 4) for way in range(4)]
        grown, shrunk, changed, inserted = (parents.take(rows) for rows in ways)
        # One call for two ways: what shrinks is its own donor.
        donors = join_sentences(pool.take(len(grown.tokens)), shrunk)
        made = (
            variation.graft(join_sentences(grown, shrunk), donors, shrinking=len(shrunk.tokens)),
            variation.change(changed),
            variation.insert(inserted, pool.take(len(inserted.tokens))),
        )
        is_child = np.concatenate([flags for _, flags in made])
        return join_sentences(*(children for children, _ in made)), np.concatenate(ways)[is_child]

    def _pick(self, count: int) -> Sentences:
        """The best of so many tournaments: with members in order, the least of a few numbers drawn evenly."""
        power = 1.0 / self._options.tournament
        assert self._members is not None, "there are parents"
        places = (1.0 - self._generator.random(count) ** power) * len(self)
        return self._members.take(places.astype(np.intp))

    # --- its state ----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Flat, without the generator."""
        state = {f"pool.{name}": value for name, value in self._pool.state_dict().items()}
        if self._members is not None:
            state["members"] = torch.tensor(self._members.tokens)
        state["rewards"], state["born"] = torch.tensor(self._rewards), torch.tensor(self._born)
        state["told"] = self._told
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        prefix = "pool."
        self._pool.load_state_dict({key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)})
        self.clear()
        if "members" in state:
            self._members = self._variation.mark_ends(self._variation.trace(state["members"].numpy()))
        self._rewards, self._born = state["rewards"].numpy().copy(), state["born"].numpy().copy()
        self._told = state["told"]
