"""The surrogate against closed forms, and the strategy where spaces or rewards are out of the ordinary."""

from __future__ import annotations

import sys
from itertools import pairwise
from math import exp, pi, sqrt
from statistics import NormalDist, fmean
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad

from dslc.diagnostics import Code, DslcError
from dslc.search.strategies import make_strategy
from dslc.search.strategies.bayesian import NOISE, Surrogate, expected_improvement, normal_scores
from dslc.search.strategies.features import Features
from tests.controller.small_spaces import FORCED, MENUS, TREES, make_space
from tests.soaks.strategies import run_strategy

SENTENCES = ((0, 1, 2), (0, 2, 2), (1, 1), (1,), (0, 0, 1, 2))
REWARDS = (0.1, 0.7, -3.0, 0.7, 0.2)
OTHERS = ((0, 2, 1), (3, 3, 3), ())
Table: TypeAlias = NDArray[np.float64]


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.0, 1.0, 0.0), (-1.5, 0.7, 0.4), (2.0, 0.3, 1.0)])
def test_expected_improvement_is_the_integral(mean: float, deviation: float, best: float) -> None:
    def gain(value: float) -> float:
        density = exp(-0.5 * ((value - mean) / deviation) ** 2) / (deviation * sqrt(2 * pi))
        return (value - best) * density

    expected = quad(gain, best, best + 20)[0]
    found = expected_improvement(np.array([mean]), np.array([deviation]), best)
    assert found[0] == pytest.approx(expected, abs=1e-7)


def test_scores_see_ranks_only() -> None:
    scores = normal_scores(REWARDS)
    assert np.array_equal(scores, normal_scores([-1e12 if value < 0 else value for value in REWARDS]))
    assert scores[1] == scores[3] == scores.max()
    assert scores[2] == pytest.approx(NormalDist().inv_cdf(1 / 6))


def test_features_are_places_tokens_and_pairs() -> None:
    features = Features(SENTENCES)
    table = features.describe(SENTENCES)
    places = {(place, token) for tokens in SENTENCES for place, token in enumerate(tokens)}
    pairs = {pair for tokens in SENTENCES for pair in pairwise(tokens)}
    assert table.shape == (5, len(places) + 3 + len(pairs))
    assert table.var(0).sum() == pytest.approx(3.0), "each of the three kinds has the same say"
    counts = table[:, len(places) : len(places) + 3]
    assert np.allclose(
        counts / counts.max(), np.array([[tokens.count(t) for t in range(3)] for tokens in SENTENCES]) / 2
    )
    assert not features.describe([(), (3, 3, 3)]).any(), "what is nowhere among the first sentences is left out"
    assert Features([()]).describe([(), (1,)]).shape == (2, 1)


def test_the_surrogate_is_a_gaussian_process() -> None:
    surrogate, features = Surrogate(SENTENCES, REWARDS), Features(SENTENCES)
    known, others = features.describe(SENTENCES), features.describe(OTHERS)

    def kernel(one: Table, other: Table, width: float) -> Table:
        squares = ((one[:, None] - other[None]) ** 2).sum(2)
        values: Table = np.exp(-squares / (2 * width**2))
        return values

    scores = normal_scores(REWARDS)
    likelihoods: dict[float, float] = {}
    for width in (0.25, 0.5, 1.0, 2.0, 4.0):
        covariance = kernel(known, known, width) + NOISE * np.eye(5)
        _, size = np.linalg.slogdet(2 * pi * covariance)
        likelihoods[width] = -0.5 * (scores @ np.linalg.inv(covariance) @ scores + size)
    assert surrogate.width == max(likelihoods, key=lambda width: likelihoods[width])
    inverse = np.linalg.inv(kernel(known, known, surrogate.width) + NOISE * np.eye(5))
    cross = kernel(others, known, surrogate.width)
    mean, variance = cross @ inverse @ scores, 1 - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    expected = expected_improvement(mean, np.sqrt(variance), scores.max())
    assert np.allclose(surrogate.promise(OTHERS), expected, atol=1e-9)


