"""Whatever a task does, what comes back is a finite reward or a diagnostic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import dslc
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search import Context, Outcome
from dslc.search.evaluate import check_outcome, child_seed, evaluate_program, hash_program, run_test
from dslc.search.tasks.user_function import UserFunction
from dslc.space import Program
from tests.search.toy_search import toy_space


@pytest.mark.parametrize(
    "value", [1, 1.0, np.float32(1), np.int64(1), np.array(1.0), torch.tensor(1.0), torch.tensor([1])]
)
def test_numbers_of_every_library_are_rewards(value: Any) -> None:
    assert check_outcome(value) == check_outcome(Outcome(value)) == Outcome(1.0)
    assert type(check_outcome(value).reward) is float


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -np.inf, torch.tensor(float("nan"))])
def test_rewards_that_are_not_finite_fail(value: Any) -> None:
    for result in (check_outcome(value), check_outcome(Outcome(value))):
        assert result.reward is None
        assert result.diagnostic is not None
        assert result.diagnostic.code is Code.REWARD_NOT_FINITE


@pytest.mark.parametrize(
    "value", [None, "0.9", True, [1.0], (1.0, {}), {"reward": 1}, 1j, torch.zeros(2), np.zeros(0), object()]
)
def test_other_types_fail(value: Any) -> None:
    result = check_outcome(value)
    assert result.diagnostic is not None
    assert result.diagnostic.code is Code.REWARD_WRONG_TYPE
    assert type(value).__name__ in result.diagnostic.message


def test_an_outcome_without_reward_needs_a_reason() -> None:
    result = check_outcome(Outcome(None, {"epochs": 3}))
    assert result.diagnostic is not None
    assert (result.diagnostic.code, result.metrics) == (Code.NO_REWARD, {"epochs": 3.0})
    reason = Diagnostic(Code.LOSS_NOT_FINITE, Severity.ERROR, "the loss is nan")
    assert check_outcome(Outcome(None, diagnostic=reason)).diagnostic == reason
    assert check_outcome(Outcome(0.5, diagnostic=reason)).reward is None, "a failure is never a success"


def outer(program: Program, context: Context) -> float:
    return inner(program, context)


def inner(program: Program, context: Context) -> float:  # noqa: ARG001
    raise ValueError(f"cannot score\n{program.text}")


def test_an_exception_shows_the_frames_of_the_user_alone() -> None:
    result = evaluate_program(UserFunction(outer), toy_space()[0], Context(0))
    problem = result.diagnostic
    assert problem is not None
    assert (problem.code, problem.message) == (Code.TASK_RAISED, "ValueError: cannot score 1 x 1")
    assert len(problem.notes) == 2
    assert all(note.startswith(f"{__file__}:") for note in problem.notes)
    assert problem.notes[0].endswith("in outer: return inner(program, context)")
    assert " in inner: raise ValueError" in problem.notes[1]


def test_an_exception_without_text_and_one_in_a_library_are_told_too() -> None:
    def silent(program: Program, context: Context) -> float:  # noqa: ARG001
        raise AssertionError

    def in_numpy(program: Program, context: Context) -> float:  # noqa: ARG001
        return float(np.linalg.inv(np.zeros((2, 3)))[0, 0])

    first, second = (
        evaluate_program(UserFunction(f), toy_space()[0], Context(0)).diagnostic for f in (silent, in_numpy)
    )
    assert first is not None
    assert first.message == "AssertionError"
    assert second is not None
    assert second.message.startswith("LinAlgError")
    assert " in in_numpy: " in second.notes[0]


def test_a_failure_in_the_emitted_code_is_told_in_the_words_of_the_grammar() -> None:
    def reward(program: Program, context: Context) -> float:  # noqa: ARG001
        network: Any = program.build(in_channels=1, num_classes=10)
        return float(network(torch.zeros(2, 3, 8, 8)).sum())  # three channels where one was promised

    program = dslc.compile("conv_net").samples(1, seed=0)[0]
    problem = evaluate_program(UserFunction(reward), program, Context(0)).diagnostic
    assert problem is not None
    assert problem.code is Code.EMITTED_CODE_FAILED
    assert any("layer" in note for note in problem.notes)


def test_a_diagnostic_that_the_task_raises_is_the_outcome() -> None:
    def reward(program: Program, context: Context) -> float:  # noqa: ARG001
        raise DslcError(Diagnostic(Code.LOSS_NOT_FINITE, Severity.ERROR, "the loss is nan"))

    result = evaluate_program(UserFunction(reward), toy_space()[0], Context(0))
    assert result.diagnostic is not None
    assert result.diagnostic.code is Code.LOSS_NOT_FINITE


def test_global_generators_give_the_child_the_same_numbers_and_are_put_back() -> None:
    def reward(program: Program, context: Context) -> float:  # noqa: ARG001
        import random

        return random.random() + np.random.rand() + torch.rand(()).item()

    torch.manual_seed(3)
    expected = torch.rand(2, generator=torch.Generator().manual_seed(3)).tolist()
    first = torch.rand(()).item()
    results = {evaluate_program(UserFunction(reward), toy_space()[0], Context(seed)).reward for seed in (1, 2, 1)}
    assert len(results) == 2
    assert [first, torch.rand(()).item()] == pytest.approx(expected)


def test_child_seeds_are_fixed_for_all_time_and_fit_every_library() -> None:
    assert child_seed(0, "program", 1.0) == 874382033  # sha256sum of the bytes "0\0program\0001.0"
    seeds = {child_seed(run, f"{program}", 1.0) for run in range(10) for program in range(100)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_sentence_without_meaning_has_a_hash_of_its_own_and_fails() -> None:
    space = dslc.compile_text('//! target conv_net\nstart: layer\nlayer: A A\nA: "1" | "2"\n%ignore " "\n')
    programs = [space[0], space[1]]
    assert len({hash_program(program) for program in programs}) == 2

    def reward(program: Program, context: Context) -> float:  # noqa: ARG001
        return float(len(program.graph.nodes))

    result = evaluate_program(UserFunction(reward), programs[0], Context(0))
    assert result.reward is None
    assert result.diagnostic is not None


def test_a_test_is_guarded_as_an_evaluation_is() -> None:
    def reward(program: Program, context: Context) -> float:  # noqa: ARG001
        return 1.0

    assert run_test(UserFunction(reward), toy_space()[0], Context(0)) is None
    reward.test = outer  # type: ignore[attr-defined]
    result = run_test(UserFunction(reward), toy_space()[0], Context(0))
    assert result is not None
    assert result.diagnostic is not None
    assert result.diagnostic.code is Code.TASK_RAISED
