"""One import package in four folders: the links, the package list, the guards, the top level."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_is_listed() -> None:
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for folder in ("dslc", "controller", "search", "grammars")
        for init in (ROOT / folder).rglob("__init__.py")
        if not any((ROOT / folder / link) in init.parents for link in ("controller", "search", "grammars"))
    }
    listed = set(PYPROJECT["tool"]["setuptools"]["packages"])
    mapped = {name if name.startswith("dslc") else f"dslc.{name}" for name in found}
    assert mapped == listed


@pytest.mark.parametrize("name", ["controller", "search", "grammars"])
def test_links_are_relative(name: str) -> None:
    link = ROOT / "dslc" / name
    assert link.is_symlink()
    assert str(link.readlink()) == f"../{name}"


@pytest.mark.parametrize("name", ["controller", "search"])
def test_bare_names_are_refused(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"import dslc.{name}, not {name}" in done.stderr


def test_top_level_holds_nothing_unexpected() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    assert top <= {
        "dslc", "grammars", "controller", "search", "tests", "docs", "pyproject.toml", "README.md", "LICENSE",
        "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "constraints.txt", ".ci", ".gitignore",
    }  # fmt: skip


def test_every_dependency_is_pinned() -> None:
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in _constraints()}
    project = PYPROJECT["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    names = {d.split(">")[0].split("[")[0].lower().replace("_", "-") for d in wanted} - {"dslc"}
    assert names <= pinned


def test_every_dependency_has_a_lower_bound() -> None:
    project = PYPROJECT["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    assert [d for d in wanted if ">=" not in d and not d.startswith("dslc[")] == []


def _constraints() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]
