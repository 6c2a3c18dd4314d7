"""Every section of docs/diagnostics.md has an example, and what it does causes the diagnostic of that section.

Blocks of a section in order, in one folder: a title `file=NAME` writes a file, ```lark without one is `example.lark`;
then the first grammar is checked, ```sh runs commands (dslc's in this process) and ```python runs here. What
```console and ```pycon blocks print is held to the page by tests/repo/test_documentation.py.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch

import dslc.cli.info
from dslc.checks import check
from dslc.diagnostics import Code, DslcError
from dslc.program.targets import get_target
from dslc.search import engine
from tests.dslc.command_line import run

PAGE = Path(__file__).parents[2] / "docs" / "diagnostics.md"
SECTION = re.compile(r"^## (DSLC\d\d\d)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = {code: BLOCK.findall(body) for code, body in SECTION.findall(PAGE.read_text())}
"""By code: kind, title and body of each block."""


@pytest.fixture(autouse=True)
def _everything_is_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """What an example changes of this process is undone: its folder, path, modules and environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    changed = ((torch.cuda, "is_available"), (dslc.cli.info, "compile_space"), (engine, "CHECKPOINT_SECONDS"))
    for module, name in changed:
        monkeypatch.setattr(module, name, getattr(module, name))
    environment, modules = dict(os.environ), dict(sys.modules)
    get_target.cache_clear()
    yield
    get_target.cache_clear()
    os.environ.clear()
    os.environ.update(environment)
    for name in set(sys.modules) - set(modules):
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or "") or sys.modules[name] is None:
            del sys.modules[name]
    sys.modules.update(modules)


def codes_of(example: list[tuple[str, str, str]]) -> set[str]:
    """Codes of everything that the blocks of an example say."""
    files: list[Path] = []
    for kind, title, body in example:
        if title.startswith("file=") or kind == "lark":
            path = Path(title.removeprefix("file=") or "example.lark")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
            files.append(path)
    found = set()
    grammars = [path for path in files if path.suffix == ".lark"]
    if grammars:
        found |= {diagnostic.code.value for diagnostic in check(grammars[0])}
    for kind, title, body in example:
        if kind == "sh":
            for line in body.replace("\\\n", " ").splitlines():
                found |= _run_line(line)
        elif kind == "python" and not title:
            found |= _run_python(body)
    return found


def _run_line(line: str) -> set[str]:
    if shlex.split(line)[0] != "dslc":
        subprocess.run(line, shell=True, check=True)
        return set()
    done = run(*shlex.split(line)[1:])
    return set(re.findall(r"DSLC\d\d\d", done.out + done.err))


def _run_python(text: str) -> set[str]:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            exec(compile(text, "<example>", "exec"), {"__name__": "__main__"})
        except DslcError as error:
            return {diagnostic.code.value for diagnostic in error.diagnostics}
    return set()


def test_every_code_has_a_section_with_an_example() -> None:
    assert list(EXAMPLES) == sorted(code.value for code in Code)
    kinds = {code: {kind for kind, _, _ in example} for code, example in EXAMPLES.items()}
    assert {
        code: found for code, found in kinds.items() if not found & {"lark", "sh", "python", "console", "pycon"}
    } == {}


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_example_causes_it(code: str) -> None:
    example = EXAMPLES[code]
    if any(kind in ("console", "pycon") and code.lower() in body.lower() for kind, _, body in example):
        return  # printed, and compared there
    assert code in codes_of(example)


@pytest.mark.parametrize("code", [code for code in EXAMPLES if code.startswith(("DSLC1", "DSLC2"))])
def test_a_grammar_shows_what_reading_and_checking_find(code: str) -> None:
    """Faults of a file need no command but `check`: one block of lark, or files that import each other."""
    others = (Code.FILE_NOT_FOUND, Code.UNREADABLE_FILE, Code.UNSUPPORTED_IMPORT, Code.UNKNOWN_START)
    if code not in {other.value for other in others}:
        assert {kind for kind, _, _ in EXAMPLES[code]} == {"lark"}
