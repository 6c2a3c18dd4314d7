"""Every example of a reading diagnostic in docs/diagnostics.md causes that diagnostic."""

import re
from pathlib import Path

import pytest

from dslc.diagnostics import Code, DslcError
from dslc.language.normalize import normalize_grammar
from dslc.language.read import read_grammar
from dslc.source import SourceFile

PAGE = Path(__file__).parents[2] / "docs" / "diagnostics.md"
SECTION = re.compile(r"^## (DSLC1\d\d)$(.*?)(?=^## )", re.MULTILINE | re.DOTALL)
EXAMPLES = {
    code: "".join(re.findall(r"^```lark\n(.*?)^```$", body, re.MULTILINE | re.DOTALL))
    for code, body in SECTION.findall(PAGE.read_text())
}
FILES_ONLY = {Code.FILE_NOT_FOUND.value, Code.UNREADABLE_FILE.value}


def test_every_code_of_reading_has_a_section() -> None:
    codes = sorted(code.value for code in Code if code.value.startswith("DSLC1"))
    assert sorted(EXAMPLES) == codes
    assert {code for code, example in EXAMPLES.items() if not example} <= FILES_ONLY


@pytest.mark.parametrize("code", sorted(set(EXAMPLES) - FILES_ONLY))
def test_the_example_causes_it(code: str) -> None:
    try:
        grammar, diagnostics = read_grammar(SourceFile("example.lark", EXAMPLES[code]))
        normalize_grammar(grammar)
    except DslcError as error:
        diagnostics = error.diagnostics
    assert code in {diagnostic.code.value for diagnostic in diagnostics}
