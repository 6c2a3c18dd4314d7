"""Exactly uniform sentences, and the exact next-token probabilities of the uniform distribution."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from operator import mul
from typing import Literal

from dslc.automaton.count import Counts
from dslc.automaton.count_totals import TotalCounts
from dslc.automaton.walk_prefix import walk_prefix

Lengths = Literal["uniform", "even"]
"""`uniform`: every sentence within the budget alike.

`even`: the length evenly among those that occur, then uniform in it.
"""


def sample_uniform(counts: Counts, random: random.Random, lengths: Lengths = "uniform") -> tuple[int, ...]:
    """Tokens of one sentence, exactly uniform: one integer is drawn and unranked, none is thrown away.

    With `lengths="even"` a first draw takes the length.
    """
    if lengths == "even":
        occurring = [n for n, ways in enumerate(counts.by_tokens) if ways]
        length = occurring[random.randrange(len(occurring))]
        return counts.unrank_length(length, random.randrange(counts.by_tokens[length]))
    return counts.unrank(random.randrange(counts.total))


def uniform_log_prob(counts: Counts, tokens: Sequence[int], lengths: Lengths = "uniform") -> float:
    """Log-probability in nats that `sample_uniform` gives a whole sentence."""
    if lengths == "even":
        num_lengths = sum(1 for ways in counts.by_tokens if ways)
        return -math.log(num_lengths) - math.log(counts.by_tokens[len(tokens)])
    return -math.log(counts.total)


def uniform_next(counts: Counts, prefix: Sequence[int], lengths: Lengths = "uniform") -> dict[int, Fraction]:
    """Probability of each token that can follow `prefix`, exactly; empty at the end of a sentence.

    Beside each position stands a vector: by the number of tokens used so far, the weight of all ways to finish what
    follows the position's run. A choice weighs the ways to fill its run times that vector.

    Raises:
        DslcError: DSLC303 if no sentence within the budget begins with `prefix`.
    """
    if isinstance(counts, TotalCounts):
        return counts.next_shares(prefix, sentence_weights(counts, lengths))
    used = len(prefix) + 1
    state, after = walk_prefix(counts, prefix, sentence_weights(counts, lengths), partial(_weights_before, counts))
    if not state.top:
        return {}
    weights = {
        token: sum(map(mul, counts.position_counts[run], after[used:]))
        for token, run in counts.choices[counts.automaton.slot[state.top]]
    }
    total = sum(weights.values())
    return {token: Fraction(weight, total) for token, weight in weights.items() if weight}


def sentence_weights(counts: Counts, lengths: Lengths) -> list[int]:
    """Weight of one sentence by its number of tokens, up to a common factor."""
    if lengths == "uniform":
        return [1] * (counts.budget + 1)
    common = math.lcm(*(ways for ways in counts.by_tokens if ways))
    return [common // ways if ways else 0 for ways in counts.by_tokens]


def _weights_before(counts: Counts, position: int, after: list[int], begin: int) -> list[int]:
    """The vector behind a position's slot, from the one behind its run, for `begin` tokens used and more."""
    rest = counts.automaton.scalar.next[position]
    if not rest:
        return after
    ways = counts.position_counts[rest]
    return [0] * begin + [sum(map(mul, ways, after[used:])) for used in range(begin, len(after))]
