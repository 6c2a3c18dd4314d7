"""The torch runtime against the scalar and the numpy one, on random grammars and step by step."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dslc.automaton.batch import BatchRuntime
from dslc.automaton.lower import lower_grammar
from dslc.automaton.scalar import advance_state, allowed_tokens, start_state
from dslc.automaton.tables import TokenAutomaton
from dslc.controller.masking import AutomatonTensors, NumpyRuntime, TorchRuntime, make_runtime
from dslc.diagnostics import DslcError
from dslc.language.analyze import analyze_grammar
from dslc.language.normalize import normalize_grammar
from dslc.language.read import read_grammar
from dslc.source import SourceFile
from tests.controller.small_spaces import LISTS, make_space
from tests.strategies import grammar_texts

BATCH = 8


def compare_runtimes(automaton: TokenAutomaton, budget: int, seed: int, device: str = "cpu") -> int:
    """Walks random sentences with all runtimes, comparing masks and features at every step; the number of steps."""
    generator = random.Random(seed)
    states = [start_state(automaton, budget) for _ in range(BATCH)]
    numpy_runtime = BatchRuntime(automaton, BATCH, budget, track=True)
    torch_runtime = TorchRuntime(automaton, BATCH, budget, device, track=True)
    shared_runtime = NumpyRuntime(automaton, BATCH, budget, track=True)
    pad_id = automaton.pad_id
    steps = 0
    for _ in range(budget + 2):  # two beyond the end: padding changes nothing
        allowed = [allowed_tokens(automaton, state) or (pad_id,) for state in states]
        expected = np.zeros((BATCH, pad_id + 1), np.bool_)
        for row, tokens in enumerate(allowed):
            expected[row, list(tokens)] = True
        assert np.array_equal(torch_runtime.mask().cpu().numpy(), expected)
        assert np.array_equal(torch_runtime.rows().cpu().numpy(), numpy_runtime.rows())
        assert torch_runtime.is_done().tolist() == [state.top == 0 for state in states]
        for name in ("top", "slot", "parent", "sibling"):
            array = getattr(numpy_runtime, name)
            assert np.array_equal(getattr(torch_runtime, name).cpu().numpy(), array), name
            assert np.array_equal(getattr(shared_runtime, name).numpy(), array), name
        assert np.array_equal(shared_runtime.mask().numpy(), expected)
        assert np.array_equal(shared_runtime.slack.numpy(), numpy_runtime.slack)
        live = ~numpy_runtime.is_done()
        assert np.array_equal(torch_runtime.slack.cpu().numpy()[live], numpy_runtime.slack[live])
        chosen = [generator.choice(tokens) for tokens in allowed]
        steps += sum(state.top != 0 for state in states)
        states = [
            advance_state(automaton, state, token) if state.top else state
            for state, token in zip(states, chosen, strict=True)
        ]
        numpy_runtime.advance(np.array(chosen))
        torch_runtime.advance(torch.tensor(chosen, device=device))
        shared_runtime.advance(torch.tensor(chosen))
    assert all(state.top == 0 for state in states)
    return steps


def automaton_of(text: str, budget: int) -> TokenAutomaton | None:
    """The automaton of a drawn grammar, None where no sentence fits the budget."""
    grammar, _ = read_grammar(SourceFile("<drawn>", text))
    facts = analyze_grammar(normalize_grammar(grammar), grammar.rules[0].name)
    try:
        return lower_grammar(facts, max_budget=budget).automaton
    except DslcError:
        return None


@settings(max_examples=220)
@given(grammar_texts(ebnf=True), st.integers(0, 12), st.integers(0, 1000))
def test_all_runtimes_agree_on_random_grammars(text: str, budget: int, seed: int) -> None:
    automaton = automaton_of(text, budget)
    if automaton is not None:
        compare_runtimes(automaton, budget, seed)


@pytest.mark.gpu
def test_runtimes_agree_on_a_gpu() -> None:
    automaton = make_space(LISTS, 40).lowering.automaton
    assert compare_runtimes(automaton, 40, 0, "cuda") > BATCH


def test_tables_are_copied_once_and_the_device_picks_the_runtime() -> None:
    automaton = make_space(LISTS, 9).lowering.automaton
    tables = AutomatonTensors.from_automaton(automaton, "cpu")
    assert TorchRuntime(automaton, 3, 9, tables=tables).mask().shape == (3, automaton.num_tokens + 1)
    assert isinstance(make_runtime(automaton, 3, 9), NumpyRuntime)


@pytest.mark.parametrize("kind", [TorchRuntime, NumpyRuntime])
def test_a_budget_that_fits_no_sentence_is_refused(kind: type[TorchRuntime | NumpyRuntime]) -> None:
    automaton = make_space(LISTS, 9).lowering.automaton
    with pytest.raises(DslcError, match="DSLC322"):
        kind(automaton, 3, 0)
