"""What `check` finds, by code, line and column, and that its remedies work."""

import re

import pytest

from dslc.checks import check_file
from dslc.diagnostics import Severity
from dslc.source import SourceFile

FOUND = {
    'start: "x" | loop\nloop: "a" loop\n': ("DSLC203", 2, 1),
    'start: "x" | "y"\nspare: "z"\n': ("DSLC204", 2, 1),
    'start: a\na: b | "x"\nb: a | "y"\n': ("DSLC206", 2, 1),
    '//! size 5\nstart: A A\nA: "x" | "y"\n': ("DSLC207", 1, 5),
    'start: act act\nact: "sin" | "cos"\n': ("DSLC208", 2, 14),
    '//! max_tokens 9\nstart: start "+" start | "x" | "y"\n': ("DSLC205", 2, 1),
    '//! max_tokens 2\nstart: A A A\nA: "x" | "y"\n': ("DSLC322", 1, 5),
    '//! at_least 3 a\n//! at_most 2 a\nstart: a*\na: "x" | "y"\n': ("DSLC331", 2, 5),
    '//! at_least 3 a\n//! max_tokens 2\nstart: a*\na: "x" | "y"\n': ("DSLC322", 1, 5),
    '//! size 9 of pair\nstart: A\npair: A A\nA: "x" | "y"\n': ("DSLC207", 1, 5),
    'start: (A | B)\nA: "x" | "y"\nB: "y"\n': ("DSLC209", 3, 4),
    'start: A B\nA: "1" | "12"\nB: "2"\n': ("DSLC210", 2, 4),
    '//! max_tokens 9\nstart: "x" | "(" start start start ")"\n': ("DSLC211", 2, 1),
    'start: A A\nA: "on"i | "off"\n': ("DSLC212", 2, 4),
    'start: "(" start ")"\n': ("DSLC321", 1, 1),
    'start: A B\nA: /x+/\nB: "y"\n': ("DSLC112", 2, 5),
    '//! target convnet\nstart: A\nA: "x" | "y"\n': ("DSLC402", 1, 5),
    '//! target activation\nstart: "x" "x" one one two -> core\none: "sigmoyd" -> sigmoyd | "abs" -> abs\n'
    'two: "add" -> add | "mul" -> mul\n': ("DSLC403", 3, 6),
}


def check_text(text: str) -> list[tuple[str, int, int]]:
    """(code, line, column) of everything found."""
    found = []
    for diagnostic in check_file(SourceFile("a.lark", text)):
        assert diagnostic.help
        assert diagnostic.span is not None
        found.append((diagnostic.code.value, *diagnostic.span.location))
    return found


@pytest.mark.parametrize("text", FOUND, ids=[code for code, _, _ in FOUND.values()])
def test_each_finding_has_its_place(text: str) -> None:
    assert FOUND[text] in check_text(text)


def test_a_sound_grammar_has_no_findings() -> None:
    assert check_text('//! size 4\nstart: A A\nA: "x" | "y"\n') == []


@pytest.mark.parametrize("copies", [3, 60])
def test_the_size_that_is_proposed_holds(copies: int) -> None:
    text = f'//! size 5\nstart: A~{copies}\nA: "x" | "y" | "z"\n'
    (diagnostic,) = check_file(SourceFile("a.lark", text))
    proposed = re.search(r"//! size (\S+)`", diagnostic.help or "")
    assert proposed is not None
    assert check_text(text.replace("size 5", f"size {proposed[1]}")) == []


def test_findings_that_two_starts_share_are_said_once() -> None:
    text = '//! start one two\none: shared\ntwo: shared\nshared: "a" | "b"\n'
    found = check_file(SourceFile("a.lark", text))
    assert [d.code.value for d in found] == ["DSLC208"]
    assert found[0].severity is Severity.WARNING


def test_several_things_are_found_in_one_run_each_at_its_place() -> None:
    text = "\n".join(
        [
            "//! size 5 of pair",  # 1: of a rule that is no start
            "//! max_tokens 12",
            'start: "s" (A | B) | loop | "(" start start start start start ")" | same | cycle',  # 3
            'loop: "l" loop',
            'same: "m" | "n"',
            'cycle: cycle | "z"',
            'spare: "u"',  # 7
            "pair: A A",
            'A: ";" | "."',
            'B: ";"',  # 10
        ]
    )
    assert {(code, line) for code, line, _ in check_text(text + "\n")} >= {
        ("DSLC207", 1),
        ("DSLC211", 3),
        ("DSLC205", 3),
        ("DSLC203", 4),
        ("DSLC208", 5),
        ("DSLC206", 6),
        ("DSLC204", 7),
        ("DSLC209", 10),
    }


def test_all_infinite_terminals_of_a_file_are_found_in_one_run() -> None:
    text = 'start: A B C D\nA: /x*y/\nB: "y"+\nC: /[0-9]{2,}/ | "z"\nD: "d"\nE: "a" | "b"\n'
    found = [(code, line) for code, line, _ in check_text(text) if code == "DSLC112"]
    assert found == [("DSLC112", 2), ("DSLC112", 3), ("DSLC112", 4)]


def test_an_infinite_terminal_that_is_ignored_is_none() -> None:
    assert check_text('start: A A\nA: "x" | "y"\n%ignore / +/\n') == []
