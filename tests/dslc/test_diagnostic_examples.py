"""Every example of a reading diagnostic in docs/diagnostics.md causes that diagnostic."""

import re
from pathlib import Path

import pytest

from dslc.diagnostics import Code, DslcError
from dslc.language.normalize import normalize_grammar
from dslc.language.read import read_file, read_grammar
from dslc.source import SourceFile

PAGE = Path(__file__).parents[2] / "docs" / "diagnostics.md"
SECTION = re.compile(r"^## (DSLC1\d\d)$(.*?)(?=^## )", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```lark(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = {
    code: {name or "example.lark": text for name, text in BLOCK.findall(body)}
    for code, body in SECTION.findall(PAGE.read_text())
}
"""By code the files of its example, the first of them the one to read."""
FILES_ONLY = {Code.FILE_NOT_FOUND.value, Code.UNREADABLE_FILE.value}


def test_every_code_of_reading_has_a_section() -> None:
    codes = sorted(code.value for code in Code if code.value.startswith("DSLC1"))
    assert sorted(EXAMPLES) == codes
    assert {code for code, example in EXAMPLES.items() if not example} <= FILES_ONLY


@pytest.mark.parametrize("code", sorted(set(EXAMPLES) - FILES_ONLY))
def test_the_example_causes_it(code: str, tmp_path: Path) -> None:
    for name, text in EXAMPLES[code].items():
        (tmp_path / name).write_text(text)
    files = [read_file(tmp_path / name) for name in EXAMPLES[code]]
    # One file alone is a text, as in a notebook.
    file = files[0] if len(files) > 1 else SourceFile("example.lark", files[0].text)
    try:
        grammar, diagnostics = read_grammar(file)
        normalize_grammar(grammar)
    except DslcError as error:
        diagnostics = error.diagnostics
    assert code in {diagnostic.code.value for diagnostic in diagnostics}
