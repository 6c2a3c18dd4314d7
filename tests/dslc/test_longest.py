"""The longest sentence, against the exact counts of a budget that is surely enough."""

import pytest

from dslc.automaton.count import Counts
from dslc.automaton.longest import longest_sentence
from dslc.automaton.lower import lower_grammar
from dslc.language.analyze import analyze_grammar
from dslc.language.normalize import normalize_grammar
from dslc.language.read import read_grammar
from dslc.source import SourceFile


@pytest.mark.parametrize(
    "text",
    [
        'start: "a"',
        'start: a b\na: b | B b\nb: A | A A A\nA: "1" | "2"\nB: "3" | "4"',  # b is met before and inside a
        'start: b a\na: b | B b\nb: A | A A A\nA: "1" | "2"\nB: "3" | "4"',
        'start: item~1..5\nitem: A | "x" A A\nA: "1" | "2"',
        'start: [A] ("p" A | "q" start_two)?\nstart_two: A? A?\nA: "1" | "2"',
    ],
)
def test_longest_sentence_is_the_last_length_with_a_count(text: str) -> None:
    grammar, _ = read_grammar(SourceFile("a.lark", text + "\n"))
    facts = analyze_grammar(normalize_grammar(grammar), "start")
    assert facts.is_finite
    automaton = lower_grammar(facts, max_budget=40).automaton
    counts = Counts(automaton, 40).by_tokens
    assert longest_sentence(automaton) == max(length for length, count in enumerate(counts) if count)
