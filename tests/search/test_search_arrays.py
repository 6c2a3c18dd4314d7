"""The search of populations: rewards are the task's, repeats cost no evaluation of a program, a solution ends it."""

import numpy as np
import pytest

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.search.fit_arrays import FitArrays
from dslc.search.nguyen import sample_nguyen
from dslc.search.row_hash import RowHash
from dslc.search.search_arrays import search_arrays
from dslc.search.strategies import make_strategy
from dslc.search.strategies.hybrid import Hybrid
from dslc.search.strategies.niches import Niches
from dslc.search.tasks.fit import score_program


def test_rewards_are_those_of_the_task() -> None:
    space = dslc.compile("expression", start="two_variables")
    points, _ = sample_nguyen("nguyen_9")
    tokens = space.sample_tokens(200, seed=0, lengths="even")
    rewards = FitArrays(space, points).score(tokens)
    for row, reward in zip(tokens.tolist(), rewards.tolist(), strict=True):
        program = space.decode([token for token in row if token != len(space.vocabulary)])
        outcome = score_program(program, points, points)
        assert reward == pytest.approx(outcome.reward or 0.0, rel=1e-12, abs=0)


def test_keys_tell_sentences_apart() -> None:
    space = dslc.compile("expression", max_tokens=12)
    tokens = np.unique(space.sample_tokens(20_000, seed=0, lengths="even"), axis=0)
    keys = RowHash(len(space.vocabulary), space.max_tokens).keys(tokens)
    assert len(np.unique(keys)) == len(tokens)


@pytest.mark.parametrize("strategy", ["random", "risk_seeking", "niches", "hybrid"])
def test_a_search_ends_with_a_solution_or_its_evaluations(strategy: str) -> None:
    space = dslc.compile("expression", max_tokens=7)
    points, _ = sample_nguyen("nguyen_1")
    asked: list[tuple[int, ...]] = []

    def is_solution(tokens: tuple[int, ...]) -> bool:
        asked.append(tokens)
        return len(asked) == 3

    arguments = {"preset": "dso"} if strategy in ("risk_seeking", "hybrid") else {}
    searcher = make_strategy(strategy, space, evaluations=600, batch=100, seed=0, options=arguments)
    result = search_arrays(
        space,
        searcher,
        FitArrays(space, points),
        evaluations=600,
        batch=100,
        is_solution=is_solution,
        solution_reward=0.5,
    )
    assert result.is_solved
    assert len(set(asked)) == 3
    assert result.best == asked[2]
    assert result.evaluations % 100 == 0
    whole = search_arrays(space, searcher, FitArrays(space, points), evaluations=250, batch=100)
    assert not whole.is_solved
    assert whole.evaluations == 250
    assert whole.distinct <= 250


def test_niches_finds_an_expression_by_rewards_and_sooner_when_it_aims() -> None:
    space = dslc.compile("expression_constrained", max_tokens=20)
    points, _ = sample_nguyen("nguyen_2")
    needed = []
    for is_aimed in (False, True):
        task = FitArrays(space, points)
        strategy = make_strategy("niches", space, evaluations=60_000, batch=500, seed=0)
        assert isinstance(strategy, Niches)
        if is_aimed:
            strategy.aim_at(task)
        result = search_arrays(
            space, strategy, task, evaluations=12_000, batch=500, is_solution=lambda _: True, solution_reward=1 - 1e-9
        )
        needed.append(result.evaluations)
    assert needed[1] < needed[0]
    assert needed[1] <= 10_000


def test_hybrid_finds_an_expression_by_rewards() -> None:
    space = dslc.compile("expression_constrained", max_tokens=20)
    points, _ = sample_nguyen("nguyen_1")
    strategy = make_strategy("hybrid", space, evaluations=60_000, batch=500, seed=0, options={"preset": "dso"})
    result = search_arrays(
        space,
        strategy,
        FitArrays(space, points),
        evaluations=40_000,
        batch=500,
        is_solution=lambda _: True,
        solution_reward=1 - 1e-9,
    )
    assert result.is_solved


def test_hybrid_takes_turns_and_its_best_children_teach() -> None:
    space = dslc.compile("expression_constrained", max_tokens=20)
    task = FitArrays(space, sample_nguyen("nguyen_1")[0])
    options = {"preset": "dso", "generations": 2, "population": 50}
    strategy = make_strategy("hybrid", space, evaluations=6000, batch=100, seed=0, options=options)
    assert isinstance(strategy, Hybrid)
    turns, taught = [], []
    for _ in range(7):
        tokens = strategy.ask_tokens(100)
        turns.append("policy" if not strategy.origins().any() else "children")
        rewards = task.score(tokens)
        figures = strategy.tell_rewards(rewards)
        taught.append([reward for _, reward in strategy._lessons.teachers.items()])
        assert figures["members"] == 50
    assert turns == ["policy", "children", "children"] * 2 + ["policy"]
    assert [len(best) for best in taught] == [0, 5, 5, 0, 5, 5, 0]
    assert min(taught[2]) >= min(taught[1])


def test_niches_proposes_nothing_twice_but_what_it_counts() -> None:
    space = dslc.compile("expression_constrained", max_tokens=20)
    points, _ = sample_nguyen("nguyen_1")
    task = FitArrays(space, points)
    strategy = make_strategy("niches", space, evaluations=3000, batch=300, seed=1)
    assert isinstance(strategy, Niches)
    strategy.aim_at(task)
    seen: list[bytes] = []
    repeats = []
    for _ in range(8):
        tokens = strategy.ask_tokens(300)
        seen += [row.tobytes() for row in tokens]
        repeats.append(strategy.tell_rewards(task.score(tokens))["repeats"])
    assert len(seen) == 2400
    # A fresh policy repeats short sentences, and there is nothing yet to breed from.
    assert repeats[1:] == [0.0] * 7
    assert len(seen) - len(set(seen)) <= repeats[0] < 60


@pytest.mark.parametrize(
    "text", ['//! at_most 2 c\nstart: c start | d\nc: "a" | "b"\nd: "e" | "f"\n', "start:\n", 'start: "a"\n']
)
def test_niches_refuses_spaces_without_parts_to_exchange(text: str) -> None:
    space = dslc.compile_text(text, max_tokens=8)
    with pytest.raises(DslcError) as caught:
        make_strategy("niches", space, evaluations=100, batch=10, seed=0)
    assert caught.value.diagnostics[0].code is Code.NO_NICHES
