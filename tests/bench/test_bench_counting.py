"""Counting, uniform sentences and their next-token probabilities: CPU time of the thread, in one run.

Sampling many at once is given beside the exact sampler, and beside turns of a Python loop: ratios hold on a busy
machine, the sentences a second less so. Sampled sentences are checked against the automaton in the same run.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.automaton.count_totals import count_sentences
from dslc.automaton.sample_batch import BatchSampler
from dslc.automaton.uniform import Lengths, sample_uniform
from dslc.automaton.uniform_batch import uniform_next_log_probs
from dslc.grammars import grammar_names
from dslc.space import Space
from tests.bench.test_bench_masks import microseconds_of_a_loop, thread_seconds

GRAMMARS = Path(__file__).parent / "grammars"
BATCH = 8192
BUDGET = 256


def load(name: str, budget: int | None = None) -> Space:
    path = GRAMMARS / f"{name}.lark"
    return dslc.compile(path if path.exists() else name, max_tokens=budget)


def test_exact_counts_to_256_tokens() -> None:
    slowest = 0.0
    print()
    for name in (*grammar_names(), *(path.stem for path in sorted(GRAMMARS.glob("*.lark")))):
        for start in load(name).compilation.grammar.pragmas.starts:
            path = GRAMMARS / f"{name}.lark"
            automaton = dslc.compile(path if path.exists() else name, start=start, max_tokens=BUDGET).lowering.automaton
            begin = time.thread_time()
            counts = count_sentences(automaton, BUDGET)
            seconds = time.thread_time() - begin
            print(f"count {name} {start} to {BUDGET} tokens: {seconds * 1e3:.1f} ms, {len(str(counts.total))} digits")
            slowest = max(slowest, seconds)
    print(f"slowest count to {BUDGET} tokens: {slowest * 1e3:.1f} ms, bound 2,000 ms")


@pytest.mark.parametrize("lengths", ["uniform", "even"])
@pytest.mark.parametrize("name", ["rules3", "rnn_cell", "expression", "arith", "arith300", "conv"])
def test_uniform_sentences(name: str, lengths: Lengths) -> None:
    space = load(name)
    counts = space.exact_counts()
    building = thread_seconds(lambda: BatchSampler(counts), rounds=3)
    sampler = BatchSampler(counts)
    generator, exact = np.random.default_rng(0), random.Random(0)
    rows = sampler.sample(BATCH, generator, lengths)
    for row in rows[:100].tolist():
        space.decode([token for token in row if token < len(space.vocabulary)])
    tokens = int((rows < len(space.vocabulary)).sum())
    together = thread_seconds(lambda: sampler.sample(BATCH, generator, lengths)) / BATCH
    alone = thread_seconds(lambda: [sample_uniform(counts, exact, lengths) for _ in range(100)]) / 100
    length = tokens / BATCH
    print(
        f"\nsample {name}, {lengths} lengths, batch {BATCH}: {1 / together:,.0f} sentences a second of {length:.1f}"
        f" tokens, {together / length * 1e6:.3f} µs a token, {together * 1e6 / microseconds_of_a_loop():.0f} Python"
        f" turns a sentence; one by one {1 / alone:,.0f} a second, ratio {alone / together:.0f};"
        f" tables {building * 1e3:.1f} ms"
    )


@pytest.mark.parametrize("name", ["rules3", "expression", "arith", "conv"])
def test_next_token_log_probs(name: str) -> None:
    space = load(name)
    rows = space.sample_tokens(1024, seed=0)
    tokens = int((rows < len(space.vocabulary)).sum())
    together = thread_seconds(lambda: uniform_next_log_probs(space.exact_counts(), rows), rounds=3) / tokens
    prefix = tuple(rows[0, : np.argmax(rows[0] == len(space.vocabulary)) or len(rows[0])].tolist())
    places = range(len(prefix))
    alone = thread_seconds(lambda: [space.next_probabilities(prefix[:n]) for n in places], rounds=3) / len(prefix)
    print(
        f"\nnext-token probabilities {name}: {together * 1e6:.2f} us a token in a batch of 1,024, one by one as"
        f" fractions {alone * 1e6:.0f} us, ratio {alone / together:.0f}"
    )
