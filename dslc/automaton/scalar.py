"""The automaton for one sequence, in plain Python: the runtime that the others are checked against."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from dslc.automaton.budget import check_budget
from dslc.automaton.tables import TokenAutomaton

Stack: TypeAlias = "tuple[()] | tuple[int, Stack]"
"""Return addresses, innermost first: (position, rest), or () at the bottom."""
CountingStack: TypeAlias = "tuple[()] | tuple[int, tuple[int, ...], CountingStack]"
"""Return addresses with the after vector of the run that each goes on with: (position, after, rest), or ()."""


class CountingState(NamedTuple):
    """State of one sequence of an automaton with registers; see `ScalarState` and `dslc.automaton.registers`."""

    top: int
    slack: int
    """Counters not regarded."""
    stack: CountingStack
    left: int
    """Tokens left."""
    total: int
    """What the choices so far count."""
    after: tuple[int, ...]
    """[R + 1] fewest tokens that finish all that follows the current run, by the total with which it begins."""


class ScalarState(NamedTuple):
    """State of one sequence; a value, so that a search may keep and resume any of them."""

    top: int
    """Position of the slot to fill; 0 when the sentence is finished."""
    slack: int
    """Tokens left - the fewest that finish everything open."""
    stack: Stack


_new = tuple.__new__  # half the price of calling the class


State = ScalarState | CountingState
"""A `CountingState` exactly where the automaton has registers."""


def start_state(automaton: TokenAutomaton, budget: int) -> State:
    """State before the first token, with `budget` tokens at most.

    Raises:
        DslcError: DSLC322 if no sentence fits the budget, with the smallest that works.
    """
    check_budget(automaton, budget)
    slack = budget - automaton.start_need
    registers = automaton.registers
    if registers is not None:
        end = registers.scalar.end
        return CountingState(automaton.start_position, slack, (), budget, registers.start, end)
    return ScalarState(automaton.start_position, slack, ())


def allowed_tokens(automaton: TokenAutomaton, state: State) -> tuple[int, ...]:
    """Ids of the tokens that can come next, ascending: exactly those that a sentence within the budget has here.

    Empty exactly when the sentence is finished.
    """
    top, slack = state[0], state[1]
    rows = automaton.scalar.allowed[top]
    tokens = rows[slack] if slack < len(rows) else rows[-1]
    return tokens if automaton.registers is None else _within_counts(automaton, state, tokens)


def _within_counts(automaton: TokenAutomaton, state: State, tokens: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the tokens that a sentence within the counts has here."""
    assert isinstance(state, CountingState)
    assert automaton.registers is not None
    registers = automaton.registers.scalar
    if not state.top:
        return ()
    slot = int(automaton.slot[state.top])
    after = registers.join_after(automaton.scalar.next[state.top], state.after)
    is_allowed = [registers.fewest(row, state.total, after) <= state.left for row in registers.slot_choices[slot]]
    base = slot * (automaton.num_tokens + 1)
    return tuple([token for token in tokens if is_allowed[registers.choice_of_cell[base + token]]])


def advance_state(automaton: TokenAutomaton, state: State, token: int) -> State:
    """State after `token`, which must be one of `allowed_tokens`."""
    if isinstance(state, CountingState):
        return _advance_counting(automaton, state, token)
    top, slack, stack = state
    tables = automaton.scalar
    extra, run = tables.choices[top][token]
    assert extra <= slack, "only allowed tokens are taken"
    following = tables.next[top]
    if run:
        return _new(ScalarState, (run, slack - extra, (following, stack) if following else stack))
    if following:
        return _new(ScalarState, (following, slack - extra, stack))
    if stack:
        return _new(ScalarState, (stack[0], slack - extra, stack[1]))
    return _new(ScalarState, (0, slack - extra, stack))


def _advance_counting(automaton: TokenAutomaton, state: CountingState, token: int) -> CountingState:
    top, slack, stack, left, total, after = state
    assert automaton.registers is not None
    registers = automaton.registers.scalar
    extra, run = automaton.scalar.choices[top][token]
    assert extra <= slack, "only allowed tokens are taken"
    total = registers.add[total][registers.gain[int(automaton.slot_base[top]) + token]]
    following = automaton.scalar.next[top]
    if run:
        if following:
            stack = (following, after, stack)
            after = registers.join_after(following, after)
        top = run
    elif following:
        top = following
    elif stack:
        top, after, stack = stack
    else:
        top = 0
    return CountingState(top, slack - extra, stack, left - 1, total, after)


def is_done(state: State) -> bool:
    """Whether the sentence is finished."""
    return state.top == 0


class ScalarRuntime:
    """State of one sequence that moves in place: three times as fast as values where none is kept."""

    __slots__ = ("_allowed", "_automaton", "_choices", "_counting", "_next", "_stack", "slack", "top")

    def __init__(self, automaton: TokenAutomaton, budget: int) -> None:
        """Starts with at most `budget` tokens.

        Raises:
            DslcError: DSLC322 if no sentence fits the budget, with the smallest that works.
        """
        tables = automaton.scalar
        self._allowed, self._choices, self._next = tables.allowed, tables.choices, tables.next
        state = start_state(automaton, budget)
        self.top, self.slack = state.top, state.slack
        self._stack = [0]
        self._automaton = automaton
        self._counting = state if isinstance(state, CountingState) else None

    def allowed(self) -> tuple[int, ...]:
        """See `allowed_tokens`."""
        if self._counting is not None:
            return allowed_tokens(self._automaton, self._counting)
        rows = self._allowed[self.top]
        slack = self.slack
        return rows[slack] if slack < len(rows) else rows[-1]

    def advance(self, token: int) -> None:
        """See `advance_state`."""
        if self._counting is not None:
            self._counting = _advance_counting(self._automaton, self._counting, token)
            self.top, self.slack = self._counting.top, self._counting.slack
            return
        top = self.top
        extra, run = self._choices[top][token]
        if extra:
            assert extra <= self.slack, "only allowed tokens are taken"
            self.slack -= extra
        following = self._next[top]
        if run:
            if following:
                self._stack.append(following)
            self.top = run
        else:
            # The last token pops the sentinel 0; a finished sequence has no choice, so it is never popped twice.
            self.top = following or self._stack.pop()
