"""Reference meanings of sums of hinges and of Fourier series, in numpy.

Coefficients have the terms of the sum on axis 0; what follows are the values of one scope, see `op_rules.Scope`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dslc.program.op_meanings import Array
from dslc.program.op_rules import AttributeValue, Scope


def spread_over(values: Sequence[float] | Array, x: Array, scope: Scope) -> Array:
    """Coefficients [terms, *those of the scope], shaped to act on x [batch, channels, ...] with the terms in front."""
    array = np.asarray(values)
    match scope:
        case Scope.LAYER:
            shape: tuple[int, ...] = (1,) * x.ndim
        case Scope.CHANNEL:
            shape = (1, -1, *[1] * (x.ndim - 2))[-x.ndim :]
        case Scope.UNIT:
            unit = array.shape[1:]
            shape = (1,) * (x.ndim - len(unit)) + unit
    return array.reshape(len(array), *shape)


def hinges(
    x: Array,
    *,
    slopes: Sequence[float] | Array,
    offsets: Sequence[float] | Array,
    scope: Scope = Scope.LAYER,
    **start: AttributeValue,  # noqa: ARG001
) -> Array:
    """Sum over s of a_s max(0, -x + b_s)."""
    a, b = spread_over(slopes, x, scope), spread_over(offsets, x, scope)
    return np.asarray((a * np.maximum(0, -x + b)).sum(axis=0))


def fourier(
    x: Array,
    *,
    half_period: float,
    margin: float,
    mean: float | Array,
    cosines: Sequence[float] | Array,
    sines: Sequence[float] | Array,
    scope: Scope = Scope.LAYER,
    **start: AttributeValue,  # noqa: ARG001
) -> Array:
    """S(x) for |x| <= L - T, and beyond an end of that interval the value at that end."""
    end = half_period - margin
    angle = np.pi * np.clip(x, -end, end) / half_period
    total = np.broadcast_to(spread_over(np.asarray(mean)[None], x, scope)[0], x.shape)
    a, b = spread_over(cosines, x, scope), spread_over(sines, x, scope)
    for i in range(len(a)):
        total = total + a[i] * np.cos((i + 1) * angle) + b[i] * np.sin((i + 1) * angle)
    return np.asarray(total)
