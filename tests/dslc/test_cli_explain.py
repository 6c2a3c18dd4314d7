"""`dslc explain`."""

import tomllib
from importlib.resources import files

import pytest

from dslc.cli.explain import read_explanations
from dslc.diagnostics import Code
from tests.dslc.command_line import ROOT, run, run_process


def test_the_page_is_the_one_source() -> None:
    packaged = files("dslc") / "diagnostics.md"
    assert packaged.read_text(encoding="utf-8") == (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    link = ROOT / "dslc" / "diagnostics.md"
    assert link.is_symlink()
    assert str(link.readlink()) == "../docs/diagnostics.md"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "diagnostics.md" in settings["package-data"]["dslc"]


def test_every_code_has_a_title_and_a_text() -> None:
    explanations = read_explanations()
    assert list(explanations) == sorted(code.value for code in Code)
    for explanation in explanations.values():
        assert explanation.title.endswith(".")
        assert len(explanation.title) < 120
        assert explanation.text


def test_a_code_is_explained() -> None:
    done = run("explain", "DSLC204")
    assert done.code == 0
    assert done.out == (
        "DSLC204: A rule is not used (warning).\n\nNo start that the file names reaches it.\n\n"
        'Remove it, or name it in `//! start`.\n\n    start: "x" | "y"\n    spare: "z"\n'
    )
    assert done.err == ""


@pytest.mark.parametrize("code", list(Code))
def test_every_code_reads_well(code: Code) -> None:
    done = run("explain", code.value)
    assert done.code == 0
    assert "**" not in done.out
    assert "```" not in done.out
    assert "](" not in done.out
    text = [line for line in done.out.splitlines() if not line.startswith("    ")]
    assert max(map(len, text)) <= 100


@pytest.mark.parametrize("written", ["204", "dslc204", " Dslc204 "])
def test_ways_to_write_a_code(written: str) -> None:
    assert run("explain", written).out == run("explain", "DSLC204").out


@pytest.mark.parametrize(("written", "near"), [("DSLC999", ""), ("DSLC2044", "DSLC204"), ("x", "")])
def test_an_unknown_code_is_refused(written: str, near: str) -> None:
    done = run("explain", written)
    assert done.code == 1
    assert f"error[DSLC683]: there is no code `{written}`" in done.err
    assert "`dslc explain` lists all" in done.err
    assert near in done.err
    assert done.out == ""
    assert run("explain", written, "--json").document["diagnostics"][0]["code"] == "DSLC683"


def test_all_are_listed() -> None:
    done = run("explain")
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split("  ")[0] for line in lines] == sorted(code.value for code in Code)
    assert "DSLC101  There is no such file." in lines
    assert "dslc explain CODE" in done.err
    assert run("explain", "--quiet").err == ""


def test_json_has_one_form() -> None:
    (one,) = run("explain", "408", "--json").document["codes"]
    assert set(one) == {"code", "title", "text"}
    assert one["code"] == "DSLC408"
    assert "```lark" in one["text"]
    assert len(run("explain", "--json").document["codes"]) == len(Code)


def test_it_loads_nothing_heavy() -> None:
    done = run_process("explain", "204")
    assert done.code == 0
    assert done.out.startswith("DSLC204")
