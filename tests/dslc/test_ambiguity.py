"""Ambiguity answers against texts counted by brute force, and the public cases by name."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product

import pytest

from dslc.automaton.parse_text import parse_text
from dslc.language.ambiguity import Ambiguity, Answer, Method, draw_witness, find_ambiguity
from dslc.language.analyze import analyze_grammar
from dslc.language.codes import is_code, splits_into_words
from dslc.language.grammar import BnfGrammar
from dslc.language.normalize import normalize_grammar
from dslc.language.read import read_grammar
from dslc.source import SourceFile
from tests.dslc.plain_grammar import (
    PlainGrammar,
    count_trees,
    is_cyclic,
    is_rendered,
    plain_grammar,
    random_grammar,
    texts_up_to,
)
from tests.soaks.ambiguity import check_answers


def trim(text: str) -> BnfGrammar:
    return analyze_grammar(normalize_grammar(read_grammar(SourceFile("a.lark", text))[0]), "start").trimmed


def ask(text: str) -> Ambiguity:
    return find_ambiguity(trim(text), "start")


@pytest.mark.parametrize(
    ("max_rules", "overlapping", "ignores_blank"),
    [(4, False, False), (6, True, False), (6, True, True), (6, False, True)],
)
def test_answers_about_random_grammars_hold(max_rules: int, overlapping: bool, ignores_blank: bool) -> None:
    generator = random.Random(max_rules + 2 * overlapping + 4 * ignores_blank)
    answers: Counter[Answer] = Counter()
    methods: Counter[Method] = Counter()
    for _ in range(150):
        drawn = random_grammar(generator, max_rules=max_rules, overlapping=overlapping)
        grammar = PlainGrammar(drawn.rules, drawn.terminals, ignores_blank)
        found = find_ambiguity(grammar.bnf, grammar.start)
        answers[found.answer] += 1
        methods[found.method] += 1
        assert bool(found.cycle) == is_cyclic(grammar) == (found.method is Method.CYCLE)
        assert (found.witness is not None) == (found.answer is Answer.YES)
        texts = texts_up_to(grammar, 4)
        if found.witness is not None:
            assert count_trees(grammar, found.witness.text) == 2, grammar
            assert is_rendered(grammar, found.witness.text)
            if found.witness.is_shortest and not overlapping:
                length = len(found.witness.text.replace(" ", ""))
                shorter = [text for text in texts if len(text.replace(" ", "")) < length]
                assert all(count_trees(grammar, text) < 2 for text in generator.sample(shorter, min(12, len(shorter))))
        elif found.answer is Answer.NO:
            for text in generator.sample(texts, min(25, len(texts))):
                assert count_trees(grammar, text) < 2 or not is_rendered(grammar, text), (grammar, text)
    assert answers[Answer.UNKNOWN] <= 0.05 * answers.total()
    assert min(answers[Answer.NO], answers[Answer.YES]) >= 30


def test_a_sample_of_the_long_test_is_decided_and_right() -> None:
    found = check_answers(60, seed=8)
    assert found["yes"] + found["no"] >= 0.95 * 60
    assert min(found["yes"], found["no"], found["witnesses by lark"]) >= 10


def test_every_short_text_of_grammars_called_unambiguous_has_at_most_one_tree() -> None:
    """All texts of up to five literals, for answers that do not come from the LR(1) test alone."""
    generator = random.Random(3)
    methods: Counter[Method] = Counter()
    while min(methods[Method.LR1], methods[Method.DISJOINTNESS], methods[Method.ENUMERATION]) < 8:
        grammar = random_grammar(generator, max_rules=4, overlapping=generator.random() < 0.5)
        found = find_ambiguity(grammar.bnf, grammar.start)
        if found.answer is not Answer.NO or methods[found.method] >= 8:
            continue
        methods[found.method] += 1
        if len({text for literals in grammar.terminals.values() for text in literals}) > 3:
            texts = texts_up_to(grammar, 4)
        else:
            texts = texts_up_to(grammar, 5)
        for text in texts:
            assert count_trees(grammar, text) < 2, (grammar, text)


def test_witnesses_have_two_trees_by_lark() -> None:
    generator = random.Random(5)
    num_witnesses = 0
    while num_witnesses < 60:
        grammar = random_grammar(generator, max_rules=4, overlapping=num_witnesses % 2 == 0)
        found = find_ambiguity(grammar.bnf, grammar.start)
        if found.witness is None or found.method is Method.CYCLE or len(found.witness.text) > 8:
            continue
        num_witnesses += 1
        assert len(grammar.lark_trees(found.witness.text)) >= 2, (grammar, found.witness.text)


def test_a_finite_automaton_is_no_proof_where_letters_must_be_counted() -> None:
    grammar = plain_grammar('start: p | q\np: "a" p "b" |\nq: "a" q "b" "b" | "a" "b" "b"')
    assert find_ambiguity(grammar.bnf, "start").answer is Answer.UNKNOWN


def test_palindromes_are_unambiguous_by_disjointness() -> None:
    grammar = plain_grammar('start: "a" start "a" | "b" start "b" | "a" | "b" |')
    found = find_ambiguity(grammar.bnf, "start")
    assert (found.answer, found.method) == (Answer.NO, Method.DISJOINTNESS)


def test_two_stars_in_a_row() -> None:
    found = ask('start: as as\nas: "a"*\n')
    assert found.answer is Answer.YES
    assert found.witness is not None
    assert found.witness.text == "a"


def test_optional_lists_in_a_row_show_two_trees_that_look_different() -> None:
    found = ask('start: as? as? b\nas: a a?\na: "a"\nb: "b"\n')
    assert found.witness is not None
    assert found.witness.text == "aab"
    assert found.witness.is_visible


@pytest.mark.parametrize("text", ["start: a\na: b\nb: a?\n", 'start: start | "a"\n'])
def test_cycles_are_named(text: str) -> None:
    found = ask(text)
    assert found.method is Method.CYCLE
    assert found.witness is not None
    assert len(found.cycle) >= 1


def test_nested_optionals_are_decided_at_once() -> None:
    nested = '"x"'
    for _ in range(20):
        nested = f'"x" [{nested}]'
    assert ask(f"start: {nested}\n").answer is Answer.NO
    in_a_row = " ".join(f'["{letter}"]' for letter in "abcdefghijklmnopqrst")
    assert ask(f"start: {in_a_row}\n").answer is Answer.NO


def test_repetition_of_a_body_that_can_be_empty() -> None:
    found = ask('start: ("a"?)~1..99\n')
    assert found.answer is Answer.YES


def test_two_terminals_with_one_text() -> None:
    found = ask('start: A | B\nA: ";"\nB: ";"\n')
    assert found.witness is not None
    assert found.witness.text == ";"


def test_blanks_written_as_rules() -> None:
    assert ask('start: "f" | "(" start _blanks start ")"\n_blanks: " "+\n').answer is Answer.NO


def test_sums_and_products_without_precedence() -> None:
    found = ask('start: start "+" start | start "*" start | "(" start ")" | INT\nINT: "1" | "2" | "3"\n')
    assert found.witness is not None
    assert len(found.witness.text) == 5
    assert found.witness.is_shortest


def test_fruit_flies() -> None:
    found = ask(FRUIT_FLIES)
    assert found.answer is Answer.YES
    assert found.witness is not None
    assert len(found.witness.text.split()) <= 5


FRUIT_FLIES = """
start: noun_phrase verb_phrase
noun_phrase: NOUN | ADJECTIVE NOUN | NOUN NOUN
verb_phrase: VERB | VERB noun_phrase | VERB prepositional
prepositional: PREPOSITION noun_phrase | PREPOSITION "a" NOUN
NOUN: "flies" | "banana" | "fruit" | "time" | "arrow"
ADJECTIVE: "smelly" | "fruit"
VERB: "flies" | "like"
PREPOSITION: "like"
%ignore " "
"""


def test_literals_that_run_together_are_told_apart_only_by_blanks() -> None:
    rules = 'start: K K\nK: "1" | "11"\n'
    assert ask(rules).answer is Answer.YES
    assert ask(rules + '%ignore " "\n').answer is Answer.NO
    found = ask('start: K K | K K K\nK: "1" | "11"\n%ignore " "\n')
    assert found.witness is not None  # "1 11" is readable as three literals
    assert found.witness.text in ("1 11", "11 1")


def test_the_question_is_about_rendered_sentences() -> None:
    """Four words are rendered with three blanks, so one of three words that can be read as four is not among them."""
    rules = 'start: A A A A\nA: "a" | "b" | "aa"\n%ignore " "\n'
    assert ask(rules).answer is Answer.NO
    trimmed = trim(rules)
    assert parse_text(trimmed, "start", "aa b aa").is_ambiguous
    assert not parse_text(trimmed, "start", "aa b aa a").is_ambiguous


def test_spellings_count_where_case_is_ignored() -> None:
    assert ask('start: A | B\nA: "x"i\nB: "X"\n').answer is Answer.YES
    assert ask('start: A | B\nA: "X"i\nB: "y"\n').answer is Answer.NO
    found = ask('start: A | B\nA: "x"i\nB: "X"\n')
    assert found.witness is not None
    assert found.witness.text == "X"


def test_a_menu_of_three_hundred_literals_is_one_atom() -> None:
    names = " | ".join(f'"x{number}"' for number in range(300))
    rules = f'start: start "+" term | term\nterm: "(" start ")" | N\nN: {names}\n%ignore " "\n'
    assert ask(rules).method is Method.LR1


def test_the_two_trees_are_drawn_in_the_rule_names_of_the_file() -> None:
    trimmed = trim('start: as as\nas: "a"*\n')
    found = find_ambiguity(trimmed, "start")
    assert found.witness is not None
    drawn = draw_witness(trimmed, found.witness)
    assert drawn.splitlines()[0] == "sentence: a"
    assert "__" not in drawn
    assert drawn.count('"a"*') >= 4


def test_the_form_of_the_drawing() -> None:
    grammar = plain_grammar('start: start "+" start | "1"')
    found = find_ambiguity(grammar.bnf, "start")
    assert found.witness is not None
    assert draw_witness(grammar.bnf, found.witness) == "\n".join(
        [
            "sentence: 1+1+1",
            "first tree",
            "  start",
            '  ↳ 1: start                      "+" start',
            '       ↳ 1: start    "+" start        ↳ 2: "1"',
            '            ↳ 2: "1"     ↳ 2: "1"',
            "second tree",
            "  start",
            '  ↳ 1: start    "+" start',
            '       ↳ 2: "1"     ↳ 1: start    "+" start',
            '                         ↳ 2: "1"     ↳ 2: "1"',
        ]
    )


def test_codes_against_products_of_words() -> None:
    generator = random.Random(2)
    seen: Counter[bool] = Counter()
    pool = ["".join(word) for length in (1, 2, 3) for word in product("ab", repeat=length)]
    for _ in range(400):
        words = generator.sample(pool, generator.randint(1, 4))
        products = Counter("".join(parts) for length in range(1, 6) for parts in product(words, repeat=length))
        unique = max(products.values()) == 1
        seen[unique] += 1
        if is_code(words):
            assert unique, words
        elif unique:  # a longer product than five words is needed to see it
            longer = Counter("".join(parts) for length in range(1, 9) for parts in product(words, repeat=length))
            assert max(longer.values()) > 1, words
        for word in words:
            others = [other for other in words if other != word]
            expected = any(word == "".join(parts) for length in (2, 3) for parts in product(others, repeat=length))
            assert splits_into_words(word, words) == expected
    assert min(seen.values()) >= 40
