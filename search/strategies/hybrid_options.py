"""Options of the strategy `hybrid`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dslc.diagnostics import DslcError
from dslc.search.strategies.policy_options import PolicyOptions, check_policy, check_values
from dslc.search.strategies.population import check_evolution


@dataclass(frozen=True, slots=True)
class HybridOptions(PolicyOptions):
    """Options of `hybrid`; with preset `dso` the defaults are those of `by_preset`."""

    by_preset: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "dso": {
            "generations": 20,
            "reseed": 1,
            "epsilon": 0.05,
            "passes": 1,
            "entropy_weight": 0.005,
            "queue_weight": 0.0,
            "population": 1000,
            "elite": 0.1,
            "crossover": 0.5,
        }
    }
    """Presets whose defaults differ. Sources: dso (epsilon, entropy_weight), mundhenk2021 (a policy's batch founds each
    population, for some 20 generations); elite and mutation measured, see docs/decisions."""
    generations: int = 1
    """Batches of children after each batch of the policy."""
    reseed: int = 0
    """1: the policy's batch takes the place of the whole population, as in mundhenk2021; 0: it joins it."""
    epsilon: float = 1.0
    """Share of the policy's batch that teaches; 1: all of it, measured against its mean. 0.05 in dso."""
    passes: int = 2
    """Updates a batch of the policy, with ratios clipped at CLIP."""
    entropy_weight: float = 0.15
    """Times the summed entropy of a sequence, nats, at the start; falls linearly to 0 over the evaluations."""
    queue_weight: float = 0.2
    """Times the loss of the priority queue, which children enter too."""
    queue_size: int = 10
    """Best distinct sequences kept. Source: abolafia2018."""
    population: int = 20
    """Sentences that live."""
    elite: float = 0.5
    """Share of the population that are the best so far, whatever their age."""
    tournament: int = 5
    """Members drawn for each parent, of whom the best is it."""
    crossover: float = 1.0
    """Probability that a child has two parents."""
    graft: float = 0.1
    """Share of crossovers that put a part of one parent into the other, in place of mixing them place by place; of
    arrays all do."""
    mutation: float = 1.0
    """Probability that a child of two parents is mutated, at the start; falls linearly to 0 over the evaluations."""
    unseen: int = 0
    """1: a child that lives already is mutated until it does not, a few times at most."""

    def __post_init__(self) -> None:
        allowed = {
            "generations": (self.generations >= 0, "give 0 or more"),
            "reseed": (self.reseed in (0, 1), "give 0 or 1"),
            "epsilon": (0 < self.epsilon <= 1, "give a number above 0, to 1"),
            "passes": (self.passes >= 1, "give 1 or more"),
            "entropy_weight": (self.entropy_weight >= 0, "give 0 or more"),
            "queue_weight": (self.queue_weight >= 0, "give 0 or more"),
            "queue_size": (self.queue_size >= 1, "give 1 or more"),
        }
        problems = check_policy(self, "hybrid") + check_values(self, "hybrid", allowed)
        problems += check_evolution(self, "hybrid")
        if problems:
            raise DslcError(problems)
