"""No emitted code makes a tensor on a device of its own: all of it runs where its inputs and weights are.

PyTorch's `meta` device, which keeps shapes and no numbers, stands for a GPU here: like one it refuses to meet a tensor
of the CPU, so a constant that is made without its input's device fails on any machine. Where there is a GPU the same
runs on it.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dslc.diagnostics import DslcError
from dslc.program.targets import Built
from dslc.space import Program, Space
from tests.soaks.builds import FEWER, INPUTS, list_tensors, random_inputs, spaces_with_targets

NUM_SAMPLES = 8
"""Of a start; a quarter of it where each is a whole network. At least half have a meaning, the rest are left out."""
SPACES = tuple(spaces_with_targets())


@pytest.mark.parametrize("device", ["meta", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("space", SPACES, ids=lambda space: f"{space.name}-{space.start}")
def test_everything_stays_on_the_device_of_the_inputs(space: Space, device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    ran = 0
    num_samples = NUM_SAMPLES // FEWER.get(space.target or "", 1)
    for program in space.samples(num_samples, seed=0, lengths="even"):
        try:
            program.graph  # noqa: B018  # refuses sentences without a meaning
        except DslcError:
            continue
        (run_optimizer if space.meaning().builds is Built.OPTIMIZER else run_program)(program, device)
        ran += 1
    assert ran >= num_samples // 2


def test_a_constant_on_the_cpu_is_found() -> None:
    with pytest.raises(RuntimeError, match="device"):
        torch.empty(3, device="meta") + torch.zeros(3)


def run_program(program: Program, device: str) -> None:
    target = program.space.meaning()
    arguments = dict(target.example_arguments or {})
    generator = torch.Generator().manual_seed(0)
    inputs = [x.detach().to(device).requires_grad_() for x in random_inputs(program.graph, arguments, generator)]
    built: Any = program.build(**({} if target.builds is Built.FUNCTION else arguments))
    weights: list[Tensor] = []
    if isinstance(built, nn.Module):
        built.to(device)
        weights = list(built.parameters())
    arrange = INPUTS.get(target.name)
    outputs = list_tensors(built(*(inputs if arrange is None else arrange(*inputs))))
    assert {output.device.type for output in outputs} == {device}
    total = torch.stack([output.sum() for output in outputs]).sum()
    if total.requires_grad:
        total.backward()  # type: ignore[no-untyped-call]
    gradients = [tensor.grad for tensor in (*inputs, *weights) if tensor.grad is not None]
    assert all(gradient.device.type == device for gradient in gradients)
    assert gradients or not total.requires_grad


def run_optimizer(program: Program, device: str) -> None:
    weights = [torch.ones(shape, device=device, requires_grad=True) for shape in ((4, 3), (3,))]
    given = {"params": weights, "lr": 0.01, "total_steps": 3}
    names = [argument.name for argument in program.space.meaning().build_arguments if argument.name in given]
    optimizer: Any = program.build(**{name: given[name] for name in names})
    for _ in range(3):
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        optimizer.step()
    kept = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    assert all(value.device.type == device for value in kept if value.ndim)
