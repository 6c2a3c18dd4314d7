"""Frozen dataclasses that are quick to make: nouns of which a search makes millions.

Python's own frozen dataclasses take about three times as long to make, since each field is set by a call. A `value` is
frozen for type checkers always, and for Python when checks are on, as in the test run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

ARE_CHECKS_ON = os.environ.get("DSLC_CHECK", "0") == "1"
"""Whether values are really frozen, and invariants that follow from the code are checked each time: see tests."""

Class = TypeVar("Class")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[Class]) -> type[Class]:
    """The class as a dataclass with slots, compared and hashed by its fields, and not to be changed.

    Example:
        >>> @value
        ... class Point:
        ...     x: int
        ...     y: int = 0
        >>> Point(1) == Point(1, 0), len({Point(1), Point(1, 0), Point(2)})
        (True, 2)
    """
    if ARE_CHECKS_ON:
        return dataclass(frozen=True, slots=True)(cls)
    return dataclass(slots=True, unsafe_hash=True)(cls)
