"""The scalar runtime: single steps, values that can be resumed, long lists."""

from __future__ import annotations

import pytest

from dslc.automaton.scalar import ScalarRuntime, ScalarState, advance_state, allowed_tokens, is_done, start_state
from dslc.automaton.tables import TokenAutomaton
from dslc.diagnostics import Code, DslcError
from tests.dslc.random_grammars import lower_text

ARITHMETIC = 'start: start OP atom | atom\natom: N | "(" start ")"\nOP: "+" | "*"\nN: "1" | "2"\n'


def labels(automaton: TokenAutomaton, state: ScalarState) -> list[str]:
    return [automaton.vocabulary[token].label for token in allowed_tokens(automaton, state)]


def walk(automaton: TokenAutomaton, budget: int, *steps: str) -> ScalarState:
    state = start_state(automaton, budget)
    for label in steps:
        token = next(token.id for token in automaton.vocabulary if token.label == label)
        assert token in allowed_tokens(automaton, state)
        state = advance_state(automaton, state, token)
    return state


def test_what_is_allowed_shrinks_with_the_budget() -> None:
    automaton = lower_text(ARITHMETIC, 64)[1].automaton
    assert labels(automaton, walk(automaton, 2)) == ["N.1", "N.2"]
    # Brackets cost their token and the inner stop.
    assert labels(automaton, walk(automaton, 4)) == ["N.1", "N.2", '"("']
    assert labels(automaton, walk(automaton, 4, '"("')) == ["N.1", "N.2"]
    assert labels(automaton, walk(automaton, 4, '"("', "N.1")) == ["<stop start>"]
    assert labels(automaton, walk(automaton, 4, "N.1")) == ["OP.+", "OP.*", "<stop start>"]
    done = walk(automaton, 4, "N.1", "<stop start>")
    assert is_done(done)
    assert allowed_tokens(automaton, done) == ()


def test_states_are_values() -> None:
    automaton = lower_text(ARITHMETIC, 64)[1].automaton
    state = walk(automaton, 9, '"("', "N.1")
    branches = {token: advance_state(automaton, state, token) for token in allowed_tokens(automaton, state)}
    assert state == walk(automaton, 9, '"("', "N.1")
    assert len(set(branches.values())) == 2  # both operators lead to the same state
    assert hash(state) == hash(walk(automaton, 9, '"("', "N.2"))


def test_a_token_that_is_not_allowed_is_our_bug() -> None:
    automaton = lower_text(ARITHMETIC, 64)[1].automaton
    with pytest.raises(AssertionError, match="only allowed tokens"):
        advance_state(automaton, start_state(automaton, 2), 4)
    with pytest.raises(AssertionError, match="only allowed tokens"):
        ScalarRuntime(automaton, 2).step(4)


def test_budgets_outside_the_tables_are_refused() -> None:
    automaton = lower_text(ARITHMETIC, 8)[1].automaton
    for budget, code in ((1, Code.BUDGET_TOO_SMALL), (9, Code.BUDGET_PAST_TABLES)):
        with pytest.raises(DslcError) as caught:
            start_state(automaton, budget)
        assert caught.value.diagnostics[0].code is code


def test_the_stack_of_a_long_list_stays_empty() -> None:
    # The tail of a list is the last slot of its run, so going on pushes nothing.
    automaton = lower_text('start: N "," start | N\nN: "1" | "2"\n', 3000)[1].automaton
    state = start_state(automaton, 3000)
    steps = 0
    while not is_done(state):
        assert state.stack == ()
        state = advance_state(automaton, state, allowed_tokens(automaton, state)[0])
        steps += 1
    assert steps == 3000


def test_the_stack_is_no_deeper_than_the_budget() -> None:
    automaton = lower_text('start: "(" start start ")" | N\nN: "1" | "2"\n', 401)[1].automaton
    state = start_state(automaton, 401)
    deepest = 0
    while not is_done(state):
        state = advance_state(automaton, state, allowed_tokens(automaton, state)[-1])
        depth, stack = 0, state.stack
        while stack:
            depth, stack = depth + 1, stack[1]
        deepest = max(deepest, depth)
    assert 0 < deepest <= 401
