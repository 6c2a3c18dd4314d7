"""Mask + advance against XGrammar, llguidance, outlines-core and lark, in one run: `make bench-peers`.

CPU time of the process, everything on one thread, median of rounds with fresh sentences (the seed is new at each run
and printed), for one rendered terminal that is not forced: what a stop, a labelled alternative or a forced bracket
costs is in the time, but not in the divisor. Tables, indices and matchers are made before any sentence is drawn. The
masks of dslc are compared with the scalar runtime at every step of every sequence timed, those of the peers with what
lark accepts at every step of 16 sentences. A peer that is not installed is named and left out.
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
import random
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import numpy as np
import pytest

import dslc
from dslc.automaton.batch import BatchRuntime
from dslc.automaton.scalar import ScalarRuntime, advance_state, allowed_tokens, start_state
from dslc.automaton.tables import TokenAutomaton, TokenKind
from dslc.space import Program, Space
from tests.bench.peers import PEERS, REGEXES, Engine, Language, LarkEngine, PeerMissingError, PeerRefusesError
from tests.bench.test_bench_masks import BUDGETS, GRAMMARS

ROUNDS = 5
BATCH_SIZES = (64, 1024, 8192)
PEER_BATCHES = (64, 1024)
"""Each peer gets the better of the two: some are faster while fewer matchers share the cache."""
MAX_ROUND_SECONDS = 0.5
"""A peer that needs longer for a round gets fewer sequences."""
NUM_CHECKED = 16

Sequences = Sequence[tuple[int, ...]]


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of the whole process, so that no thread of an engine is missed."""
    start = time.process_time()
    run()
    return time.process_time() - start


def draw(space: Space, number: int, seeds: random.Random) -> list[tuple[int, ...]]:
    """Uniform sentences from a seed that was not used before."""
    rows = space.sample_tokens(number, seed=seeds.randrange(2**63)).tolist()
    pad_id = space.lowering.automaton.pad_id
    return [tuple(token for token in row if token != pad_id) for row in rows]


def count_free_terminals(space: Space, sequences: Sequences) -> int:
    """Rendered terminals that are not forced."""
    is_literal = [token.kind is TokenKind.LITERAL for token in space.vocabulary]
    return sum(is_literal[token] for sequence in sequences for token in sequence)


class OurBatch:
    """dslc's numpy runtime over recorded sequences."""

    def __init__(self, space: Space, batch_size: int) -> None:
        self.automaton = space.lowering.automaton
        self.budget = self.automaton.max_budget
        self.runtime = BatchRuntime(self.automaton, batch_size, self.budget)

    def load(self, sequences: Sequences) -> None:
        """The tokens of a round, time first."""
        length = max(map(len, sequences))
        self.columns = np.full((length, len(sequences)), self.automaton.pad_id, np.intp)
        for i, sequence in enumerate(sequences):
            self.columns[: len(sequence), i] = sequence

    def run(self) -> None:
        """What is timed."""
        runtime = self.runtime
        runtime.reset()
        for column in self.columns:
            runtime.mask()
            runtime.advance(column)

    def check(self, sequences: Sequences) -> None:
        """Every mask of every sequence equals the scalar runtime's."""
        automaton, runtime = self.automaton, self.runtime
        row_ids: dict[tuple[int, ...], int] = {(automaton.pad_id,): 0}
        ids = np.zeros(self.columns.shape, np.intp)
        for i, sequence in enumerate(sequences):
            state = ScalarRuntime(automaton, self.budget)
            found, allowed = [], state.first
            for token in sequence:
                found.append(row_ids.setdefault(allowed, len(row_ids)))
                allowed = state.step(token)
            assert not allowed
            ids[: len(found), i] = found
        rows = np.stack([np.isin(np.arange(automaton.num_tokens + 1), allowed) for allowed in row_ids])
        runtime.reset()
        for column, expected in zip(self.columns, ids, strict=True):
            assert np.array_equal(runtime.mask(), rows[expected])
            runtime.advance(column)
        assert runtime.is_done().all()


