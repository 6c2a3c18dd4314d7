"""Printing a grammar and reading it again gives an equal one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Lark

from dslc.language.grammar import Grammar, Literal
from dslc.language.print_grammar import print_literal
from dslc.language.read import read_grammar
from dslc.source import SourceFile
from tests.strategies import grammar_texts


def _read(text: str) -> Grammar:
    return read_grammar(SourceFile("x", text))[0]


def _check(text: str) -> None:
    grammar = _read(text)
    printed = str(grammar)
    assert _read(printed) == grammar, printed
    assert str(_read(printed)) == printed


@given(grammar_texts(ebnf=True, decorated=True))
def test_print_then_read_is_identity(text: str) -> None:
    _check(text)


@given(st.text(min_size=1, max_size=4), st.booleans())
def test_any_literal_prints_as_a_string_of_lark(text: str, ignore_case: bool) -> None:
    """The oracle is lark's own reading of the string."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        return
    printed = print_literal(Literal(text, ignore_case))
    parser = Lark(f"start: A\nA: {printed}\n", parser="lalr")
    (terminal,) = parser.terminals
    assert terminal.pattern.value == text
    assert set(terminal.pattern.flags) == ({"i"} if ignore_case else set())


@given(st.lists(st.text("ab/\\\"'\n\t.|-é", min_size=1, max_size=3), min_size=1, max_size=3, unique=True))
def test_odd_characters_everywhere(texts: list[str]) -> None:
    quoted = " | ".join(print_literal(Literal(text)) for text in texts)
    _check(f"start: A {quoted}\nA: {quoted}\n")


@pytest.mark.parametrize(
    "text",
    [
        "start: /a|b/ /[ab]/ /b|a/ A\nA: /a|b/\n",
        'start: /ab/ "ab" AB\nAB: "ab"\n',
        'start: /ab/ "ab" AB\nAB: /ab/\n',
        'start: "x" X _X _Y\nX: "x"\n_X: "y"\n_Y: "y" | "z"\n',
        "start: /c/ _A\n_A: /c/\n",
        'start: /(?:bc|a)/ _A\n_A: "a" | "bc"\n',
        'start: "if" "IF" "if"i "+" "++" "(" "\\n" "é" "_" "a b"\n',
        'start: "a".."c" A\nA: "a".."b"\n',
        '!start: "x" X _X /y/ /a|b/ a\n!?a: "z" | _X\nX: "x"\n_X: "w"\n',
        'start: [(A)] "," [(A | B)] "," [A | B] "," [((A | B))] "," [[A] B] (((A)))\nA: "a"\nB: "b"\n',
        'start: (A?)? (A*)+ (A~2)~1..3 (A B)? (A | B)* (A |)~2 ( | A)\nA: "a"\nB: "b"\n',
        'start: A -> x | -> y | A B -> z |\nA: "a"\nB: "b"\n',
        'start: A\nA: "a"i | "b" | /c/i | /d|e/\n%ignore " "\n%ignore /[ \\t\\/]+/\n%ignore WS\n%import common.WS\n',
        "%import common.DIGIT\n%import common (HEXDIGIT, LETTER)\n%import common.UCASE_LETTER -> U\n"
        "start: DIGIT HEXDIGIT U LETTER\n%ignore DIGIT\n",
        'start: ("a" ("b" ("c" (("d")) | "e") "f")) "g" ["h" [/i/]] /j|k/\n',
        '%ignore /x/\n%ignore " "\nstart: /x/ " " "y"\n',
        '?start: _a | b\n_a: A\n!?b: A b\nA: "x" | "\\\\" | "\\"" | "/"\n',
    ],
)
def test_cases(text: str) -> None:
    _check(text)


def test_printed_text() -> None:
    text = '?start  :a|  (  b A )* -> x|\n\n!a: ( "b"  )~ 1 .. 2\n   | /[xy]/i\n\nb:\nA:("a"|"b")~2\n%ignore   " "\n'
    assert str(_read(text)) == (
        '?start: a | (b A)* -> x |\n!a: ("b")~1..2 | /x|y/i\nb:\nA: "aa" | "ab" | "ba" | "bb"\n%ignore " "\n'
    )
