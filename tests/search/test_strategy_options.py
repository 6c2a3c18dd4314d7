"""Strategies by name, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dslc.diagnostics import Code, DslcError
from dslc.search import strategies
from dslc.search.strategies import STRATEGY_NAMES, make_strategy
from tests.controller.small_spaces import MENUS, make_space

SPACE = make_space(MENUS)


def refuse(name: str, options: dict[str, Any]) -> DslcError:
    """The error of making a strategy."""
    with pytest.raises(DslcError) as caught:
        make_strategy(name, SPACE, evaluations=20, batch=5, seed=0, options=options)
    return caught.value


@pytest.mark.parametrize("name", STRATEGY_NAMES)
def test_every_strategy_can_be_made_by_its_name(name: str) -> None:
    strategy = make_strategy(name, SPACE, evaluations=20, batch=5, seed=0)
    assert strategy.name == name
    assert len(strategy.ask(5)) == 5
    assert strategy.ask(0) == []


def test_an_unknown_strategy_is_refused_with_the_nearest() -> None:
    (problem,) = refuse("reinforced", {}).diagnostics
    assert problem.code is Code.UNKNOWN_STRATEGY
    assert problem.help == "did you mean `reinforce`?"


def test_unknown_options_are_all_refused_with_the_nearest() -> None:
    first, second = refuse("policy_gradient", {"entropy_wieght": 0.1, "colour": 3}).diagnostics
    assert (first.code, second.code) == (Code.UNKNOWN_OPTION, Code.UNKNOWN_OPTION)
    assert first.help == "did you mean `entropy_weight`?"
    assert "`clip`" in (second.help or "")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("policy_gradient", {"learning_rate": -1.0}),
        ("policy_gradient", {"learning_rate": "fast"}),
        ("policy_gradient", {"learning_rate": float("nan")}),
        ("policy_gradient", {"passes": 0}),
        ("policy_gradient", {"passes": 1.5}),
        ("policy_gradient", {"passes": True}),
        ("policy_gradient", {"clip": 1.0}),
        ("policy_gradient", {"queue_size": 0}),
        ("policy_gradient", {"preset": "tiny"}),
        ("policy_gradient", {"preset": 3}),
        ("reinforce", {"baseline_decay": 1.0}),
        ("reinforce", {"entropy_weight": float("inf")}),
        ("reinforce", {"exploration": -0.5}),
        ("random", {"lengths": "odd"}),
    ],
)
def test_values_that_cannot_be_are_refused(name: str, options: dict[str, Any]) -> None:
    (problem,) = refuse(name, options).diagnostics
    assert problem.code is Code.BAD_SETTING
    assert f"`{next(iter(options))}`" in problem.message


def test_text_that_reads_as_a_number_is_one() -> None:
    options = {"learning_rate": "0.02", "passes": "3"}
    strategy = make_strategy("policy_gradient", SPACE, evaluations=20, batch=5, seed=0, options=options)
    assert "learning_rate=0.02, clip=0.2, passes=3" in repr(strategy._options)  # type: ignore[attr-defined]


def test_strategies_are_found_by_listing() -> None:
    folder = Path(strategies.__file__).parent
    declared = {path.stem for path in folder.glob("*.py") if "\nSTRATEGY = " in path.read_text()}
    assert set(STRATEGY_NAMES) == declared
    assert STRATEGY_NAMES[0] == "policy_gradient"
    assert list(STRATEGY_NAMES[1:]) == sorted(STRATEGY_NAMES[1:])


def test_a_strategy_may_be_a_file_that_no_other_names(tmp_path: Path) -> None:
    source = (Path(strategies.__file__).parent / "random.py").read_text()
    (tmp_path / "blind.py").write_text(source.replace('name = "random"', 'name = "blind"'))
    code = (
        "import dslc.search, sys; from importlib.util import find_spec; import pkgutil\n"
        f"spec = find_spec('dslc.search.strategies'); spec.submodule_search_locations.append({str(tmp_path)!r})\n"
        "from importlib.util import module_from_spec; module = module_from_spec(spec)\n"
        "sys.modules[spec.name] = module; spec.loader.exec_module(module); print(module.STRATEGY_NAMES)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    found = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, env=environment)
    assert "'blind'" in found.stdout, found.stderr


def test_a_preset_can_have_defaults_of_its_own_and_what_is_given_counts() -> None:
    made = [
        make_strategy("hybrid", SPACE, evaluations=20, batch=5, seed=0, options=options)
        for options in ({}, {"preset": "dso"}, {"preset": "dso", "passes": 3}, {"preset": "zoph2017"})
    ]
    found = [(strategy._options.passes, strategy._options.epsilon) for strategy in made]  # type: ignore[attr-defined]
    assert found == [(2, 1.0), (1, 0.05), (3, 0.05), (2, 1.0)]
