"""Bayesian optimisation: a Gaussian process over features of programs says which of a pool promise most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.variation import Parent, Variation
from dslc.diagnostics import DslcError
from dslc.search.missing_extra import missing_extra
from dslc.search.outcome import Candidate
from dslc.search.strategies.features import Features, Tokens
from dslc.search.strategies.learner import derive_seed
from dslc.search.strategies.policy_options import check_values
from dslc.search.strategies.random_state import random_from_json, random_to_json
from dslc.space import Space

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""w of the kernel exp(-d^2 / (2 w^2)), among which the likelihood chooses; two sentences are about 2.4 apart."""
NOISE = 0.01
"""Variance of a reward that the features do not explain, where that of all rewards is 1."""
LEAST = 1e-4
"""Expected improvement, in normal scores, below which a sentence is hardly worth a child: three of four that are
asked for may then be the best that are known."""
TRIES = 20
"""Draws of a sentence that is not known yet, before a known one is taken."""


@dataclass(frozen=True, slots=True)
class BayesianOptions:
    """Options of `bayesian`."""

    initial: int = 20
    """Uniform samples before the first fit."""
    points: int = 300
    """Most sentences that the process is fitted to: the best half, and the youngest of the others."""
    pool: int = 300
    """Sentences of which those that promise most are proposed."""
    fresh: float = 0.25
    """Share of the pool that are uniform samples; the others are children of good sentences."""
    parents: int = 20
    """Best sentences that have children."""
    blind: float = 0.05
    """Share of an ask that are uniform samples whatever they promise. Every second one in hutter2011."""

    def __post_init__(self) -> None:
        allowed = {
            "initial": (self.initial >= 2, "give 2 or more"),
            "points": (self.points >= 2, "give 2 or more"),
            "pool": (self.pool >= 1, "give 1 or more"),
            "fresh": (0 <= self.fresh <= 1, "give a number from 0 to 1"),
            "parents": (self.parents >= 1, "give 1 or more"),
            "blind": (0 <= self.blind <= 1, "give a number from 0 to 1"),
        }
        problems = check_values(self, "bayesian", allowed)
        if problems:
            raise DslcError(problems)


