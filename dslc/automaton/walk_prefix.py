"""The beginning of a sentence, with a vector of what can follow kept beside each open run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from dslc.automaton.count import Counts, no_sentence
from dslc.automaton.scalar import advance_state, allowed_tokens, start_state

Vector = TypeVar("Vector")


def walk_prefix(
    counts: Counts, prefix: Sequence[int], after: Vector, weigh_before: Callable[[int, Vector, int], Vector]
) -> tuple[list[int], Vector]:
    """Where each token of a prefix was chosen and where the next one is, with the vector behind what that one opens.

    Args:
        counts: The space and budget.
        prefix: Ids of the first tokens of a sentence.
        after: The vector behind a whole sentence.
        weigh_before: The vector before the run from a position on, from the one behind it, for so many tokens used and
            more: `weigh_before(position, after, used)`.

    Returns:
        Positions, one more than tokens, the last 0 at the end of a sentence, and the vector.

    Raises:
        DslcError: DSLC303 if no sentence within the budget begins with `prefix`.
    """
    automaton = counts.automaton
    following, choices_of = automaton.scalar.next, automaton.scalar.choices
    position = automaton.start_position
    positions = [position]
    stack: list[tuple[int, Vector]] = []
    state = start_state(automaton, counts.budget)
    for used, token in enumerate(prefix):
        if token not in allowed_tokens(automaton, state):
            raise no_sentence(f"token {used + 1} of the prefix is not allowed there")
        state = advance_state(automaton, state, token)
        run, rest = choices_of[position][token][1], following[position]
        if run:
            if rest:
                stack.append((rest, after))
                after = weigh_before(rest, after, used + 1)
            position = run
        elif rest:
            position = rest
        elif stack:
            position, after = stack.pop()
        else:
            position = 0
        positions.append(position)
    rest = following[position] if position else 0
    if rest:
        after = weigh_before(rest, after, len(prefix) + 1)
    return positions, after
