"""Registers folded into states: the same masks as counting step by step, and when they are not folded."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dslc.automaton import compose
from dslc.automaton.batch import BatchRuntime
from dslc.automaton.compose import compose_registers
from dslc.automaton.scalar import start_state
from dslc.automaton.tables import TokenAutomaton
from tests.dslc.random_grammars import lower_text
from tests.dslc.scalar_rows import take_random_tokens

TREES = 'start: e\ne: B e e -> both | L -> leaf\nB: "+" | "*"\nL: "1" | "2" | "x"\n'
LISTS = 'start: item (item)*\nitem: K W\nK: "k" | "l" | "m"\nW: "v" | "w" | "z"\n'
BLOCKS = 'start: layer layer layer layer\nlayer: OP INPUT INPUT\nOP: "c" | "d"\nINPUT: "0" | "1" | "2" | "3"\n'
CASES = (
    (TREES, ("at_most 3 both", "at_least 2 L.x"), 41),
    (TREES, ("at_least 5 B.+",), 60),
    (LISTS, ("at_most 3 K.k", "at_least 3 W.z"), 40),
    (BLOCKS, ("ref INPUT: layer after 1", "at_most 2 OP.c"), 20),
    ('start: "(" list ")" | A\nlist: start start\nA: "a" | "b"\n', ("at_most 4 A.a", "max_depth 6 start"), 60),
)


def automaton_of(text: str, pragmas: tuple[str, ...], budget: int) -> TokenAutomaton:
    return lower_text("".join(f"//! {pragma}\n" for pragma in pragmas) + text, budget)[1].automaton


@pytest.mark.parametrize(("text", "pragmas", "max_budget"), CASES)
def test_masks_features_and_rows_are_those_of_counting(text: str, pragmas: tuple[str, ...], max_budget: int) -> None:
    automaton = automaton_of(text, pragmas, max_budget)
    assert automaton.registers is not None
    assert automaton.composed is not None
    generator = random.Random(0)
    for budget in (automaton.min_tokens, automaton.min_tokens + 3, max_budget):
        composed = BatchRuntime(automaton, 30, budget, track=True)
        counted = BatchRuntime(automaton, 30, budget, track=True, compose=False)
        for _ in range(2):  # a runtime can start anew
            states = [start_state(automaton, budget)] * 30
            for _ in range(budget + 2):
                mask = composed.mask()
                assert np.array_equal(mask, counted.mask())
                for name in ("top", "slack", "slot", "parent", "sibling"):
                    assert np.array_equal(getattr(composed, name), getattr(counted, name)), name
                assert np.array_equal(composed.rows(), counted.rows())
                tokens = take_random_tokens(automaton, states, mask, generator)
                composed.advance(tokens)
                counted.advance(tokens)
            assert composed.is_done().all()
            composed.reset()
            counted.reset()


def test_what_follows_matters_up_to_a_constant() -> None:
    # However deep the stack, each open run adds the same number of tokens, so frames do not grow with the budget.
    numbers = [
        len(tables.row)
        for budget in (30, 300, 3000)
        if (tables := automaton_of(TREES, CASES[0][1], budget).composed) is not None
    ]
    assert len(numbers) == 3
    assert len(set(numbers)) == 1


def test_large_tables_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    automaton = automaton_of(LISTS, CASES[2][1], 40)
    tables = compose_registers(automaton)
    assert tables is not None
    assert tables.extra.size < 20_000
    for name, limit in (("MAX_COMPOSED_CELLS", tables.extra.size // 2), ("MAX_FRAMES", 3)):
        with monkeypatch.context() as patch:
            patch.setattr(compose, name, limit)
            assert compose_registers(automaton) is None
    assert compose_registers(automaton_of(LISTS, CASES[2][1], 40_000)) is None


def test_what_counts_nothing_is_not_composed() -> None:
    assert automaton_of(LISTS, (), 40).composed is None