def test_small_and_spent_spaces_are_no_problem() -> None:
    strategy = make_strategy("bayesian", make_space(FORCED), evaluations=60, batch=5, seed=0)
    for _ in range(12):
        candidates = strategy.ask(5)
        assert len(candidates) == 5
        strategy.tell([(candidate, 1.0) for candidate in candidates])
    space = make_space(MENUS)
    strategy = make_strategy("bayesian", space, evaluations=80, batch=20, seed=0)
    seen = set()
    for _ in range(4):
        candidates = strategy.ask(20)
        strategy.tell([(candidate, float(sum(candidate.tokens))) for candidate in candidates])
        seen |= {candidate.tokens for candidate in candidates}
    assert len(seen) == space.count() == 18


def test_a_failed_child_far_below_the_others_does_not_break_learning() -> None:
    strategy = make_strategy("bayesian", make_space(TREES, 9), evaluations=200, batch=20, seed=0)
    rewards: list[float] = []
    for _ in range(10):
        candidates = strategy.ask(20)
        rewards = [-1e12 if len(candidate.tokens) == 2 else float(len(candidate.tokens)) for candidate in candidates]
        strategy.tell(list(zip(candidates, rewards, strict=True)))
    assert fmean(value > 0 for value in rewards) > 0.9


def test_no_more_points_are_kept_than_asked_for_and_the_best_are_among_them() -> None:
    options = {"points": 30, "pool": 60}
    strategy = make_strategy("bayesian", make_space(TREES, 9), evaluations=200, batch=20, seed=0, options=options)
    rewards: dict[tuple[int, ...], float] = {}
    for _ in range(10):
        told = [(candidate, float(sum(candidate.tokens))) for candidate in strategy.ask(20)]
        rewards.update({candidate.tokens: reward for candidate, reward in told})
        assert strategy.tell(told)["points"] <= 30
    kept = {tuple(tokens): reward for reward, tokens in strategy.state_dict()["points"]}
    assert sorted(kept.values())[-15:] == sorted(rewards.values())[-15:]


def test_where_nothing_promises_three_of_four_are_the_best_again(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = make_strategy("bayesian", make_space(TREES, 15), evaluations=200, batch=20, seed=0)
    told = [(candidate, float(sum(candidate.tokens))) for candidate in strategy.ask(20)]
    strategy.tell(told)
    best = sorted({candidate.tokens: reward for candidate, reward in told}.items(), key=lambda item: -item[1])
    monkeypatch.setattr(Surrogate, "promise", lambda _, sentences: np.zeros(len(sentences)))
    asked = [candidate.tokens for candidate in strategy.ask(20)]
    known = [tokens for tokens in asked if tokens in dict(best)]
    assert len(known) == 14, "of 20, one of which is a uniform sample"
    assert known == [tokens for tokens, _ in best[:14]]


def test_it_finds_the_optimum_of_the_menus() -> None:
    assert run_strategy("bayesian", "menus", 1, seed=0)[0]


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DslcError) as caught:
        make_strategy("bayesian", make_space(MENUS), evaluations=20, batch=5, seed=0)
    (problem,) = caught.value.diagnostics
    assert problem.code is Code.MISSING_EXTRA
    assert problem.help == 'run: pip install "dslc[tasks]"'


@pytest.mark.parametrize(
    "options", [{"initial": 1}, {"points": 1}, {"pool": 0}, {"fresh": 1.5}, {"parents": 0}, {"blind": -0.1}]
)
def test_values_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(DslcError) as caught:
        make_strategy("bayesian", make_space(MENUS), evaluations=20, batch=5, seed=0, options=options)
    assert [problem.code for problem in caught.value.diagnostics] == [Code.BAD_SETTING]
