"""The automaton for one sequence, in plain Python: the runtime that the others are checked against."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple, TypeAlias

from dslc.automaton.budget import check_budget
from dslc.automaton.registers import Registers
from dslc.automaton.tables import Node, TokenAutomaton

Stack: TypeAlias = "tuple[()] | tuple[int, Stack]"
"""Return addresses, innermost first: (position, rest), or () at the bottom."""


AfterStack: TypeAlias = "tuple[()] | tuple[tuple[int, ...], tuple[int, ...], AfterStack]"
"""The after vector and the late map that go on with each return address, innermost first."""


class CountState(NamedTuple):
    """What one sequence has counted, and what that leaves; see `dslc.automaton.registers`."""

    left: int
    """Tokens left."""
    total: int
    """What the choices so far count, and the stage."""
    after: tuple[int, ...]
    """[R + 1] fewest tokens that finish all that follows the current run, by the total with which it ends."""
    late: tuple[int, ...]
    """[Q + 1] how the stage changes when the current run is finished, by the stage with which it ends."""
    stack: AfterStack


class ScalarState(NamedTuple):
    """State of one sequence; a value, so that a search may keep and resume any of them."""

    top: int
    """Position of the slot to fill; 0 when the sentence is finished."""
    slack: int
    """Tokens left - the fewest that finish everything open, counters not regarded."""
    stack: Stack
    counts: CountState | None = None
    """Exactly where the automaton has registers."""


_new = tuple.__new__  # half the price of calling the class


def start_state(automaton: TokenAutomaton, budget: int) -> ScalarState:
    """State before the first token, with `budget` tokens at most.

    Raises:
        DslcError: DSLC322 if no sentence fits the budget, with the smallest that works.
    """
    check_budget(automaton, budget)
    registers = automaton.registers
    counts = None if registers is None else _start_counts(registers, budget)
    return ScalarState(automaton.start_position, budget - automaton.start_need, (), counts)


def allowed_tokens(automaton: TokenAutomaton, state: ScalarState) -> tuple[int, ...]:
    """Ids of the tokens that can come next, ascending: exactly those that a sentence within the budget has here.

    Empty exactly when the sentence is finished.
    """
    top, slack, _, counts = state
    rows = automaton.scalar.allowed[top]
    tokens = rows[slack] if slack < len(rows) else rows[-1]
    return tokens if counts is None else _within_counts(automaton, top, counts, tokens)


def advance_state(automaton: TokenAutomaton, state: ScalarState, token: int) -> ScalarState:
    """State after `token`, which must be one of `allowed_tokens`."""
    top, slack, stack, counts = state
    tables = automaton.scalar
    extra, run = tables.choices[top][token]
    assert extra <= slack, "only allowed tokens are taken"
    following = tables.next[top]
    if counts is not None:
        counts = _advance_counts(automaton, top, counts, token)
    if run:
        return _new(ScalarState, (run, slack - extra, (following, stack) if following else stack, counts))
    if following:
        return _new(ScalarState, (following, slack - extra, stack, counts))
    if stack:
        return _new(ScalarState, (stack[0], slack - extra, stack[1], counts))
    return _new(ScalarState, (0, slack - extra, stack, counts))


def _start_counts(registers: Registers, budget: int) -> CountState:
    scalar = registers.scalar
    return CountState(budget, registers.start, scalar.end, scalar.same, ())


def _within_counts(automaton: TokenAutomaton, top: int, counts: CountState, tokens: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the tokens that a sentence within the counts has at a position."""
    if not top:
        return ()
    assert automaton.registers is not None, "what counts has registers"
    registers = automaton.registers.scalar
    slot = int(automaton.slot[top])
    after = registers.join_after(top, counts.after)
    is_allowed = [registers.fewest(row, counts.total, after) <= counts.left for row in registers.slot_choices[slot]]
    base = slot * (automaton.num_tokens + 1)
    return tuple([token for token in tokens if is_allowed[registers.choice_of_cell[base + token]]])


def _advance_counts(automaton: TokenAutomaton, top: int, counts: CountState, token: int) -> CountState:
    """The counts after `token` is taken at a position."""
    left, total, after, late, stack = counts
    assert automaton.registers is not None, "what counts has registers"
    registers = automaton.registers.scalar
    num_stages = registers.num_stages
    cell = int(automaton.slot_base[top]) + token
    total = registers.add[total][registers.gain[cell][total % num_stages]]
    following = automaton.scalar.next[top]
    tail = registers.tail[top]
    if not following:  # nothing of this run is left, so what is late comes right behind
        tail = tuple([late[stage] for stage in tail])
    if automaton.scalar.choices[top][token][1]:
        if following:
            stack = (after, late, stack)
        after, late = registers.join_after(top, after), tail
    else:
        total += tail[total % num_stages] - total % num_stages
        if not following and stack:
            after, late, stack = stack
    return CountState(left - 1, total, after, late, stack)


def is_done(state: ScalarState) -> bool:
    """Whether the sentence is finished."""
    return state.top == 0


class ScalarRuntime:
    """One sequence that moves in place: a call says what can come behind a token, in a third of the time of values.

    Example:
        >>> from dslc import compile_text
        >>> space = compile_text('start: A | A B\\nA: "a" | "b"\\nB: "c" | "d"\\n', max_tokens=4)
        >>> runtime = ScalarRuntime(space.lowering.automaton, 4)
        >>> tokens, allowed = [], runtime.first
        >>> while allowed:
        ...     tokens.append(allowed[-1])
        ...     allowed = runtime.step(tokens[-1])
        >>> [space.vocabulary[token].label for token in tokens]
        ['<start#1>', 'A.b', 'B.d']
    """

    __slots__ = ("first", "step")

    first: tuple[int, ...]
    """Ids of the tokens that a sentence can begin with, ascending; empty where it has none."""
    step: Callable[[int], tuple[int, ...]]
    """Takes a token, which must be allowed, and gives those that are allowed behind it; none at the end."""

    def __init__(self, automaton: TokenAutomaton, budget: int) -> None:
        """Starts with at most `budget` tokens.

        Raises:
            DslcError: DSLC322 if no sentence fits the budget, with the smallest that works.
        """
        state = start_state(automaton, budget)
        masks = (
            _walk(automaton.nodes, state.top, state.slack) if state.counts is None else _walk_values(automaton, state)
        )
        self.first = next(masks)
        self.step = masks.send


Masks: TypeAlias = Generator[tuple[int, ...], int, None]
"""Gives the tokens that are allowed and is sent one of them, forever."""


def _walk(nodes: list[Node], start: int, slack: int) -> Masks:
    """The masks of an automaton that counts nothing. A generator keeps its state in local variables."""
    node, stack = nodes[start], [nodes[0]]
    push, pop = stack.append, stack.pop
    while True:
        choices, following, allowed, num_rows, full = node
        extra, node = choices[(yield allowed[slack] if slack < num_rows else full)]
        if extra:
            slack -= extra
            assert slack >= 0, "only allowed tokens are taken"
        if node is None:
            # The last token pops node 0, which has no choices, so that it is never popped twice.
            node = pop() if following is None else following
        elif following is not None:
            push(following)


def _walk_values(automaton: TokenAutomaton, state: ScalarState) -> Masks:
    """The masks of any automaton."""
    while True:
        state = advance_state(automaton, state, (yield allowed_tokens(automaton, state)))
