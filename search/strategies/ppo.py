"""Proximal policy optimisation as the paper has it: several passes of a clipped ratio, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dslc.diagnostics import DslcError
from dslc.search.losses import entropy, normalise_advantages, ppo_clip_loss
from dslc.search.outcome import Candidate
from dslc.search.strategies.collapse import CollapseWatch
from dslc.search.strategies.learner import make_learner
from dslc.search.strategies.policy_options import PolicyOptions, check_policy, check_values
from dslc.space import Space


@dataclass(frozen=True, slots=True)
class PpoOptions(PolicyOptions):
    """Options of `ppo`."""

    restart_until: float = 0.5
    """See `PolicyOptions`."""

    clip: float = 0.2
    """e of the clipped ratio. Source: schulman2017."""
    passes: int = 4
    """Updates a batch, each on all of it: batches here are too small to be cut."""
    entropy_weight: float = 0.01
    """Times the summed entropy of a sequence, nats; c2 of schulman2017."""

    def __post_init__(self) -> None:
        allowed = {
            "clip": (0 < self.clip < 1, "give a number between 0 and 1"),
            "passes": (self.passes >= 1, "give 1 or more"),
            "entropy_weight": (self.entropy_weight >= 0, "give 0 or more"),
        }
        problems = check_policy(self, "ppo") + check_values(self, "ppo", allowed)
        if problems:
            raise DslcError(problems)


class Ppo:
    """`passes` steps a batch. loss = ppo_clip_loss - entropy_weight * entropy, with advantages normalised in the batch.

    There is no value network: a program has one reward at its end, and the batch's mean stands for the value.

    Source:
        schulman2017, equations 7 and 9.
    """

    name = "ppo"
    figures = ("loss", "entropy", "restarts")
    options_type = PpoOptions

    def __init__(
        self, space: Space, *, evaluations: int, batch: int, seed: int, device: str, options: PpoOptions
    ) -> None:
        self._options = options
        self._learner = make_learner(space, options, self.name, seed, device)
        self._watch = CollapseWatch(space, options, evaluations, batch)
        self._told = 0

    def ask(self, count: int) -> list[Candidate]:
        """The next `count` samples of the policy."""
        return self._learner.sample(count, along=())

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """`passes` updates; returns loss and entropy (nats a token) of the first pass, and restarts."""
        if not results:
            return {}
        options, learner = self._options, self._learner
        batch = [candidate.tokens for candidate, _ in results]
        advantages = normalise_advantages(learner.rewards([reward for _, reward in results]))
        steps = learner.record(batch)
        figures: dict[str, float] = {}
        old_log_probs, nats = torch.empty(0), 0.0
        for update in range(options.passes):
            score = learner.score(steps)
            summed_entropy = entropy(score.entropies, steps.is_token)
            if update == 0:
                old_log_probs, nats = score.log_probs.detach(), float(summed_entropy.detach())
            loss = ppo_clip_loss(score.log_probs, old_log_probs, advantages, steps.is_token, options.clip)
            loss = loss - options.entropy_weight * summed_entropy
            if update == 0:
                tokens = max(int(steps.lengths.sum()), 1)
                figures = {"loss": float(loss.detach()), "entropy": nats * len(batch) / tokens}
            if loss.requires_grad:
                learner.descend(loss)
        self._told += len(results)
        if self._watch.has_collapsed(batch, nats, self._told):
            learner.restart()
        return {**figures, "restarts": float(self._watch.restarts)}

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {**self._learner.state_dict(), "told": self._told, "collapse": self._watch.to_json()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        self._learner.load_state_dict(state)
        self._told = state["told"]
        self._watch.load_json(state["collapse"])


STRATEGY = Ppo
