"""`dslc new`: what it makes works untouched."""

import subprocess
import sys
from pathlib import Path

import pytest

from dslc.cli.new import starter_texts
from dslc.grammars import grammar_names
from tests.dslc.command_line import ROOT, run


@pytest.mark.parametrize("arguments", [(), ("--from", "conv_net"), ("--from", "expression")], ids=" ".join)
def test_the_generated_test_passes_untouched(arguments: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    done = run("new", folder, *arguments, "--json")
    assert done.code == 0
    files = [Path(name) for name in done.document["files"]]
    assert sorted(path.suffix for path in files) == [".lark", ".md", ".py", ".py"]
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout
    assert "7 passed" in tests.stdout


@pytest.mark.parametrize("name", grammar_names())
def test_every_shipped_grammar_starts_a_folder(name: str) -> None:
    texts = starter_texts(name)
    assert set(texts) == {f"{name}.lark", "reward.py", "test_reward.py", "README.md"}
    assert all("$" not in texts[file] for file in ("test_reward.py", "README.md"))


def test_the_readme_names_commands_that_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("new", tmp_path)
    monkeypatch.chdir(tmp_path)
    commands = [
        line.split("#")[0].split() for line in Path("README.md").read_text().splitlines() if line.startswith("dslc ")
    ]
    assert len(commands) >= 5
    for _, name, *arguments in commands:
        extra = ["--evaluations", "10"] if name == "search" else []
        assert run(name, *arguments, *extra).code == 0


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text("mine")
    done = run("new", tmp_path)
    assert (done.code, "DSLC681" in done.err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["reward.py"]
    assert run("new", tmp_path, "--force").code == 0


def test_from_an_unknown_grammar(tmp_path: Path) -> None:
    done = run("new", tmp_path / "a", "--from", "conv_nat")
    assert done.code == 1
    assert "conv_net" in done.err
    assert not (tmp_path / "a").exists()
