"""What an operand would have to be for an op to have a wanted value: the inverses of ops, in numpy.

Where an op has no inverse at a value the result is nan; where it has several (sine, cosine, square) it is the principal
one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Inverse = Callable[[Array, Array], Array]
"""Of the wanted value and the value of the other operand, which ops of one value do not look at."""

INVERSES: Mapping[tuple[str, int], Inverse] = MappingProxyType(
    {
        ("add", 0): lambda wanted, other: wanted - other,
        ("add", 1): lambda wanted, other: wanted - other,
        ("sub", 0): lambda wanted, other: wanted + other,
        ("sub", 1): lambda wanted, other: other - wanted,
        ("mul", 0): lambda wanted, other: wanted / other,
        ("mul", 1): lambda wanted, other: wanted / other,
        ("divide", 0): lambda wanted, other: wanted * other,
        ("divide", 1): lambda wanted, other: other / wanted,
        ("negate", 0): lambda wanted, _: -wanted,
        ("sin", 0): lambda wanted, _: np.arcsin(wanted),
        ("cos", 0): lambda wanted, _: np.arccos(wanted),
        ("exp", 0): lambda wanted, _: np.log(wanted),
        ("log", 0): lambda wanted, _: np.exp(wanted),
        ("tanh", 0): lambda wanted, _: np.arctanh(wanted),
        ("square", 0): lambda wanted, _: np.sqrt(wanted),
        ("sqrt", 0): lambda wanted, _: np.where(wanted >= 0, np.square(wanted), np.nan),
    }
)
"""By op and which of its operands is looked for."""
