"""The three renderings."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslc.diagnostics import (
    Code,
    Diagnostic,
    DslcError,
    Label,
    Severity,
    render_github,
    render_json,
    render_text,
)
from dslc.source import SourceFile

FILE = SourceFile("grammars/a.lark", 'start: a\na: "x"\n\na: "y"\n')
TWICE = Diagnostic(
    Code.DUPLICATE_DEFINITION,
    Severity.ERROR,
    "`a` is defined twice",
    FILE.span(17, 18),
    "rename one of them",
    (Label(FILE.span(9, 10), "first defined here"),),
    ("a note",),
)
NOWHERE = Diagnostic(Code.NO_CUDA, Severity.NOTE, "50% of it:\nmore, or less")


def test_text() -> None:
    assert (
        render_text([TWICE, NOWHERE])
        == """\
error[DSLC105]: `a` is defined twice
 --> grammars/a.lark:4:1
  |
4 | a: "y"
  | ^
 ::: grammars/a.lark:2:1
  |
2 | a: "x"
  | - first defined here
  |
help: rename one of them
note: a note
note: docs/diagnostics.md#dslc105

note[DSLC607]: 50% of it:
more, or less
note: docs/diagnostics.md#dslc607"""
    )


def _marks(line: str, first: str, length: int) -> tuple[str, str]:
    file = SourceFile("a", line)
    start = line.index(first)
    diagnostic = Diagnostic(Code.SYNTAX, Severity.ERROR, "m", file.span(start, start + length))
    shown = render_text([diagnostic]).splitlines()
    return shown[3][4:], shown[4][4:]


def test_carets_stand_under_what_they_mean() -> None:
    assert _marks("a: \t bad", "bad", 3) == ("a:      bad", "        ^^^")
    assert _marks("漢: bad", "bad", 3) == ("漢: bad", "    ^^^")
    assert _marks("e\u0301: bad", "bad", 3)[1].index("^") == 3
    assert _marks("bad", "bad", 99)[1] == "^^^"


@given(st.integers(0, 300), st.integers(1, 300))
def test_long_lines_are_cut_around_the_place(before: int, after: int) -> None:
    line = "a" * before + "!" + "b" * after
    shown, marks = _marks(line, "!", 1)
    assert len(shown) <= 102
    assert shown[len(marks) - 1] == "!"
    assert marks.strip() == "^"


def test_a_span_over_lines_is_marked_to_the_end_of_its_first() -> None:
    file = SourceFile("a", "one two\nthree")
    shown = render_text([Diagnostic(Code.SYNTAX, Severity.ERROR, "m", file.span(4, 10))])
    assert "1 | one two\n  |     ^^^\n" in shown


def test_a_place_at_the_end_of_the_file_has_a_caret() -> None:
    file = SourceFile("a", "")
    shown = render_text([Diagnostic(Code.SYNTAX, Severity.ERROR, "m", file.span(0))])
    assert "1 |\n  | ^\n" in shown


def test_color_only_adds_escapes() -> None:
    colored = render_text([TWICE, NOWHERE], color=True)
    assert "\x1b[1;31m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render_text([TWICE, NOWHERE])


def test_a_file_cannot_move_the_cursor() -> None:
    file = SourceFile("a", "x \x1b[31m y")
    shown = render_text([Diagnostic(Code.SYNTAX, Severity.ERROR, "bad \x1b[0m", file.span(0))])
    assert "\x1b" not in shown


def test_json() -> None:
    document = json.loads(json.dumps(render_json([TWICE, NOWHERE], ["grammars/a.lark"])))
    assert document["format"] == "dslc.check/1"
    assert document["files"] == ["grammars/a.lark"]
    assert document["counts"] == {"error": 1, "warning": 0, "note": 1}
    twice, nowhere = document["diagnostics"]
    place = {"file": "grammars/a.lark", "line": 4, "column": 1, "end_line": 4, "end_column": 2}
    first = {"file": "grammars/a.lark", "line": 2, "column": 1, "end_line": 2, "end_column": 2}
    assert twice == {
        "code": "DSLC105",
        "severity": "error",
        "message": "`a` is defined twice",
        **place,
        "excerpt": 'a: "y"',
        "help": "rename one of them",
        "labels": [{**first, "message": "first defined here"}],
        "notes": ["a note"],
    }
    assert nowhere["file"] is None
    assert nowhere["line"] is None
    assert nowhere["excerpt"] is None


def test_github() -> None:
    assert render_github([TWICE, NOWHERE]) == (
        "::error file=grammars/a.lark,line=4,col=1,endLine=4,endColumn=2,title=DSLC105::"
        "`a` is defined twice%0Ahelp: rename one of them\n"
        "::notice title=DSLC607::50%25 of it:%0Amore, or less"
    )
    file = SourceFile("a,b:c.lark", "x")
    shown = render_github([Diagnostic(Code.SYNTAX, Severity.WARNING, "m", file.span(0))])
    assert shown.startswith("::warning file=a%2Cb%3Ac.lark,line=1,")


def test_an_error_shows_its_diagnostics() -> None:
    error = DslcError(TWICE)
    assert error.diagnostics == (TWICE,)
    assert str(error) == render_text([TWICE])
    with pytest.raises(AssertionError):
        DslcError(NOWHERE)


def test_codes_are_unique_and_in_their_family() -> None:
    assert len(Code.__members__) == len({code.value for code in Code})
    assert all(re.fullmatch(r"DSLC[1-9]\d\d", code.value) for code in Code)
