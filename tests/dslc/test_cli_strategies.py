"""`dslc search --strategy` and `--preset`."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

import dslc.search
from dslc.cli.group import dslc as main
from dslc.controller.presets import PRESETS
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.strategies import STRATEGY_NAMES


def words(text: str) -> str:
    """The text with single blanks, as help is wrapped."""
    return " ".join(text.split())


def test_help_names_every_strategy_and_preset() -> None:
    found = words(CliRunner().invoke(main, ["search", "--help"]).output)
    assert f"How candidates are found: {', '.join(sorted(STRATEGY_NAMES))}." in found
    assert all(name in found for name in PRESETS)


def test_help_imports_no_torch() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from dslc.cli.group import dslc as main; "
        "assert CliRunner().invoke(main, ['search', '--help']).exit_code == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-B", "-c", code], check=True)


def test_a_preset_is_an_option_of_the_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def search(*_: object, **settings: Any) -> None:
        seen.update(settings)
        raise DslcError(Diagnostic(Code.BAD_SETTING, Severity.ERROR, "far enough", help="nothing is searched here"))

    monkeypatch.setattr(dslc.search, "search", search)
    arguments = ["search", "expression", "--task", "fit", "--strategy", "risk_seeking"]
    CliRunner().invoke(main, [*arguments, "--preset", "dso"])
    assert (seen["strategy"], seen["strategy_options"]) == ("risk_seeking", {"preset": "dso"})
    CliRunner().invoke(main, arguments)
    assert seen["strategy_options"] == {}
    twice = CliRunner().invoke(main, [*arguments, "--preset", "dso", "--set", "strategy.preset=small"])
    assert twice.exit_code == 2
    assert "give one of them" in twice.output


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    found = CliRunner().invoke(main, ["search", "expression", "--task", "fit", "--preset", "tiny", "--json"])
    assert found.exit_code == 1
    assert "option `preset` of strategy `policy_gradient` cannot be `tiny`" in found.output
    assert all(f"`{name}`" in found.output for name in PRESETS)


def test_the_shell_completes_strategies() -> None:
    from dslc.cli.search import command

    (option,) = (each for each in command.params if each.name == "strategy")
    completed = option.type.shell_complete(None, option, "r")  # type: ignore[arg-type]
    assert [item.value for item in completed] == ["random", "reinforce", "risk_seeking"]
