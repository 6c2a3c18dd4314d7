"""Mask and advance a sequence-step, and compile time against lark: CPU time of the thread, ratios of one run.

Every timed mask is checked against the scalar runtime in the same run. Nothing is asserted about times: a shared
machine makes any of them several times slower.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lark import Lark

from dslc.automaton.batch import BatchRuntime
from dslc.automaton.count import Counts
from dslc.automaton.count_totals import count_sentences
from dslc.automaton.lower import Lowering, lower_grammar
from dslc.automaton.scalar import ScalarRuntime, advance_state, allowed_tokens, start_state
from dslc.automaton.tables import TokenAutomaton, TokenKind
from dslc.automaton.uniform import sample_uniform
from dslc.language.analyze import analyze_grammar
from dslc.language.normalize import normalize_grammar
from dslc.language.read import read_grammar
from dslc.source import SourceFile

GRAMMARS = Path(__file__).parent / "grammars"
BUDGETS = {"arith": 64, "optim": 63, "conv": 100, "lstm": 30, "arith300": 64}
NUM_SAMPLES = 200
REGISTERS = (
    ("arith", ("at_most 3 UN", "at_least 3 LEAF")),
    ("optim", ("at_most 3 UN.exp", "at_least 3 LEAF.g")),
    ("optim", ("at_most 15 rule",)),
    ("conv", ("at_most 3 FH.fh1", "at_least 3 FW.fw7")),
    ("lstm", ("at_most 3 ACT.relu", "at_most 3 COMB.add")),
    ("arith300", ("at_most 3 UN", "at_least 3 LEAF")),
)
"""Constraints that tell 16 totals apart."""


@pytest.fixture(autouse=True)
def _collector_off() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def grammar_text(name: str) -> str:
    return (GRAMMARS / f"{name}.lark").read_text(encoding="utf-8")


def compile_text(name: str, text: str, budget: int | None = None) -> Lowering:
    grammar, _ = read_grammar(SourceFile(name, text))
    facts = analyze_grammar(normalize_grammar(grammar), "start")
    return lower_grammar(facts, max_budget=budget or BUDGETS[name], constraints=grammar.pragmas.constraints)


def sample_tokens(lowering: Lowering) -> list[tuple[int, ...]]:
    counts = Counts(lowering.automaton, lowering.automaton.max_budget)
    generator = random.Random(0)
    return [sample_uniform(counts, generator, "even") for _ in range(NUM_SAMPLES)]


def thread_seconds(function: Callable[[], object], rounds: int = 7) -> float:
    """Median CPU time of the thread."""
    seconds = []
    for _ in range(rounds):
        begin = time.thread_time()
        function()
        seconds.append(time.thread_time() - begin)
    return sorted(seconds)[rounds // 2]


def microseconds_of_a_loop() -> float:
    """CPU microseconds of one turn of a loop in plain Python: what this machine is worth at the moment."""

    def count() -> None:
        number = 0
        while number < 100_000:
            number += 1

    return thread_seconds(count) * 10


@pytest.mark.parametrize("name", BUDGETS)
@pytest.mark.parametrize("batch_size", [64, 1024, 8192])
def test_batch(benchmark: Any, name: str, batch_size: int) -> None:
    lowering = compile_text(name, grammar_text(name))
    step_time = time_batch(benchmark, lowering.automaton, sample_tokens(lowering), batch_size)
    print(f"\nnumpy {name} batch {batch_size}: {step_time}")


@pytest.mark.parametrize(("name", "pragmas"), REGISTERS)
@pytest.mark.parametrize("batch_size", [64, 1024, 8192])
def test_batch_with_registers(benchmark: Any, name: str, pragmas: tuple[str, ...], batch_size: int) -> None:
    lowering = compile_text(name, "".join(f"//! {pragma}\n" for pragma in pragmas) + grammar_text(name))
    automaton = lowering.automaton
    assert automaton.registers is not None
    assert automaton.registers.size == 16
    counts = count_sentences(automaton, automaton.max_budget)
    generator = random.Random(0)
    samples = [sample_uniform(counts, generator, "even") for _ in range(NUM_SAMPLES)]
    step_time = time_batch(benchmark, automaton, samples, batch_size)
    print(f"\nnumpy {name}, 16 values ({', '.join(pragmas)}), batch {batch_size}: {step_time}")


def time_batch(benchmark: Any, automaton: TokenAutomaton, samples: list[tuple[int, ...]], batch_size: int) -> str:
    """What a step of a sequence takes, and a rendered terminal, steps of finished sequences included.

    All masks of all sequences are compared with the scalar runtime first.
    """
    budget = automaton.max_budget
    tokens = np.full((budget, batch_size), automaton.pad_id, np.intp)
    for column in range(batch_size):
        sequence = samples[column % NUM_SAMPLES]
        tokens[: len(sequence), column] = sequence
    runtime = BatchRuntime(automaton, batch_size, budget)
    length = max(map(len, samples))

    def run() -> None:
        runtime.reset()
        for step in range(length):
            runtime.mask()
            runtime.advance(tokens[step])

    states = [start_state(automaton, budget)] * len(samples)
    owner = np.arange(batch_size) % NUM_SAMPLES
    runtime.reset()
    for step in range(length):
        expected = np.zeros((len(samples), automaton.num_tokens + 1), np.bool_)
        for row, (state, sequence) in enumerate(zip(states, samples, strict=True)):
            expected[row, list(allowed_tokens(automaton, state) or (automaton.pad_id,))] = True
            if state.top:
                states[row] = advance_state(automaton, state, sequence[step])
        assert np.array_equal(runtime.mask(), expected[owner])
        runtime.advance(tokens[step])
    assert runtime.is_done().all()

    num_steps = batch_size * length
    cost = thread_seconds(run) / num_steps * 1e6
    num_terminals = sum(
        automaton.vocabulary[token].kind is TokenKind.LITERAL for number in owner for token in samples[number]
    )
    loop = microseconds_of_a_loop()
    benchmark.extra_info.update(us_a_sequence_step=cost, python_turns=cost / loop)
    benchmark.pedantic(run, rounds=3)
    return (
        f"{cost:.4f} us a sequence-step, {cost / loop:.2f} Python turns; "
        f"{cost * num_steps / num_terminals:.4f} us a rendered terminal"
    )


@pytest.mark.parametrize("name", BUDGETS)
def test_scalar(benchmark: Any, name: str) -> None:
    lowering = compile_text(name, grammar_text(name))
    automaton = lowering.automaton
    samples = sample_tokens(lowering)
    num_steps = sum(map(len, samples))

    def run_values() -> None:
        for sequence in samples:
            state = start_state(automaton, automaton.max_budget)
            for token in sequence:
                allowed_tokens(automaton, state)
                state = advance_state(automaton, state, token)

    def run() -> None:
        for sequence in samples:
            step = ScalarRuntime(automaton, automaton.max_budget).step
            for token in sequence:
                step(token)  # gives what is allowed behind it

    for sequence in samples:
        state = start_state(automaton, automaton.max_budget)
        runtime = ScalarRuntime(automaton, automaton.max_budget)
        allowed = runtime.first
        for token in sequence:
            assert allowed == allowed_tokens(automaton, state)
            allowed = runtime.step(token)
            state = advance_state(automaton, state, token)
        assert not allowed
        assert not state.top
    step_time = thread_seconds(run) / num_steps * 1e6
    value_time = thread_seconds(run_values) / num_steps * 1e6
    loop = microseconds_of_a_loop()
    benchmark.extra_info.update(us_a_step=step_time, python_turns=step_time / loop, us_a_step_by_value=value_time)
    benchmark.pedantic(run, rounds=3)
    print(
        f"\nscalar {name}: {step_time:.3f} us a step in place, {step_time / loop:.1f} Python turns; "
        f"{value_time:.3f} us by value"
    )


@pytest.mark.parametrize("name", ["arith", "optim"])
def test_cost_at_token_2000(name: str) -> None:
    """Of sequences that go on as long as they can, and nest as deep as comes: 256 in step, the same windows again."""
    length, window, batch_size = 2100, 64, 256
    automaton = compile_text(name, grammar_text(name), length).automaton
    grows = (automaton.extra > 0).reshape(automaton.num_slots, -1)  # a choice that makes the sentence longer
    generator = np.random.default_rng(0)
    runtime = BatchRuntime(automaton, batch_size, length)
    columns, scalar = [], ScalarRuntime(automaton, length)
    allowed = scalar.first
    for step in range(2000 + window):
        mask = runtime.mask()
        wanted = mask & grows[runtime.slot]
        is_grown = wanted.any(1) & (generator.random(batch_size) < (0.8 if step >= 32 else 1))
        mask = np.where(is_grown[:, None], wanted, mask)
        columns.append((generator.random(mask.shape) * mask).argmax(1))
        assert not runtime.is_done()[0]
        assert runtime.mask()[0].nonzero()[0].tolist() == list(allowed)
        runtime.advance(columns[-1])
        allowed = scalar.step(int(columns[-1][0]))
    places = (0, 500, 1000, 2000)
    costs: dict[int, list[float]] = {place: [] for place in places}
    scalar_costs: dict[int, list[float]] = {place: [] for place in places}
    first = [int(column[0]) for column in columns]
    for _ in range(30):
        runtime.reset()
        scalar = ScalarRuntime(automaton, length)
        for step, column in enumerate(columns):
            if step in costs:
                begin = time.thread_time()
                for late in columns[step : step + window]:
                    runtime.mask()
                    runtime.advance(late)
                middle = time.thread_time()
                for token in first[step : step + window]:
                    scalar.step(token)
                scalar_costs[step].append((time.thread_time() - middle) / window * 1e6)
                costs[step].append((middle - begin) / window / batch_size * 1e6)
            if not any(place <= step < place + window for place in places):
                runtime.advance(column)
                scalar.step(first[step])
    base, scalar_base = (sorted(each[0])[15] for each in (costs, scalar_costs))
    for place in places:
        batch, one = sorted(costs[place])[15], sorted(scalar_costs[place])[15]
        print(
            f"\n{name} at token {place + 1}: {batch:.4f} us a sequence-step, {batch / base:.2f} of that at token 1;"
            f" one sequence {one:.3f} us, {one / scalar_base:.2f}",
            end="",
        )
    print()


@pytest.mark.parametrize("name", BUDGETS)
def test_compile(benchmark: Any, name: str) -> None:
    text = grammar_text(name)
    lark_text = text
    ours = thread_seconds(lambda: compile_text(name, text))
    grammar, _ = read_grammar(SourceFile(name, text))
    facts = analyze_grammar(normalize_grammar(grammar), "start")
    lowering = thread_seconds(lambda: lower_grammar(facts, max_budget=BUDGETS[name]))
    larks = thread_seconds(lambda: Lark(lark_text, parser="lalr"))
    benchmark.extra_info.update(ratio_to_lark=ours / larks, lowering_share=lowering / ours)
    benchmark.pedantic(lambda: compile_text(name, text), rounds=3)
    print(
        f"\ncompile {name}: {ours * 1e3:.1f} ms, lark's LALR {larks * 1e3:.1f} ms, ratio {ours / larks:.2f}; "
        f"lowering alone {lowering * 1e3:.2f} ms"
    )
