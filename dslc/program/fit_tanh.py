"""The Fourier series nearest to tanh, at which nonparametric activations start."""

from __future__ import annotations

from functools import cache

import numpy as np

from dslc.program.op_meanings import Array

DECIMALS = 6
"""Of the coefficients: enough for float32, and few enough to be the same on every machine."""
NUM_NODES = 64
"""Of the Gauss-Legendre quadrature, or four for each harmonic if that is more; twice as many change no decimal."""


@cache
def fit_tanh(half_period: float, margin: float, num_harmonics: int) -> tuple[float, ...]:
    """Coefficients b_1, ..., b_k of the sines: least squares of tanh on [-L + T, L - T].

    The mean and all cosines of that fit are 0, since tanh is odd. The paper says "Fourier approximation"; its
    coefficients on [-L, L] are another reading. They fit the jump that the periodic tanh has at L, where the function
    never looks: for L = 4, T = 1 and 5 harmonics their largest error is 0.10, that of least squares 0.015.

    Args:
        half_period: L.
        margin: T, at least 0 and less than L.
        num_harmonics: k.

    Source:
        eisenach2016 starts at a Fourier approximation of tanh; which one is our reading.

    Example:
        >>> fit_tanh(4.0, 1.0, 2)
        (1.050751, -0.032343)
    """
    nodes, weights = np.polynomial.legendre.leggauss(max(NUM_NODES, 4 * num_harmonics))
    u = (half_period - margin) * nodes
    sines = np.sin(np.pi * u[:, None] * np.arange(1, num_harmonics + 1) / half_period)
    root = np.sqrt(weights)
    fit: Array = np.linalg.lstsq(sines * root[:, None], np.tanh(u) * root, rcond=None)[0]
    return tuple(round(value, DECIMALS) + 0.0 for value in fit.tolist())  # no -0.0
