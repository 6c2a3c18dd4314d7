"""The task `optimize`: sweep, training, failures, and what is known of optimizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.search import Context, search
from dslc.search.evaluate import evaluate_program
from dslc.search.tasks import optimize
from dslc.search.tasks.digits import load_digits
from dslc.search.tasks.optimize import (
    LEARNING_RATES,
    OptimizeTask,
    build_network,
    measure_reference,
    reference_optimizers,
    score_optimizer,
    train_steps,
)

SPACE = dslc.compile("optimizer", start="scheduled")
ADAM = SPACE.parse("adam g identity identity keep_left")
NOISY = SPACE.parse("adam noise drop_0.1 identity add")
DECAYED = SPACE.parse("adam ld identity identity mul")


def test_adam_learns_and_a_repeat_gives_the_same_reward() -> None:
    task = OptimizeTask()
    first, again, other = (evaluate_program(task, ADAM, Context(seed)) for seed in (3, 3, 4))
    assert first == again
    assert first.metrics != other.metrics
    assert first.reward is not None
    assert first.reward > 0.93
    assert first.reward == first.metrics["accuracy"]
    assert first.metrics["learning rate"] == 0.01
    noisy, noisy_again = (task.evaluate(NOISY, Context(3)) for _ in range(2))
    assert noisy == noisy_again, "noise is drawn from the child's seed"


def test_the_sentence_for_adam_scores_as_pytorch_s_adam() -> None:
    ours = OptimizeTask().evaluate(ADAM, Context(5))
    theirs = score_optimizer(
        lambda parameters, rate, _: torch.optim.Adam(parameters, lr=rate),
        Context(5),
        load_digits().validation,
        **OptimizeTask.options,
    )
    assert ours.reward == pytest.approx(theirs.reward, abs=0.006)
    assert ours.metrics["sweep loss"] == pytest.approx(theirs.metrics["sweep loss"], rel=1e-3)


def test_an_uphill_rule_learns_nothing() -> None:
    outcome = evaluate_program(OptimizeTask(), SPACE.parse("g 1 negate identity mul"), Context(0))
    assert outcome.reward is None or outcome.reward < 0.4


def test_the_sweep_tries_every_rate_and_tells_the_length_of_each_run() -> None:
    seen: list[tuple[float, int]] = []

    def make_optimizer(parameters: Any, rate: float, total_steps: int) -> torch.optim.Optimizer:
        seen.append((rate, total_steps))
        return torch.optim.SGD(parameters, lr=rate)

    outcome = score_optimizer(
        make_optimizer, Context(0), load_digits().validation, epochs=1, sweep_steps=4, batch_size=100
    )
    assert seen == [*((rate, 4) for rate in LEARNING_RATES), (outcome.metrics["learning rate"], 11)]
    assert list(LEARNING_RATES) == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10])
    assert outcome.metrics["learning rate"] in (0.1, 1.0)


def test_a_decay_ends_with_the_run() -> None:
    network, losses = train_steps(optimize._maker(DECAYED), 0.01, Context(0), 100, 15)
    assert len(losses) == 15
    assert losses[-1] < losses[0]
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())


def test_networks_begin_alike_for_the_same_seed_and_global_generators_are_left_alone() -> None:
    before = torch.get_rng_state()
    still = SPACE.parse("g g identity identity sub")
    one, other, third = (
        next(train_steps(optimize._maker(still), rate, Context(seed), 100, 2)[0].parameters())
        for rate, seed in ((1.0, 0), (10.0, 0), (1.0, 1))
    )
    assert torch.equal(one, other)
    assert not torch.equal(one, third)
    assert torch.equal(torch.get_rng_state(), before)
    assert build_network()(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_a_loss_that_is_never_finite_is_a_failure() -> None:
    program = SPACE.parse("1e-1w 1 log_abs identity mul")  # biases begin at 0, whose logarithm is infinite
    outcome = evaluate_program(OptimizeTask(), program, Context(0))
    assert outcome.reward is None
    assert outcome.diagnostic is not None
    assert outcome.diagnostic.code is Code.LOSS_NOT_FINITE
    assert "with every learning rate of the sweep" in outcome.diagnostic.message


def test_a_run_that_breaks_after_the_sweep_names_its_step() -> None:
    def make_optimizer(parameters: Any, rate: float, total_steps: int) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=1e30 if total_steps > 6 and rate < 100 else rate)

    outcome = score_optimizer(make_optimizer, Context(0), load_digits().validation, **OptimizeTask.options)
    assert outcome.reward is None
    assert outcome.diagnostic is not None
    assert "of 22, learning rate" in outcome.diagnostic.message


def test_a_run_stops_where_the_report_says_no() -> None:
    steps: list[tuple[int, float]] = []

    def report(step: int, value: float) -> bool:
        steps.append((step, value))
        return False

    outcome = OptimizeTask().evaluate(ADAM, Context(0, options={"epochs": 4}, report=report))
    assert [step for step, _ in steps] == [0]
    assert outcome.reward is not None


def test_fidelity_shortens_the_run() -> None:
    full, half = (OptimizeTask().evaluate(ADAM, Context(0, fidelity=share)) for share in (1.0, 0.5))
    assert full.metrics["sweep loss"] == half.metrics["sweep loss"]
    assert full.metrics["training loss"] < half.metrics["training loss"]


def test_the_test_trains_the_same_network_and_looks_at_other_images() -> None:
    validation, test = OptimizeTask().evaluate(ADAM, Context(7)), OptimizeTask().test(ADAM, Context(7))
    assert test is not None
    assert test.reward is not None
    assert test.metrics["training loss"] == validation.metrics["training loss"]
    assert round(test.reward * 360, 6) == round(test.reward * 360)


def test_the_reference_is_what_its_command_measures() -> None:
    assert OptimizeTask.reference is not None
    label, value, command = OptimizeTask.reference
    assert command == "python -m dslc.search.tasks.optimize"
    assert label.startswith("Adam")
    assert set(reference_optimizers()) == {"SGD", "SGD with momentum 0.9", "RMSprop", "Adam", "PowerSign", "AddSign"}
    mean, deviation = measure_reference(reference_optimizers()["Adam"], num_seeds=3)
    assert mean == pytest.approx(value, abs=0.015), "four deviations of a mean of three"
    assert 0 < deviation < 0.02


def test_a_search_and_its_refusal_of_other_targets(tmp_path: Path) -> None:
    options = {"epochs": 1, "sweep_steps": 2}
    result = search(
        SPACE, task="optimize", evaluations=6, control=3, batch=3, run_dir=tmp_path / "run", options=options
    )
    assert result.status == "finished"
    assert len(list(result.records())) == 9
    with pytest.raises(DslcError) as error:
        search(dslc.compile("conv_net"), task="optimize", evaluations=5, run_dir=tmp_path / "other")
    assert error.value.diagnostics[0].code is Code.TASK_REFUSES_TARGET
