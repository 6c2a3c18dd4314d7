"""The digits task: data, networks, training, failures."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.search import Context, search
from dslc.search.evaluate import evaluate_program
from dslc.search.tasks.digits import DigitsTask, build_network, load_digits, measure_accuracy, measure_reference

SMALL = "1 3 2 2 24 3 3 2 2 24 1 1 1 1 24"


def test_the_split_is_60_20_20_by_class_and_complete() -> None:
    data = load_digits()
    parts = (data.training, data.validation, data.test)
    assert [len(part.labels) for part in parts] == [1078, 359, 360]
    assert torch.cat([part.labels for part in parts]).bincount().tolist() == [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]
    for part in parts:
        shares = part.labels.bincount() / len(part.labels)
        assert float((shares - 0.1).abs().max()) < 0.01
    assert float(data.training.images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(data.training.images.std()) == pytest.approx(1, abs=1e-3)
    assert data.training.images.shape[1:] == (1, 8, 8)


def test_no_image_is_in_two_parts() -> None:
    data = load_digits()
    seen = [{tuple(image.flatten().tolist()) for image in part.images} for part in data[:3]]
    assert len(set.union(*seen)) == sum(map(len, seen))


def test_a_network_learns_and_a_repeat_gives_the_same_reward() -> None:
    program = dslc.compile("conv_net").parse(SMALL)
    task = DigitsTask()
    first, again, other = (evaluate_program(task, program, Context(seed)) for seed in (7, 7, 8))
    assert first == again
    assert first.metrics != other.metrics
    assert first.reward is not None
    assert first.reward > 0.3
    assert first.metrics["parameters"] == program.num_parameters
    longer = evaluate_program(task, program, Context(7, options={"epochs": 12}))
    assert longer.reward is not None
    assert longer.reward > max(0.85, first.reward)


def test_the_test_trains_the_same_network_and_looks_at_other_images() -> None:
    program = dslc.compile("conv_net").parse(SMALL)
    validation, test = DigitsTask().evaluate(program, Context(7)), DigitsTask().test(program, Context(7))
    assert test is not None
    assert test.reward is not None
    assert test.metrics["training loss"] == validation.metrics["training loss"]
    assert round(test.reward * 360, 6) == round(test.reward * 360)


def test_accuracy_is_the_share_of_right_classes() -> None:
    class Oracle(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            scores = torch.nn.functional.one_hot(load_digits().test.labels[: len(images)], 10).float()
            scores[:36] = 0  # those are said to be 0
            return scores

    wrong = int((load_digits().test.labels[:36] != 0).sum())
    assert measure_accuracy(Oracle(), load_digits().test, "cpu") == pytest.approx(1 - wrong / 360)


def test_an_activation_is_put_into_a_fixed_network_twice_with_its_own_parameters() -> None:
    space = dslc.compile("activation")
    swish = build_network(space.parse("x x scale sigmoid mul"))
    plain = build_network(space.parse("x x identity sigmoid mul"))
    count = [sum(parameter.numel() for parameter in network.parameters()) for network in (swish, plain)]
    assert count[1] == 9 * 16 + 2 * 16 + 9 * 16 * 32 + 2 * 32 + 32 * 10 + 10
    assert count[0] - count[1] == 16 + 32, "a beta for each channel"
    assert swish(torch.zeros(4, 1, 8, 8)).shape == (4, 10)
    relu, zero = (
        evaluate_program(DigitsTask(), space.parse(text), Context(0)).reward
        for text in ("x x relu relu max", "x x identity identity sub")
    )
    assert relu is not None
    assert zero is not None
    assert relu > 0.4 > 0.2 > zero


@pytest.mark.parametrize(
    ("name", "kind", "numbers"),
    [("activation_piecewise_linear", "random", 4), ("activation_fourier", "tanh", 5)],
)
def test_families_of_activations_stand_in_the_same_network(name: str, kind: str, numbers: int) -> None:
    """`numbers` trained numbers a channel, one set for all, or one a unit of the 8 x 8 and 4 x 4 places."""
    fixed = 9 * 16 + 2 * 16 + 9 * 16 * 32 + 2 * 32 + 32 * 10 + 10
    times = {"": 16 + 32, "_layer": 2, "_unit": 16 * 64 + 32 * 16}
    for end, sets in times.items():
        start = dslc.compile(name, start=f"{kind}{end}")
        program = next(p for p in start.samples(50, seed=0) if p.text.count(kind) == numbers)
        network = build_network(program)
        assert sum(parameter.numel() for parameter in network.parameters()) == fixed + sets * numbers
        assert network(torch.zeros(4, 1, 8, 8)).shape == (4, 10)
    menu = build_network(dslc.compile(name).sample(seed=0))
    assert sum(parameter.numel() for parameter in menu.parameters()) == fixed
    outcome = evaluate_program(DigitsTask(), dslc.compile(name, start=kind).sample(seed=0), Context(0))
    assert outcome.reward is not None
    assert outcome.reward > 0.4


def test_a_cell_stands_twice_in_a_fixed_network_with_its_own_parameters() -> None:
    program = dslc.compile("dag_cell", start="blocks_3").parse(
        "0 max_pool_3x3 1 identity  2 sep_conv_3x3 0 avg_pool_3x3  3 identity 1 identity"
    )
    network = build_network(program)
    separable = {channels: 2 * (9 * channels + channels**2 + 2 * channels) for channels in (16, 32)}
    ends = {channels: channels**2 + 2 * channels for channels in (16, 32)}
    fixed = 9 * 16 + 2 * 16 + 2 * (9 * 16 * 32 + 2 * 32) + 32 * 10 + 10
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == fixed + sum(separable.values()) + sum(ends.values())
    assert network(torch.zeros(4, 1, 8, 8)).shape == (4, 10)
    outcome = evaluate_program(DigitsTask(), program, Context(0))
    assert outcome.reward is not None
    assert outcome.reward > 0.5


def test_cells_are_searched(tmp_path: Path) -> None:
    space = dslc.compile("dag_cell", start="blocks_3")
    result = search(space, task="digits", evaluations=2, control=1, options={"epochs": 1}, run_dir=tmp_path / "run")
    assert result.status == "finished"
    assert all(record.reward is not None for record in result.records())


def test_a_loss_that_is_not_finite_is_a_failure() -> None:
    program = dslc.compile("activation").parse("x x identity identity sub")
    result = evaluate_program(DigitsTask(), program, Context(0, options={"learning_rate": 1e38}))
    assert result.reward is None
    assert result.diagnostic is not None
    assert result.diagnostic.code is Code.LOSS_NOT_FINITE


def test_training_stops_when_the_context_says_so() -> None:
    steps: list[int] = []

    def report(step: int, value: float) -> bool:  # noqa: ARG001
        steps.append(step)
        return False

    program = dslc.compile("conv_net").parse(SMALL)
    outcome = DigitsTask().evaluate(program, Context(0, options={"epochs": 50}, report=report))
    assert steps == [0]
    assert outcome.reward is not None


def test_a_search_trains_tests_and_records_the_data(tmp_path: Path) -> None:
    space = dslc.compile("conv_net")
    result = search(space, task="digits", evaluations=3, control=1, options={"epochs": 1}, run_dir=tmp_path / "run")
    assert result.status == "finished"
    assert result.info["config"]["options"] == {"epochs": 1, "batch_size": 128, "learning_rate": 0.1}
    assert result.info["environment"]["data_sha256"] == load_digits().sha256
    assert result.info["best"]["test"]["metric"] == "test accuracy"
    again = DigitsTask().test(result.best.program, Context(0))
    assert again is not None
    document = result.to_json()
    assert (document["format"], document["best"]["sample"]) == ("dslc.report/1", result.best.id)
    assert document["best"]["test"] == result.info["best"]["test"]


def test_the_stated_reference_is_what_the_command_gives() -> None:
    assert DigitsTask.reference is not None
    assert measure_reference()[0] == pytest.approx(DigitsTask.reference[1], abs=0.006)


def test_without_scikit_learn_the_pip_line_is_told_before_the_first_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def no_sklearn(
        name: str,
        variables: Mapping[str, object] | None = None,
        local: Mapping[str, object] | None = None,
        names: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        if name.split(".")[0] == "sklearn":
            raise ImportError(name)
        return real(name, variables, local, names, level)

    load_digits.cache_clear()
    monkeypatch.setattr(builtins, "__import__", no_sklearn)
    with pytest.raises(DslcError) as caught:
        search(dslc.compile("conv_net"), task="digits", run_dir=tmp_path / "run")
    assert caught.value.diagnostics[0].code is Code.MISSING_EXTRA
    assert 'pip install "dslc[tasks]"' in (caught.value.diagnostics[0].help or "")
    assert not (tmp_path / "run").exists()


@pytest.mark.gpu
def test_a_search_on_the_gpu(tmp_path: Path) -> None:
    result = search(
        dslc.compile("conv_net"), task="digits", evaluations=10, control=5, device="cuda", run_dir=tmp_path / "run"
    )
    assert result.status == "finished"
    assert all(record.reward is not None for record in result.records())
