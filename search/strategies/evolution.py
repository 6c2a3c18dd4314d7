"""Regularised evolution of sentences: parents by tournament, typed crossover and mutation, death by age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from dslc.diagnostics import DslcError
from dslc.search.outcome import Candidate
from dslc.search.strategies.learner import derive_seed
from dslc.search.strategies.population import Population, check_evolution
from dslc.search.strategies.random_state import random_from_json, random_to_json
from dslc.search.strategies.schedule import linear_to_zero
from dslc.space import Space


@dataclass(frozen=True, slots=True)
class EvolutionOptions:
    """Options of `evolution`."""

    population: int = 20
    """Sentences that live; so many are drawn at random first."""
    elite: float = 0.5
    """Share of the population that are the best so far, whatever their age; 0 in real2019."""
    tournament: int = 5
    """Members drawn for each parent, of whom the best is it."""
    crossover: float = 1.0
    """Probability that a child has two parents; 0 in real2019."""
    graft: float = 0.1
    """Share of crossovers that put a part of one parent into the other, in place of mixing them place by place."""
    mutation: float = 1.0
    """Probability that a child of two parents is mutated, at the start; falls linearly to 0 over the evaluations. The
    child of one parent always is."""
    unseen: int = 0
    """1: a child that lives already is mutated until it does not, a few times at most."""

    def __post_init__(self) -> None:
        problems = check_evolution(self, "evolution")
        if problems:
            raise DslcError(problems)


class Evolution:
    """Children of the best of random few take the place of the oldest.

    child = mutate(cross(a, b)), a and b each the best of `tournament` members drawn evenly, mutated with probability
    `mutation`(t). What a child is made of are parts of the same slot, so every child is a sentence within the budget;
    see `dslc.automaton.variation`.

    Sources:
        real2019 (tournament, death by age); koza1992 and poli1998 (crossover of trees).
    """

    name = "evolution"
    figures = ("members", "median", "mutation")
    options_type = EvolutionOptions

    def __init__(
        self,
        space: Space,
        *,
        evaluations: int,
        batch: int,  # noqa: ARG002
        seed: int,
        device: str,  # noqa: ARG002
        options: EvolutionOptions,
    ) -> None:
        self._options = options
        self._random = Random(derive_seed(seed, "variation"))
        self._population = Population(space, options, self._random)
        self._evaluations, self._told = evaluations, 0

    def ask(self, count: int) -> list[Candidate]:
        """Random sentences until the population is full, then children."""
        missing = max(0, self._options.population - self._told)
        drawn = min(count, missing) if len(self._population) else count
        first = [Candidate(self._population.variation.sample()) for _ in range(drawn)]
        return first + self._population.breed(count - drawn, self._mutation())

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """The young come in, the old die; returns members, the median of their rewards and the probability used."""
        mutation = self._mutation()
        self._population.add((candidate.tokens, reward) for candidate, reward in results)
        self._told += len(results)
        return {"members": float(len(self._population)), "median": self._population.median(), "mutation": mutation}

    def _mutation(self) -> float:
        return linear_to_zero(self._options.mutation, self._told, self._evaluations)

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {"random": random_to_json(self._random), "members": self._population.to_json(), "told": self._told}

    def load_state_dict(self, state: Any) -> None:
        """See `Strategy`."""
        random_from_json(self._random, state["random"])
        self._population.load_json(state["members"])
        self._told = state["told"]


STRATEGY = Evolution
