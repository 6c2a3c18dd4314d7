"""A policy and a population: the policy seeds evolution, evolution's best teach the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from dslc.controller.steps import Steps
from dslc.diagnostics import DslcError
from dslc.search.losses import entropy, keep_best, normalise_advantages, ppo_clip_loss, priority_queue_loss
from dslc.search.outcome import Candidate
from dslc.search.strategies.collapse import CollapseWatch
from dslc.search.strategies.learner import derive_seed, make_learner
from dslc.search.strategies.policy_options import PolicyOptions, check_policy, check_values
from dslc.search.strategies.population import Population, check_evolution
from dslc.search.strategies.priority_queue import PriorityQueue
from dslc.search.strategies.random_state import random_from_json, random_to_json
from dslc.search.strategies.schedule import linear_to_zero
from dslc.space import Space

CLIP = 0.2
"""e of the clipped ratio. Source: schulman2017."""


@dataclass(frozen=True, slots=True)
class HybridOptions(PolicyOptions):
    """Options of `hybrid`."""

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
    """Share of crossovers that put a part of one parent into the other, in place of mixing them place by place."""
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


class Hybrid:
    """A batch of the policy, `generations` batches of children, and again.

    loss = ppo_clip_loss over what teaches + queue_weight * priority_queue_loss - entropy_weight(t) * entropy. What
    teaches is the policy's batch, with advantages normalised in it; with epsilon below 1 it is the best of the batch
    and the best children since the last one, measured against the least of the former: with one pass the gradient is
    that of `risk_seeking_loss`.

    Sources:
        mundhenk2021 (a policy seeds genetic programming, whose best teach it); petersen2021; abolafia2018.
    """

    name = "hybrid"
    figures = ("loss", "entropy", "members", "median", "restarts")
    options_type = HybridOptions

    def __init__(
        self, space: Space, *, evaluations: int, batch: int, seed: int, device: str, options: HybridOptions
    ) -> None:
        self._options = options
        self._learner = make_learner(space, options, self.name, seed, device)
        self._random = Random(derive_seed(seed, "variation"))
        self._population = Population(space, options, self._random)
        self._queue = PriorityQueue(options.queue_size)
        self._teachers = PriorityQueue(max(1, round(options.epsilon * batch)))
        """The best children since the policy's last batch."""
        self._watch = CollapseWatch(space, options, evaluations, batch)
        self._evaluations, self._told, self._batches = evaluations, 0, 0
        self._figures = {"loss": 0.0, "entropy": 0.0}

    def ask(self, count: int) -> list[Candidate]:
        """Samples of the policy or children, whosever turn it is."""
        if self._batches % (self._options.generations + 1) == 0 or len(self._population) < 2:
            return self._learner.sample(count)
        return self._population.breed(count, linear_to_zero(self._options.mutation, self._told, self._evaluations))

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """An update after a batch of the policy; returns the figures of the last one and of the population."""
        if not results:
            return {}
        is_policy = results[0][0].origin == "policy"
        pairs = [(candidate.tokens, reward) for candidate, reward in results]
        self._queue.push(pairs)
        if is_policy:
            self._learn(pairs)
        else:
            self._teachers.push(pairs)
        if is_policy and self._options.reseed:
            self._population.clear()
        self._population.add(pairs)
        self._told += len(results)
        self._batches += 1
        return {
            **self._figures,
            "members": float(len(self._population)),
            "median": self._population.median(),
            "restarts": float(self._watch.restarts),
        }

    def _learn(self, pairs: Sequence[tuple[tuple[int, ...], float]]) -> None:
        """`passes` updates on a batch of the policy, the best children since the last one, and the queue."""
        options, learner = self._options, self._learner
        batch, own = [tokens for tokens, _ in pairs], [reward for _, reward in pairs]
        taught: list[tuple[int, ...]] = []
        if options.epsilon < 1:
            # The children are measured with the batch, but do not move its quantile.
            kept, _ = keep_best(learner.rewards(own), options.epsilon)
            quantile = min(own[index] for index in kept)
            taught = [tokens for tokens, reward in self._teachers.items() if reward >= quantile]
            rewards = [own[index] for index in kept] + [reward for _, reward in self._teachers.items()][: len(taught)]
            _, advantages = keep_best(learner.rewards(rewards), 1.0)
        else:
            kept = list(range(len(own)))
            advantages = normalise_advantages(learner.rewards(own))
        steps = learner.join(learner.record_some(batch, kept), taught, self._queue.sequences)
        nats = self._descend(steps, advantages, len(kept))
        self._teachers.clear()
        if self._watch.has_collapsed(batch, nats, self._told + len(pairs)):
            learner.restart()

    def _descend(self, steps: Steps, advantages: torch.Tensor, num_own: int) -> float:
        """The updates; `steps` are the policy's samples, the children that teach and the queue. Returns the policy's
        entropy in nats a sentence."""
        options, learner = self._options, self._learner
        weight = linear_to_zero(options.entropy_weight, self._told, self._evaluations)
        num_taught = len(advantages)
        nats = 0.0
        old_log_probs = torch.empty(0)
        for update in range(options.passes):
            score = learner.score(steps)
            log_probs = score.log_probs[:num_taught]
            own_entropy = entropy(score.entropies[:num_own], steps.is_token[:num_own])
            if update == 0:
                old_log_probs = log_probs.detach()
            loss = ppo_clip_loss(log_probs, old_log_probs, advantages, steps.is_token[:num_taught], CLIP)
            loss = loss + options.queue_weight * priority_queue_loss(score.log_probs[num_taught:])
            loss = loss - weight * own_entropy
            if update == 0:
                nats = float(own_entropy.detach())
                tokens = max(int(steps.lengths[:num_own].sum()), 1)
                self._figures = {"loss": float(loss.detach()), "entropy": nats * num_own / tokens}
            if loss.requires_grad:
                learner.descend(loss)
        return nats

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        parts = {
            "random": random_to_json(self._random),
            "members": self._population.to_json(),
            "queue": self._queue.to_json(),
            "teachers": self._teachers.to_json(),
            "collapse": self._watch.to_json(),
            "told": [self._told, self._batches],
            "figures": dict(self._figures),
        }
        return {**self._learner.state_dict(), **parts}

    def load_state_dict(self, state: Any) -> None:
        """See `Strategy`."""
        self._learner.load_state_dict(state)
        random_from_json(self._random, state["random"])
        self._population.load_json(state["members"])
        self._queue.load_json(state["queue"])
        self._teachers.load_json(state["teachers"])
        self._watch.load_json(state["collapse"])
        self._told, self._batches = state["told"]
        self._figures = dict(state["figures"])


STRATEGY = Hybrid
