"""A policy and a population: the policy seeds evolution, evolution's best teach the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dslc.search.outcome import ORIGINS, Candidate
from dslc.search.row_hash import RowHash
from dslc.search.rows import pad_rows, unpad_rows
from dslc.search.strategies.array_population import ArrayPopulation
from dslc.search.strategies.hybrid_lessons import HybridLessons
from dslc.search.strategies.hybrid_options import HybridOptions
from dslc.search.strategies.learner import derive_seed
from dslc.search.strategies.population import Population
from dslc.search.strategies.random_state import random_from_json, random_to_json
from dslc.search.strategies.schedule import linear_to_zero
from dslc.space import Space

POLICY = ORIGINS.index("policy")


class Hybrid:
    """A batch of the policy, `generations` batches of children, and again; how the policy learns is said at
    `HybridLessons`.

    A search asks for objects (`ask`, `tell`) or, where populations are scored at once, for arrays (`ask_tokens`,
    `tell_rewards`), never for both: children are then made by the thousand, see `ArrayPopulation`. In a space that
    counts nodes each child has to be walked, so arrays are filled with objects.

    Sources:
        mundhenk2021 (a policy seeds genetic programming, whose best teach it); petersen2021; abolafia2018.
    """

    name = "hybrid"
    figures = ("loss", "entropy", "members", "median", "restarts")
    options_type = HybridOptions

    def __init__(
        self, space: Space, *, evaluations: int, batch: int, seed: int, device: str, options: HybridOptions
    ) -> None:
        self._space, self._options, self._evaluations = space, options, evaluations
        self._lessons = HybridLessons(space, options, evaluations, batch, seed, device)
        self._random = Random(derive_seed(seed, "variation"))
        self._generator = np.random.default_rng(derive_seed(seed, "variation"))
        self._population: Population | ArrayPopulation | None = None
        self._told, self._batches = 0, 0
        self._asked: tuple[NDArray[np.int16], NDArray[np.uint8]] | None = None
        """Tokens and origins that were asked for as arrays."""
        self._pad = len(space.vocabulary)
        self._hash = RowHash(self._pad, space.max_tokens)

    # --- objects ------------------------------------------------------------------------------------------------------

    def ask(self, count: int) -> list[Candidate]:
        """Samples of the policy or children, whosever turn it is."""
        population = self._objects()
        if self._is_policys_turn(len(population)):
            return self._lessons.learner.sample(count)
        return population.breed(count, self._mutation())

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """An update after a batch of the policy; returns the figures of the last one and of the population."""
        if not results:
            return {}
        lessons, population = self._lessons, self._objects()
        pairs = [(candidate.tokens, reward) for candidate, reward in results]
        lessons.queue.push(pairs)
        if results[0][0].origin == "policy":
            batch = [tokens for tokens, _ in pairs]
            record = partial(lessons.learner.record_some, batch)
            lessons.learn([reward for _, reward in pairs], record, len(set(batch)) / len(batch), self._told)
            if self._options.reseed:
                population.clear()
        else:
            lessons.teachers.push(pairs)
        population.add(pairs)
        return self._count(len(results), population)

    # --- arrays -------------------------------------------------------------------------------------------------------

    def ask_tokens(self, count: int) -> NDArray[np.int16]:
        """As `ask`, as an array [count, time], filled up with V behind the ends."""
        if self._needs_objects:
            candidates = self.ask(count)
            tokens = pad_rows([candidate.tokens for candidate in candidates], self._pad).astype(np.int16)
            origins = np.array([ORIGINS.index(candidate.origin) for candidate in candidates], np.uint8)
        elif self._is_policys_turn(len(self._arrays())):
            tokens, origins = self._lessons.learner.sample_tokens(count), np.full(count, POLICY, np.uint8)
        else:
            tokens, origins = self._arrays().breed(count, self._mutation())
        self._asked = tokens, origins
        return tokens

    def origins(self) -> NDArray[np.uint8]:
        """Origin of each sentence of the last `ask_tokens`, as its place in ORIGINS."""
        assert self._asked is not None, "asked before"
        return self._asked[1]

    def tell_rewards(self, rewards: NDArray[np.float64]) -> dict[str, float]:
        """As `tell`, the rewards of the last `ask_tokens`, in its order."""
        assert self._asked is not None, "asked before told"
        (tokens, origins), self._asked = self._asked, None
        if self._needs_objects:
            sentences, names = unpad_rows(tokens, self._pad), [ORIGINS[origin] for origin in origins]
            candidates = [Candidate(*each) for each in zip(sentences, [None] * len(names), names, strict=True)]
            return self.tell(list(zip(candidates, rewards.tolist(), strict=True)))
        lessons, population = self._lessons, self._arrays()
        lessons.queue.push_rows(tokens, rewards, self._pad)
        if origins[0] == POLICY:
            record = partial(lessons.learner.record_rows, tokens)
            distinct = self._hash.count_distinct(tokens) / len(tokens)
            lessons.learn(rewards.tolist(), record, distinct, self._told)
            if self._options.reseed:
                population.clear()
        else:
            lessons.teachers.push_rows(tokens, rewards, self._pad)
        population.add(tokens, rewards)
        return self._count(len(rewards), population)

    # --- both ---------------------------------------------------------------------------------------------------------

    @property
    def _needs_objects(self) -> bool:
        """Whether arrays are filled with objects: where counters look at whole sentences, or there is but one."""
        automaton = self._space.lowering.automaton
        return automaton.registers is not None or automaton.num_slots == 0

    def _objects(self) -> Population:
        if self._population is None:
            self._population = Population(self._space, self._options, self._random)
        assert isinstance(self._population, Population), "a search asks for objects or for arrays"
        return self._population

    def _arrays(self) -> ArrayPopulation:
        if self._population is None:
            self._population = ArrayPopulation(self._space, self._options, self._generator)
        assert isinstance(self._population, ArrayPopulation), "a search asks for objects or for arrays"
        return self._population

    def _is_policys_turn(self, members: int) -> bool:
        return self._batches % (self._options.generations + 1) == 0 or members < 2

    def _mutation(self) -> float:
        return linear_to_zero(self._options.mutation, self._told, self._evaluations)

    def _count(self, told: int, population: Population | ArrayPopulation) -> dict[str, float]:
        self._told += told
        self._batches += 1
        return {
            **self._lessons.figures,
            "members": float(len(population)),
            "median": population.median(),
            "restarts": float(self._lessons.watch.restarts),
        }

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        state = {**self._lessons.state_dict(), "told": [self._told, self._batches]}
        state["random"] = random_to_json(self._random)
        state["array_random"] = self._generator.bit_generator.state
        if isinstance(self._population, Population):
            state["members"] = self._population.to_json()
        elif self._population is not None:
            state |= {f"arrays.{name}": value for name, value in self._population.state_dict().items()}
        if self._asked is not None:
            state["asked"], state["origins"] = (torch.tensor(part) for part in self._asked)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        self._lessons.load_state_dict(state)
        self._told, self._batches = state["told"]
        random_from_json(self._random, state["random"])
        self._generator.bit_generator.state = state["array_random"]
        self._population = None
        arrays = {key.removeprefix("arrays."): state[key] for key in state if key.startswith("arrays.")}
        if "members" in state:
            self._objects().load_json(state["members"])
        elif arrays:
            self._arrays().load_state_dict(arrays)
        self._asked = None
        if "asked" in state:
            self._asked = state["asked"].numpy().copy(), state["origins"].numpy().copy()


STRATEGY = Hybrid