def time_batch(space: Space, batch_size: int, seeds: random.Random) -> float:
    """Microseconds a free terminal."""
    ours = OurBatch(space, batch_size)
    repeats = max(1, 2048 // batch_size)  # a batch of 64 is over in less than the clock resolves

    def run() -> None:
        for _ in range(repeats):
            ours.run()

    costs = []
    for _ in range(ROUNDS):
        sequences = draw(space, batch_size, seeds)
        ours.load(sequences)
        ours.check(sequences)
        seconds = cpu_seconds(run) / repeats
        costs.append(seconds / count_free_terminals(space, sequences) * 1e6)
    return median(costs)


def time_scalar(space: Space, seeds: random.Random) -> float:
    """Microseconds a free terminal, one sequence after another."""
    automaton = space.lowering.automaton

    def run(sequences: Sequences) -> None:
        for sequence in sequences:
            step = ScalarRuntime(automaton, automaton.max_budget).step
            for token in sequence:
                step(token)

    run(draw(space, 16, seeds))
    costs = []
    for _ in range(ROUNDS):
        sequences = draw(space, 512, seeds)
        check_scalar(automaton, sequences)
        costs.append(cpu_seconds(partial(run, sequences)) / count_free_terminals(space, sequences) * 1e6)
    return median(costs)


def check_scalar(automaton: TokenAutomaton, sequences: Sequences) -> None:
    """Every mask in place equals that of the states as values."""
    for sequence in sequences:
        runtime, state = ScalarRuntime(automaton, automaton.max_budget), start_state(automaton, automaton.max_budget)
        allowed = runtime.first
        for token in sequence:
            assert allowed == allowed_tokens(automaton, state)
            allowed, state = runtime.step(token), advance_state(automaton, state, token)
        assert not allowed
        assert not state.top


def steps_of(sentences: list[list[int]]) -> list[list[int]]:
    """Tokens by step, of sentences ordered from long to short: those that go on are the first ones."""
    sentences.sort(key=len, reverse=True)
    return [[row[step] for row in sentences if step < len(row)] for step in range(len(sentences[0]))]


def check_peer(engine: Engine, language: Language, sentences: list[list[int]]) -> float:
    """Share of the masks that equal what lark accepts, the end included."""
    oracle = LarkEngine(language)
    equal = whole = 0
    engine.start(len(sentences))
    oracle.start(len(sentences))
    for tokens in steps_of(sentences):
        for each in (engine, oracle):
            each.mask(len(tokens))
        same = (engine.read_mask(len(tokens)) == oracle.read_mask(len(tokens))).all(1)
        equal += int(same.sum())
        whole += len(tokens)
        for each in (engine, oracle):
            each.advance(tokens)
    return equal / whole


def time_peer(engine: Engine, space: Space, language: Language, seeds: random.Random) -> tuple[float, int]:
    """Microseconds a free terminal, and how many sequences ran in step: the best number of those tried."""

    def measure(number: int) -> tuple[float, float]:
        sequences = draw(space, number, seeds)
        steps = steps_of([language.encode(Program(space, tokens).text) for tokens in sequences])
        engine.start(number)

        def run() -> None:
            for tokens in steps:
                engine.mask(len(tokens))
                engine.advance(tokens)

        seconds = cpu_seconds(run)
        return seconds, seconds / count_free_terminals(space, sequences) * 1e6

    most = max(16, int(16 * MAX_ROUND_SECONDS / measure(16)[0]))
    return min((median(measure(n)[1] for _ in range(ROUNDS)), n) for n in {min(n, most) for n in PEER_BATCHES})


def versions() -> str:
    """Versions of what is installed."""
    found = []
    for name in ("dslc", *PEERS):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} is not installed")
    return ", ".join(found)


def describe_peer(name: str, space: Space, language: Language, seeds: random.Random) -> str:
    """Its cell of the table."""
    costs = []
    for make in PEERS[name]:
        try:
            engine = make(language)
        except PeerMissingError as error:
            print(f"{name} is left out: {error}; `make bench-peers` installs it")
            return "not installed"
        except PeerRefusesError:
            return "refuses"
        sentences = [language.encode(Program(space, row).text) for row in draw(space, NUM_CHECKED, seeds)]
        right = check_peer(engine, language, sentences)
        costs.append((*time_peer(engine, space, language, seeds), right))
    cost, number, right = min(costs)
    wrong = "" if right == 1 else f", {1 - right:.0%} of masks wrong"
    return f"{cost:.2f} ({number}{wrong})"


def test_against_peers() -> None:
    seed = int(os.environ.get("DSLC_BENCH_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
    seeds = random.Random(seed)
    heads = ["one sequence", *(f"batch {size:,}" for size in BATCH_SIZES), *(f"{name} (sequences)" for name in PEERS)]
    print(f"\n{versions()}; seed {seed} (DSLC_BENCH_SEED); microseconds a rendered terminal that is not forced\n")
    lines = ["| grammar, tokens | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    gc.disable()
    try:
        for name in BUDGETS:
            space = dslc.compile(GRAMMARS / f"{name}.lark", max_tokens=BUDGETS[name])
            language = Language(name, (GRAMMARS / f"{name}.lark").read_text(encoding="utf-8"))
            cells = [f"{time_scalar(space, seeds):.2f}"]
            cells += [f"{time_batch(space, size, seeds):.3f}" for size in BATCH_SIZES]
            cells += [describe_peer(peer, space, language, seeds) for peer in PEERS]
            lines.append(f"| {name}, {len(language.texts)} | " + " | ".join(cells) + " |")
            gc.collect()
    finally:
        gc.enable()
    print("\n".join(lines))


@pytest.mark.parametrize("name", ["conv", "lstm"])
def test_the_regexes_that_stand_for_the_grammars(name: str) -> None:
    """Whatever outlines-core is timed on is the language of the grammar: a sentence matches, and no other order."""
    space = dslc.compile(GRAMMARS / f"{name}.lark", max_tokens=BUDGETS[name])
    pattern = re.compile(REGEXES[name])
    for program in space.samples(50, seed=1):
        words = program.text.split()
        assert pattern.fullmatch("".join(f"{word} " for word in words))
        assert not pattern.fullmatch("".join(f"{word} " for word in reversed(words)))
