"""Priority queue training: the policy imitates the best sequences so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dslc.diagnostics import DslcError
from dslc.search.losses import entropy, priority_queue_loss
from dslc.search.outcome import Candidate
from dslc.search.strategies.collapse import CollapseWatch
from dslc.search.strategies.learner import make_learner
from dslc.search.strategies.policy_options import PolicyOptions, check_policy, check_values
from dslc.search.strategies.priority_queue import PriorityQueue
from dslc.search.strategies.schedule import linear_to_zero
from dslc.space import Space


@dataclass(frozen=True, slots=True)
class PqtOptions(PolicyOptions):
    """Options of `pqt`."""

    queue_size: int = 10
    """Best distinct sequences kept. Source: abolafia2018."""
    entropy_weight: float = 0.5
    """Times the summed entropy of a sequence, nats, at the start; falls linearly to 0 over the evaluations. Without it
    the policy says nothing but the queue (abolafia2018, section 4)."""

    def __post_init__(self) -> None:
        allowed = {
            "queue_size": (self.queue_size >= 1, "give 1 or more"),
            "entropy_weight": (self.entropy_weight >= 0, "give 0 or more"),
        }
        problems = check_policy(self, "pqt") + check_values(self, "pqt", allowed)
        if problems:
            raise DslcError(problems)


class Pqt:
    """One step a batch. loss = priority_queue_loss - entropy_weight(t) * entropy; rewards decide who is in the queue
    and nothing else.

    Source:
        abolafia2018.
    """

    name = "pqt"
    figures = ("loss", "entropy", "entropy_weight", "restarts")
    options_type = PqtOptions

    def __init__(
        self, space: Space, *, evaluations: int, batch: int, seed: int, device: str, options: PqtOptions
    ) -> None:
        self._options = options
        self._learner = make_learner(space, options, self.name, seed, device)
        self._queue = PriorityQueue(options.queue_size)
        self._watch = CollapseWatch(space, options, evaluations, batch)
        self._evaluations, self._told = evaluations, 0

    def ask(self, count: int) -> list[Candidate]:
        """The next `count` samples of the policy."""
        return self._learner.sample(count, along=self._queue.sequences)

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """One update; returns loss, entropy (nats a token), entropy_weight and restarts."""
        if not results:
            return {}
        batch = [candidate.tokens for candidate, _ in results]
        taught = self._queue.sequences
        self._queue.push((candidate.tokens, reward) for candidate, reward in results)
        # Whatever is in the queue now is in the batch or was in the queue before it.
        row_of = {tokens: row for row, tokens in enumerate((*batch, *taught))}
        queue_rows = torch.tensor([row_of[tokens] for tokens in self._queue.sequences], device=self._learner.device)
        weight = linear_to_zero(self._options.entropy_weight, self._told, self._evaluations)
        steps = self._learner.record(batch, taught)
        score = self._learner.score(steps)
        size = len(batch)
        summed_entropy = entropy(score.entropies[:size], steps.is_token[:size])
        loss = priority_queue_loss(score.log_probs[queue_rows]) - weight * summed_entropy
        if loss.requires_grad:
            self._learner.descend(loss)
        self._told += size
        nats = float(summed_entropy.detach())
        if self._watch.has_collapsed(batch, nats, self._told):
            self._learner.restart()
        return {
            "loss": float(loss.detach()),
            "entropy": nats * size / max(int(steps.lengths[:size].sum()), 1),
            "entropy_weight": weight,
            "restarts": float(self._watch.restarts),
        }

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        parts = {"told": self._told, "queue": self._queue.to_json(), "collapse": self._watch.to_json()}
        return {**self._learner.state_dict(), **parts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        self._learner.load_state_dict(state)
        self._told = state["told"]
        self._queue.load_json(state["queue"])
        self._watch.load_json(state["collapse"])


STRATEGY = Pqt
