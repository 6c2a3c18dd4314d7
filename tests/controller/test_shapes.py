"""Shapes and dtypes in signatures: the test run holds every call to them, and nothing else pays for that."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from jaxtyping import TypeCheckError

from dslc.controller.masking import masked_entropy, masked_log_softmax
from dslc.controller.rollout import draw_tokens
from dslc.controller.steps import Steps
from dslc.search.losses import ppo_clip_loss, reinforce_loss
from tests.controller.small_spaces import MENUS, make_policy, make_space


def test_an_axis_that_does_not_fit_is_caught() -> None:
    with pytest.raises(TypeCheckError, match="token"):
        masked_log_softmax(torch.zeros(2, 3), torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(TypeCheckError, match="batch"):
        reinforce_loss(torch.zeros(2, 3), torch.zeros(3), 0.0)
    with pytest.raises(TypeCheckError, match="advantages"):
        ppo_clip_loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 1), torch.ones(2, 3, dtype=torch.bool), 0.2)
    with pytest.raises(TypeCheckError, match="uniform"):
        draw_tokens(torch.full((2, 3), 1 / 3), torch.zeros(2))


def test_a_dtype_that_does_not_fit_is_caught() -> None:
    with pytest.raises(TypeCheckError, match="mask"):
        masked_entropy(torch.zeros(2, 3), torch.ones(2, 3))


def test_fields_agree_with_one_another() -> None:
    tokens = torch.zeros((2, 3), dtype=torch.int32)
    lengths = torch.zeros(2, dtype=torch.int64)
    Steps(tokens, lengths, tokens[:, :, None].expand(-1, -1, 4), tokens)
    with pytest.raises(TypeCheckError, match="rows"):
        Steps(tokens, lengths, tokens[:, :, None].expand(-1, -1, 4), tokens[:, :2])


def test_methods_are_checked() -> None:
    policy = make_policy(make_space(MENUS))
    inputs = torch.zeros((2, 3, 4), dtype=torch.int32)
    policy(inputs, torch.zeros((2, 3), dtype=torch.int32))
    with pytest.raises(TypeCheckError, match="time"):
        policy(inputs, torch.zeros((2, 2), dtype=torch.int32))
    with pytest.raises(TypeCheckError, match="batch"):
        policy.make_runtime(2).advance(torch.zeros((2, 1), dtype=torch.int32))


def test_outside_the_test_run_nothing_is_checked() -> None:
    code = "import sys, dslc.controller, dslc.search.losses; print('beartype' in sys.modules)"
    environment = {"PYTHONPATH": ".", "DSLC_CHECK": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True)
    assert done.stdout == "False\n"