class Bayesian:
    """The most promising of a pool: EI(x) = (m - b) Phi(z) + s phi(z), z = (m - b) / s.

    m and s are mean and deviation of a Gaussian process at the features of x, with the kernel exp(-d^2 / 2 w^2), fitted
    to the normal scores of the rewards so far (how far below the others a failed child lies does not matter); b is the
    best of the scores. Half of the children in the pool come from the best sentences, half from those that promise
    most among the first half. Where little promises as much as LEAST, up to three of
    four are the best sentences again.

    Sources:
        jones1998 (expected improvement); hutter2011 (a pool of random samples and neighbours of the best, uniform
        samples in between).
    """

    name = "bayesian"
    figures = ("points", "width")
    options_type = BayesianOptions

    def __init__(
        self,
        space: Space,
        *,
        evaluations: int,  # noqa: ARG002
        batch: int,  # noqa: ARG002
        seed: int,
        device: str,  # noqa: ARG002
        options: BayesianOptions,
    ) -> None:
        """Make it.

        Raises:
            DslcError: DSLC606 without scikit-learn.
        """
        if find_spec("sklearn") is None:
            raise missing_extra("the strategy `bayesian` needs scikit-learn, which is not installed", "tasks")
        self._options = options
        self._random = Random(derive_seed(seed, "variation"))
        self._variation = Variation(space.exact_counts(), self._random)
        self._num_tokens = space.lowering.automaton.num_tokens
        self._points: dict[Tokens, float] = {}
        """Reward of each sentence that is fitted, the oldest first."""
        self._told = 0
        self._width = 0.0

    def ask(self, count: int) -> list[Candidate]:
        """Uniform samples at first; then the sentences of a pool that promise most, and a few uniform samples."""
        blind = math.ceil(self._options.blind * count) if self._told >= self._options.initial else count
        chosen = self._choose(count - blind) if count > blind else []
        chosen += [Candidate(self._sample(), None, "uniform") for _ in range(count - len(chosen))]
        return chosen

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """Remember; returns how many sentences are fitted next, and the kernel's width that was used."""
        for candidate, reward in results:
            self._points.pop(candidate.tokens, None)
            self._points[candidate.tokens] = reward
        self._told += len(results)
        excess = len(self._points) - self._options.points
        if excess > 0:
            best_first = sorted(self._points, key=lambda tokens: -self._points[tokens])
            protected = set(best_first[: self._options.points // 2])
            others = [tokens for tokens in self._points if tokens not in protected]
            for tokens in others[:excess]:
                del self._points[tokens]
        return {"points": float(len(self._points)), "width": self._width}

    def _choose(self, count: int) -> list[Candidate]:
        options = self._options
        best = sorted(self._points, key=lambda tokens: -self._points[tokens])[: options.parents]
        fresh = round(options.fresh * options.pool)
        pool = {self._sample(): "uniform" for _ in range(fresh)}
        half = (options.pool - fresh) // 2
        surrogate = self._fit()
        self._breed(pool, best, half)
        sentences = list(pool)
        order = np.argsort(-surrogate.promise(sentences), kind="stable")[: options.parents]
        self._breed(pool, [sentences[index] for index in order], options.pool - fresh - half)
        sentences = [tokens for tokens in pool if tokens not in self._points]
        if not sentences:
            return [Candidate(tokens, None, "mutation") for tokens in best[:count]]
        promises = surrogate.promise(sentences)
        order = np.argsort(-promises, kind="stable")[:count]
        kept = [index for number, index in enumerate(order) if number < (count + 3) // 4 or promises[index] >= LEAST]
        chosen = [Candidate(sentences[index], None, pool[sentences[index]]) for index in kept]
        # The others are answered from memory: they cost nothing.
        return chosen + [Candidate(tokens, None, "mutation") for tokens in best[: count - len(chosen)]]

    def _breed(self, pool: dict[Tokens, str], parents: Sequence[Tokens], count: int) -> None:
        """Add so many children, fewer where they are known."""
        draw, variation = self._random.random, self._variation
        walked: dict[Tokens, Parent] = {tokens: variation.trace(tokens) for tokens in parents}
        for _ in range(count):
            one, other = (walked[parents[int(draw() * len(parents))]] for _ in range(2))
            child, origin = variation.mutate(one), "mutation"
            if draw() < 0.5:
                child, origin = variation.cross(child, other), "crossover"
            pool.setdefault(child.tokens, origin)

    def _sample(self) -> Tokens:
        """A uniform sample, one that is not known yet if TRIES draws give one."""
        for _ in range(TRIES):
            tokens = self._variation.sample()
            if tokens not in self._points:
                break
        return tokens

    def _fit(self) -> Surrogate:
        surrogate = Surrogate(list(self._points), list(self._points.values()))
        self._width = surrogate.width
        return surrogate

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {
            "random": random_to_json(self._random),
            "points": [[reward, list(tokens)] for tokens, reward in self._points.items()],
            "told": self._told,
            "width": self._width,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        random_from_json(self._random, state["random"])
        self._points = {tuple(tokens): reward for reward, tokens in state["points"]}
        self._told, self._width = state["told"], state["width"]


class Surrogate:
    """A Gaussian process over features of sentences, of the width among WIDTHS that is likeliest."""

    def __init__(self, sentences: Sequence[Tokens], rewards: Sequence[float]) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF

        self._features = Features(sentences)
        inputs, scores = self._features.describe(sentences), normal_scores(rewards)
        models = [
            GaussianProcessRegressor(RBF(width), alpha=NOISE, optimizer=None).fit(inputs, scores) for width in WIDTHS
        ]
        self._model = max(models, key=lambda model: float(model.log_marginal_likelihood_value_))
        self._best = float(scores.max())
        self.width = float(self._model.kernel_.length_scale)

    def promise(self, sentences: Sequence[Tokens]) -> NDArray[np.float64]:
        """Expected improvement of each."""
        mean, deviation = self._model.predict(self._features.describe(sentences), return_std=True)
        return expected_improvement(mean, deviation, self._best)


def normal_scores(values: Sequence[float]) -> NDArray[np.float64]:
    """What numbers of these ranks would be on average, drawn from N(0, 1); equal values have equal scores.

    Example:
        >>> normal_scores([1.0, 100.0, 2.0]).round(2).tolist()
        [-0.67, 0.67, 0.0]
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    scores: NDArray[np.float64] = ndtri(rankdata(values) / (len(values) + 1))
    return scores


def expected_improvement(mean: NDArray[np.float64], deviation: NDArray[np.float64], best: float) -> NDArray[np.float64]:
    """E[max(y - best, 0)] of y ~ N(mean, deviation^2), elementwise.

    Source:
        jones1998, equation 15.

    Example:
        >>> expected_improvement(np.array([0.0, 1.0]), np.array([1.0, 1e-9]), 0.0).round(4).tolist()
        [0.3989, 1.0]
    """
    from scipy.special import ndtr

    deviation = np.maximum(deviation, 1e-12)
    z = (mean - best) / deviation
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    improvement: NDArray[np.float64] = (mean - best) * ndtr(z) + deviation * density
    return improvement


STRATEGY = Bayesian
