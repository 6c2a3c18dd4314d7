"""The controller keeps to the device of its policy: what a GPU would run, on PyTorch's device without numbers.

The `meta` device stands for a GPU as in tests/dslc/test_emitted_device.py: it meets no tensor of the CPU, and no number
can be read from it.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch

import dslc
from dslc.controller import sample_rollout, score_rollout
from dslc.space import Space
from tests.controller.small_spaces import make_policy

SPACES = {
    "conv_net": ("start", 15),
    "rnn_cell": ("base_2", 15),
    "optimizer": ("start", 12),
    "dag_cell": ("blocks_3", 12),  # a pointer head
    "expression_constrained": ("start", 12),  # constraints
}
"""Name to a start and a budget within one block of steps, after which sampling reads whether all have ended."""


def compile_space(name: str) -> Space:
    start, budget = SPACES[name]
    return dslc.compile(name, start=start, max_tokens=budget)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_all_steps_of_sampling_stay_on_the_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make_policy(compile_space(name), device="meta")
    monkeypatch.setattr(torch, "rand", lambda *shape, generator, device: torch.empty(*shape, device=device))  # noqa: ARG005
    with pytest.raises(RuntimeError, match="item") as caught:
        sample_rollout(policy, 8, torch.Generator())
    assert "are_done" in [frame.name for frame in caught.traceback]  # behind the last step


@pytest.mark.parametrize("name", sorted(SPACES))
def test_scores_and_their_gradients_stay_on_the_device(name: str) -> None:
    space = compile_space(name)
    steps = sample_rollout(make_policy(space), 8, torch.Generator().manual_seed(0)).steps
    moved: dict[str, Any] = {
        field.name: value.to("meta")
        for field in fields(steps)
        if isinstance(value := getattr(steps, field.name), torch.Tensor)
    }
    policy = make_policy(space, device="meta")
    score = score_rollout(policy, replace(steps, **moved), policy)
    assert score.divergences is not None
    (score.log_probs.sum() + score.entropies.sum() + score.divergences.sum()).backward()  # type: ignore[no-untyped-call]
    gradients = [weight.grad for weight in policy.parameters() if weight.requires_grad and weight.grad is not None]
    assert gradients
    assert all(gradient.device.type == "meta" for gradient in gradients)
