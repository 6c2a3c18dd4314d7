"""Tokens to text."""

from __future__ import annotations

import pytest

from dslc.automaton.count import Counts
from dslc.automaton.render import render_tokens
from dslc.diagnostics import DslcError
from tests.dslc.random_grammars import lower_text


def texts(grammar: str, budget: int) -> list[str]:
    lowering = lower_text(grammar, budget)[1]
    counts = Counts(lowering.automaton, budget)
    return [render_tokens(lowering, counts.unrank(i)) for i in range(counts.total)]


def test_terminals_stand_side_by_side_unless_blanks_are_ignored() -> None:
    grammar = 'start: A "(" A ")"\nA: "a" | "b"\n'
    assert texts(grammar, 2) == ["a(a)", "a(b)", "b(a)", "b(b)"]
    assert texts(grammar + '%ignore " "\n', 2) == ["a ( a )", "a ( b )", "b ( a )", "b ( b )"]


def test_the_empty_text_is_a_sentence() -> None:
    assert texts('start: [A]\nA: "a"\n', 1) in ([""], ["", "a"], ["a", ""])
    assert texts("start:\n", 0) == [""]


def test_forced_text_needs_no_token() -> None:
    assert texts('start: "a" "b"\n%ignore " "\n', 0) == ["a b"]


def test_a_literal_is_rendered_as_written() -> None:
    assert sorted(texts('start: A\nA: "Sin"i | "cos"\n', 1)) == ["Sin", "cos"]


def test_a_long_sentence() -> None:
    lowering = lower_text('start: A "," start | A\nA: "a" | "b"\n', 4000)[1]
    counts = Counts(lowering.automaton, 4000)
    text = render_tokens(lowering, counts.unrank(counts.total - 1))
    assert text == ",".join(["b"] * 2000)


def test_what_is_no_sentence_is_refused() -> None:
    with pytest.raises(DslcError):
        render_tokens(lower_text('start: A\nA: "a" | "b"\n', 1)[1], (0, 0))
