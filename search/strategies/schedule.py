"""Weights that change over a search."""

from __future__ import annotations


def linear_to_zero(start: float, done: int, total: int) -> float:
    """`start` at the beginning, 0 once `total` evaluations are done, linear between.

    Example:
        >>> linear_to_zero(0.5, 50, 200)
        0.375
    """
    return start * max(0.0, 1.0 - done / total) if total > 0 else 0.0
