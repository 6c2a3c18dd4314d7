"""Sampling, scoring and replaying tell the same story."""

from __future__ import annotations

import itertools

import pytest
import torch

from dslc.controller import Steps, join_steps, replay, sample_rollout, score_rollout
from dslc.controller.rollout import _draw_from_unordered, draw_tokens
from tests.controller.small_spaces import FORCED, LISTS, MENUS, SIZES, TREES, list_sentences, make_policy, make_space

SPACES = [MENUS, TREES, LISTS]
KINDS = list(itertools.product(SPACES, ["small", "zoph2017"]))


def equal_steps(one: Steps, other: Steps) -> bool:
    """Whether two records agree wherever there is a token."""
    live = one.is_token
    return (
        one.tokens.equal(other.tokens)
        and one.lengths.equal(other.lengths)
        and one.rows[live].equal(other.rows[live])
        and one.inputs[live].equal(other.inputs[live])
    )


@pytest.mark.parametrize(("text", "preset"), KINDS)
def test_sampling_and_scoring_give_equal_figures(text: str, preset: str) -> None:
    policy = make_policy(make_space(text, SIZES[text]), preset, shake=0.7)
    rollout = sample_rollout(policy, 200, torch.Generator().manual_seed(1))
    with torch.no_grad():
        score = score_rollout(policy, rollout.steps)
    torch.testing.assert_close(score.log_probs, rollout.log_probs, rtol=0, atol=1e-5)
    torch.testing.assert_close(score.entropies, rollout.entropies, rtol=0, atol=1e-5)
    assert rollout.log_probs[~rollout.steps.is_token].eq(0).all()
    assert rollout.entropies[~rollout.steps.is_token].eq(0).all()


@pytest.mark.parametrize(("text", "preset"), KINDS)
def test_probabilities_of_all_sentences_sum_to_one(text: str, preset: str) -> None:
    space = make_space(text, SIZES[text])
    policy = make_policy(space, preset, shake=0.7)
    with torch.no_grad():
        totals = score_rollout(policy, replay(policy, list_sentences(space))).log_probs.double().sum(1)
    assert totals.exp().sum().item() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("text", SPACES)
def test_replay_records_what_sampling_saw(text: str) -> None:
    space = make_space(text, SIZES[text])
    policy = make_policy(space, shake=0.7)
    steps = sample_rollout(policy, 50, torch.Generator().manual_seed(2)).steps
    sequences = steps.token_tuples()
    assert set(sequences) <= set(list_sentences(space))
    assert equal_steps(replay(policy, sequences), steps)


def test_previous_token_slot_parent_and_sibling_are_the_inputs() -> None:
    space = make_space(LISTS, 6)
    automaton = space.lowering.automaton
    policy = make_policy(space)
    sentence = max(list_sentences(space), key=len)
    steps = replay(policy, [sentence])
    none = automaton.pad_id
    assert steps.inputs[0, :, 0].tolist() == [none, *sentence[:-1]]
    assert steps.inputs[0, 0, 2:].tolist() == [none, none]
    assert steps.inputs[0, :, 1].max() < automaton.num_slots


@pytest.mark.parametrize("text", SPACES)
def test_joined_batches_score_as_they_do_alone(text: str) -> None:
    space = make_space(text, SIZES[text])
    policy = make_policy(space, shake=0.7)
    sentences = sorted(list_sentences(space), key=len)
    first, second = replay(policy, sentences[:3]), replay(policy, sentences[-4:])
    joined = join_steps(first, second, space.lowering.automaton.pad_id)
    assert joined.token_tuples() == [*sentences[:3], *sentences[-4:]]
    with torch.no_grad():
        alone = [score_rollout(policy, steps) for steps in (first, second)]
        together = score_rollout(policy, joined)
    for name in ("log_probs", "entropies"):
        expected = torch.cat([getattr(score, name).sum(1) for score in alone])
        torch.testing.assert_close(getattr(together, name).sum(1), expected)


