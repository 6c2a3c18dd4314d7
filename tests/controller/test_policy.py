"""A fresh policy: its distribution, its sizes, its initial weights."""

from __future__ import annotations

import math

import pytest
import torch

from dslc.controller import PRESETS, Input, RecurrentPolicy, replay, score_rollout
from dslc.controller.policy import POSITION_CAP, refine_rows
from tests.controller.small_spaces import LISTS, MENUS, SIZES, TREES, list_sentences, make_policy, make_space


@pytest.mark.parametrize("text", [MENUS, TREES, LISTS])
def test_a_fresh_policy_is_the_starting_table(text: str) -> None:
    space = make_space(text, SIZES[text])
    policy = make_policy(space)
    sentences = list_sentences(space)
    with torch.no_grad():
        totals = score_rollout(policy, replay(policy, sentences)).log_probs.sum(1)
    expected = [space.starting_table().log_prob(sentence) for sentence in sentences]
    torch.testing.assert_close(totals, torch.tensor(expected))


@pytest.mark.parametrize("text", [MENUS, TREES, LISTS])
def test_refined_rows_allow_what_the_mask_allows(text: str) -> None:
    space = make_space(text, SIZES[text])
    automaton, table = space.lowering.automaton, space.starting_table()
    refined, logits = refine_rows(automaton, table)
    assert len(logits) == len(refined.mask)
    for position in range(automaton.num_positions):
        for slack in range(space.max_tokens + 1):
            coarse = automaton.mask[automaton.row_base[position] + min(slack, automaton.row_cap[position])]
            fine = refined.mask[refined.row_base[position] + min(slack, refined.row_cap[position])]
            # Slacks above the table's last row repeat it; they may only forbid less in a budget that the table was
            # not made for.
            if slack <= refined.row_cap[position]:
                assert (coarse == fine).all()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_initial_weights_are_the_preset(name: str) -> None:
    preset = PRESETS[name]
    policy = make_policy(make_space(MENUS), name)
    assert policy.lstm.num_layers == preset.num_layers
    assert policy.lstm.hidden_size == preset.hidden_size
    for weights in policy.lstm.parameters():
        assert weights.abs().max() <= preset.weight_range
        assert weights.numel() < 1000 or weights.abs().max() > 0.9 * preset.weight_range
    assert bool(policy.output.weight.eq(0).all()) is preset.starts_at_table
    if not preset.starts_at_table:
        assert policy.start_logits.eq(0).all()
        assert policy.embedding.abs().max() <= preset.weight_range
    assert policy.position.requires_grad is (Input.POSITION in preset.inputs)


def test_weights_depend_on_the_seed_alone() -> None:
    space = make_space(MENUS)
    torch.manual_seed(7)
    first = make_policy(space, seed=3).state_dict()
    torch.manual_seed(8)
    second, other = make_policy(space, seed=3).state_dict(), make_policy(space, seed=4).state_dict()
    assert all(first[name].equal(second[name]) for name in first)
    assert not first["embedding"].equal(other["embedding"])


def test_positions_beyond_the_cap_share_the_last_embedding() -> None:
    budget = POSITION_CAP + 40
    space = make_space('start: A+\nA: "a" | "b"', budget)
    policy = make_policy(space, shake=0.5)
    assert len(policy.position) == POSITION_CAP
    longest = max(range(1, budget + 1), key=lambda n: (bool(space.counts()[n]), n))
    sentence = space.exact_counts().unrank_length(longest, 5)
    with torch.no_grad():
        score = score_rollout(policy, replay(policy, [sentence]))
    assert score.log_probs.shape == (1, longest)
    assert score.log_probs.isfinite().all()


def test_every_input_that_a_preset_names_matters() -> None:
    space = make_space(LISTS, 6)
    policy = make_policy(space, shake=0.5)
    sentences = list_sentences(space)
    before = replay(policy, sentences)
    with torch.no_grad():
        reference = score_rollout(policy, before).log_probs.sum(1)
        for name in ("embedding", "position"):
            changed = RecurrentPolicy(
                space.lowering.automaton, space.max_tokens, policy.preset, table=space.starting_table()
            )
            changed.load_state_dict({**policy.state_dict(), name: policy.state_dict()[name] + 0.3 * math.pi})
            assert not torch.allclose(score_rollout(changed, before).log_probs.sum(1), reference)
