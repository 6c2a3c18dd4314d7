"""Sentences as vectors, so that a model of numbers can be fitted to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Tokens: TypeAlias = tuple[int, ...]
"""A sentence."""
Key: TypeAlias = tuple[int, ...]
"""A kind of feature, and what it counts."""
POSITIONS = 64
"""Tokens at the start of a sentence that are told apart by their place."""
KINDS = range(3)
"""A token at a place; a token anywhere; two tokens in turn."""


class Features:
    """Which token is at each place, how often each token occurs, and how often each pair in turn.

    A column for each of these that the sentences given at the start have. Each kind is scaled so that the variances of
    its columns over those sentences add up to 1, if they vary at all: each kind has the same say.
    """

    def __init__(self, sentences: Sequence[Tokens]) -> None:
        counted = [Counter(_list_keys(tokens)) for tokens in sentences]
        self._columns = {key: column for column, key in enumerate(sorted({key for row in counted for key in row}))}
        width = max(1, len(self._columns))  # a model of no features at all is none
        self._weights = np.ones(width)
        spread = self._tabulate(counted).var(0)
        kinds = np.array([key[0] for key in self._columns] or [0], np.int64)
        for kind in KINDS:
            total = float(spread[kinds == kind].sum())
            if total > 0:
                self._weights[kinds == kind] = total**-0.5

    def describe(self, sentences: Sequence[Tokens]) -> NDArray[np.float64]:
        """[sentence, feature]; what none of the first sentences has is left out."""
        return self._tabulate([Counter(_list_keys(tokens)) for tokens in sentences])

    def _tabulate(self, counted: Sequence[Counter[Key]]) -> NDArray[np.float64]:
        table = np.zeros((len(counted), len(self._weights)))
        for row, counts in enumerate(counted):
            for key, number in counts.items():
                column = self._columns.get(key)
                if column is not None:
                    table[row, column] = number
        return table * self._weights


def _list_keys(tokens: Tokens) -> Iterator[Key]:
    yield from ((0, place, token) for place, token in enumerate(tokens[:POSITIONS]))
    yield from ((1, token) for token in tokens)
    yield from ((2, one, other) for one, other in pairwise(tokens))
