"""Confidence intervals of means and of their differences, by Student's t.

Seeds are few: a bootstrap of three values draws from ten means, and holds the true one far less often than it says.

Sources:
    welch1947 (degrees of freedom of a difference of means with unequal variances).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.95
"""Share of intervals that hold the true value, over repetitions of the whole comparison."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, or a difference of means, and between what it lies."""

    mean: float
    low: float | None
    """None where the spread is unknown: from one value."""
    high: float | None

    def to_json(self) -> dict[str, float | None]:
        """As plain JSON values."""
        return asdict(self)


def mean_interval(values: Sequence[float] | Floats) -> Interval | None:
    """Mean of independent values with its interval; None of no values.

    Example:
        >>> mean_interval([1.0, 2.0, 3.0])
        Interval(mean=2.0, low=-0.484..., high=4.484...)
    """
    if not len(values):
        return None
    mean = float(np.mean(values))
    if len(values) == 1:
        return Interval(mean, None, None)
    half = t_quantile(0.5 + CONFIDENCE / 2, len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def difference_interval(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> Interval | None:
    """Mean of `first` minus mean of `second`, independent of one another, by Welch; None if one has no values.

    Where one of the two has a single value its spread is unknown, and so is the interval.
    """
    if not len(first) or not len(second):
        return None
    difference = float(np.mean(first) - np.mean(second))
    if len(first) == 1 or len(second) == 1:
        return Interval(difference, None, None)
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (first, second)]
    if sum(parts) == 0:
        return Interval(difference, difference, difference)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    half = t_quantile(0.5 + CONFIDENCE / 2, freedom) * math.sqrt(sum(parts))
    return Interval(difference, difference - half, difference + half)


def t_quantile(probability: float, freedom: float) -> float:
    """Value that Student's t with `freedom` degrees of freedom (at least 1) stays below with a probability from 0.5 on.

    With t = sqrt(freedom) tan(a) the density becomes a power of cos(a), which is integrated by Gauss and Legendre and
    inverted by halving.

    Example:
        >>> round(t_quantile(0.975, 1), 4), round(t_quantile(0.975, 10.5), 4)
        (12.7062, 2.2138)
    """
    assert 0.5 <= probability < 1, "the upper half"
    assert freedom >= 1, "at least one degree of freedom"
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        angle = (low + high) / 2
        points = angle / 2 * (NODES + 1)
        below = 0.5 + scale * angle / 2 * float(WEIGHTS @ np.cos(points) ** (freedom - 1))
        low, high = (angle, high) if below < probability else (low, angle)
    return math.sqrt(freedom) * math.tan(low)
