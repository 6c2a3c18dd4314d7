"""A step of the emitted Adam against PyTorch's, on the parameters of a small residual network, in pairs."""

import gc
import statistics
import time
from typing import Any

import pytest
import torch

import dslc

PAIRS = 200


def parameters_of_a_network(dtype: torch.dtype = torch.float32) -> list[torch.nn.Parameter]:
    """Those of a residual network with 9 convolutions of 32 to 128 channels: 32 tensors, 0.7 million numbers."""
    generator = torch.Generator().manual_seed(0)
    channels = [(3, 32), (32, 32), (32, 32), (32, 64), (64, 64), (64, 64), (64, 128), (128, 128), (128, 128)]
    shapes: list[tuple[int, ...]] = []
    for inputs, outputs in channels:
        shapes += [(outputs, inputs, 3, 3), (outputs,), (outputs,)]
    shapes += [(128, 32, 1, 1), (128,), (128,), (10, 128), (10,)]
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator).to(dtype)
    return parameters


def seconds_of_a_step(optimizer: Any) -> float:
    """CPU time of this thread, which runs all of the step."""
    begin = time.thread_time()
    optimizer.step()
    return time.thread_time() - begin


@pytest.mark.parametrize("text", ["adam g identity identity keep_left", "m v identity sqrt_abs div"])
def test_a_step_of_adam(benchmark: Any, text: str) -> None:
    """The bar is 1.15: the median of the ratios of pairs, each of two steps one after the other, in turns first."""
    ours: Any = dslc.compile("optimizer").parse(text).build(params=parameters_of_a_network(), lr=1e-3)
    theirs = torch.optim.Adam(parameters_of_a_network(), lr=1e-3, foreach=True)
    ratios = []
    torch.set_num_threads(1)
    gc.disable()  # a collection falls on whichever of the two is running
    try:
        for _ in range(10):
            ours.step()
            theirs.step()
        for pair in range(PAIRS):
            if pair % 2:
                one, other = seconds_of_a_step(ours), seconds_of_a_step(theirs)
            else:
                other, one = seconds_of_a_step(theirs), seconds_of_a_step(ours)
            ratios.append(one / other)
    finally:
        gc.enable()
    benchmark.pedantic(ours.step, rounds=50, warmup_rounds=5)
    quarters = statistics.quantiles(ratios, n=4)
    print(f"\n`{text}` against torch.optim.Adam(foreach=True): {quarters[1]:.3f} x a step", end=" ")
    print(f"(middle half {quarters[0]:.3f} to {quarters[2]:.3f}, {PAIRS} pairs, bar 1.15)")
