"""The state of a Python random generator as JSON values."""

from __future__ import annotations

from random import Random
from typing import Any


def random_to_json(random: Random) -> list[Any]:
    """The state.

    Example:
        >>> one, other = Random(1), Random(2)
        >>> random_from_json(other, random_to_json(one))
        >>> one.random() == other.random()
        True
    """
    version, numbers, gauss = random.getstate()
    return [version, list(numbers), gauss]


def random_from_json(random: Random, state: list[Any]) -> None:
    """Take over what `random_to_json` gave."""
    version, numbers, gauss = state
    random.setstate((version, tuple(numbers), gauss))
