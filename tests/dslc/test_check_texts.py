"""Terminals that share a text and literals that run together, against lark and against brute force."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from lark import Lark, UnexpectedInput

import dslc
from dslc.checks import check_file
from dslc.language.run_together import find_run_together
from dslc.language.shared_texts import find_shared_texts
from dslc.source import SourceFile
from tests.dslc.plain_grammar import PlainGrammar, count_trees, plain_grammar, random_grammar, texts_up_to


def dynamic_lark(grammar: PlainGrammar) -> Lark:
    """The same grammar for lark as it is by default: Earley, longest matches."""
    names = grammar.lark_names
    lines = [
        f"{names[name]}: " + " | ".join(" ".join(names[s] for s in symbols) for symbols in alternatives)
        for name, alternatives in grammar.rules.items()
    ]
    for name, literals in grammar.terminals.items():
        lines.append(f"{names[name]}: " + " | ".join(f'"{text}"' for text in literals))
    return Lark("\n".join(lines), start=names[grammar.start])


def accepts(parser: Lark, text: str) -> bool:
    try:
        parser.parse(text)
    except UnexpectedInput:
        return False
    return True


def test_longest_matches_refuse_what_is_said_and_nothing_else() -> None:
    """Every sentence of at most four literals that lark's default lexer refuses is of a grammar that is warned of."""
    generator = random.Random(4)
    seen: Counter[str] = Counter()
    for _ in range(150):
        grammar = random_grammar(generator, max_rules=4, overlapping=True)
        found = list(find_run_together(grammar.bnf, grammar.start))
        parser = dynamic_lark(grammar)
        for each in found:
            assert count_trees(grammar, each.text) >= 1, (grammar, each.text)
            assert accepts(parser, each.text) != each.is_refused, (grammar, each.text)
            assert each.longer.text.startswith(each.literal.text)
            seen["refused" if each.is_refused else "read otherwise"] += 1
        if not found:
            texts = [text for text in texts_up_to(grammar, 4) if count_trees(grammar, text)]
            for text in generator.sample(texts, min(12, len(texts))):
                assert accepts(parser, text), (grammar, text)
            seen["nothing"] += 1
    assert min(seen["refused"], seen["read otherwise"], seen["nothing"]) >= 15, seen


def next_terminals(grammar: PlainGrammar, prefix: tuple[str, ...], length: int) -> set[str]:
    """Terminals that follow a string of terminals in some sentence of at most `length` terminals."""
    return {
        sentence[len(prefix)]
        for sentence in terminal_sentences(grammar, length)
        if len(sentence) > len(prefix) and sentence[: len(prefix)] == prefix
    }


def terminal_sentences(grammar: PlainGrammar, length: int) -> set[tuple[str, ...]]:
    """Every sentence as terminals, by fixpoint."""
    found: dict[str, set[tuple[str, ...]]] = {name: set() for name in grammar.rules}
    while True:
        before = {name: len(texts) for name, texts in found.items()}
        for name, alternatives in grammar.rules.items():
            for symbols in alternatives:
                rows: set[tuple[str, ...]] = {()}
                for symbol in symbols:
                    parts = found[symbol] if symbol in grammar.rules else {(symbol,)}
                    rows = {row + part for row in rows for part in parts if len(row + part) <= length}
                found[name] |= rows
        if before == {name: len(texts) for name, texts in found.items()}:
            return found[grammar.start]


def test_shared_texts_are_those_that_can_come_at_one_place() -> None:
    """Against all sentences of at most five terminals: what brute force finds there is found, and the other way
    round where the place is shown with as few terminals."""
    generator = random.Random(5)
    seen: Counter[str] = Counter()
    for _ in range(300):
        grammar = random_grammar(generator, max_rules=4, overlapping=generator.random() < 0.5)
        found = {(each.first.name, each.second.name) for each in find_shared_texts(grammar.bnf, grammar.start)}
        sentences = terminal_sentences(grammar, 5)
        prefixes = {sentence[:n] for sentence in sentences for n in range(len(sentence))}
        names = list(grammar.terminals)
        expected = set()
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                if not set(grammar.terminals[one]) & set(grammar.terminals[other]):
                    continue
                if any(len({s[len(p)] for s in sentences if len(s) > len(p) and s[: len(p)] == p} & {one, other}) == 2
                       for p in prefixes):  # fmt: skip
                    expected.add((one, other))
                    seen["at one place"] += 1
                else:
                    seen["apart"] += 1
        # What an LR(1) parser reaches by one way; where two ways read the same terminals, the grammar is no LR(1).
        missed = expected - found
        seen["two ways"] += len(missed)
        assert not missed or dslc_is_not_lr1(grammar)
        seen["further"] += len(found - expected)
    print(seen)
    assert seen["at one place"] >= 60
    assert seen["apart"] >= 10
    assert seen["two ways"] <= 0.1 * seen["at one place"], seen
    assert seen["further"] <= 0.1 * seen["at one place"], seen


def dslc_is_not_lr1(grammar: PlainGrammar) -> bool:
    from dslc.language.ambiguity import Method, find_ambiguity

    return find_ambiguity(grammar.bnf, grammar.start).method is not Method.LR1


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('start: A | B\nA: ";" | "."\nB: ";"\n', (3, 4), ["`A` and `B` both read `;`", "at the beginning"]),
        ('start: "(" (A | B)\nA: ";"\nB: ";"\n', (3, 4), ["after `(`"]),
        ('start: "x" A | "x" "X"i\nA: "x"\n', (1, 20), ["both read `X`", "after `x`"]),
    ],
)
def test_the_place_of_a_shared_text(text: str, place: tuple[int, int], words: list[str]) -> None:
    found = [d for d in check_file(SourceFile("a.lark", text)) if d.code is dslc.Code.SHARED_TEXT]
    assert len(found) == 1
    assert found[0].span is not None
    assert found[0].span.location == place
    assert [word for word in words if word not in found[0].message] == []


def test_texts_of_different_places_are_not_shared() -> None:
    grammar = plain_grammar("start: A B A", A="1 3", B="1 2")
    assert find_shared_texts(grammar.bnf, "start") == ()


def test_a_blank_between_keeps_literals_apart_unless_they_hold_one() -> None:
    apart = 'start: A B\nA: "1" | "12"\nB: "2"\n%ignore " "\n'
    assert dslc.Code.RUN_TOGETHER not in {d.code for d in check_file(SourceFile("a.lark", apart))}
    held = 'start: A B\nA: "a" | "a b"\nB: "b" | "c"\n%ignore " "\n'
    (found,) = (d for d in check_file(SourceFile("a.lark", held)) if d.code is dslc.Code.RUN_TOGETHER)
    assert "in `a b`" in found.message


def test_many_literals_are_looked_at_in_time_that_grows_with_their_number() -> None:
    menu = " | ".join(f'"{number}"' for number in range(600))
    text = f'start: N ("," N)*\nN: {menu}\n//! max_tokens 9\n'
    assert dslc.Code.RUN_TOGETHER not in {d.code for d in check_file(SourceFile("a.lark", text))}
    together = text.replace('("," N)*', "N")
    assert dslc.Code.RUN_TOGETHER in {d.code for d in check_file(SourceFile("a.lark", together))}
