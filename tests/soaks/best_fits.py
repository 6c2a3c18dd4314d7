"""The best that hinges and Fourier series can do for a function on an interval, whatever finds it: least squares.

Both families get a constant: it is the mean a_0 of a Fourier series, and for hinges the bias of the layer that follows.
So a sum of k terms has 2k + 1 numbers in both: slope and offset of each hinge, or cosine and sine of each harmonic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

END = 3.0
"""Functions are fitted on [-END, END]: [-L + T, L - T] of NPF(4, 1), and three deviations of a normalised value."""
HALF_PERIOD = 4.0
GRID = np.linspace(-END, END, 121)
FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "arctan": np.arctan,
    "erf": lambda x: np.array([math.erf(value) for value in x]),
    "x / (1 + abs(x))": lambda x: x / (1 + np.abs(x)),
    "x / sqrt(1 + x^2)": lambda x: x / np.sqrt(1 + x * x),
}
"""Six monotone squashing functions."""


@dataclass(frozen=True)
class Fit:
    """A sum of terms that is nearest to a function in mean square over GRID."""

    constant: float
    first: Array
    """Slopes of the hinges, or cosines."""
    second: Array
    """Offsets of the hinges, or sines."""
    rms: float
    """Root of the mean square of the error over GRID."""
    largest: float
    """Largest error over GRID."""


def fit_fourier(target: Array, num_terms: int) -> Fit:
    """The Fourier series with `num_terms` harmonics and half period 4 that is nearest to the values on GRID."""
    angles = np.pi * GRID[:, None] * np.arange(1, num_terms + 1) / HALF_PERIOD
    columns = np.concatenate([np.ones((len(GRID), 1)), np.cos(angles), np.sin(angles)], axis=1)
    numbers, error = _solve(columns, target)
    return Fit(float(numbers[0]), numbers[1 : num_terms + 1], numbers[num_terms + 1 :], *_sizes(error))


def fit_hinges(target: Array, most_terms: int, num_starts: int = 12) -> dict[int, Fit]:
    """The rectifier with 1 to `most_terms` hinges and a constant that is nearest to the values on GRID, by hinges.

    Slopes and constant follow from the offsets by linear least squares; the offsets are found from `num_starts` random
    starts and as many that are the best fit with a hinge less and one hinge more.
    """
    from scipy.optimize import least_squares

    def error(offsets: Array) -> Array:
        return _solve(_hinge_columns(offsets), target - np.maximum(GRID, 0))[1]

    generator = np.random.default_rng(0)
    fits: dict[int, Fit] = {}
    best = np.empty(0)
    for count in range(1, most_terms + 1):
        starts = [np.append(best, offset) for offset in np.linspace(-END + 0.5, END + 1, num_starts)]
        starts += [generator.uniform(-END, END + 1, count) for _ in range(num_starts)]
        found = [least_squares(error, start, max_nfev=60) for start in starts]
        best = min(found, key=lambda result: float(result.cost)).x
        numbers, remaining = _solve(_hinge_columns(best), target - np.maximum(GRID, 0))
        fits[count] = Fit(float(numbers[0]), numbers[1:], best, *_sizes(remaining))
    return fits


def _hinge_columns(offsets: Array) -> Array:
    return np.concatenate([np.ones((len(GRID), 1)), np.maximum(0, offsets - GRID[:, None])], axis=1)


def _solve(columns: Array, target: Array) -> tuple[Array, Array]:
    numbers = np.linalg.lstsq(columns, target, rcond=None)[0].astype(np.float64)
    return numbers, columns @ numbers - target


def _sizes(error: Array) -> tuple[float, float]:
    return float(np.sqrt(np.mean(error**2))), float(np.abs(error).max())
