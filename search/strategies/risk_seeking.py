"""Risk-seeking policy gradient: only the best samples of a batch teach, measured against the worst of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dslc.controller.steps import Steps
from dslc.diagnostics import DslcError
from dslc.search.losses import entropy, keep_best, priority_queue_loss, risk_seeking_loss
from dslc.search.outcome import ORIGINS, Candidate
from dslc.search.row_hash import RowHash
from dslc.search.strategies.collapse import CollapseWatch
from dslc.search.strategies.learner import make_learner
from dslc.search.strategies.policy_options import DEFAULT_PRESET, PolicyOptions, check_policy, check_values
from dslc.search.strategies.priority_queue import PriorityQueue
from dslc.space import Space

QUEUE_WEIGHT = 0.5
"""See `RiskSeekingOptions.queue_weight`."""


@dataclass(frozen=True, slots=True)
class RiskSeekingOptions(PolicyOptions):
    """Options of `risk_seeking`."""

    epsilon: float = 0.05
    """Share of a batch that teaches. Source: dso."""
    entropy_weight: float = 0.005
    """Times the summed entropy of a sequence, nats. Source: dso."""
    queue_weight: float = -1.0
    """Times the loss of the priority queue. -1: QUEUE_WEIGHT with preset `small`, whose batches are too small for the
    best share alone to teach; 0 with those of papers, as in petersen2021."""
    queue_size: int = 10
    """Best distinct sequences kept, also when the policy starts again. Source: abolafia2018."""

    def __post_init__(self) -> None:
        allowed = {
            "epsilon": (0 < self.epsilon <= 1, "give a number above 0, to 1"),
            "entropy_weight": (self.entropy_weight >= 0, "give 0 or more"),
            "queue_weight": (
                self.queue_weight >= 0 or self.queue_weight == -1,
                "give 0 or more, or -1 for the preset's",
            ),
            "queue_size": (self.queue_size >= 1, "give 1 or more"),
        }
        problems = check_policy(self, "risk_seeking") + check_values(self, "risk_seeking", allowed)
        if problems:
            raise DslcError(problems)


class RiskSeeking:
    """One step a batch towards a better best share, not a better mean.

    loss = -(1/k) sum over the k samples with R >= R_e of (R - R_e) log P - entropy_weight * entropy, R_e the (1 - e)
    quantile of the batch; the differences are divided by their mean. The entropy is that of the kept samples. With a
    queue: + queue_weight * the mean of -log P of the best distinct sequences so far.

    Sources:
        petersen2021, equations 2 and 3; dso (numbers).
    """

    name = "risk_seeking"
    figures = ("loss", "entropy", "quantile", "restarts")
    options_type = RiskSeekingOptions

    def __init__(
        self, space: Space, *, evaluations: int, batch: int, seed: int, device: str, options: RiskSeekingOptions
    ) -> None:
        self._options = options
        self._queue_weight = options.queue_weight
        if options.queue_weight < 0:
            self._queue_weight = QUEUE_WEIGHT if options.preset == DEFAULT_PRESET else 0.0
        self._learner = make_learner(space, options, self.name, seed, device)
        self._queue = PriorityQueue(options.queue_size)
        self._watch = CollapseWatch(space, options, evaluations, batch)
        self._told = 0
        self._pad = len(space.vocabulary)
        self._hash = RowHash(self._pad, space.max_tokens)
        self._asked: NDArray[np.int16] | None = None
        """A batch that was asked for as an array and is not told yet."""

    def ask_tokens(self, count: int) -> NDArray[np.int16]:
        """The next samples [count, max_tokens] as an array, filled up with V behind their ends."""
        self._asked = self._learner.sample_tokens(count)
        return self._asked

    def origins(self) -> NDArray[np.uint8]:
        """Origin of each sentence of the last `ask_tokens`, as its place in ORIGINS."""
        assert self._asked is not None, "asked before"
        return np.full(len(self._asked), ORIGINS.index("policy"), np.uint8)

    def tell_rewards(self, rewards: NDArray[np.float64]) -> dict[str, float]:
        """As `tell`, the rewards of the last `ask_tokens`, in its order."""
        assert self._asked is not None, "asked before told"
        asked, self._asked = self._asked, None
        self._queue.push_rows(asked, rewards, self._pad)
        kept, advantages = keep_best(torch.from_numpy(rewards).to(self._learner.policy.device), self._options.epsilon)
        steps = self._learner.record_rows(asked, kept)
        distinct = self._hash.count_distinct(asked) / len(asked)
        return self._learn(steps, advantages, float(rewards[kept].min()), len(rewards), distinct)

    def ask(self, count: int) -> list[Candidate]:
        """The next `count` samples of the policy."""
        return self._learner.sample(count)

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """One update; returns loss, entropy (nats a token) of the kept samples, their least reward and restarts."""
        if not results:
            return {}
        batch = [candidate.tokens for candidate, _ in results]
        self._queue.push((candidate.tokens, reward) for candidate, reward in results)
        rewards = self._learner.rewards([reward for _, reward in results])
        kept, advantages = keep_best(rewards, self._options.epsilon)
        steps = self._learner.record_some(batch, kept)
        quantile = min(results[index][1] for index in kept)
        return self._learn(steps, advantages, quantile, len(batch), len(set(batch)) / len(batch))

    def _learn(
        self, steps: Steps, advantages: Tensor, quantile: float, count: int, distinct: float
    ) -> dict[str, float]:
        """One update on the kept samples of a batch of `count`, of which a share is distinct."""
        options, learner, kept = self._options, self._learner, len(advantages)
        queue = self._queue.sequences if self._queue_weight else ()
        all_steps = learner.join(steps, queue)
        score, is_token = learner.look(all_steps), all_steps.is_token
        nats = float(entropy(score.entropies[:kept], is_token[:kept]))
        loss = float(risk_seeking_loss(score.log_probs[:kept], advantages)) - options.entropy_weight * nats
        shares = -advantages / kept  # derivatives of the loss by the log-probabilities of the sequences
        if queue:
            loss += self._queue_weight * float(priority_queue_loss(score.log_probs[kept:]))
            shares = torch.cat((shares, shares.new_full((len(queue),), -self._queue_weight / len(queue))))
        by_entropies = is_token * (-options.entropy_weight / kept)
        by_entropies[kept:] = 0
        learner.descend_along(is_token * shares[:, None], by_entropies)
        self._told += count
        if self._watch.has_collapsed_to(distinct, nats, self._told):
            learner.restart()
        return {
            "loss": loss,
            "entropy": nats * kept / max(int(steps.lengths.sum()), 1),
            "quantile": quantile,
            "restarts": float(self._watch.restarts),
        }

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        parts: dict[str, Any] = {"told": self._told, "queue": self._queue.to_json(), "collapse": self._watch.to_json()}
        if self._asked is not None:
            parts["asked"] = torch.tensor(self._asked)
        return {**self._learner.state_dict(), **parts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        self._learner.load_state_dict(state)
        self._told = state["told"]
        self._asked = state["asked"].numpy().copy() if "asked" in state else None
        self._queue.load_json(state["queue"])
        self._watch.load_json(state["collapse"])


STRATEGY = RiskSeeking
