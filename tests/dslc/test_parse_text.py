"""Texts to derivations: the trees, the offsets of terminals, and what is said about a text that is no sentence."""

from __future__ import annotations

import pytest

from dslc.automaton.derivation import Derivation, Scanned
from dslc.automaton.parse_text import parse_text
from dslc.diagnostics import Code, Diagnostic, DslcError
from dslc.language.grammar import BnfGrammar, BnfRule, Literal, Production, Terminal, TerminalUse
from dslc.source import SourceFile
from tests.dslc.plain_grammar import PlainGrammar, plain_grammar

ARITHMETIC = 'start: start "+" term | term\nterm: "(" start ")" | N'


def arithmetic(*, ignores_blank: bool = False) -> PlainGrammar:
    return plain_grammar(ARITHMETIC, ignores_blank=ignores_blank, N="1 2 12")


def failure(grammar: PlainGrammar, text: str) -> Diagnostic:
    with pytest.raises(DslcError) as caught:
        parse_text(grammar.bnf, grammar.start, text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code is Code.TEXT_NOT_A_SENTENCE
    return diagnostic


def test_a_derivation_and_the_offsets_of_its_terminals() -> None:
    result = parse_text(arithmetic(ignores_blank=True).bnf, "start", " 12 +  1 ")
    assert result.derivation == Derivation(
        "start",
        0,
        (
            Derivation("start", 1, (Derivation("term", 1, (Scanned("N", 2),)),)),
            Scanned('"+"', 0),
            Derivation("term", 1, (Scanned("N", 0),)),
        ),
    )
    assert result.starts == (1, 4, 7)
    assert not result.is_ambiguous
    assert result.second is None


def test_an_ambiguous_text_has_a_second_derivation() -> None:
    grammar = plain_grammar("start: N N", N="1 11")
    result = parse_text(grammar.bnf, "start", "111")
    assert result.is_ambiguous
    assert {result.derivation, result.second} == {
        Derivation("start", 0, (Scanned("N", 0), Scanned("N", 1))),
        Derivation("start", 0, (Scanned("N", 1), Scanned("N", 0))),
    }


@pytest.mark.parametrize(
    ("text", "column", "end", "message", "expected"),
    [
        ("", 1, 1, "the empty text is no sentence", '"("; or N: "1" | "2" | "12"'),
        ("1+", 3, 3, "the sentence is unfinished", '"("; or N: "1" | "2" | "12"'),
        ("1+(2", 5, 5, "the sentence is unfinished", '"+"; or ")"'),
        ("1+)", 3, 4, "`)` cannot stand there", '"("; or N: "1" | "2" | "12"'),
        ("1+one+2", 3, 6, "`one` cannot stand there", '"("; or N: "1" | "2" | "12"'),
        ("12+13", 5, 6, "`3` cannot stand there", '"+"; or the end of the sentence'),
        ("1 + 2", 2, 3, "` ` cannot stand there", '"+"; or the end of the sentence'),
    ],
)
def test_the_first_wrong_place(text: str, column: int, end: int, message: str, expected: str) -> None:
    diagnostic = failure(arithmetic(), text)
    assert diagnostic.span is not None
    assert (diagnostic.span.location.column, diagnostic.span.end_location.column) == (column, end)
    assert diagnostic.message == message
    assert diagnostic.help == f"expected there: {expected}"


def test_blanks_are_skipped_before_the_wrong_place() -> None:
    diagnostic = failure(arithmetic(ignores_blank=True), " 1 +   ) ")
    assert diagnostic.span is not None
    assert diagnostic.span.location.column == 8


def test_a_finished_sentence_that_goes_on() -> None:
    diagnostic = failure(plain_grammar('start: "a" "b"'), "abb")
    assert diagnostic.message == "the sentence ends before `b`"
    assert diagnostic.help == "expected there: the end of the sentence"


def test_what_follows_an_empty_rule_is_expected_too() -> None:
    grammar = plain_grammar('start: "x" maybe "c"\nmaybe: "b" |\n')
    assert failure(grammar, "x!").help == 'expected there: "c"; or "b"'
    assert failure(grammar, "xb!").help == 'expected there: "c"'


def test_long_menus_are_cut() -> None:
    grammar = plain_grammar("start: N", N=" ".join(f"n{i}" for i in range(30)))
    help_text = failure(grammar, "x").help
    assert help_text is not None
    assert help_text.endswith('"n11" | 18 more')


def test_a_case_insensitive_literal_is_one_literal_in_any_spelling() -> None:
    terminal = Terminal("A", (Literal("Sin", ignore_case=True), Literal("cos"), Literal("+", ignore_case=True)))
    rule = BnfRule("start", (Production((TerminalUse("A"), TerminalUse("A"))),))
    bnf = BnfGrammar(SourceFile("a.lark", ""), (rule,), (terminal,))
    for text in ("SINcos", "sincos"):
        assert parse_text(bnf, "start", text).derivation.children == (Scanned("A", 0), Scanned("A", 1))
    assert parse_text(bnf, "start", "siN+").derivation.children == (Scanned("A", 0), Scanned("A", 2))
    with pytest.raises(DslcError):
        parse_text(bnf, "start", "sinCos")


def test_two_literals_that_match_the_same_text_are_two_derivations() -> None:
    terminal = Terminal("A", (Literal("a", ignore_case=True), Literal("A")))
    bnf = BnfGrammar(SourceFile("a.lark", ""), (BnfRule("start", (Production((TerminalUse("A"),)),)),), (terminal,))
    assert not parse_text(bnf, "start", "a").is_ambiguous
    assert parse_text(bnf, "start", "A").is_ambiguous


def test_a_deep_sentence_needs_no_recursion() -> None:
    grammar = plain_grammar('start: "(" start ")" |')
    node = parse_text(grammar.bnf, "start", "(" * 3000 + ")" * 3000).derivation
    depth = 0
    while node.children:
        inner = node.children[1]
        assert isinstance(inner, Derivation)
        node = inner
        depth += 1
    assert depth == 3000
