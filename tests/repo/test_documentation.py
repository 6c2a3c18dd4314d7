"""The documentation is true: commands and Python in it run, codes and sources are explained, links lead somewhere."""

import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import dslc
from dslc.diagnostics import Code

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXECUTED = [page for page in PAGES if "```console" in page.read_text() or "```pycon" in page.read_text()]
BLOCK = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_enough_pages_are_executed() -> None:
    assert {"README.md", "tutorial.md"} <= {page.name for page in EXECUTED}


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.name)
def test_page_runs_as_printed(page: Path, tmp_path: Path) -> None:
    """Blocks in order in one folder: ```console runs commands, ```pycon Python; a title `file=NAME` writes a file."""
    namespace: dict[str, object] = {}
    for kind, title, body in BLOCK.findall(page.read_text()):
        if title.startswith("file="):
            path = tmp_path / title.removeprefix("file=")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        elif kind == "console" and "not run" not in title:
            _run_console(body, tmp_path)
        elif kind == "pycon":
            _run_python(body, namespace, tmp_path, page)


def _run_console(body: str, folder: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NO_COLOR": "1",
        "COLUMNS": "80",
    }
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        if shlex.split(command)[0] == "dslc":
            command = f"{shlex.quote(sys.executable)} -m {command}"
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        printed = "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        if not doctest.OutputChecker().check_output(expected.rstrip() + "\n", printed, flags):
            pytest.fail(f"$ {command}\nprinted:\n{printed}\nthe page says:\n{expected}")


def _run_python(body: str, namespace: dict[str, object], folder: Path, page: Path) -> None:
    test = doctest.DocTestParser().get_doctest(body, namespace, page.name, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    out = io.StringIO()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with redirect_stdout(out):
            runner.run(test, out=out.write, clear_globs=False)
    finally:
        os.chdir(before)
    namespace.update(test.globs)
    assert runner.failures == 0, out.getvalue()


def test_every_code_is_explained() -> None:
    text = (ROOT / "docs" / "diagnostics.md").read_text()
    sections = re.findall(r"^## (DSLC\d+)$", text, re.MULTILINE)
    assert sections == sorted(code.value for code in Code)


def test_every_public_name_is_documented() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert [name for name in dslc.__all__ if f"`{name}" not in text and f"dslc.{name}" not in text] == []


def test_every_source_is_in_the_references() -> None:
    keys = set(re.findall(r"^## (\w+)$", (ROOT / "docs" / "references.md").read_text(), re.MULTILINE))
    assert len(keys) >= 8
    used: dict[str, set[str]] = {}
    for folder in ("dslc", "controller", "search", "grammars"):
        for path in [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.lark")]:
            for key in re.findall(r"\b([a-z]+(?:19|20)\d\d)\b", path.read_text()):
                used.setdefault(key, set()).add(str(path.relative_to(ROOT)))
    assert {key: places for key, places in used.items() if key not in keys} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not link.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_promises_name_tests_that_exist() -> None:
    """A test's name stands behind the link to its file."""
    page = ROOT / "docs" / "promises.md"
    text, named = "", 0
    for file, name in re.findall(r"\]\(([^)#]+\.py)\)|`(test_\w+)`", page.read_text()):
        if file:
            text = (page.parent / file).read_text()
        else:
            assert f"def {name}(" in text, name
            named += 1
    assert named > 10


def test_no_machine_is_named() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    words = ["/wo" + "rk/", "/ro" + "ot/", "/opt/" + "wheels", "/op" + "t/pypi"]
    for name in tracked.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png", ".svg"}:
            text = path.read_text(errors="replace")
            assert [word for word in words if word in text] == [], name
