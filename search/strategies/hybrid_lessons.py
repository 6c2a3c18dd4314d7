"""What the policy of a `hybrid` learns from: its own batch, the best children since the last one, and a queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from dslc.controller.steps import Steps
from dslc.search.losses import entropy, keep_best, normalise_advantages, ppo_clip_loss, priority_queue_loss
from dslc.search.strategies.collapse import CollapseWatch
from dslc.search.strategies.hybrid_options import HybridOptions
from dslc.search.strategies.learner import make_learner
from dslc.search.strategies.priority_queue import PriorityQueue
from dslc.search.strategies.schedule import linear_to_zero
from dslc.space import Space

CLIP = 0.2
"""e of the clipped ratio. Source: schulman2017."""


class HybridLessons:
    """The policy and its updates.

    loss = ppo_clip_loss over what teaches + queue_weight * priority_queue_loss - entropy_weight(t) * entropy. What
    teaches is the policy's batch, with advantages normalised in it; with epsilon below 1 it is the best of the batch
    and the best children since the last one, measured against the least of the former: with one pass the gradient is
    that of `risk_seeking_loss`.
    """

    def __init__(
        self, space: Space, options: HybridOptions, evaluations: int, batch: int, seed: int, device: str
    ) -> None:
        self._options, self._evaluations = options, evaluations
        self.learner = make_learner(space, options, "hybrid", seed, device)
        self.queue = PriorityQueue(options.queue_size)
        """The best of all."""
        self.teachers = PriorityQueue(max(1, round(options.epsilon * batch)))
        """The best children since the policy's last batch."""
        self.watch = CollapseWatch(space, options, evaluations, batch)
        self.figures = {"loss": 0.0, "entropy": 0.0}

    def learn(self, own: Sequence[float], record: Callable[[list[int]], Steps], distinct: float, told: int) -> None:
        """`passes` updates on a batch of the policy, the best children since the last one, and the queue.

        Args:
            own: Rewards of the batch.
            record: Gives what the policy saw on the way to some of the batch.
            distinct: Share of the batch that is distinct.
            told: Evaluations before the batch.
        """
        options, learner = self._options, self.learner
        taught: list[tuple[int, ...]] = []
        if options.epsilon < 1:
            # The children are measured with the batch, but do not move its quantile.
            kept, _ = keep_best(learner.rewards(own), options.epsilon)
            quantile = min(own[index] for index in kept)
            taught = [tokens for tokens, reward in self.teachers.items() if reward >= quantile]
            rewards = [own[index] for index in kept] + [reward for _, reward in self.teachers.items()][: len(taught)]
            _, advantages = keep_best(learner.rewards(rewards), 1.0)
        else:
            kept = list(range(len(own)))
            advantages = normalise_advantages(learner.rewards(own))
        steps = learner.join(record(kept), taught, self.queue.sequences)
        nats = self._descend(
            steps, advantages, len(kept), linear_to_zero(options.entropy_weight, told, self._evaluations)
        )
        self.teachers.clear()
        if self.watch.has_collapsed_to(distinct, nats, told + len(own)):
            learner.restart()

    def _descend(self, steps: Steps, advantages: torch.Tensor, num_own: int, weight: float) -> float:
        """The updates; `steps` are the policy's samples, the children that teach and the queue, `weight` that of the
        entropy. Returns the policy's entropy in nats a sentence."""
        options, learner = self._options, self.learner
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
                self.figures = {"loss": float(loss.detach()), "entropy": nats * num_own / tokens}
            if loss.requires_grad:
                learner.descend(loss)
        return nats

    def state_dict(self) -> dict[str, Any]:
        """Tensors and JSON values, flat."""
        parts = {
            "queue": self.queue.to_json(),
            "teachers": self.teachers.to_json(),
            "collapse": self.watch.to_json(),
            "figures": dict(self.figures),
        }
        return {**self.learner.state_dict(), **parts}

    def load_state_dict(self, state: Any) -> None:
        """Take over what `state_dict` gave."""
        self.learner.load_state_dict(state)
        self.queue.load_json(state["queue"])
        self.teachers.load_json(state["teachers"])
        self.watch.load_json(state["collapse"])
        self.figures = dict(state["figures"])
