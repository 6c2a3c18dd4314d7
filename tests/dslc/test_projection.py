"""The projected table against enumeration of every prefix, and what it promises of lengths and small divergences."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest

import dslc
from dslc.automaton import projection
from dslc.automaton.count import Counts
from dslc.automaton.projection import Lean, projected_table
from dslc.automaton.scalar import advance_state, start_state
from dslc.automaton.starting import StartingTable, starting_table
from dslc.automaton.uniform import uniform_log_prob
from dslc.diagnostics import DslcError
from tests.dslc.random_grammars import random_grammar
from tests.dslc.test_sample_batch import ARITHMETIC, bench, counts_of


def weigh_sentences(counts: Counts, lean: Lean | None) -> dict[tuple[int, ...], float]:
    """Probability of every sentence: even or leaning lengths, then uniform or leaning sentences of each."""
    sentences = [counts.unrank(i) for i in range(counts.total)]
    if lean is None:
        return {tokens: math.exp(uniform_log_prob(counts, tokens, "even")) for tokens in sentences}
    within = {tokens: math.exp(sum(lean.tokens[token] for token in tokens)) for tokens in sentences}
    of_length: dict[int, float] = defaultdict(float)
    for tokens, weight in within.items():
        of_length[len(tokens)] += weight
    total = sum(math.exp(lean.length * n) for n in of_length)
    return {t: math.exp(lean.length * len(t)) / total * w / of_length[len(t)] for t, w in within.items()}


def mean_next_tokens(
    counts: Counts, weights: dict[tuple[int, ...], float], table: StartingTable
) -> dict[tuple[int, int], dict[int, float]]:
    """By (slot, slack), the share of each token over all places of all sentences; slacks past the cap are alike."""
    automaton = counts.automaton
    seen: dict[tuple[int, int], dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for tokens, weight in weights.items():
        state = start_state(automaton, counts.budget)
        for token in tokens:
            slack = min(state.slack, int(table.row_cap[state.top]))
            seen[int(automaton.slot[state.top]), slack][token] += weight
            state = advance_state(automaton, state, token)
    return {key: {t: w / sum(row.values()) for t, w in row.items()} for key, row in seen.items()}


def check_table(counts: Counts, lean: Lean | None = None) -> None:
    table = projected_table(counts, lean)
    automaton = counts.automaton
    expected = mean_next_tokens(counts, weigh_sentences(counts, lean), table)
    for position in range(1, automaton.num_positions):
        for slack in range(counts.budget - automaton.min_tokens + 1):
            kept = min(slack, int(table.row_cap[position]))
            row = table.log_probs[table.row_base[position] + kept]
            share = expected.get((int(automaton.slot[position]), kept))
            if share is not None:
                found = {token: math.exp(row[token]) for token in range(automaton.num_tokens) if row[token] > -650}
                assert found == pytest.approx(share, rel=1e-4, abs=1e-9)
            allowed = automaton.mask[automaton.row_base[position] + min(slack, automaton.row_cap[position])]
            assert (np.isfinite(row) == allowed).all()
    check_figures(counts, table)


def check_figures(counts: Counts, table: StartingTable) -> None:
    logs = {tokens: table.log_prob(tokens) for tokens in map(counts.unrank, range(counts.total))}
    assert sum(math.exp(log) for log in logs.values()) == pytest.approx(1.0, abs=1e-5)
    mean = sum(math.exp(log) * len(tokens) for tokens, log in logs.items())
    assert table.expected_tokens == pytest.approx(mean, abs=1e-4)
    even = sum(math.exp(log) * (log - uniform_log_prob(counts, tokens, "even")) for tokens, log in logs.items())
    assert table.kl_to_even == pytest.approx(even, abs=1e-4)
    uses = np.zeros(counts.automaton.num_tokens)
    for tokens, log in logs.items():
        for token in tokens:
            uses[token] += math.exp(log)
    assert table.expected_uses is not None
    np.testing.assert_allclose(table.expected_uses, uses, atol=1e-4)


def lean_of(counts: Counts, seed: int) -> Lean:
    generator = np.random.default_rng(seed)
    return Lean(float(generator.normal(0, 0.3)), generator.normal(0, 1, counts.automaton.num_tokens))


@pytest.mark.parametrize("budget", [2, 5, 8])
def test_rows_are_means_over_prefixes(budget: int) -> None:
    counts = counts_of(ARITHMETIC, budget)
    check_table(counts)
    check_table(counts, lean_of(counts, budget))


def test_rows_of_random_grammars_are_means_over_prefixes() -> None:
    compared = 0
    for seed in range(60):
        grammar = random_grammar(2000 + seed, operators=seed % 2 == 0)
        for budget in (7, 5, 3):
            try:
                counts = counts_of(grammar.text(), budget)
            except DslcError:
                continue
            if counts.total <= 120:
                check_table(counts)
                check_table(counts, lean_of(counts, seed))
                compared += 1
                break
    assert compared >= 45


@pytest.mark.parametrize("name", ["cnn6", "lstm"])
def test_in_a_space_of_one_length_it_is_the_local_table_bit_for_bit(name: str) -> None:
    counts = bench(name, 30)
    local, projected = starting_table(counts), projected_table(counts)
    assert local.log_probs.tobytes() == projected.log_probs.tobytes()
    assert (local.row_base == projected.row_base).all()
    shipped = dslc.compile("conv_net")
    assert shipped.starting_table("local").log_probs.tobytes() == shipped.starting_table().log_probs.tobytes()


def test_a_list_is_even_in_its_length() -> None:
    table = projected_table(bench("conv", 100))
    assert table.kl_to_even == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("name", "budget"), [("arith", 64), ("optim", 63)])
def test_where_rules_nest_it_is_far_closer_to_even_lengths(name: str, budget: int) -> None:
    counts = bench(name, budget)
    local, projected = starting_table(counts), projected_table(counts)
    assert local.kl_to_even is not None
    assert projected.kl_to_even is not None
    assert projected.expected_tokens is not None
    assert projected.kl_to_even < 0.02 * local.kl_to_even
    occurring = [n for n, ways in enumerate(counts.by_tokens) if ways]
    assert abs(projected.expected_tokens - sum(occurring) / len(occurring)) < 4


def test_no_table_of_the_form_is_nearer() -> None:
    # The distribution's log-loss of the table is least: a table that is changed a little costs more.
    counts = counts_of(ARITHMETIC, 6)
    weights = weigh_sentences(counts, None)
    loss = -sum(w * projected_table(counts).log_prob(t) for t, w in weights.items())
    for seed in range(5):
        generator = np.random.default_rng(seed)
        other = projected_table(counts, Lean(0.0, generator.normal(0, 0.1, counts.automaton.num_tokens)))
        assert -sum(w * other.log_prob(t) for t, w in weights.items()) > loss - 1e-6
    assert -sum(w * starting_table(counts).log_prob(t) for t, w in weights.items()) > loss


def test_what_a_float_cannot_hold_is_still_allowed() -> None:
    counts = bench("arith300", 160)
    table = projected_table(counts)
    assert table.log_prob(counts.unrank(counts.total // 3)) > -math.inf
    assert table.kl_to_even is not None
    assert math.isfinite(table.kl_to_even)


@pytest.mark.parametrize("limit", ["MAX_FLOW_CELLS", "MAX_FLOW_STEPS"])
def test_large_flows_leave_the_local_table(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = counts_of(ARITHMETIC, 8)
    assert projected_table(counts).kind == "projected"
    monkeypatch.setattr(projection, limit, 10)
    assert projected_table(counts).kind == "local"
    assert projected_table(counts).log_probs.tobytes() == starting_table(counts).log_probs.tobytes()


def test_large_tables_stop_telling_slacks_apart_but_stay_proper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dslc.automaton.starting.MAX_STARTING_CELLS", 1)
    counts = counts_of(ARITHMETIC, 8)
    check_figures(counts, projected_table(counts))


def test_a_language_without_decisions() -> None:
    assert projected_table(counts_of('start: "a"\n', 0)).log_prob(()) == 0.0
