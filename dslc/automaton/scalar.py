"""The automaton for one sequence, in plain Python: the runtime that the others are checked against."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from dslc.automaton.budget import check_budget
from dslc.automaton.tables import TokenAutomaton

Stack: TypeAlias = "tuple[()] | tuple[int, Stack]"
"""Return addresses, innermost first: (position, rest), or () at the bottom."""


class ScalarState(NamedTuple):
    """State of one sequence; a value, so that a search may keep and resume any of them."""

    top: int
    """Position of the slot to fill; 0 when the sentence is finished."""
    slack: int
    """Tokens left - the fewest that finish everything open."""
    stack: Stack


_new = tuple.__new__  # half the price of calling the class


def start_state(automaton: TokenAutomaton, budget: int) -> ScalarState:
    """State before the first token, with `budget` tokens at most.

    Raises:
        DslcError: DSLC322 if no sentence fits the budget, with the smallest that works.
    """
    check_budget(automaton, budget)
    return ScalarState(automaton.start_position, budget - automaton.min_tokens, ())


def allowed_tokens(automaton: TokenAutomaton, state: ScalarState) -> tuple[int, ...]:
    """Ids of the tokens that can come next, ascending: exactly those that a sentence within the budget has here.

    Empty exactly when the sentence is finished.
    """
    top, slack, _ = state
    rows = automaton.scalar.allowed[top]
    return rows[slack] if slack < len(rows) else rows[-1]


def advance_state(automaton: TokenAutomaton, state: ScalarState, token: int) -> ScalarState:
    """State after `token`, which must be one of `allowed_tokens`."""
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


def is_done(state: ScalarState) -> bool:
    """Whether the sentence is finished."""
    return state.top == 0


class ScalarRuntime:
    """State of one sequence that moves in place: three times as fast as values where none is kept."""

    __slots__ = ("_allowed", "_choices", "_next", "_stack", "slack", "top")

    def __init__(self, automaton: TokenAutomaton, budget: int) -> None:
        """Starts with at most `budget` tokens.

        Raises:
            DslcError: DSLC322 if no sentence fits the budget, with the smallest that works.
        """
        tables = automaton.scalar
        self._allowed, self._choices, self._next = tables.allowed, tables.choices, tables.next
        self.top, self.slack, _ = start_state(automaton, budget)
        self._stack = [0]

    def allowed(self) -> tuple[int, ...]:
        """See `allowed_tokens`."""
        rows = self._allowed[self.top]
        slack = self.slack
        return rows[slack] if slack < len(rows) else rows[-1]

    def advance(self, token: int) -> None:
        """See `advance_state`."""
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
