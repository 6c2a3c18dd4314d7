"""Trust region policy optimisation: the natural gradient, as far as a bound on the change of the policy allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dslc.controller.masking import masked_divergence, masked_entropy
from dslc.controller.steps import Steps
from dslc.diagnostics import DslcError
from dslc.search.losses import entropy, normalise_advantages
from dslc.search.outcome import Candidate
from dslc.search.strategies.collapse import CollapseWatch
from dslc.search.strategies.learner import make_learner
from dslc.search.strategies.policy_options import PolicyOptions, check_policy, check_values
from dslc.space import Space

SHRINK = 0.5
"""Factor of the step from one trial of the line search to the next."""


@dataclass(frozen=True, slots=True)
class TrpoOptions(PolicyOptions):
    """Options of `trpo`; the learning rate is not used: the bound decides how far a step goes."""

    most_divergence: float = 0.05
    """Most KL(old || new) of an update, nats a token, mean over the batch. 0.01 in schulman2015, on more samples."""
    solver_steps: int = 10
    """Of the conjugate gradient. Source: schulman2015."""
    damping: float = 0.01
    """Times the identity, added to the curvature."""
    trials: int = 10
    """Steps that the line search tries, each half as long as the one before."""
    entropy_weight: float = 0.0015
    """Times the summed entropy of a sequence, nats. Source: bello2017."""

    def __post_init__(self) -> None:
        allowed = {
            "most_divergence": (self.most_divergence > 0, "give a number above 0"),
            "solver_steps": (self.solver_steps >= 1, "give 1 or more"),
            "damping": (self.damping >= 0, "give 0 or more"),
            "trials": (self.trials >= 1, "give 1 or more"),
            "entropy_weight": (self.entropy_weight >= 0, "give 0 or more"),
        }
        problems = check_policy(self, "trpo") + check_values(self, "trpo", allowed)
        if problems:
            raise DslcError(problems)


class Trpo:
    """One step a batch: maximise the objective subject to mean KL(old || new) <= d.

    objective = (1/m) sum_k sum_t r A_k + entropy_weight * entropy, r the ratio of new to old probability. The step is
    s = F^-1 g by conjugate gradient, F the Hessian of the divergence, scaled to sqrt(2 d / (s F s)) and halved until
    the objective is better and the bound holds; if it never is, nothing changes.

    Source:
        schulman2015, section 6 and appendix C.
    """

    name = "trpo"
    figures = ("objective", "divergence", "entropy", "restarts")
    options_type = TrpoOptions

    def __init__(
        self, space: Space, *, evaluations: int, batch: int, seed: int, device: str, options: TrpoOptions
    ) -> None:
        self._options = options
        self._learner = make_learner(space, options, self.name, seed, device)
        self._watch = CollapseWatch(space, options, evaluations, batch)
        self._told = 0

    def ask(self, count: int) -> list[Candidate]:
        """The next `count` samples of the policy."""
        return self._learner.sample(count)

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """One update at most; returns what it gained, its divergence and the entropy before it, nats a token."""
        if not results:
            return {}
        learner = self._learner
        batch = [candidate.tokens for candidate, _ in results]
        advantages = normalise_advantages(learner.rewards([reward for _, reward in results]))
        steps = learner.record(batch)
        tokens = max(int(steps.lengths.sum()), 1)
        gained, divergence, nats = self._update(steps, advantages, tokens) if steps.tokens.shape[1] else (0.0, 0.0, 0.0)
        self._told += len(batch)
        if self._watch.has_collapsed(batch, nats, self._told):
            learner.restart()
        return {
            "objective": gained,
            "divergence": divergence,
            "entropy": nats * len(batch) / tokens,
            "restarts": float(self._watch.restarts),
        }

    def _update(self, steps: Steps, advantages: Tensor, tokens: int) -> tuple[float, float, float]:
        """Objective gained, divergence in nats a token, entropy before in nats a sentence."""
        options, learner, is_token = self._options, self._learner, steps.is_token
        chosen = steps.tokens.to(torch.int64)[:, :, None]

        def evaluate() -> tuple[Tensor, Tensor, Tensor]:
            """Objective, mean divergence from the old policy and entropy, differentiable."""
            log_probs, mask = learner.distributions(steps)
            ratios = (log_probs.gather(2, chosen)[:, :, 0] - old_chosen).exp()
            summed_entropy = entropy(masked_entropy(log_probs, mask), is_token)
            gain = (ratios * advantages[:, None] * is_token).sum(1).mean()
            divergence = (masked_divergence(old, log_probs, mask) * is_token).sum() / tokens
            return gain + options.entropy_weight * summed_entropy, divergence, summed_entropy

        with torch.no_grad():
            old, _ = learner.distributions(steps)
            old_chosen = old.gather(2, chosen)[:, :, 0]
        weights = learner.weights
        objective, divergence, summed_entropy = evaluate()
        before, nats = float(objective.detach()), float(summed_entropy.detach())
        gradient = _flatten(torch.autograd.grad(objective, weights, retain_graph=True))
        slope = _flatten(torch.autograd.grad(divergence, weights, create_graph=True))

        def curve(vector: Tensor) -> Tensor:
            product = torch.autograd.grad(slope @ vector, weights, retain_graph=True)
            return _flatten(product) + options.damping * vector

        direction = solve(curve, gradient, options.solver_steps)
        length = float(direction @ curve(direction))
        if not length > 0:
            return 0.0, 0.0, nats
        step = direction * (2 * options.most_divergence / length) ** 0.5
        start = torch.nn.utils.parameters_to_vector(weights).detach()
        for _ in range(options.trials):
            torch.nn.utils.vector_to_parameters(start + step, weights)
            with torch.no_grad():
                objective, divergence, _ = evaluate()
            if float(objective) > before and float(divergence) <= options.most_divergence:
                return float(objective) - before, float(divergence), nats
            step = step * SHRINK
        torch.nn.utils.vector_to_parameters(start, weights)
        return 0.0, 0.0, nats

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {**self._learner.state_dict(), "told": self._told, "collapse": self._watch.to_json()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        self._learner.load_state_dict(state)
        self._told = state["told"]
        self._watch.load_json(state["collapse"])


def solve(multiply: Callable[[Tensor], Tensor], right: Tensor, steps: int) -> Tensor:
    """x with multiply(x) = right, for a symmetric positive definite map, by so many steps of conjugate gradient.

    Source:
        hestenes1952.

    Example:
        >>> matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
        >>> solve(lambda vector: matrix @ vector, torch.tensor([3.0, 4.0]), 2)
        tensor([1.0000, 1.0000])
    """
    found = torch.zeros_like(right)
    residual, direction = right.clone(), right.clone()
    size = residual @ residual
    for _ in range(steps):
        if not float(size) > 1e-20:
            break
        image = multiply(direction)
        share = size / (direction @ image)
        found = found + share * direction
        residual = residual - share * image
        size, before = residual @ residual, size
        direction = residual + size / before * direction
    return found


def _flatten(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts])


STRATEGY = Trpo
