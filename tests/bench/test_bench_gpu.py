"""A GPU beside one core of the CPU, in one run: masks, sampling, learning, and values of whole populations.

Wall times, each after the GPU has finished; nothing is asserted about them. `make bench` skips these where there is no
CUDA device.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pytest
import torch

import dslc
from dslc.automaton.batch import BatchRuntime
from dslc.controller import sample_rollout
from dslc.controller.masking import TorchRuntime
from dslc.search.fit_arrays import FitArrays
from dslc.search.fit_torch import TorchFitArrays
from dslc.search.nguyen import sample_nguyen
from dslc.search.outcome import Strategy
from dslc.search.read_points import Points
from dslc.search.strategies import make_strategy
from tests.bench.test_bench_masks import BUDGETS, compile_text, grammar_text, sample_tokens
from tests.bench.test_bench_sampling import GRAMMARS, sample_bare, sampled_space
from tests.controller.small_spaces import make_policy, make_space

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def seconds(run: Callable[[], object], rounds: int) -> float:
    """Median wall time until the GPU has finished, after two rounds that warm up."""
    times = []
    for _ in range(rounds + 2):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return median(times[2:])


@pytest.mark.parametrize("name", BUDGETS)
@pytest.mark.parametrize("batch_size", [64, 1024, 8192, 65536])
def test_mask_and_advance(name: str, batch_size: int) -> None:
    """A step of a sequence: eagerly, as one captured CUDA graph that is replayed, and in numpy on the CPU."""
    lowering = compile_text(name, grammar_text(name))
    automaton, budget = lowering.automaton, lowering.automaton.max_budget
    samples = sample_tokens(lowering)
    length = max(map(len, samples))
    tokens = np.full((length, batch_size), automaton.pad_id, np.intp)
    for column in range(batch_size):
        sequence = samples[column % len(samples)]
        tokens[: len(sequence), column] = sequence
    on_cpu = BatchRuntime(automaton, batch_size, budget)
    on_gpu = TorchRuntime(automaton, batch_size, budget, "cuda")
    columns = torch.tensor(tokens, device="cuda")
    for step in range(length):
        assert np.array_equal(on_gpu.mask().cpu().numpy(), on_cpu.mask())
        on_gpu.advance(columns[step])
        on_cpu.advance(tokens[step])

    def run_cpu() -> None:
        on_cpu.reset()
        for step in range(length):
            on_cpu.mask()
            on_cpu.advance(tokens[step])

    ended = torch.full((batch_size,), automaton.pad_id, device="cuda")  # a step behind the end is the same operations

    def run_gpu() -> None:
        for _ in range(length):
            on_gpu.mask()
            on_gpu.advance(ended)

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        on_gpu.mask()
        on_gpu.advance(ended)

    def replay() -> None:
        for _ in range(length):
            graph.replay()

    eager, replayed, numpy_time = (seconds(run, 10) / length * 1e6 for run in (run_gpu, replay, run_cpu))
    print(
        f"\n{name}, batch {batch_size}: a step {eager:.0f} us on the GPU, {replayed:.0f} us as a CUDA graph, "
        f"{numpy_time:.0f} us in numpy; {eager / batch_size:.4f}, {replayed / batch_size:.4f}, "
        f"{numpy_time / batch_size:.4f} us a sequence-step"
    )


@pytest.mark.parametrize("name", ["cnn6", "expression_constrained"])
@pytest.mark.parametrize("batch_size", [64, 256, 1024, 8192])
def test_masked_sampling_against_the_bare_loop(name: str, batch_size: int) -> None:
    """On the GPU, and masked sampling on the CPU beside it: of a space that fits a table of states, and of a larger."""
    space = sampled_space(name)
    policy, on_cpu = (make_policy(space, shake=0.3, device=device) for device in ("cuda", "cpu"))
    generator, cpu_generator = torch.Generator("cuda").manual_seed(0), torch.Generator().manual_seed(0)
    masked = seconds(lambda: sample_rollout(policy, batch_size, generator), 20)
    bare = seconds(lambda: sample_bare(policy, batch_size, generator), 20)
    cpu = seconds(lambda: sample_rollout(on_cpu, batch_size, cpu_generator), 5)
    print(
        f"\nsampling {name}, LSTM-64, batch {batch_size}: masked {masked * 1e3:.2f} ms, without masks {bare * 1e3:.2f},"
        f" ratio {masked / bare:.2f}; {batch_size / masked:.0f} sentences a second, on one core {batch_size / cpu:.0f}"
    )


@pytest.mark.parametrize("batch", [64, 256, 1024])
@pytest.mark.parametrize("name", ["policy_gradient", "risk_seeking"])
def test_samples_and_updates_a_second(name: str, batch: int) -> None:
    space = make_space((GRAMMARS / "cnn6.lark").read_text())
    rates = {}
    for device in ("cuda", "cpu"):
        strategy = make_strategy(name, space, evaluations=100_000, batch=batch, seed=0, device=device)

        def update(strategy: Strategy = strategy) -> None:
            candidates = strategy.ask(batch)
            strategy.tell([(candidate, float(sum(candidate.tokens))) for candidate in candidates])

        rates[device] = batch / seconds(update, 8)
    print(f"\n{name}, batch {batch}: {rates['cuda']:.0f} samples and updates a second, on one core {rates['cpu']:.0f}")


@pytest.mark.parametrize("num_points", [20, 100, 1000])
@pytest.mark.parametrize("batch_size", [1000, 10_000])
def test_values_of_a_population(batch_size: int, num_points: int) -> None:
    space = dslc.compile("expression_constrained")
    points, _ = sample_nguyen("nguyen_7")
    generator = np.random.default_rng(0)
    inputs = tuple(generator.uniform(0.1, 2, num_points) for _ in points.inputs)
    points = Points(points.names, np.stack(inputs), generator.normal(size=num_points), "")
    tokens = space.sample_tokens(batch_size, seed=0, lengths="even")
    on_cpu, on_gpu = FitArrays(space, points), TorchFitArrays(space, points, "cuda")
    found, wanted = on_gpu(tokens), on_cpu(tokens)
    same = np.isclose(found, wanted, rtol=1e-9, atol=0, equal_nan=True).mean()
    gpu, cpu = seconds(lambda: on_gpu(tokens), 5), seconds(lambda: on_cpu(tokens), 5)
    print(
        f"\n{batch_size} expressions, {num_points} points: {gpu * 1e6 / batch_size:.2f} ms a thousand, "
        f"on one core {cpu * 1e6 / batch_size:.2f}; {same:.2%} of the rewards equal to 1e-9"
    )
