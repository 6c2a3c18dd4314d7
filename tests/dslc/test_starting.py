"""The starting table against enumeration: probabilities, exact figures, what it promises of lists and fixed lengths."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from dslc.automaton import starting
from dslc.automaton.count import Counts
from dslc.automaton.starting import StartingTable, criticality, starting_table
from dslc.automaton.tables import TokenAutomaton
from dslc.diagnostics import DslcError
from tests.dslc.random_grammars import lower_text, random_grammar

GRAMMARS = Path(__file__).parents[1] / "bench" / "grammars"
ARITHMETIC = 'start: start OP atom | atom\natom: N | "(" start ")"\nOP: "+" | "*"\nN: "1" | "2"\n'


def counts_of(text: str, budget: int) -> Counts:
    return Counts(lower_text(text, budget)[1].automaton, budget)


def bench(name: str, budget: int) -> Counts:
    return counts_of((GRAMMARS / f"{name}.lark").read_text(encoding="utf-8"), budget)


def enumerate_figures(counts: Counts, table: StartingTable) -> tuple[float, float, float]:
    """Total probability, mean length and KL to uniform, sentence by sentence."""
    logs = [(len(tokens), table.log_prob(tokens)) for tokens in map(counts.unrank, range(counts.total))]
    total = sum(math.exp(log) for _, log in logs)
    mean = sum(length * math.exp(log) for length, log in logs)
    divergence = sum(math.exp(log) * (log + math.log(counts.total)) for _, log in logs)
    return total, mean, divergence


def check_figures(counts: Counts) -> None:
    table = starting_table(counts)
    total, mean, divergence = enumerate_figures(counts, table)
    assert table.expected_tokens is not None
    assert table.kl_to_uniform is not None
    # The table is float32, the figures are float64.
    assert math.isclose(total, 1.0, abs_tol=1e-5)
    assert math.isclose(mean, table.expected_tokens, abs_tol=1e-4)
    assert math.isclose(divergence, table.kl_to_uniform, abs_tol=1e-4)


@pytest.mark.parametrize("budget", [2, 5, 8])
def test_figures_equal_enumeration(budget: int) -> None:
    check_figures(counts_of(ARITHMETIC, budget))


def test_figures_of_random_grammars_equal_enumeration() -> None:
    compared = 0
    for seed in range(80):
        grammar = random_grammar(1000 + seed, operators=seed % 2 == 0)
        for budget in (7, 5, 3):
            try:
                counts = counts_of(grammar.text(), budget)
            except DslcError:
                continue
            if counts.total <= 600:
                check_figures(counts)
                compared += 1
                break
    assert compared >= 60


def test_rows_allow_what_the_mask_allows() -> None:
    for name, budget in (("arith", 30), ("optim", 40), ("conv", 100), ("arith300", 20)):
        counts = bench(name, budget)
        automaton = counts.automaton
        table = starting_table(counts)
        assert table.log_probs.dtype == np.float32
        assert np.allclose(np.exp(table.log_probs.astype(np.float64)).sum(axis=1), 1.0, atol=1e-5)
        for position in range(automaton.num_positions):
            for slack in range(budget - automaton.min_tokens + 1):
                row = table.row_base[position] + min(slack, table.row_cap[position])
                allowed = automaton.mask[automaton.row_base[position] + min(slack, automaton.row_cap[position])]
                assert (np.isfinite(table.log_probs[row]) == allowed).all()


@pytest.mark.parametrize(("name", "budget"), [("cnn6", 24), ("lstm", 30)])
def test_a_space_of_one_length_starts_uniform(name: str, budget: int) -> None:
    counts = bench(name, budget)
    table = starting_table(counts)
    assert table.expected_tokens == pytest.approx(counts.automaton.min_tokens)
    assert table.kl_to_uniform == pytest.approx(0.0, abs=1e-9)
    tokens = counts.unrank(counts.total // 3)
    assert table.log_prob(tokens) == pytest.approx(-math.log(counts.total), rel=1e-5)


@pytest.mark.parametrize(
    "text", ['start: item~1..9\nitem: A B\nA: "a" | "b"\nB: "c"\n', 'start: start A | A\nA: "a"\n']
)
def test_a_list_starts_even_in_its_length(text: str) -> None:
    counts = counts_of(text, 11)
    table = starting_table(counts)
    by_length: dict[int, float] = defaultdict(float)
    for index in range(counts.total):
        tokens = counts.unrank(index)
        by_length[len(tokens)] += math.exp(table.log_prob(tokens))
    assert len(by_length) >= 8
    for share in by_length.values():
        assert share == pytest.approx(1 / len(by_length), rel=1e-4)


def test_a_long_list_is_even_too() -> None:
    table = starting_table(bench("conv", 100))
    # 1 to 19 layers cost five each and a stop, 20 cost 100.
    assert table.expected_tokens == pytest.approx((sum(5 * n + 1 for n in range(1, 20)) + 100) / 20)


def test_copies_share_their_rows() -> None:
    one = starting_table(counts_of('start: A B A B\nA: "a" | "b"\nB: "c" | "d"\n', 4))
    assert len(one.log_probs) == 1 + 2
    copies = starting_table(counts_of("start: a b\n" + 'a: "x" | "y"\nb: "x" | "y"\n', 2))
    assert len(copies.log_probs) == 1 + 1


def test_large_tables_stop_telling_slacks_apart_but_stay_proper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "MAX_STARTING_CELLS", 400)
    counts = counts_of(ARITHMETIC, 60)
    table = starting_table(counts)
    assert table.log_probs.size <= 500
    assert table.log_prob(counts.unrank(counts.total - 1)) > -math.inf
    small = counts_of(ARITHMETIC, 8)
    monkeypatch.setattr(starting, "MAX_STARTING_CELLS", 1)
    check_figures(small)


def test_figures_past_the_limit_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "MAX_FIGURE_CELLS", 1)
    table = starting_table(counts_of(ARITHMETIC, 8))
    assert table.expected_tokens is None
    assert table.kl_to_uniform is None


def test_log_prob_of_what_is_no_sentence() -> None:
    table = starting_table(counts_of(ARITHMETIC, 8))
    assert table.log_prob((4, 4)) == -math.inf
    assert table.log_prob(()) == -math.inf


def test_a_language_without_decisions() -> None:
    table = starting_table(counts_of('start: "a"\n', 0))
    assert (table.expected_tokens, table.kl_to_uniform) == (0.0, 0.0)
    assert table.log_prob(()) == 0.0


def criticality_of(text: str) -> float:
    automaton: TokenAutomaton = lower_text(text, 64)[1].automaton
    return criticality(automaton)


def test_criticality_in_closed_form() -> None:
    assert criticality_of('start: A~1..9\nA: "a" | "b"\n') == 0.0
    # One of two choices leaves two of the same slot: mean offspring 1.
    assert criticality_of('start: "(" start start ")" | "x"\n') == pytest.approx(1.0)
    assert criticality_of('start: "(" start start start ")" | "x"\n') == pytest.approx(1.5)
    # Two slots in turn: the radius is the root of the product, 2 * 1/2 * 1/3.
    assert criticality_of('start: "a" p p | "x"\np: "b" start | "y" | "z"\n') == pytest.approx(math.sqrt(1 / 3))


def test_criticality_by_repeated_multiplication(monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'start: "a" p p | "x"\np: "b" start | "y" | "z"\n'
    monkeypatch.setattr(starting, "MAX_DENSE_SLOTS", 0)
    assert criticality_of(text) == pytest.approx(math.sqrt(1 / 3))
