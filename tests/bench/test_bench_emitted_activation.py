"""Emitted activations against the same expressions written by hand: forward and backward.

Pairs are interleaved and timed by the thread's CPU time; the figure is the median of their ratios. The bar is 1.05.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import torch
from torch import Tensor

import dslc

PAIRS = 300
BAR = 1.05
SHAPES = {"images": (128, 16, 8, 8), "features": (256, 128)}
Function = Callable[[Tensor, dict[str, Tensor]], Tensor]


def swish(x: Tensor, trained: dict[str, Tensor]) -> Tensor:
    """sigmoid(beta x) * x, one beta a channel."""
    return torch.sigmoid(trained["beta"].view(-1, *[1] * (x.dim() - 2)) * x) * x


def three_hinges(x: Tensor, trained: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    """Constant slopes and offsets."""
    return torch.relu(x) + 0.2 * torch.relu(0.5 - x) - 0.5 * torch.relu(-x) + 0.1 * torch.relu(-1 - x)


def trained_hinges(x: Tensor, trained: dict[str, Tensor]) -> Tensor:
    """Two hinges with slopes and offsets for each channel, on an axis in front."""
    shape = (2, 1, -1, *[1] * (x.dim() - 2))
    return torch.relu(x) + (trained["slopes"].view(shape) * torch.relu(trained["offsets"].view(shape) - x)).sum(0)


def trained_series(x: Tensor, trained: dict[str, Tensor]) -> Tensor:
    """NPF(4, 1) with three harmonics and coefficients for each channel, on an axis in front."""
    channel = (1, -1, *[1] * (x.dim() - 2))
    u = torch.pi / 4 * torch.clamp(x, -3, 3)
    angles = torch.arange(1, 4).view(-1, *[1] * x.dim()) * u
    cosines, sines = trained["cosines"].view(3, *channel), trained["sines"].view(3, *channel)
    return trained["mean"].view(channel) + (cosines * torch.cos(angles) + sines * torch.sin(angles)).sum(0)


CASES: dict[str, tuple[str, str, str, Function]] = {
    "swish": ("activation", "start", "x x scale identity gate", swish),
    "constant hinges": (
        "activation_piecewise_linear",
        "start",
        "max(0,x) + 0.2 * max(0,-x + 0.5 ) + -0.5 * max(0,-x + 0 ) + 0.1 * max(0,-x + -1 )",
        three_hinges,
    ),
    "trained hinges": (
        "activation_piecewise_linear",
        "random",
        "max(0,x)" + 2 * " + param random * max(0,-x + param random )",
        trained_hinges,
    ),
    "trained Fourier series": (
        "activation_fourier",
        "tanh",
        "npf 4 1 : param tanh" + 3 * " + param tanh cos + param tanh sin",
        trained_series,
    ),
}


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of this thread."""
    start = time.thread_time()
    run()
    return time.thread_time() - start


@pytest.mark.parametrize("place", SHAPES)
@pytest.mark.parametrize("name", CASES)
def test_emitted_against_hand_written(name: str, place: str) -> None:
    torch.set_num_threads(1)
    grammar, start, sentence, written = CASES[name]
    shape = SHAPES[place]
    emitted: Any = dslc.compile(grammar, start=start).parse(sentence).build(num_channels=shape[1])
    trained = dict(emitted.named_parameters())
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    torch.testing.assert_close(emitted(x), written(x, trained))

    def step(function: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        def run() -> None:
            function(x).sum().backward()  # type: ignore[no-untyped-call]

        return run

    pair = (step(emitted), step(lambda x: written(x, trained)))
    for run in pair * 10:
        run()
    seconds: tuple[list[float], list[float]] = ([], [])
    gc.disable()
    try:
        for number in range(PAIRS):
            for which in (0, 1) if number % 2 else (1, 0):  # whoever is first pays for a cold cache
                seconds[which].append(cpu_seconds(pair[which]))
    finally:
        gc.enable()
    ratio = median(mine / theirs for mine, theirs in zip(*seconds, strict=True))
    print(f"\n{name}, {place} {shape}: {median(seconds[0]) * 1e6:.0f} µs, {ratio:.3f} × (bar {BAR})")
