"""Tuned starting tables have the length and the shares that were asked for, by their figures and by enumeration."""

from __future__ import annotations

import math

import pytest

import dslc
from dslc.automaton import projection
from dslc.automaton.starting import StartingTable
from dslc.automaton.tuning import expected_share, find_tokens, read_shares, tuned_table
from dslc.diagnostics import Code, DslcError
from tests.dslc.test_projection import check_figures
from tests.dslc.test_sample_batch import ARITHMETIC, bench, counts_of


def share(table: StartingTable, name: str) -> float:
    return expected_share(table, find_tokens(table.automaton, name))


def test_length_and_shares_by_enumeration() -> None:
    counts = counts_of(ARITHMETIC, 9)
    table = tuned_table(counts, target_length=5.5, target_shares={"OP": 0.2, "1": 0.3})
    check_figures(counts, table)
    sentences = {t: math.exp(table.log_prob(t)) for t in map(counts.unrank, range(counts.total))}
    length = sum(p * len(t) for t, p in sentences.items())
    assert length == pytest.approx(5.5, abs=1e-3)
    for name, wanted in (("OP", 0.2), ("1", 0.3)):
        tokens = set(find_tokens(counts.automaton, name))
        assert sum(p * sum(x in tokens for x in t) for t, p in sentences.items()) / length == pytest.approx(
            wanted, abs=1e-4
        )


@pytest.mark.parametrize("length", [3, 12, 24])
def test_lengths_of_a_nested_grammar(length: float) -> None:
    table = dslc.compile("expression", max_tokens=26).starting_table(target_length=length)
    assert table.expected_tokens == pytest.approx(length, abs=1e-3)


def test_shares_of_one_length() -> None:
    table = tuned_table(bench("cnn6", 24), target_shares={"WIDTH.7": 0.125, "36": 0.01})
    assert (share(table, "WIDTH.7"), share(table, "36")) == pytest.approx((0.125, 0.01), abs=1e-5)
    assert table.expected_tokens == pytest.approx(24)


def test_nothing_asked_is_the_projected_table() -> None:
    space = dslc.compile("expression", max_tokens=20)
    assert (
        tuned_table(space.exact_counts()).log_probs.tobytes() == space.starting_table("projected").log_probs.tobytes()
    )
    assert space.starting_table("local").log_probs.tobytes() != space.starting_table().log_probs.tobytes()


@pytest.mark.parametrize(
    ("length", "shares", "message", "help_text"),
    [
        (None, {"ad": 0.1}, "no token is named `ad`", "did you mean `add`?"),
        (None, {"add": 1.0}, "the share of `add` is 1", "a share is between 0 and 1"),
        (70, {}, "the target length is 70", "sentences have 1 to 20 tokens"),
        (12, {"add": 0.9}, "no starting table found", "the nearest that was found has"),
    ],
)
def test_what_cannot_be_is_refused(
    length: float | None, shares: dict[str, float], message: str, help_text: str
) -> None:
    space = dslc.compile("expression", max_tokens=20)
    with pytest.raises(DslcError) as caught:
        space.starting_table(target_length=length, target_shares=shares)
    (problem,) = caught.value.diagnostics
    assert problem.code is Code.STARTING_TARGET
    assert message in problem.message
    assert help_text in (problem.help or "")


def test_one_length_can_be_asked_for_only_as_it_is() -> None:
    space = dslc.compile("conv_net")
    assert space.starting_table(target_length=15).log_probs.tobytes() == space.starting_table().log_probs.tobytes()
    with pytest.raises(DslcError, match="the target length is 14"):
        space.starting_table(target_length=14)


def test_too_large_a_space_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "MAX_FLOW_CELLS", 10)
    with pytest.raises(DslcError, match="too large to tune"):
        tuned_table(counts_of(ARITHMETIC, 9), target_length=5)


def test_shares_as_text() -> None:
    assert read_shares("") == {}
    assert read_shares('"="=0.1,","=2e-3, K.3 =1') == {'"="': 0.1, '","': 2e-3, "K.3": 1.0}
    for text in ("add", "add=", "=0.1", "add=0.1,add=0.2", "add=x", "add=0.1,,b=0.2x"):
        with pytest.raises(ValueError, match="="):
            read_shares(text if "=" in text else f"{text},x=")
