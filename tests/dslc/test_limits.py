"""Limits on work: named in the error that they cause, and raised by an environment variable."""

import numpy as np
import pytest

import dslc
from dslc.automaton.tables import TokenKind
from dslc.diagnostics import Code, Diagnostic, DslcError
from dslc.limits import Limit
from tests.soaks.limits import all_codes, run_cases

PASSED = {
    Limit.CHARACTERS: "// a comment\nstart: A\nA: /[ab]/\n",
    Limit.RULES: 'start: a a a\na: "x"\nB: "y"\n',
    Limit.NESTING: 'start: ((("x" | "y") "z") | "w")\n',
    Limit.SYMBOLS: 'start: "x"~9\n',
    Limit.LITERALS: 'start: A\nA: "a" | "b" | "c"\n',
    Limit.LITERAL_LENGTH: 'start: "abcdefgh"\n',
    Limit.REFERENCES: 'start: A\nA: B B B\nB: "x"\n',
    Limit.REGEX_PARTS: "start: A\nA: /abc/\n",
    Limit.REGEX_CHARACTERS: "start: A\nA: /[a-f]/\n",
    Limit.REGEX_STEPS: "start: A\nA: /[a-f]x[qz]/\n",
    Limit.SLOTS: 'start: A B\nA: "a" | "b"\nB: "c" | "d"\n',
    Limit.POSITIONS: 'start: A B\nA: "a" | "b"\nB: "c" | "d"\n',
    Limit.FIRST_TOKENS: 'start: A "x" | B\nA: "a" | "b"\nB: "c" | "d"\n',
    Limit.TABLE_CELLS: 'start: A B\nA: "a" | "b"\nB: "c" | "d"\n',
}


def test_every_limit_is_tested() -> None:
    assert set(PASSED) == set(Limit) - {Limit.SAVED_BYTES}  # that one in test_saved_space.py


@pytest.mark.parametrize("limit", PASSED, ids=lambda limit: limit.name.lower())
def test_a_limit_is_named_and_can_be_moved(limit: Limit, monkeypatch: pytest.MonkeyPatch) -> None:
    from dslc.language.regex_strings import _automaton

    dslc.compile_text(PASSED[limit])
    monkeypatch.setenv(limit.variable, "1")
    _automaton.cache_clear()
    with pytest.raises(DslcError) as failure:
        dslc.compile_text(PASSED[limit])
    (diagnostic, *_) = failure.value.diagnostics
    assert diagnostic.code in (Code.GRAMMAR_TOO_LARGE, Code.TERMINAL_TOO_LARGE, Code.TABLES_TOO_LARGE)
    assert f"the limit `{limit.name.lower()}`: {limit.variable}=2" in (diagnostic.help or "")
    monkeypatch.setenv(limit.variable, "1000000")
    dslc.compile_text(PASSED[limit])


def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSLC_LIMIT_SYMBOLS", "many")
    with pytest.raises(DslcError, match="DSLC_LIMIT_SYMBOLS is `many`"):
        dslc.compile("activation")


def test_files_that_ask_for_too_much_end_in_an_error() -> None:
    """Each in a child with 500 MB; how long it may take is for `make soak SOAK=limits`."""
    found = run_cases()
    assert {name: code for name, (code, _) in found.items()} == all_codes()


@pytest.mark.parametrize(
    ("item", "times"), [("LETTER", "~10000"), ("LETTER DIGIT?", "~0..10000"), ('(LETTER | DIGIT) ","', "~1..10000")]
)
def test_ten_thousand_repetitions_have_small_tables_or_are_refused(item: str, times: str) -> None:
    text = f"//! max_tokens 30000\nstart: ({item}){times}\nLETTER: /[a-z]/\nDIGIT: /[0-9]/\n"
    refusal: Diagnostic | None = None
    try:
        automaton = dslc.compile_text(text).lowering.automaton
    except DslcError as error:
        (refusal,) = error.diagnostics
    if refusal is not None:
        assert refusal.code is Code.TABLES_TOO_LARGE
        assert "DSLC_LIMIT_" in (refusal.help or "")
        return
    tables = [value for value in vars(automaton).values() if isinstance(value, np.ndarray)]
    assert sum(table.nbytes for table in tables) < 50e6
    assert sum(token.kind is TokenKind.STOP for token in automaton.vocabulary) <= 2  # copies share one


def test_plain_repetitions_to_ten_thousand_compile() -> None:
    space = dslc.compile_text('//! max_tokens 10000\nstart: LETTER~1..10000\nLETTER: "a" | "b"\n')
    tables = [value for value in vars(space.lowering.automaton).values() if isinstance(value, np.ndarray)]
    assert sum(table.nbytes for table in tables) < 2e6
    assert len(space.vocabulary) == 3
    # A parser looks at a production again only where a rule in it is found to begin with more, not once a copy.
    text = "ab" * 5000
    assert space.parse(text).text.replace(" ", "") == text
