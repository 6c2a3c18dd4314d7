"""A strategy that is saved and loaded goes on bit for bit, also between asking and telling."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from dslc.search.outcome import Candidate, Strategy
from dslc.search.rows import unpad_rows
from dslc.search.strategies import STRATEGY_NAMES, make_strategy
from dslc.space import Space
from tests.controller.small_spaces import FORCED, LISTS, make_space

SPACE = make_space(LISTS, 8)
BATCHES = 6
KINDS = [
    *((name, {}) for name in STRATEGY_NAMES),
    ("policy_gradient", {"preset": "zoph2017"}),
    ("risk_seeking", {"preset": "dso"}),
    ("hybrid", {"preset": "dso", "generations": 2}),
]
ARRAY_KINDS = [
    ("niches", {"generations": 1}),
    ("risk_seeking", {"preset": "dso"}),
    ("hybrid", {}),
    ("hybrid", {"preset": "dso", "generations": 2, "population": 10, "unseen": 1}),
]
COUNTED = f"//! at_most 2 KIND.k\n{LISTS}"


def reward(candidate: Candidate) -> float:
    """Something to learn: short sentences of low tokens."""
    return -0.1 * sum(candidate.tokens) - 0.01 * len(candidate.tokens)


def fresh(name: str, options: Mapping[str, Any], seed: int = 0, space: Space = SPACE) -> Strategy:
    return make_strategy(name, space, evaluations=BATCHES * 7, batch=7, seed=seed, options=options)


def through_files(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state as it comes back from a checkpoint."""
    tensors = {name: value for name, value in state.items() if torch.is_tensor(value)}
    values = {name: value for name, value in state.items() if name not in tensors}
    return {**load(save(tensors)), **json.loads(json.dumps(values))} if tensors else json.loads(json.dumps(values))


def saved_twin(strategy: Strategy, name: str, options: Mapping[str, Any], space: Space) -> Strategy:
    """Another one that goes on from its saved state."""
    state = through_files(strategy.state_dict())
    twin = fresh(name, options, seed=99, space=space)
    twin.load_state_dict(state)
    return twin


def run(
    name: str, options: Mapping[str, Any], stop_after: set[int], stop_between: set[int], space: Space = SPACE
) -> list[Any]:
    """Everything that a search sees; the strategy is replaced by its saved twin after and within the given batches."""
    strategy, seen = fresh(name, options, space=space), []
    for batch in range(BATCHES):
        candidates = strategy.ask(7)
        if batch in stop_between:
            strategy = saved_twin(strategy, name, options, space)
        figures = strategy.tell([(candidate, reward(candidate)) for candidate in candidates])
        seen.append((candidates, figures))
        if batch in stop_after:
            strategy = saved_twin(strategy, name, options, space)
    return seen


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_interrupted_equals_uninterrupted(name: str, options: Mapping[str, Any]) -> None:
    whole = run(name, options, set(), set())
    assert run(name, options, {0, 2, 3}, set()) == whole
    assert run(name, options, set(), {0, 4}) == whole


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_a_state_does_not_change_while_the_strategy_goes_on(name: str, options: Mapping[str, Any]) -> None:
    strategy = fresh(name, options)
    strategy.tell([(candidate, reward(candidate)) for candidate in strategy.ask(7)])
    state = strategy.state_dict()
    copy = through_files(state)
    strategy.tell([(candidate, reward(candidate)) for candidate in strategy.ask(7)])
    assert state.keys() == copy.keys()
    for key, value in state.items():
        assert value.equal(copy[key]) if torch.is_tensor(value) else value == copy[key], key


@pytest.mark.parametrize("name", STRATEGY_NAMES)
def test_seeds_decide(name: str) -> None:
    one, same, other = (fresh(name, {}, seed).ask(20) for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize("preset", ["small", "zoph2017"])
@pytest.mark.parametrize("name", ["policy_gradient", "trpo", "risk_seeking", "pqt", "ppo", "hybrid"])
def test_heads_go_on_too(name: str, preset: str) -> None:
    text = f"//! anchor VALUE: item\n{LISTS}"
    options, space = {"preset": preset}, make_space(text, 8)
    assert space.lowering.automaton.heads is not None
    whole = run(name, options, set(), set(), space)
    assert run(name, options, {0, 2}, {4}, space) == whole
    assert whole != run(name, options, set(), set())


def run_arrays(name: str, options: Mapping[str, Any], stops: set[tuple[int, str]], space: Space = SPACE) -> list[Any]:
    """As `run`, for what is asked for as arrays."""
    strategy: Any = fresh(name, options, space=space)
    seen: list[Any] = []
    for batch in range(BATCHES):
        for moment in ("asked", "told"):
            if moment == "asked":
                sentences = unpad_rows(strategy.ask_tokens(7), len(space.vocabulary))
                seen.append((sentences, strategy.origins().tolist()))
            else:
                rewards = [reward(Candidate(sentence)) for sentence in seen[-1][0]]
                seen.append(strategy.tell_rewards(np.array(rewards)))
            if (batch, moment) in stops:
                strategy = saved_twin(strategy, name, options, space)
    return seen


@pytest.mark.parametrize(("name", "options"), ARRAY_KINDS)
def test_arrays_go_on_too(name: str, options: Mapping[str, Any]) -> None:
    whole = run_arrays(name, options, set())
    assert run_arrays(name, options, {(0, "told"), (2, "told"), (3, "told")}) == whole
    assert run_arrays(name, options, {(0, "asked"), (1, "asked"), (4, "asked")}) == whole


@pytest.mark.parametrize("text", [COUNTED, FORCED])
def test_the_arrays_of_a_hybrid_are_its_objects_where_children_are_walked(text: str) -> None:
    space = make_space(text, 8)
    objects = run("hybrid", {}, set(), set(), space)
    arrays = run_arrays("hybrid", {}, {(1, "asked"), (3, "told")}, space)
    for number, (candidates, figures) in enumerate(objects):
        assert arrays[2 * number][0] == [candidate.tokens for candidate in candidates]
        assert arrays[2 * number + 1] == figures
