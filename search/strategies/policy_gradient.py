"""The default strategy: proximal policy gradient with a priority queue and entropy that fades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dslc.diagnostics import DslcError
from dslc.search.losses import (
    differentiate_ppo_clip,
    entropy,
    normalise_advantages,
    ppo_clip_loss,
    priority_queue_loss,
)
from dslc.search.outcome import Candidate
from dslc.search.strategies.collapse import CollapseWatch
from dslc.search.strategies.learner import PolicyLearner, choose_preset
from dslc.search.strategies.policy_options import check_policy, check_values
from dslc.search.strategies.priority_queue import PriorityQueue
from dslc.search.strategies.schedule import linear_to_zero
from dslc.search.strategies.start_options import choose_table
from dslc.space import Space


@dataclass(frozen=True, slots=True)
class PolicyGradientOptions:
    """Options of `policy_gradient`."""

    preset: str = "small"
    """Controller: `small` or `zoph2017`."""
    learning_rate: float = 0.0
    """Of Adam; 0 means the preset's."""
    clip: float = 0.2
    """e of the clipped ratio. Source: schulman2017."""
    passes: int = 2
    """Updates a batch."""
    queue_weight: float = 0.2
    """Times the loss of the priority queue. Measured: at 0.1 the last samples of short searches and of rewards whose
    decisions interact are 0.02 to 0.04 worse."""
    queue_size: int = 10
    """Best distinct sequences kept. Source: abolafia2018."""
    entropy_weight: float = 0.15
    """Times the summed entropy of a sequence, nats, at the start; falls linearly to 0 over the evaluations. Measured:
    less ends in worse optima where decisions interact, more is slower in short searches."""
    start_table: str = "projected"
    """Where the policy starts: `projected` or `local`, see `Space.starting_table`."""
    target_length: float = 0.0
    """Expected tokens of a sentence of the fresh policy; 0: not tuned."""
    target_shares: str = ""
    """NAME=SHARE,NAME=SHARE: expected shares of tokens among those of a sentence; empty: not tuned."""
    restart_below: float = 0.1
    """See `PolicyOptions`."""
    restart_until: float = 0.5
    """See `PolicyOptions`: later a policy that always says the same is what is wanted of it."""

    def __post_init__(self) -> None:
        allowed = {
            "clip": (0 < self.clip < 1, "give a number between 0 and 1"),
            "passes": (self.passes >= 1, "give 1 or more"),
            "queue_weight": (self.queue_weight >= 0, "give 0 or more"),
            "queue_size": (self.queue_size >= 1, "give 1 or more"),
            "entropy_weight": (self.entropy_weight >= 0, "give 0 or more"),
        }
        problems = check_values(self, "policy_gradient", allowed)
        problems += check_policy(self, "policy_gradient")
        if problems:
            raise DslcError(problems)


class PolicyGradient:
    """A few clipped updates a batch on advantages normalised in it, drawn towards the best sequences so far.

    loss = ppo_clip_loss + queue_weight * priority_queue_loss - entropy_weight(t) * entropy.

    Sources:
        schulman2017 (clipped ratio); abolafia2018 (priority queue).
    """

    name = "policy_gradient"
    figures = ("loss", "entropy", "entropy_weight", "restarts")
    options_type = PolicyGradientOptions

    def __init__(
        self,
        space: Space,
        *,
        evaluations: int,
        batch: int,
        seed: int,
        device: str,
        options: PolicyGradientOptions,
    ) -> None:
        self._options = options
        preset = choose_preset(self._options.preset, self.name)
        table = choose_table(space, self._options, preset, self.name)
        rate = self._options.learning_rate or preset.learning_rate
        self._learner = PolicyLearner(space, preset, rate, seed, device, table)
        self._queue = PriorityQueue(self._options.queue_size)
        self._watch = CollapseWatch(space, options, evaluations, batch)
        self._evaluations = evaluations
        self._told = 0

    def ask(self, count: int) -> list[Candidate]:
        """The next `count` samples of the policy."""
        return self._learner.sample(count, along=self._queue.sequences)

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """`passes` updates; returns loss, entropy (nats a token) and entropy_weight of the first pass, and restarts."""
        if not results:
            return {}
        options = self._options
        batch = len(results)
        sentences = [candidate.tokens for candidate, _ in results]
        # Batch and queue share one pass through the network: first the batch's rows, then those of the queue before
        # it. Whatever is in the queue after it is among them.
        taught = self._queue.sequences
        self._queue.push((candidate.tokens, reward) for candidate, reward in results)
        row_of = {tokens: row for row, tokens in enumerate((*sentences, *taught))}
        queue_rows = torch.tensor([row_of[each] for each in self._queue.sequences], device=self._learner.device)
        advantages = normalise_advantages(self._learner.rewards([reward for _, reward in results]))
        entropy_weight = linear_to_zero(options.entropy_weight, self._told, self._evaluations)
        steps = self._learner.record(sentences, taught)
        all_tokens = steps.is_token
        is_token = all_tokens[:batch]
        # Derivatives that do not depend on the policy.
        imitation = all_tokens.index_select(0, queue_rows) * (-options.queue_weight / len(queue_rows))
        by_entropies = all_tokens * (-entropy_weight / batch)
        by_entropies[batch:] = 0
        figures: dict[str, float] = {}
        summed_entropy, old_log_probs = 0.0, torch.empty(0)
        for update in range(options.passes):
            score = self._learner.look(steps)
            log_probs = score.log_probs[:batch]
            if update == 0:
                old_log_probs = log_probs
                summed_entropy = float(entropy(score.entropies[:batch], is_token))
                loss = ppo_clip_loss(log_probs, old_log_probs, advantages, is_token, options.clip)
                loss = loss + options.queue_weight * priority_queue_loss(score.log_probs.index_select(0, queue_rows))
                figures = {
                    "loss": float(loss) - entropy_weight * summed_entropy,
                    "entropy": summed_entropy * batch / max(int(is_token.sum()), 1),
                    "entropy_weight": entropy_weight,
                }
            gained = differentiate_ppo_clip(log_probs, old_log_probs, advantages, is_token, options.clip)
            by_log_probs = torch.zeros_like(score.log_probs)
            by_log_probs[:batch] = gained
            by_log_probs.index_add_(0, queue_rows, imitation)
            self._learner.descend_along(by_log_probs, by_entropies)
        self._told += batch
        if self._watch.has_collapsed(sentences, summed_entropy, self._told):
            self._learner.restart()
        return {**figures, "restarts": float(self._watch.restarts)}

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {
            **self._learner.state_dict(),
            "told": self._told,
            "queue": self._queue.to_json(),
            "collapse": self._watch.to_json(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        self._learner.load_state_dict(state)
        self._told = state["told"]
        self._queue.load_json(state["queue"])
        self._watch.load_json(state["collapse"])


STRATEGY = PolicyGradient
