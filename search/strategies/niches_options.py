"""Options of the strategy `niches`."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.diagnostics import DslcError
from dslc.search.strategies.policy_options import PolicyOptions, check_policy, check_values


@dataclass(frozen=True, slots=True)
class NichesOptions(PolicyOptions):
    """Options of `niches`."""

    preset: str = "dso"
    """Controller: one of `dslc.controller.PRESETS`."""
    generations: int = 9
    """Batches of children after each batch of the policy."""
    has_policy: int = 1
    """0: children and random sentences only."""
    epsilon: float = 0.05
    """Share of the policy's batch that teaches. Source: dso."""
    entropy_weight: float = 0.005
    """Times the summed entropy of a sequence, nats. Source: dso."""
    niche: int = 40
    """Sentences of one length that live."""
    rank_power: float = 1.0
    """A parent is the member of rank niche * u ** rank_power of its length, u even in [0, 1): 1 makes all alike."""
    fresh: float = 0.05
    """Share of a batch that is drawn at random, lengths evenly."""
    crossover: float = 4.0
    """Weights of the five ways to make a child: a part of another parent in place of one's own,"""
    growth: float = 3.0
    """a part of a random sentence in its place,"""
    shrinking: float = 1.0
    """a part inside it in its place,"""
    change: float = 1.0
    """another choice that leaves the same slots,"""
    insertion: float = 2.0
    """the part inside a new choice."""
    aimed: float = 0.15
    """Parents of aimed children a batch, as a share of it, where the task says what it wants of a program's values."""
    aim_every: int = 2
    """One of so many batches has aimed children."""
    completed: int = 8
    """Parents a batch of which a place is completed exactly, where two known parts can do that."""
    lifetime: int = 15000
    """Evaluations after which the population dies, times 1, 1, 2, 1, 1, 2, 4, … (luby1993); 0: never."""

    def __post_init__(self) -> None:
        allowed = {
            "generations": (self.generations >= 0, "give 0 or more"),
            "has_policy": (self.has_policy in (0, 1), "give 0 or 1"),
            "epsilon": (0 < self.epsilon <= 1, "give a number above 0, to 1"),
            "entropy_weight": (self.entropy_weight >= 0, "give 0 or more"),
            "niche": (self.niche >= 1, "give 1 or more"),
            "rank_power": (self.rank_power > 0, "give a number above 0"),
            "fresh": (0 <= self.fresh <= 1, "give a number from 0 to 1"),
            "aimed": (0 <= self.aimed <= 1, "give a number from 0 to 1"),
            "aim_every": (self.aim_every >= 1, "give 1 or more"),
            "completed": (self.completed >= 1, "give 1 or more"),
            "lifetime": (self.lifetime >= 0, "give 0 or more"),
            **{name: (getattr(self, name) >= 0, "give 0 or more") for name in WAYS},
        }
        problems = check_policy(self, "niches") + check_values(self, "niches", allowed)
        if problems:
            raise DslcError(problems)


WAYS = ("crossover", "growth", "shrinking", "change", "insertion")
"""Options with the weights of the ways to make a child."""
