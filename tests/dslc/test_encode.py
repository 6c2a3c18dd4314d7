"""Texts to tokens and back, on the shipped grammars and on random ones."""

from __future__ import annotations

import random

import pytest

import dslc
from dslc.automaton.count import Counts
from dslc.automaton.derive import tokens_to_derivation
from dslc.automaton.encode import encode_text
from dslc.automaton.lower import lower_grammar
from dslc.automaton.parse_text import parse_text
from dslc.automaton.render import render_derivation
from dslc.automaton.uniform import sample_uniform
from dslc.diagnostics import DslcError
from dslc.grammars import grammar_names
from dslc.language.ambiguity import Answer, find_ambiguity
from dslc.language.analyze import analyze_grammar
from dslc.pipeline import compile_grammar, find_grammar
from tests.dslc.plain_grammar import PlainGrammar, random_grammar


@pytest.mark.parametrize("name", grammar_names())
def test_encoding_undoes_rendering_of_the_shipped_grammars(name: str) -> None:
    compilation = compile_grammar(find_grammar(name))
    lowering = compilation.lowering
    assert find_ambiguity(lowering.bnf, compilation.start).answer is Answer.NO
    budget = min(compilation.max_tokens, max(40, lowering.automaton.min_tokens))
    for tokens in (program.tokens for program in dslc.compile(name, max_tokens=budget).samples(20, seed=0)):
        encoding = encode_text(lowering, render_derivation(lowering.bnf, tokens_to_derivation(lowering, tokens)))
        assert encoding.tokens == tokens
        assert not encoding.is_ambiguous


@pytest.mark.parametrize("ignores_blank", [False, True])
def test_encoding_undoes_rendering_where_a_text_has_one_derivation(ignores_blank: bool) -> None:
    generator = random.Random(1)
    num_unique = num_ambiguous = 0
    for _ in range(60):
        drawn = random_grammar(generator, max_rules=4, overlapping=True)
        grammar = PlainGrammar(drawn.rules, drawn.terminals, ignores_blank)
        try:
            lowering = lower_grammar(analyze_grammar(grammar.bnf, grammar.start), max_budget=8)
        except DslcError:
            continue  # no sentence has so few tokens
        counts = Counts(lowering.automaton, 8)
        is_unambiguous = find_ambiguity(lowering.bnf, grammar.start).answer is Answer.NO
        for _ in range(min(12, counts.total)):
            tokens = counts.unrank(generator.randrange(counts.total))
            derivation = tokens_to_derivation(lowering, tokens)
            text = render_derivation(lowering.bnf, derivation)
            encoding = encode_text(lowering, text)
            assert not (is_unambiguous and encoding.is_ambiguous)
            if encoding.is_ambiguous:
                num_ambiguous += 1
                decoded = tokens_to_derivation(lowering, encoding.tokens)
                assert decoded == parse_text(lowering.bnf, grammar.start, text).derivation
            else:
                num_unique += 1
                assert encoding.tokens == tokens
    assert min(num_unique, num_ambiguous) >= 100


def test_the_budget_is_no_part_of_encoding() -> None:
    wide = compile_grammar(find_grammar("expression"), max_tokens=40).lowering
    narrow = compile_grammar(find_grammar("expression"), max_tokens=12).lowering
    tokens = sample_uniform(Counts(wide.automaton, 40), random.Random(3), "uniform")
    text = render_derivation(wide.bnf, tokens_to_derivation(wide, tokens))
    assert len(tokens) > 12
    assert encode_text(narrow, text).tokens == tokens
