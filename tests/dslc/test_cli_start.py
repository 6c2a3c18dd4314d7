"""Starting tables from the command line: `dslc info` prints the figures, `dslc search` hands the options on."""

from __future__ import annotations

from typing import Any

import pytest

import dslc.search
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.strategies import make_strategy
from dslc.space import compile as compile_space
from tests.dslc.command_line import run


def test_info_prints_where_the_projected_table_starts() -> None:
    arguments = ("info", "expression", "--max-tokens", "20")
    local = run(*arguments, "--start-table", "local", "--json").document["start_policy"]
    projected = run(*arguments, "--json").document["start_policy"]
    assert (local["table"], projected["table"]) == ("local", "projected")
    assert projected["kl_to_even"] < 0.1 * local["kl_to_even"]
    assert local["criticality"] == projected["criticality"] == pytest.approx(12 / 9)
    assert "from even lengths" in " ".join(run(*arguments, "--quiet").out.split())


def test_info_prints_what_tuning_reached() -> None:
    targets = ("--target-length", "8", "--target-share", "add=0.2", "--target-share", "sin=0.05")
    policy = run("info", "expression", "--max-tokens", "20", *targets, "--json").document["start_policy"]
    assert policy["expected_tokens"] == pytest.approx(8, abs=1e-3)
    assert policy["shares"] == pytest.approx({"add": 0.2, "sin": 0.05}, abs=1e-4)
    assert policy["kl_to_uniform"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--target-share", "ad=0.2"), 1, "did you mean `add`?"),
        (("--target-length", "900"), 1, "sentences have 1 to 20 tokens"),
        (("--target-share", "add"), 2, "--target-share takes NAME=SHARE"),
        (("--target-length", "0"), 2, "--target-length"),
    ],
)
def test_targets_that_cannot_be(arguments: tuple[str, ...], code: int, message: str) -> None:
    result = run("info", "expression", "--max-tokens", "20", *arguments)
    assert result.code == code
    assert message in " ".join(result.err.split())


def test_search_hands_the_options_to_the_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def search(*_: object, **settings: Any) -> None:
        seen.update(settings)
        raise DslcError(Diagnostic(Code.BAD_SETTING, Severity.ERROR, "far enough", help="nothing is searched here"))

    monkeypatch.setattr(dslc.search, "search", search)
    targets = ("--start-table", "local", "--target-length", "8", "--target-share", "add=0.2")
    run("search", "expression", "--task", "fit", *targets)
    assert seen["strategy_options"] == {"start_table": "local", "target_length": 8.0, "target_shares": "add=0.2"}
    run("search", "expression", "--task", "fit")
    assert seen["strategy_options"] == {}


@pytest.mark.parametrize("name", ["policy_gradient", "reinforce"])
def test_a_fresh_policy_starts_at_the_table(name: str) -> None:
    space = compile_space("expression", max_tokens=20)
    options = {"target_length": 8, "target_shares": "add=0.2"}
    strategy = make_strategy(name, space, evaluations=400, batch=5, seed=0, options=options)
    candidates = strategy.ask(400)
    table = space.starting_table(target_length=8, target_shares={"add": 0.2})
    for candidate in candidates[:20]:
        assert candidate.log_prob == pytest.approx(table.log_prob(candidate.tokens), abs=1e-3)
    assert sum(len(candidate.tokens) for candidate in candidates) / 400 == pytest.approx(8, abs=1.5)


def test_options_that_cannot_be() -> None:
    space = compile_space("expression", max_tokens=20)
    for options in (
        {"start_table": "other"},
        {"target_length": -1},
        {"target_shares": "add"},
        {"target_length": 8, "preset": "zoph2017"},
    ):
        with pytest.raises(DslcError) as caught:
            make_strategy("policy_gradient", space, evaluations=20, batch=5, seed=0, options=options)
        (problem,) = caught.value.diagnostics
        assert problem.code is Code.BAD_SETTING
        assert f"`{next(iter(options))}`" in problem.message
    with pytest.raises(DslcError, match="has no option `target_length`"):
        make_strategy("random", space, evaluations=20, batch=5, seed=0, options={"target_length": 8})
