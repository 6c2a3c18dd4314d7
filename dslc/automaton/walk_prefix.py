"""The beginning of a sentence, with a vector of what can follow kept beside each open run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from dslc.automaton.count import Counts, no_sentence
from dslc.automaton.scalar import ScalarState, advance_state, allowed_tokens, start_state

Vector = TypeVar("Vector")


def walk_prefix(
    counts: Counts, prefix: Sequence[int], after: Vector, weigh_before: Callable[[int, Vector, int], Vector]
) -> tuple[ScalarState, Vector]:
    """The state behind a prefix, with the vector behind the slot to fill.

    Args:
        counts: The space and budget.
        prefix: Ids of the first tokens of a sentence.
        after: The vector behind a whole sentence.
        weigh_before: The vector behind the slot of a position, from the one behind its run, for so many tokens used and
            more: `weigh_before(position, after, used)`.

    Raises:
        DslcError: DSLC303 if no sentence within the budget begins with `prefix`.
    """
    automaton = counts.automaton
    following, choices_of = automaton.scalar.next, automaton.scalar.choices
    stack: list[Vector] = []
    state = start_state(automaton, counts.budget)
    for used, token in enumerate(prefix):
        if token not in allowed_tokens(automaton, state):
            raise no_sentence(f"token {used + 1} of the prefix is not allowed there")
        position = state.top
        state = advance_state(automaton, state, token)
        if choices_of[position][token][1]:
            if following[position]:
                stack.append(after)
            after = weigh_before(position, after, used + 1)
        elif not following[position] and stack:
            after = stack.pop()
    if state.top:
        after = weigh_before(state.top, after, len(prefix) + 1)
    return state, after
