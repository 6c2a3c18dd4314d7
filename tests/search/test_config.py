"""Settings are checked before anything runs."""

from pathlib import Path
from typing import Any

import pytest

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.search import search
from dslc.search.config import SearchConfig, check_options, make_config
from tests.search.toy_search import sum_of_digits, toy_run, toy_space


def problems(**settings: Any) -> list[tuple[Code, str, str | None]]:
    with pytest.raises(DslcError) as caught:
        make_config("digits", **settings)
    return [(problem.code, problem.message, problem.help) for problem in caught.value.diagnostics]


def test_defaults_follow_the_number_of_evaluations() -> None:
    config = make_config("digits", evaluations=300)
    assert (config.batch, config.control, config.workers, config.child_threads) == (10, 150, 0, 1)
    assert make_config("digits", evaluations=3).batch == 3
    assert make_config("digits", evaluations=300, control=0, batch=7).control == 0
    assert SearchConfig(**config.to_json()) == config


def test_every_value_out_of_range_is_named_at_once() -> None:
    found = problems(evaluations=0, control=-1, seed=2**63, device="gpu", child_threads=True, workers=-1)
    assert {code for code, _, _ in found} == {Code.BAD_SETTING}
    named = {message.split("`")[1] for _, message, _ in found}
    assert {"evaluations", "control", "seed", "device", "child_threads", "workers"} <= named
    assert problems(batch=21, evaluations=20)[0][1] == "`batch` is 21"
    assert problems(evaluations=2.5)[0][2] == "give a whole number from 1 to 1000000000"


def test_unknown_settings_and_options_are_refused_with_the_nearest_name() -> None:
    ((code, message, action),) = problems(divice="cpu")
    assert (code, message) == (Code.UNKNOWN_OPTION, "there is no setting `divice`")
    assert action is not None
    assert action.startswith("did you mean `device`?")
    defaults = {"epochs": 3, "learning_rate": 0.1, "schedule": "cosine"}
    with pytest.raises(DslcError) as caught:
        check_options("digits", {"epoch": 1, "zzz": 2}, defaults)
    assert [problem.code for problem in caught.value.diagnostics] == [Code.UNKNOWN_OPTION] * 2
    assert "`epochs`" in (caught.value.diagnostics[0].help or "")
    for bad in ({"epochs": 2.5}, {"epochs": 0}, {"epochs": "3"}, {"learning_rate": -1.0}, {"schedule": 3}):
        with pytest.raises(DslcError) as caught:
            check_options("digits", bad, defaults)
        assert caught.value.diagnostics[0].code is Code.BAD_SETTING
    assert check_options("digits", {"learning_rate": 1}, defaults) == {**defaults, "learning_rate": 1}


def test_a_target_that_the_task_does_not_accept_ends_before_the_first_sample(tmp_path: Path) -> None:
    for space in (toy_space(), dslc.compile("rnn_cell")):
        with pytest.raises(DslcError) as caught:
            search(space, task="digits", run_dir=tmp_path / "run")
        problem = caught.value.diagnostics[0]
        assert problem.code is Code.TASK_REFUSES_TARGET
        assert "conv_net, activation" in (problem.help or "")
    assert not (tmp_path / "run").exists()


def test_unknown_strategies_and_their_options_are_refused(tmp_path: Path) -> None:
    cases: tuple[tuple[dict[str, Any], Code], ...] = (
        ({"strategy": "policy_gradiant"}, Code.UNKNOWN_STRATEGY),
        ({"strategy_options": {"learning_rat": 0.1}}, Code.UNKNOWN_OPTION),
    )
    for settings, code in cases:
        with pytest.raises(DslcError) as caught:
            search(toy_space(), task=sum_of_digits, run_dir=tmp_path / "run", **settings)
        assert caught.value.diagnostics[0].code is code
    assert not (tmp_path / "run").exists()


def test_cuda_without_a_device_is_a_diagnostic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DslcError) as caught:
        toy_run(tmp_path / "run", device="cuda")
    assert caught.value.diagnostics[0].code is Code.NO_CUDA


def test_torch_gets_the_runs_threads_and_its_own_back(tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    threads = set()

    def reward(program: object, context: object) -> float:  # noqa: ARG001
        threads.add(torch.get_num_threads())
        return 1.0

    toy_run(tmp_path / "run", reward, child_threads=3, evaluations=2)
    assert threads == {3}
    assert torch.get_num_threads() == before