def test_divergence_from_another_policy_equals_its_definition() -> None:
    space = make_space(MENUS)
    policy, reference = make_policy(space, shake=0.7), make_policy(space, shake=0.3, seed=5)
    steps = replay(policy, list_sentences(space))
    with torch.no_grad():
        score, other = score_rollout(policy, steps, reference), score_rollout(reference, steps)
        own = score_rollout(policy, steps, policy).divergences
    assert score.divergences is not None
    assert own is not None
    assert own.abs().max() < 1e-6
    # KL of whole sentences is the expectation of the summed divergences of their steps.
    weights = score.log_probs.sum(1).exp()
    whole = (weights * (score.log_probs - other.log_probs).sum(1)).sum()
    torch.testing.assert_close((weights * score.divergences.sum(1)).sum(), whole, rtol=1e-4, atol=1e-5)


def test_the_same_generator_state_gives_the_same_sample() -> None:
    policy = make_policy(make_space(TREES, 9), shake=0.5)
    one, other = (sample_rollout(policy, 20, torch.Generator().manual_seed(4)) for _ in range(2))
    assert one.tokens.equal(other.tokens)
    assert one.log_probs.equal(other.log_probs)


def test_a_space_of_forced_text_has_no_steps() -> None:
    space = make_space(FORCED)
    policy = make_policy(space)
    rollout = sample_rollout(policy, 3, torch.Generator().manual_seed(0))
    assert rollout.steps.token_tuples() == [(), (), ()]
    score = score_rollout(policy, replay(policy, [(), ()]), policy)
    assert score.log_probs.sum(1).tolist() == [0.0, 0.0]


def test_long_sentences_stop_at_the_budget() -> None:
    policy = make_policy(make_space(LISTS, 70))
    rollout = sample_rollout(policy, 64, torch.Generator().manual_seed(0))
    assert int(rollout.lengths.max()) <= 70
    assert len(set(rollout.lengths.tolist())) > 10


@pytest.mark.parametrize("uniform", [0.0, 0.3, 0.5, 1 - 2**-24])
def test_no_token_of_probability_zero_is_drawn(uniform: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 8 * torch.randn(2000, 9, generator=generator)
    blocked = torch.rand(logits.shape, generator=generator) < 0.6
    blocked[:, 4] = False
    probs = torch.softmax(logits.masked_fill(blocked, -torch.inf), 1)
    numbers = torch.full((2000, 1), uniform)
    drawn = draw_tokens(probs, numbers)
    assert drawn.dtype == torch.int32
    assert (probs.gather(1, drawn.long()[:, None]) > 0).all()
    assert _draw_from_unordered(probs, probs.cumsum(1), numbers).equal(drawn)


def test_a_sum_that_falls_by_rounding_draws_no_blocked_token() -> None:
    probs = torch.tensor([[0.5, 0.0, 0.5, 0.0]])
    wavering = torch.tensor([[0.5, 0.5 + 1e-6, 1.0, 1.0 + 1e-6]])
    for uniform in (0.5 - 1e-7, 0.5 + 5e-7, 1 - 2**-24):
        assert _draw_from_unordered(probs, wavering, torch.tensor([[uniform]])).item() in (0, 2)


@pytest.mark.gpu
def test_a_gpu_gives_the_figures_of_a_cpu() -> None:
    space = make_space(LISTS, 12)
    policy = make_policy(space, shake=0.7)
    twin = make_policy(space, shake=0.7, device="cuda")
    rollout = sample_rollout(twin, 300, torch.Generator("cuda").manual_seed(1))
    sequences = rollout.steps.token_tuples()
    with torch.no_grad():
        on_cpu = score_rollout(policy, replay(policy, sequences))
        on_gpu = score_rollout(twin, rollout.steps)
    torch.testing.assert_close(on_gpu.log_probs.cpu(), on_cpu.log_probs, rtol=0, atol=1e-4)
    torch.testing.assert_close(rollout.log_probs.cpu(), on_cpu.log_probs, rtol=0, atol=1e-4)
