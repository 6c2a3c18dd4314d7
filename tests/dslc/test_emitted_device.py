"""No emitted code makes a tensor on a device of its own: all of it runs where its inputs and weights are.

PyTorch's `meta` device, which keeps shapes and no numbers, stands for a GPU here: like one it refuses to meet a tensor
of the CPU, so a constant that is made without its input's device fails on any machine. Where there is a GPU the same
runs on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dslc
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
    ran = 0
    num_samples = NUM_SAMPLES // FEWER.get(space.target or "", 1)
    for program in space.samples(num_samples, seed=0, lengths="even"):
        if not has_meaning(program):
            continue
        (run_optimizer if space.meaning().builds is Built.OPTIMIZER else run_program)(program, device)
        ran += 1
    assert ran >= num_samples // 2


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("space", SPACES, ids=lambda space: f"{space.name}-{space.start}")
def test_other_dtypes_on_a_gpu(space: Space, dtype: torch.dtype) -> None:
    program = next(program for program in space.samples(20, seed=1, lengths="even") if has_meaning(program))
    if space.meaning().builds is not Built.OPTIMIZER:
        run_program(program, "cuda", dtype)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")  # Inductor's own, about what it imports
@pytest.mark.parametrize("name", ["activation", "activation_fourier", "conv_net", "expression", "rnn_cell"])
def test_code_compiled_for_a_gpu_is_the_function_of_a_cpu(name: str) -> None:
    program = next(iter(dslc.compile(name).samples(1, seed=2, lengths="even")))
    arguments = dict(program.space.meaning().example_arguments or {})
    arrange: Callable[..., tuple[Any, ...]] = INPUTS.get(name, lambda *inputs: inputs)
    inputs = random_inputs(program.graph, arguments, torch.Generator().manual_seed(0))
    built: Any = program.build(**({} if program.space.meaning().builds is Built.FUNCTION else arguments))
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        expected = built(*arrange(*inputs))
        if isinstance(built, nn.Module):
            built.to("cuda")
        compiled: Any = torch.compile(built, fullgraph=True)
        found = compiled(*arrange(*(x.to("cuda") for x in inputs)))
    for one, other in zip(list_tensors(found), list_tensors(expected), strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-3, atol=1e-4)


def test_a_constant_on_the_cpu_is_found() -> None:
    with pytest.raises(RuntimeError, match="device"):
        torch.empty(3, device="meta") + torch.zeros(3)


def has_meaning(program: Program) -> bool:
    try:
        program.graph  # noqa: B018  # refuses sentences without a meaning
    except DslcError:
        return False
    return True


def run_program(program: Program, device: str, dtype: torch.dtype = torch.float32) -> None:
    target = program.space.meaning()
    arguments = dict(target.example_arguments or {})
    generator = torch.Generator().manual_seed(0)
    inputs = [x.detach().to(device, dtype).requires_grad_() for x in random_inputs(program.graph, arguments, generator)]
    built: Any = program.build(**({} if target.builds is Built.FUNCTION else arguments))
    weights: list[Tensor] = []
    if isinstance(built, nn.Module):
        built.to(device, dtype)
        weights = list(built.parameters())
    arrange = INPUTS.get(target.name)
    outputs = list_tensors(built(*(inputs if arrange is None else arrange(*inputs))))
    assert {output.device.type for output in outputs} == {device}
    assert {output.dtype for output in outputs} == {dtype}
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
