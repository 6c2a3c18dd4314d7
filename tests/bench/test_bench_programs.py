"""From tokens to a built module against the same module written by hand, and from tokens to a graph's hash.

CPU time of this thread, pairs interleaved, medians; nothing is asserted about times. A sentence is built once, as in a
search, so whatever is kept for sentences that come again does not help.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import pytest
import torch
from torch import nn

import dslc
from dslc.automaton.uniform import sample_uniform
from dslc.space import Program, Space
from dslc.value import ARE_CHECKS_ON

NUM_BUILDS = 120
NUM_SENTENCES = 3000
BLOCK = 60
NUM_TOKENS = 30
"""Six nested units of five tokens each."""


@pytest.fixture(autouse=True)
def _collector_off() -> Iterator[None]:
    torch.set_num_threads(1)
    gc.disable()
    yield
    gc.enable()


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of this thread."""
    start = time.thread_time()
    run()
    return time.thread_time() - start


def turn_microseconds() -> float:
    """CPU time of one turn of a loop in plain Python: what this machine is worth at the moment."""

    def count() -> None:
        number = 0
        while number < 100_000:
            number += 1

    return median(cpu_seconds(count) for _ in range(7)) * 10


def sample_sentences(space: Space, number: int, length: int | None = None) -> list[tuple[int, ...]]:
    """Different uniform sentences, of `length` tokens if it is given."""
    generator = random.Random()
    counts = space.exact_counts()
    found: dict[tuple[int, ...], None] = {}
    while len(found) < number:
        tokens = sample_uniform(counts, generator, "uniform")
        if length is None or len(tokens) == length:
            found[tokens] = None
    return list(found)


def build(space: Space, tokens: tuple[int, ...]) -> object:
    """The module of a sentence, from its tokens."""
    return Program(space, tokens).build(in_channels=1, num_classes=10)


def read_all(space: Space, sentences: list[tuple[int, ...]], name: str) -> None:
    """What `name` of every sentence costs, from its tokens."""
    for tokens in sentences:
        getattr(Program(space, tokens), name)


def write_by_hand(sizes: list[int]) -> nn.Sequential:
    """The network of a sentence of `conv_net` for grey images of ten classes."""
    layers: list[nn.Module] = []
    channels = 1
    for i in range(0, len(sizes), 5):
        height, width, vertical, horizontal, filters = sizes[i : i + 5]
        padding = (height // 2, width // 2)
        convolution = nn.Conv2d(channels, filters, (height, width), (vertical, horizontal), padding=padding, bias=False)
        layers.append(nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU()))
        channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def train_something() -> Callable[[], None]:
    """A training step of a small network: what comes between two programs of a search."""
    module, images = write_by_hand([3, 3, 2, 2, 24] * 3), torch.rand(16, 1, 8, 8)

    def train() -> None:
        torch.autograd.backward(module(images).sum())

    return train


@pytest.mark.parametrize("start", ["start", "layers_15"])
def test_decode_and_build_against_nn_sequential(start: str) -> None:
    space = dslc.compile("conv_net", start=start, max_tokens=75)
    train = train_something()
    for tokens in sample_sentences(space, NUM_BUILDS):
        sizes = [int(word) for word in Program(space, tokens).text.split()]
        built = build(space, tokens)
        assert isinstance(built, nn.Module)
        shapes = [tuple(p.shape) for p in built.parameters()]
        assert shapes == [tuple(p.shape) for p in write_by_hand(sizes).parameters()]
    seconds: dict[str, list[float]] = {"ours": [], "by hand": [], "again": []}
    for number, tokens in enumerate(sample_sentences(space, 3 * NUM_BUILDS)[NUM_BUILDS:]):
        sizes = [int(word) for word in Program(space, tokens).text.split()]
        runs: dict[str, Callable[[], object]] = {
            "ours": partial(build, space, tokens),
            "by hand": partial(write_by_hand, sizes),
        }
        # Each after the same other work and each first in turn, since what runs right after its like finds its code and
        # its memory in the caches.
        for name in list(runs)[:: 1 if number % 2 else -1]:
            train()
            seconds[name].append(cpu_seconds(runs[name]))
        train()
        seconds["again"].append(cpu_seconds(runs["ours"]))
    ours, by_hand = median(seconds["ours"]), median(seconds["by hand"])
    quiet = [sorted(seconds[name])[NUM_BUILDS // 5] for name in ("ours", "by hand")]
    print(
        f"\nconv_net {start}: decode and build {ours * 1e3:.2f} ms, by hand {by_hand * 1e3:.2f} ms, "
        f"ratio {ours / by_hand:.2f}, of the quietest tenths {quiet[0] / quiet[1]:.2f}; "
        f"built again {median(seconds['again']) / by_hand:.2f}"
    )


@pytest.mark.parametrize(("name", "start"), [("optimizer", "start"), ("activation", "nested")])
def test_sentences_a_second_from_tokens_to_hash(name: str, start: str) -> None:
    space = dslc.compile(name, start=start, max_tokens=NUM_TOKENS)
    sentences = sample_sentences(space, NUM_SENTENCES, NUM_TOKENS)

    whole, trees = [], []
    for begin in range(0, len(sentences), BLOCK):
        block = sentences[begin : begin + BLOCK]
        first, second = block[: BLOCK // 2], block[BLOCK // 2 :]
        whole.append(cpu_seconds(partial(read_all, space, first, "hash")) / len(first))
        trees.append(cpu_seconds(partial(read_all, space, second, "tree")) / len(second))
    microseconds, quiet = median(whole) * 1e6, sorted(whole)[len(whole) // 10] * 1e6
    turn = turn_microseconds()
    checks = "; checks are on: see `make bench`" if ARE_CHECKS_ON else ""
    print(
        f"\n{name}, {NUM_TOKENS} tokens to tree to graph to hash, each sentence once: median of blocks "
        f"{microseconds:.0f} us, {1e6 / microseconds:.0f} sentences a second, {microseconds / turn:.0f} Python turns "
        f"of {turn * 1e3:.1f} ns; quietest tenth of the blocks {quiet:.0f} us, {1e6 / quiet:.0f} a second; "
        f"the tree alone {median(trees) * 1e6:.0f} us{checks}"
    )
