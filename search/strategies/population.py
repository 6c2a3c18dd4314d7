"""A population of sentences: who lives, who is picked as a parent, and what children are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from dslc.automaton.variation import Parent, Variation
from dslc.diagnostics import Diagnostic
from dslc.search.outcome import Candidate
from dslc.search.strategies.policy_options import check_values
from dslc.space import Space


@dataclass(slots=True)
class Member:
    """One sentence that lives."""

    tokens: tuple[int, ...]
    reward: float
    born: int
    """Number of its telling."""
    parent: Parent | None = None
    """Walked, once it is picked."""


class EvolutionParts(Protocol):
    """What the options of a strategy that evolves have; see `EvolutionOptions`."""

    @property
    def population(self) -> int:
        """Sentences that live."""

    @property
    def elite(self) -> float:
        """Share of the population that are the best, whatever their age."""

    @property
    def tournament(self) -> int:
        """Members drawn for each parent, of whom the best is it."""

    @property
    def crossover(self) -> float:
        """Probability that a child has two parents."""

    @property
    def graft(self) -> float:
        """Share of crossovers that put a part of one parent into the other, in place of mixing them place by place."""

    @property
    def mutation(self) -> float:
        """Probability that a child of two parents is mutated; that of one always is."""

    @property
    def unseen(self) -> int:
        """1: a child that lives already is mutated until it does not, MOST_MUTATIONS times at most."""


MOST_MUTATIONS = 4
"""Mutations of a child that lives already."""


def check_evolution(options: EvolutionParts, strategy: str) -> list[Diagnostic]:
    """What is wrong with the values, whatever the space."""
    share = "give a number from 0 to 1"
    return check_values(
        options,
        strategy,
        {
            "population": (options.population >= 2, "give 2 or more"),
            "elite": (0 <= options.elite <= 1, share),
            "tournament": (options.tournament >= 1, "give 1 or more"),
            "crossover": (0 <= options.crossover <= 1, share),
            "graft": (0 <= options.graft <= 1, share),
            "mutation": (0 <= options.mutation <= 1, share),
            "unseen": (options.unseen in (0, 1), "give 0 or 1"),
        },
    )


class Population:
    """At most `population` distinct sentences, best first; a sentence told again is young again.

    The share `elite` are the best so far. The others are the youngest: a sentence dies of age, not of a reward that
    was unlucky once (real2019).
    """

    def __init__(self, space: Space, options: EvolutionParts, random: Random) -> None:
        self._options, self._random = options, random
        self.variation = Variation(space.exact_counts(), random)
        self._members: list[Member] = []
        self._living: dict[tuple[int, ...], Member] = {}
        self._num_elite = round(options.elite * options.population)
        self._told = 0
        # So as not to walk them again; no part of the state.
        self._bred: dict[tuple[int, ...], Parent] = {}

    def __len__(self) -> int:
        return len(self._members)

    def add(self, results: Iterable[tuple[tuple[int, ...], float]]) -> None:
        """Take sentences with their rewards in; those for whom there is no place any more die."""
        members = self._members
        for tokens, reward in results:
            self._told += 1
            member = self._living.get(tokens) if self._options.unseen else None
            if member is not None:
                member.born = self._told
            else:
                member = self._living[tokens] = Member(tokens, reward, self._told, self._bred.get(tokens))
                members.append(member)
        # The young before the old where rewards are equal, so that a plateau is drifted over.
        members.sort(key=_by_reward_and_youth)
        excess = len(members) - self._options.population
        if excess > 0:
            others = sorted(members[self._num_elite :], key=_by_youth)
            members[self._num_elite :] = sorted(others[:-excess], key=_by_reward_and_youth)
            self._living = {member.tokens: member for member in members}

    def median(self) -> float:
        """Of the rewards; 0 where nobody lives."""
        return self._members[len(self._members) // 2].reward if self._members else 0.0

    def clear(self) -> None:
        """All die."""
        self._members, self._living = [], {}

    def breed(self, count: int, mutation: float) -> list[Candidate]:
        """So many children, mutated with that probability."""
        options, draw, variation, living = self._options, self._random.random, self.variation, self._living
        self._bred = {}
        children = []
        for one, other in zip(self._pick(count), self._pick(count), strict=True):
            child, origin, is_mutated = one, "mutation", True
            if draw() < options.crossover:
                origin = "crossover"
                child = variation.graft(one, other) if draw() < options.graft else variation.cross(one, other)
                is_mutated = draw() < mutation
            if is_mutated:
                child = variation.mutate(child)
            if options.unseen:
                for _ in range(MOST_MUTATIONS):
                    if child.tokens not in living and child.tokens not in self._bred:
                        break
                    child = variation.mutate(child)
            self._bred[child.tokens] = child
            children.append(Candidate(child.tokens, None, origin))
        return children

    def _pick(self, count: int) -> list[Parent]:
        """The best of so many tournaments: with members in order, the least of a few numbers drawn evenly."""
        members, draw, size = self._members, self._random.random, len(self._members)
        power = 1.0 / self._options.tournament
        parents = []
        for _ in range(count):
            member = members[int((1.0 - draw() ** power) * size)]
            if member.parent is None:
                member.parent = self.variation.trace(member.tokens)
            parents.append(member.parent)
        return parents

    def to_json(self) -> list[object]:
        """Its state, without the generator."""
        return [self._told, [[member.reward, member.born, list(member.tokens)] for member in self._members]]

    def load_json(self, state: Sequence[object]) -> None:
        """Take over what `to_json` gave."""
        told, members = state
        assert isinstance(told, int)
        assert isinstance(members, list)
        self._told = told
        self._members = [Member(tuple(tokens), reward, born) for reward, born, tokens in members]
        self._living = {member.tokens: member for member in self._members}


def _by_reward_and_youth(member: Member) -> tuple[float, int]:
    return -member.reward, -member.born


def _by_youth(member: Member) -> int:
    return -member.born
