"""Tables: their shape, needs, sharing, limits, and the cases that are easily wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dslc.automaton.count import Counts
from dslc.automaton.lower import Lowering, lower_grammar
from dslc.automaton.tables import TokenAutomaton
from dslc.diagnostics import Code, DslcError
from dslc.language.analyze import Facts
from dslc.language.grammar import BnfGrammar, BnfRule
from dslc.limits import Limit
from dslc.source import SourceFile
from tests.dslc.random_grammars import lower_text

GRAMMARS = Path(__file__).parents[1] / "bench" / "grammars"


def automaton_of(text: str, max_budget: int = 64) -> TokenAutomaton:
    return lower_text(text, max_budget)[1].automaton


def bench(name: str, max_budget: int = 64) -> Lowering:
    return lower_text((GRAMMARS / f"{name}.lark").read_text(encoding="utf-8"), max_budget)[1]


def code_of(text: str, max_budget: int) -> Code:
    with pytest.raises(DslcError) as caught:
        lower_text(text, max_budget)
    return caught.value.diagnostics[0].code


@pytest.mark.parametrize("name", ["arith", "arith300", "cnn6", "conv", "lstm", "optim", "rules3"])
def test_invariants_of_the_tables(name: str) -> None:
    automaton = bench(name).automaton
    width, num_slots = automaton.num_tokens + 1, automaton.num_slots
    assert automaton.need.min() >= 1
    for array in (automaton.slot, automaton.slot_base, automaton.next, automaton.row_base, automaton.row_cap):
        assert array.dtype == np.int32
        assert array.shape == (automaton.num_positions,)
        assert array[0] == 0
    assert automaton.run.shape == automaton.extra.shape == (num_slots * width,)
    exists = automaton.extra.reshape(num_slots, width) <= automaton.max_budget
    assert exists[:, -1].all(), "padding is free"
    assert exists[:, :-1].any(axis=1).all(), "every slot has a choice"
    assert (np.where(exists, automaton.extra.reshape(num_slots, width), 99)[:, :-1].min(axis=1) == 0).all()
    assert automaton.mask[0].tolist() == [False] * automaton.num_tokens + [True]
    assert not automaton.mask[1:, -1].any()
    assert automaton.mask.any(axis=1).all(), "no dead end"
    # A position's run needs what its slots need.
    assert set(np.unique(automaton.run).tolist()) <= set(range(automaton.num_positions))


def test_sizes_of_the_vocabularies() -> None:
    # One literal for each choice of text, one stop for each list; the forced brackets of lstm are no tokens.
    sizes = {name: bench(name).automaton.num_tokens for name in ("arith", "arith300", "conv", "lstm", "optim", "cnn6")}
    assert sizes == {"arith": 24, "arith300": 299, "conv": 19, "lstm": 8, "optim": 37, "cnn6": 15}


def test_counts_of_known_spaces() -> None:
    cnn6 = bench("cnn6").automaton
    assert Counts(cnn6, 24).total == 192**6
    conv = bench("conv", 101).automaton
    assert Counts(conv, 101).total == sum(576**n for n in range(1, 21))
    assert Counts(conv, 101).by_tokens[6] == 576  # one layer of five and a stop
    assert Counts(conv, 101).by_tokens[100] == 576**20  # no stop after the twentieth


def test_a_language_without_decisions_has_one_sentence_of_no_token() -> None:
    automaton = automaton_of('start: "a" p p\np: "b"\n')
    assert (automaton.start_position, automaton.min_tokens, automaton.num_tokens, automaton.num_slots) == (0, 0, 0, 0)
    assert Counts(automaton, 0).by_tokens == (1,)
    assert Counts(automaton, 0).unrank(0) == ()
    assert Counts(automaton, 0).rank(()) == 0


def test_a_rule_that_only_repeats_itself() -> None:
    # `start: | start`: one derivation of the empty text for each number of turns.
    assert Counts(automaton_of("start: | start\n", 9), 9).by_tokens == (0, 1, 1, 1, 1, 1, 1, 1, 1, 1)


def test_rules_that_derive_each_other() -> None:
    automaton = automaton_of('start: a\na: b\nb: a | "x"\n', 9)
    assert Counts(automaton, 9).by_tokens == (0, 1, 1, 1, 1, 1, 1, 1, 1, 1)


def test_catalan_numbers_of_an_ambiguous_empty_rule() -> None:
    # n turns of `start start` and n + 1 empty ones: 2 n + 1 decisions.
    counts = Counts(automaton_of("start: start start |\n", 11), 11)
    assert counts.by_tokens == (0, 1, 0, 1, 0, 2, 0, 5, 0, 14, 0, 42)


def test_many_splices_are_cut_where_the_budget_ends() -> None:
    doubling = "".join(f"a{i}: a{i + 1} a{i + 1}\n" for i in range(16))
    text = "start: A | B a0\n" + doubling + 'a16: A\nA: "a" | "c"\nB: "b"\n'
    automaton = automaton_of(text, 100)
    assert automaton.num_positions <= 2
    assert Counts(automaton, 100).total == 2
    whole = automaton_of("start: a0\n" + doubling + 'a16: A\nA: "a" | "c"\n', 2**16)
    assert whole.min_tokens == 2**16
    with pytest.raises(DslcError) as caught:
        automaton_of("start: a0\n" + doubling + 'a16: A\nA: "a" | "c"\n', 100)
    assert caught.value.diagnostics[0].help == f"the smallest budget that works is {2**16}"


def test_copies_of_a_list_share_their_stop() -> None:
    automaton = automaton_of('start: layer~1..500\nlayer: A B\nA: "a" | "c"\nB: "b" | "d"\n', 1024)
    assert automaton.num_tokens == 5
    assert automaton.num_slots == 2 + 499


def test_runs_share_their_ends() -> None:
    automaton = automaton_of('start: p C C | q C C\np: "x"\nq: "y"\nC: "c" | "d"\n')
    assert automaton.num_positions == 1 + 1 + 2


def test_a_deep_chain_of_rules_needs_no_recursion() -> None:
    spliced = "".join(f"a{i}: a{i + 1}\n" for i in range(1200)) + 'a1200: A\nA: "a" | "b"\n'
    assert automaton_of("start: a0\n" + spliced).min_tokens == 1
    fused = "".join(f'a{i}: a{i + 1} | "{i}"\n' for i in range(400)) + 'a400: "a" | "b"\n'
    assert Counts(automaton_of("start: a0\n" + fused), 1).total == 402


def test_a_language_without_sentence_is_refused() -> None:
    file = SourceFile("<text>", "")
    trimmed = BnfGrammar(file, (BnfRule("start", ()),), ())
    facts = Facts("start", trimmed, frozenset(), ("start",), (), (), frozenset(), True)
    with pytest.raises(DslcError) as caught:
        lower_grammar(facts, max_budget=4)
    assert caught.value.diagnostics[0].code is Code.EMPTY_LANGUAGE


def test_a_budget_below_the_shortest_sentence_is_refused() -> None:
    assert code_of('start: A A A\nA: "a" | "b"\n', 2) is Code.BUDGET_TOO_SMALL
    assert automaton_of('start: A A A\nA: "a" | "b"\n', 3).min_tokens == 3


@pytest.mark.parametrize("limit", [Limit.SLOTS, Limit.POSITIONS, Limit.TABLE_CELLS])
def test_tables_past_a_limit_are_refused(limit: Limit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(limit.variable, "1")
    assert code_of('start: A B\nA: "a" | "b"\nB: "c" | "d"\n', 9) is Code.TABLES_TOO_LARGE


def test_a_smaller_budget_leaves_out_what_cannot_fit() -> None:
    text = 'start: A | "(" start start start ")"\nA: "a" | "b"\n'
    assert automaton_of(text, 3).num_positions < automaton_of(text, 64).num_positions
    assert automaton_of(text, 3).vocabulary == automaton_of(text, 64).vocabulary
