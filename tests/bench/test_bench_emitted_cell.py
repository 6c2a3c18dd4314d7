"""An emitted cell against the same cell written by hand: one step, and one with its gradients.

Pairs are interleaved and timed by the thread's CPU time, and the ratio is that of the medians. The bar is 1.05.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import torch
from torch import nn

import dslc
from tests.dslc.cell_references import LSTM_LIKE, NASCELL, LSTMLike, NASCell

PAIRS = 300
BAR = 1.05
CELLS: dict[str, tuple[str, type[nn.Module]]] = {"lstm_like": (LSTM_LIKE, LSTMLike), "nascell": (NASCELL, NASCell)}


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of this thread."""
    start = time.thread_time()
    run()
    return time.thread_time() - start


@pytest.mark.parametrize("size", [32, 128])
@pytest.mark.parametrize("kind", ["forward", "forward and backward"])
@pytest.mark.parametrize("name", CELLS)
def test_emitted_against_hand_written(name: str, kind: str, size: int) -> None:
    torch.set_num_threads(1)
    sentence, reference = CELLS[name]
    emitted: Any = dslc.compile("rnn_cell").parse(sentence).build(input_size=size, hidden_size=size)
    written: Any = reference(size, size)
    with torch.no_grad():
        emitted.weight_ih.copy_(written.w)
        emitted.weight_hh.copy_(written.u)
    x, h, c = (torch.randn(32, size, generator=torch.Generator().manual_seed(seed)) for seed in range(3))
    torch.testing.assert_close(emitted(x, (h, c)), written(x, (h, c)))

    def step(cell: nn.Module) -> Callable[[], None]:
        def run() -> None:
            next_h, next_c = cell(x, (h, c))
            if kind != "forward":
                (next_h.sum() + next_c.sum()).backward()

        return run

    pair = (step(emitted), step(written))
    for run in pair * 10:
        run()
    seconds: tuple[list[float], list[float]] = ([], [])
    gc.disable()
    try:
        for number in range(PAIRS):
            for place in (0, 1) if number % 2 else (1, 0):  # whoever is first pays for a cold cache
                seconds[place].append(cpu_seconds(pair[place]))
    finally:
        gc.enable()
    mine, theirs = map(median, seconds)
    print(f"\n{name}, {size} units, batch 32, {kind}: {mine * 1e6:.0f} µs, {mine / theirs:.3f} × (bar {BAR})")
