"""BNF against the grammar as written: the same texts, and one helper for each operator at each place."""

from functools import cache

import pytest
from hypothesis import given

from dslc.diagnostics import Code, DslcError
from dslc.language.grammar import (
    BnfGrammar,
    Expression,
    Grammar,
    Group,
    HelperKind,
    Maybe,
    Optional,
    Repetition,
    RuleUse,
    Sequence,
    TerminalUse,
)
from dslc.language.normalize import normalize_grammar
from dslc.language.read import read_grammar
from dslc.source import SourceFile
from tests.strategies import grammar_texts

LENGTH = 3
Words = frozenset[tuple[str, ...]]
EMPTY: Words = frozenset({()})


def _read(text: str) -> Grammar:
    return read_grammar(SourceFile("x", text))[0]


def _join(left: Words, right: Words) -> Words:
    return frozenset(a + b for a in left for b in right if len(a) + len(b) <= LENGTH)


def _words_as_written(grammar: Grammar) -> dict[str, Words]:
    """Sequences of at most LENGTH terminals that each rule derives, straight from the operators' meaning."""
    found: dict[str, Words] = {rule.name: frozenset() for rule in grammar.rules}

    def words(expression: Expression) -> Words:
        match expression:
            case TerminalUse(name):
                return frozenset({(name,)})
            case RuleUse(name):
                return found[name]
            case Sequence(items):
                result = EMPTY
                for item in items:
                    result = _join(result, words(item))
                return result
            case Group(options):
                return frozenset().union(*map(words, options))
            case Optional(item) | Maybe(item):
                return words(item) | EMPTY
            case Repetition(item, minimum, maximum):
                unit = words(item)
                result = EMPTY
                for _ in range(minimum):
                    result = _join(result, unit)
                more = result
                # Past LENGTH copies only empty ones are new, and they add nothing.
                for _ in range(LENGTH if maximum is None else min(maximum - minimum, LENGTH)):
                    more = _join(more, unit | EMPTY)
                return result | more

    while True:
        new = {
            r.name: frozenset[tuple[str, ...]]().union(*(words(a.expression) for a in r.alternatives))
            for r in grammar.rules
        }
        if new == found:
            return found
        found = new


def _words_in_bnf(bnf: BnfGrammar) -> dict[str, Words]:
    found: dict[str, Words] = {rule.name: frozenset() for rule in bnf.rules}
    while True:
        new: dict[str, Words] = {}
        for rule in bnf.rules:
            words: Words = frozenset()
            for production in rule.productions:
                joined = EMPTY
                for symbol in production.symbols:
                    unit = frozenset({(symbol.name,)}) if isinstance(symbol, TerminalUse) else found[symbol.name]
                    joined = _join(joined, unit)
                words |= joined
            new[rule.name] = words
        if new == found:
            return found
        found = new


@given(grammar_texts(ebnf=True, decorated=True))
def test_the_same_texts(text: str) -> None:
    grammar = _read(text)
    expected = _words_as_written(grammar)
    bnf = _words_in_bnf(normalize_grammar(grammar))
    assert {name: bnf[name] for name in expected} == expected


@given(grammar_texts(ebnf=True, decorated=True))
def test_shape(text: str) -> None:
    grammar = _read(text)
    bnf = normalize_grammar(grammar)
    assert len(bnf.rule_by_name) == len(bnf.rules)
    owner = ""
    for rule in bnf.rules:
        if rule.helper is None:
            owner = rule.name
        else:
            assert rule.name.startswith(f"__{owner}_")
        assert [p.choice for p in rule.productions] == list(range(len(rule.productions)))
        assert rule.span is not None
    written = [rule for rule in bnf.rules if rule.helper is None]
    assert [(r.name, len(r.productions), r.expand_single) for r in written] == [
        (r.name, len(r.alternatives), r.expand_single) for r in grammar.rules
    ]
    assert [[p.alias for p in r.productions] for r in written] == [
        [a.alias for a in r.alternatives] for r in grammar.rules
    ]


@given(grammar_texts(ebnf=True))
def test_no_helper_serves_two_places(text: str) -> None:
    """Two operators never share a helper: uses of one helper have one span, its own."""
    bnf = normalize_grammar(_read(text))
    for rule in bnf.rules:
        for production in rule.productions:
            for symbol in production.symbols:
                if isinstance(symbol, RuleUse) and (helper := bnf.rule_by_name[symbol.name]).helper is not None:
                    assert symbol.span == helper.span
                    assert (symbol.span.start, symbol.span.end) == (helper.span.start, helper.span.end)  # type: ignore[union-attr]
    places = [
        (r.helper, r.span.start, r.span.end)
        for r in bnf.rules
        if r.helper and r.helper is not HelperKind.REPEAT and r.span
    ]
    assert len(places) == len(set(places))


