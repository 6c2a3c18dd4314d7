"""Sentences as rows of an array and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.integer[Any]]


def pad_rows(rows: Sequence[tuple[int, ...]], pad: int) -> Tokens:
    """Sentences as [sentence, time], filled up with `pad` behind their ends.

    Example:
        >>> pad_rows([(1, 2), (3,)], 9).tolist()
        [[1, 2], [3, 9]]
    """
    lengths = np.array([len(row) for row in rows])
    table = np.full((len(rows), int(lengths.max(initial=1))), pad, np.int16)
    table[np.arange(table.shape[1]) < lengths[:, None]] = [token for row in rows for token in row]
    return table


def unpad_rows(tokens: Tokens, pad: int) -> list[tuple[int, ...]]:
    """The sentences of such rows.

    Example:
        >>> unpad_rows(np.array([[1, 2], [3, 9]]), 9)
        [(1, 2), (3,)]
    """
    lengths = (tokens != pad).sum(1).tolist()
    return [tuple(row[:length]) for row, length in zip(tokens.tolist(), lengths, strict=True)]
