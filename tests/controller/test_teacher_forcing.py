"""The hand-written pass and gradient against autograd through `RecurrentPolicy.forward`."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import dslc
from dslc.controller import PRESETS, RecurrentPolicy, Steps, join_steps, replay, sample_rollout, score_rollout
from dslc.controller.masking import masked_entropy, masked_log_softmax
from dslc.controller.paths import FEWEST_SHARING
from dslc.space import Space

GRAMMARS = {
    "conv_net": ("conv_net", "layers_6_stride_1", None),
    "nested": ("expression", None, 24),
    "counted": ("expression_constrained", None, 24),
}


def make_space(name: str) -> Space:
    grammar, start, budget = GRAMMARS[name]
    return dslc.compile(grammar, start=start, max_tokens=budget)


def make_policy(space: Space, preset_name: str) -> RecurrentPolicy:
    """A policy that has moved away from where it starts, so that no gradient is zero by symmetry."""
    preset = PRESETS[preset_name]
    table = space.starting_table() if preset.starts_at_table else None
    policy = RecurrentPolicy(space.lowering.automaton, space.max_tokens, preset, table=table, seed=3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for weight in policy.output.parameters():
            weight.uniform_(-0.5, 0.5, generator=generator)
    return policy


def make_steps(space: Space, policy: RecurrentPolicy) -> Steps:
    """Sentences of many lengths, in a batch that is joined from two."""
    first = sample_rollout(policy, FEWEST_SHARING, torch.Generator().manual_seed(1)).steps
    second = replay(policy, [program.tokens for program in space.samples(4, seed=5, lengths="even")])
    return join_steps(first, second, policy.automaton.pad_id)


def score_by_autograd(policy: RecurrentPolicy, steps: Steps) -> tuple[Tensor, Tensor]:
    mask = policy.mask[steps.rows] if steps.allowed is None else steps.allowed
    log_probs = masked_log_softmax(policy(steps.inputs, steps.rows, steps.finished), mask)
    return log_probs.gather(2, steps.tokens.long()[:, :, None])[:, :, 0], masked_entropy(log_probs, mask)


def gradients(policy: RecurrentPolicy, chosen: Tensor, entropies: Tensor) -> list[Tensor]:
    """Of a loss that asks every entry another amount."""
    generator = torch.Generator().manual_seed(2)
    weights = torch.rand(2, *chosen.shape, generator=generator, dtype=torch.float64).to(chosen.dtype) - 0.3
    loss = (chosen * weights[0]).sum() + (entropies * weights[1]).sum()
    learning = [weight for weight in policy.parameters() if weight.requires_grad]
    return list(torch.autograd.grad(loss, learning))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("name", sorted(GRAMMARS))
def test_equals_autograd(name: str, preset: str, dtype: torch.dtype) -> None:
    space = make_space(name)
    policy = make_policy(space, preset)
    steps = make_steps(space, policy)
    policy.to(dtype)
    bound = 1e-11 if dtype == torch.float64 else 3e-5
    wanted = score_by_autograd(policy, steps)
    score = score_rollout(policy, steps)
    assert torch.allclose(score.log_probs, wanted[0], atol=bound, rtol=bound)
    assert torch.allclose(score.entropies, wanted[1], atol=bound, rtol=bound)
    found = gradients(policy, score.log_probs, score.entropies)
    for by_hand, by_autograd in zip(found, gradients(policy, *wanted), strict=True):
        assert by_autograd.abs().max() > 0
        assert torch.allclose(by_hand, by_autograd, atol=bound * float(by_autograd.abs().max()) * 10, rtol=bound)


def test_positions_beyond_the_cap_share_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dslc.controller.policy.POSITION_CAP", 5)
    space = make_space("nested")
    policy = make_policy(space, "small")
    assert len(policy.position) == 5
    steps = make_steps(space, policy)
    policy.double()
    score = score_rollout(policy, steps)
    found = gradients(policy, score.log_probs, score.entropies)
    for by_hand, by_autograd in zip(found, gradients(policy, *score_by_autograd(policy, steps)), strict=True):
        assert torch.allclose(by_hand, by_autograd, atol=1e-10)


def test_gradient_by_differences() -> None:
    """Independent of autograd's rules too."""
    space = dslc.compile_text('//! max_tokens 5\nstart: A | A start\nA: "a" | "b"\n')
    preset = replace(PRESETS["small"], hidden_size=3, embedding_size=2)
    policy = RecurrentPolicy(space.lowering.automaton, space.max_tokens, preset, seed=1).double()
    with torch.no_grad():
        policy.output.weight.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    steps = replay(policy, [space[i].tokens for i in (0, 9, 29)])

    def loss() -> Tensor:
        score = score_rollout(policy, steps)
        return (score.log_probs * steps.tokens).sum() + 0.7 * score.entropies.square().sum()

    loss().backward()  # type: ignore[no-untyped-call]
    for weight in policy.parameters():
        assert weight.grad is not None
        flat, grad = weight.data.view(-1), weight.grad.view(-1)
        for i in range(len(flat)):
            kept = float(flat[i])
            ends = []
            for step in (1e-6, -1e-6):
                flat[i] = kept + step
                ends.append(float(loss().detach()))
            flat[i] = kept
            assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(float(grad[i]), abs=1e-7, rel=1e-6)


def test_there_is_no_second_derivative() -> None:
    space = make_space("conv_net")
    policy = make_policy(space, "small")
    total = score_rollout(policy, make_steps(space, policy)).log_probs.sum()
    (slope,) = torch.autograd.grad(total, [policy.output.bias], create_graph=True)
    with pytest.raises(RuntimeError, match=r"twice|require grad"):
        slope.sum().backward()  # type: ignore[no-untyped-call]
