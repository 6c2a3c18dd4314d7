"""Emitted activations against the same modules written by hand: forward and backward.

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
from torch import Tensor, nn

import dslc

PAIRS = 300
BAR = 1.05
SHAPES = {"images": (128, 16, 8, 8), "features": (256, 128)}


class Swish(nn.Module):
    """sigmoid(beta x) * x, one beta a channel."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.beta.view(-1, *[1] * (x.dim() - 2)) * x) * x


class ThreeHinges(nn.Module):
    """Constant slopes and offsets."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        del num_channels

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) + 0.2 * torch.relu(0.5 - x) - 0.5 * torch.relu(-x) + 0.1 * torch.relu(-1 - x)


class TrainedHinges(nn.Module):
    """Two hinges with slopes and offsets for each channel, on an axis in front."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.empty(2, num_channels))
        self.offsets = nn.Parameter(torch.empty(2, num_channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = (2, 1, -1, *[1] * (x.dim() - 2))
        return torch.relu(x) + (self.slopes.view(shape) * torch.relu(self.offsets.view(shape) - x)).sum(0)


class TrainedSeries(nn.Module):
    """NPF(4, 1) with three harmonics and coefficients for each channel, on an axis in front."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.empty(num_channels))
        self.cosines = nn.Parameter(torch.empty(3, num_channels))
        self.sines = nn.Parameter(torch.empty(3, num_channels))

    def forward(self, x: Tensor) -> Tensor:
        channel = (1, -1, *[1] * (x.dim() - 2))
        u = torch.pi / 4 * torch.clamp(x, -3, 3)
        angles = torch.arange(1, 4).view(-1, *[1] * x.dim()) * u
        cosines, sines = self.cosines.view(3, *channel), self.sines.view(3, *channel)
        return self.mean.view(channel) + (cosines * torch.cos(angles) + sines * torch.sin(angles)).sum(0)


CASES: dict[str, tuple[str, str, str, type[nn.Module]]] = {
    "swish": ("activation", "start", "x x scale identity gate", Swish),
    "constant hinges": (
        "activation_piecewise_linear",
        "start",
        "max(0,x) + 0.2 * max(0,-x + 0.5 ) + -0.5 * max(0,-x + 0 ) + 0.1 * max(0,-x + -1 )",
        ThreeHinges,
    ),
    "trained hinges": (
        "activation_piecewise_linear",
        "random",
        "max(0,x)" + 2 * " + param random * max(0,-x + param random )",
        TrainedHinges,
    ),
    "trained Fourier series": (
        "activation_fourier",
        "tanh",
        "npf 4 1 : param tanh" + 3 * " + param tanh cos + param tanh sin",
        TrainedSeries,
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
    by_hand: Any = written(shape[1])
    by_hand.load_state_dict(dict(emitted.state_dict()))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    torch.testing.assert_close(emitted(x), by_hand(x))

    def step(function: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        def run() -> None:
            function(x).sum().backward()  # type: ignore[no-untyped-call]

        return run

    pair = (step(emitted), step(by_hand))
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
