"""A policy that says the same few programs long before the end starts again, with what it found kept."""

from __future__ import annotations

import pytest

from dslc.search.outcome import Candidate
from dslc.search.strategies import make_strategy
from dslc.search.strategies.collapse import PATIENCE, CollapseWatch
from dslc.search.strategies.policy_options import PolicyOptions
from dslc.space import Space
from tests.controller.small_spaces import FORCED, TREES, make_space

SPACE = make_space(TREES, 9)
COLLAPSING = [
    ("policy_gradient", {"learning_rate": 0.3, "entropy_weight": 0.0, "queue_size": 1}),
    ("pqt", {"learning_rate": 0.3, "entropy_weight": 0.0, "queue_size": 1}),
    ("ppo", {"learning_rate": 0.3, "entropy_weight": 0.0}),
    ("risk_seeking", {"learning_rate": 0.3, "entropy_weight": 0.0, "epsilon": 0.5, "queue_size": 1}),
    ("hybrid", {"learning_rate": 0.3, "entropy_weight": 0.0, "generations": 0, "queue_size": 1}),
    ("trpo", {"most_divergence": 5.0, "entropy_weight": 0.0}),
]


def reward(candidate: Candidate) -> float:
    return -float(len(candidate.tokens)) - 0.01 * candidate.tokens[-1]


def watch(space: Space = SPACE) -> CollapseWatch:
    return CollapseWatch(space, PolicyOptions(restart_below=0.2, restart_until=0.5), evaluations=1000, batch=10)


def test_only_so_many_batches_running_are_a_collapse() -> None:
    same, varied = [(0,)] * 10, [(index,) for index in range(10)]
    seen = watch()
    answers = [seen.has_collapsed(same, 5.0, told=10) for _ in range(PATIENCE - 1)]
    answers.append(seen.has_collapsed(varied, 5.0, told=10))
    answers += [seen.has_collapsed(same, 5.0, told=10) for _ in range(PATIENCE)]
    assert answers == [False] * (2 * PATIENCE - 1) + [True]
    assert seen.restarts == 1


def test_little_entropy_is_a_collapse_whatever_the_batch_and_late_ones_are_none() -> None:
    varied = [(index,) for index in range(10)]
    assert [watch().has_collapsed(varied, 0.1, 10) for _ in range(PATIENCE)] == [False] * PATIENCE
    early, late = watch(), watch()
    assert [early.has_collapsed(varied, 0.1, 10) for _ in range(PATIENCE)][-1]
    assert not [late.has_collapsed(varied, 0.1, 500) for _ in range(PATIENCE)][-1]


def test_a_small_space_is_exhausted_not_collapsed() -> None:
    seen = watch(make_space(FORCED))
    assert not any(seen.has_collapsed([()] * 10, 0.0, 10) for _ in range(9))


@pytest.mark.parametrize(("name", "options"), COLLAPSING)
def test_a_policy_that_collapses_starts_again_and_says_so(name: str, options: dict[str, float]) -> None:
    strategy = make_strategy(name, SPACE, evaluations=10_000, batch=20, seed=0, options=options)
    shares, restarts = [], []
    for _ in range(60):
        candidates = strategy.ask(20)
        shares.append(len({candidate.tokens for candidate in candidates}) / 20)
        restarts.append(strategy.tell([(candidate, reward(candidate)) for candidate in candidates])["restarts"])
        if restarts[-1]:
            break
    assert restarts[-1] == 1.0, "it never started again"
    assert shares[-1] <= 0.3, "it had collapsed"
    assert len({candidate.tokens for candidate in strategy.ask(20)}) >= 10, "it is as fresh"


def test_a_restart_can_be_switched_off() -> None:
    options = {**COLLAPSING[0][1], "restart_below": 0.0}
    strategy = make_strategy("policy_gradient", SPACE, evaluations=10_000, batch=20, seed=0, options=options)
    for _ in range(30):
        candidates = strategy.ask(20)
        assert strategy.tell([(candidate, reward(candidate)) for candidate in candidates])["restarts"] == 0
