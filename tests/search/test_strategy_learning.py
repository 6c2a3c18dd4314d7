"""Strategies against the uniform control, and the default one on a reward with a known optimum."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import fmean

import pytest
import torch

from dslc.search.outcome import Candidate
from dslc.search.strategies import STRATEGY_NAMES, make_strategy
from dslc.space import Space
from tests.controller.small_spaces import FORCED, TREES, make_space

SIX_LAYERS = """
start: layer~6
layer: "(" HEIGHT "," WIDTH "," STRIDE "," FILTERS ")"
HEIGHT: "1" | "3" | "5" | "7"
WIDTH: "1" | "3" | "5" | "7"
STRIDE: "1" | "2" | "3"
FILTERS: "24" | "36" | "48" | "64"
"""
"""Six layers of four decisions, after zoph2017: 24 tokens, 192^6 sentences."""


def search(
    space: Space, name: str, reward: Callable[[Candidate], float], evaluations: int, seed: int, batch: int = 20
) -> list[float]:
    """Rewards in the order of the search."""
    strategy = make_strategy(name, space, evaluations=evaluations, batch=batch, seed=seed)
    rewards: list[float] = []
    while len(rewards) < evaluations:
        candidates = strategy.ask(min(batch, evaluations - len(rewards)))
        values = [reward(candidate) for candidate in candidates]
        strategy.tell(list(zip(candidates, values, strict=True)))
        rewards += values
    return rewards


@pytest.mark.parametrize("name", ["policy_gradient", "reinforce"])
@pytest.mark.parametrize("sign", [1, -1])
def test_learning_beats_the_control_whichever_end_is_good(name: str, sign: int) -> None:
    space = make_space(TREES, 9)
    plus = [token.id for token in space.vocabulary if token.label == "OP.+"]

    def reward(candidate: Candidate) -> float:
        return sign * float(sum(token in plus for token in candidate.tokens))

    for seed in range(3):
        learnt = fmean(search(space, name, reward, 300, seed)[-60:])
        control = fmean(search(space, "random", reward, 300, seed))
        assert learnt > control + 0.3, (seed, learnt, control)


def test_the_default_finds_a_hidden_network() -> None:
    space = make_space(SIX_LAYERS)
    for seed in range(2):
        generator = random.Random(seed)
        hidden = space.samples(1, seed=generator.randrange(1000))[0].tokens

        def reward(candidate: Candidate, hidden: tuple[int, ...] = hidden) -> float:
            return fmean(one == other for one, other in zip(candidate.tokens, hidden, strict=True))

        rewards = search(space, "policy_gradient", reward, 1000, seed)
        assert fmean(rewards[:100]) < 0.45
        assert fmean(rewards[-100:]) >= 0.95


@pytest.mark.parametrize("name", ["policy_gradient", "reinforce", "random"])
def test_a_space_of_one_sentence_and_equal_rewards_are_no_problem(name: str) -> None:
    assert search(make_space(FORCED), name, lambda _: 1.0, 10, 0, batch=5) == [1.0] * 10
    space = make_space(TREES, 9)
    assert search(space, name, lambda _: -3.0, 20, 0, batch=10) == [-3.0] * 20


def test_a_failed_child_far_below_the_others_does_not_break_learning() -> None:
    space = make_space(TREES, 9)
    rewards = search(space, "policy_gradient", lambda c: -1e12 if len(c.tokens) == 2 else float(len(c.tokens)), 200, 0)
    assert fmean(value > 0 for value in rewards[-40:]) > 0.9


@pytest.mark.gpu
@pytest.mark.parametrize("name", STRATEGY_NAMES)
def test_strategies_run_on_a_gpu(name: str) -> None:
    """They learn there, and what is saved goes on as it was."""
    space = make_space(TREES, 9)
    strategy = make_strategy(name, space, evaluations=40, batch=20, seed=0, device="cuda")
    for _ in range(2):
        candidates = strategy.ask(20)
        strategy.tell([(candidate, float(len(candidate.tokens))) for candidate in candidates])
    twin = make_strategy(name, space, evaluations=40, batch=20, seed=1, device="cuda")
    state = strategy.state_dict()
    twin.load_state_dict({key: value.cpu() if torch.is_tensor(value) else value for key, value in state.items()})
    assert [candidate.tokens for candidate in twin.ask(20)] == [candidate.tokens for candidate in strategy.ask(20)]