def _helpers(body: str) -> tuple[str, list[tuple[str, str, str]]]:
    """The start's only production, and kind, productions and label of each helper, with short names h0, h1, ..."""
    bnf = normalize_grammar(_read(f'start: {body}\na: A\nb: A\nA: "x" | "y"\n'))
    names = {rule.name: f"h{i}" for i, rule in enumerate(r for r in bnf.rules if r.helper)}

    def show(symbols: tuple[TerminalUse | RuleUse, ...]) -> str:
        return " ".join(names.get(s.name, s.name) for s in symbols)

    helpers = [
        (r.helper.name, " | ".join(show(p.symbols) or "<empty>" for p in r.productions), r.label)
        for r in bnf.rules
        if r.helper
    ]
    return show(bnf.rule_by_name["start"].productions[0].symbols), helpers


@pytest.mark.parametrize(
    ("body", "start", "helpers"),
    [
        ("a b", "a b", []),
        ("(a b)", "a b", []),
        ("((a) b) a", "a b a", []),
        ("a?", "h0", [("OPTIONAL", "a | <empty>", "a?")]),
        ("(a b)?", "h0", [("OPTIONAL", "a b | <empty>", "(a b)?")]),
        ("[a b]", "h0", [("MAYBE", "a b | <empty>", "[a b]")]),
        ("a*", "h0", [("STAR", "a h0 | <empty>", "a*")]),
        ("a+", "h0", [("PLUS", "a h1", "a+"), ("STAR", "a h1 | <empty>", "a+")]),
        ("(a | b)", "h0", [("GROUP", "a | b", "(a | b)")]),
        ("(a | )", "h0", [("GROUP", "a | <empty>", "(a |)")]),
        ("(a | b)*", "h0", [("STAR", "h1 h0 | <empty>", "(a | b)*"), ("GROUP", "a | b", "(a | b)")]),
        ("a~3", "a a a", []),
        ("a~0", "", []),
        ("(a b)~2", "a b a b", []),
        (
            "a~1..3",
            "a h0",
            [("REPEAT", "a h1 | <empty>", "a~1..3"), ("REPEAT", "a | <empty>", "a~1..3")],
        ),
        ("(a?)~2", "h0 h0", [("OPTIONAL", "a | <empty>", "a?")]),
        (
            "[a]~0..1",
            "h0",
            [("REPEAT", "h1 | <empty>", "[a]~0..1"), ("MAYBE", "a | <empty>", "[a]")],
        ),
        ("a* a*", "h0 h1", [("STAR", "a h0 | <empty>", "a*"), ("STAR", "a h1 | <empty>", "a*")]),
        ("(a* b)?", "h0", [("OPTIONAL", "h1 b | <empty>", "(a* b)?"), ("STAR", "a h1 | <empty>", "a*")]),
    ],
)
def test_operators(body: str, start: str, helpers: list[tuple[str, str, str]]) -> None:
    found_start, found = _helpers(body)
    assert found_start == start
    assert found == [(kind, productions, label) for kind, productions, label in helpers]


def test_repeats_share_one_stop() -> None:
    bnf = normalize_grammar(_read('start: A~1..4 A~0..2\nA: "x"\n'))
    groups = [rule.stop_group for rule in bnf.rules if rule.helper]
    names = [rule.name for rule in bnf.rules if rule.helper]
    assert groups == [names[0]] * 3 + [names[3]] * 2


def test_placeholders_stand_in_the_empty_alternative() -> None:
    bnf = normalize_grammar(_read('start: [A B] "-" [_C] "-" [a | A B]\na: A\nA: "x"\nB: "y"\n_C: "z"\n'))
    nones = [
        [production.nones for production in rule.productions] for rule in bnf.rules if rule.helper is HelperKind.MAYBE
    ]
    assert nones == [[(), (2,)], [(), ()], [(), (2,)]]


@pytest.mark.parametrize(
    "body", ["(A~1000)~1000", "A~0..500000", "((A?)~600)~600", "A~1000000000", "(((A~99)~99)~99)~99", "(A~0)~0..300000"]
)
def test_repetitions_that_multiply_are_refused(body: str) -> None:
    with pytest.raises(DslcError) as caught:
        normalize_grammar(_read(f'start: {body}\nA: "x" | "y"\n'))
    assert [d.code for d in caught.value.diagnostics] == [Code.GRAMMAR_TOO_LARGE]
    assert caught.value.diagnostics[0].span is not None


def test_large_repetitions_below_the_limit() -> None:
    bnf = normalize_grammar(_read('start: A~1..1000 B?\nA: "x" | "y"\nB: "z"\n'))
    assert len(bnf.rules) == 1 + 999 + 1


def test_nested_optionals_do_not_multiply() -> None:
    body = '"a"'
    for _ in range(20):
        body = f'("a" {body})?'
    bnf = normalize_grammar(_read(f"start: {body}\n"))
    assert len(bnf.rules) == 21

    @cache
    def count(name: str) -> int:
        total = 0
        for production in bnf.rule_by_name[name].productions:
            ways = 1
            for symbol in production.symbols:
                ways *= count(symbol.name) if isinstance(symbol, RuleUse) else 1
            total += ways
        return total

    assert count("start") == 21
