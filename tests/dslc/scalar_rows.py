"""A batch of sequences beside the scalar runtime, one state a row."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.scalar import ScalarState, advance_state, allowed_tokens
from dslc.automaton.tables import TokenAutomaton


def take_random_tokens(
    automaton: TokenAutomaton, states: list[ScalarState], mask: NDArray[np.bool_], generator: random.Random
) -> NDArray[np.intp]:
    """Compare a mask [row, V + 1] with the states' own, and move each that is not done by a random allowed token.

    Returns:
        The tokens, V where the sentence is done.
    """
    tokens = np.full(len(states), automaton.pad_id, np.intp)
    for row, state in enumerate(states):
        allowed = allowed_tokens(automaton, state)
        assert tuple(mask[row].nonzero()[0]) == (allowed or (automaton.pad_id,))
        if allowed:
            tokens[row] = generator.choice(allowed)
            states[row] = advance_state(automaton, state, int(tokens[row]))
    return tokens
