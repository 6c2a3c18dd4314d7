"""Texts of unchanging values that many programs hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

KEPT_TEXTS = 4096
"""How many values are kept with their texts."""

Kept = TypeVar("Kept")

_kept: dict[int, tuple[object, str]] = {}


def kept_text(value: Kept, write: Callable[[Kept], str] = str) -> str:
    """The text of a value, in less time for one that was written before; a value is always written in one way."""
    # By identity, since 1 and 1.0 are equal but not written alike. A value that is kept stays the only one of its id.
    kept = _kept.get(id(value))
    if kept is not None:
        return kept[1]
    if len(_kept) >= KEPT_TEXTS:
        _kept.clear()
    text = write(value)
    _kept[id(value)] = (value, text)
    return text
