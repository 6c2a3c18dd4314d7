"""Masked sampling by the LSTM (64 units) against the same loop without any mask, in one run.

Pairs are interleaved and timed by the thread's CPU time, and the ratio is that of the medians: on a shared machine wall
times of one loop vary by far more than the ratio.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
import torch

import dslc
from dslc.controller import RecurrentPolicy, sample_rollout
from dslc.controller.rollout import CHECK_EVERY, draw_tokens
from dslc.controller.tape import RowTape
from dslc.search.strategies import STRATEGY_NAMES, make_strategy
from dslc.space import Space
from tests.controller.small_spaces import make_policy, make_space

GRAMMARS = Path(__file__).parent / "grammars"
ROUNDS = {64: 40, 1024: 12, 8192: 4}


@torch.inference_mode()
def sample_bare(policy: RecurrentPolicy, batch_size: int, generator: torch.Generator) -> torch.Tensor:
    """The loop of `sample_rollout` with the same network and figures, but no automaton: any token at any step."""
    weights = policy.fold()
    tape = RowTape(weights, policy.budget, batch_size, is_rolling=True)
    previous = torch.full((batch_size,), policy.automaton.pad_id, dtype=torch.int32, device=policy.device)
    nothing = torch.zeros(batch_size, dtype=torch.int32, device=policy.device)
    inputs, tokens, log_probs, entropies = [], [], [], []
    for start in range(0, policy.budget, CHECK_EVERY):
        steps = range(start, min(start + CHECK_EVERY, policy.budget))
        draws = torch.rand((len(steps), batch_size, 1), generator=generator, device=policy.device)
        distributions = []
        for position in steps:
            seen = torch.stack((previous, nothing, nothing, nothing), 1)
            gates, logits = tape.open(position)
            weights.add_inputs(policy.feature_ids(seen), position, gates)
            logits.copy_(weights.bias)
            tape.step(weights, position)
            probs = torch.softmax(logits, -1)
            previous = draw_tokens(probs, draws[position - start])
            inputs.append(seen)
            tokens.append(previous)
            distributions.append(probs)
        probs = torch.stack(distributions, 1)
        chosen = torch.stack(tokens[start:], 1).to(torch.int64)
        log_probs.append(probs.gather(2, chosen[:, :, None])[:, :, 0].log_())
        entropies.append(torch.special.entr(probs).sum(-1))
    torch.stack(inputs, 1), torch.cat(log_probs, 1), torch.cat(entropies, 1)
    return torch.stack(tokens, 1)


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of this thread."""
    start = time.thread_time()
    run()
    return time.thread_time() - start


def sampled_space(name: str) -> Space:
    """cnn6 fits a table of states, expression_constrained does not."""
    file = GRAMMARS / f"{name}.lark"
    return dslc.compile(file) if file.exists() else dslc.compile(name, max_tokens=24)


@pytest.mark.parametrize("name", ["cnn6", "expression_constrained"])
@pytest.mark.parametrize("batch_size", sorted(ROUNDS))
def test_masked_sampling_against_the_bare_loop(name: str, batch_size: int) -> None:
    torch.set_num_threads(1)
    policy = make_policy(sampled_space(name), shake=0.3)
    generator = torch.Generator().manual_seed(0)
    masked, bare = [], []
    gc.disable()
    try:
        for number in range(ROUNDS[batch_size] + 2):
            pair = (
                cpu_seconds(lambda: sample_rollout(policy, batch_size, generator)),
                cpu_seconds(lambda: sample_bare(policy, batch_size, generator)),
            )
            if number >= 2:  # the first two warm up
                masked.append(pair[0])
                bare.append(pair[1])
    finally:
        gc.enable()
    steps = batch_size * policy.budget
    ratio = median(masked) / median(bare)
    print(
        f"\n{name}, batch {batch_size}: masked {median(masked) / steps * 1e6:.2f} us a token, "
        f"bare {median(bare) / steps * 1e6:.2f}, ratio {ratio:.2f}"
    )
    assert ratio < 4


@pytest.mark.parametrize("name", STRATEGY_NAMES)
def test_what_a_sample_and_its_update_cost(name: str) -> None:
    torch.set_num_threads(1)
    space = make_space((GRAMMARS / "cnn6.lark").read_text())
    strategy = make_strategy(name, space, evaluations=10_000, batch=20, seed=0)

    def update() -> None:
        candidates = strategy.ask(20)
        strategy.tell([(candidate, float(sum(candidate.tokens))) for candidate in candidates])

    costs = [cpu_seconds(update) / 20 * 1e3 for _ in range(30)][5:]
    print(f"\n{name}: {median(costs):.2f} ms a sample with its update, best {min(costs):.2f}")
