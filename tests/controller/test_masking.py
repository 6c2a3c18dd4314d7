"""Distributions over allowed tokens: renormalised, and never NaN."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dslc.controller.masking import check_rows, masked_divergence, masked_entropy, masked_log_softmax

ALLOWED = torch.tensor([[True, True, False, True], [False, True, False, False]])
NASTY = [0.0, -1.0, 3.5, -math.inf, 1e30, -1e30, 88.0]


@given(st.lists(st.sampled_from(NASTY), min_size=8, max_size=8))
def test_rows_sum_to_one_and_nothing_is_nan(values: list[float]) -> None:
    logits = torch.tensor(values).view(2, 4).requires_grad_()
    log_probs = masked_log_softmax(logits, ALLOWED)
    assert not log_probs.isnan().any()
    assert log_probs[~ALLOWED].eq(-math.inf).all()
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(2))
    entropies = masked_entropy(log_probs, ALLOWED)
    divergences = masked_divergence(log_probs, log_probs.detach(), ALLOWED)
    assert not entropies.isnan().any()
    assert bool((entropies >= 0).all())
    assert divergences.eq(0).all()
    total = entropies.sum() + divergences.sum() + log_probs[ALLOWED].sum()
    (gradient,) = torch.autograd.grad(total, logits)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_what_stands_at_a_disallowed_token_does_not_matter(poison: float) -> None:
    logits = torch.tensor([[0.5, -0.5, poison, 1.0]])
    expected = torch.tensor([0.5, -0.5, 1.0]).log_softmax(0)
    torch.testing.assert_close(masked_log_softmax(logits, ALLOWED[:1])[0][[0, 1, 3]], expected)


def test_entropy_and_divergence_equal_their_sums() -> None:
    p = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    q = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    mask = torch.tensor([[True, True, True, False]])
    padded = [masked_log_softmax(torch.cat((x.log(), torch.zeros(1)))[None], mask) for x in (p, q)]
    assert masked_entropy(padded[0], mask).item() == pytest.approx(-sum(x * math.log(x) for x in (0.2, 0.3, 0.5)))
    by_hand = 0.2 * math.log(0.2 / 0.6) + 0.5 * math.log(0.5 / 0.1)
    assert masked_divergence(padded[0], padded[1], mask).item() == pytest.approx(by_hand)


def test_a_row_that_allows_nothing_is_a_bug() -> None:
    check_rows(ALLOWED)
    with pytest.raises(AssertionError, match="dead end"):
        check_rows(torch.tensor([[True, False], [False, False]]))
