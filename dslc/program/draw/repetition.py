"""How often a part of a rule is repeated, in words."""

from __future__ import annotations


def count_text(minimum: int, maximum: int | None) -> str:
    """How often a part is gone through, where the track does not say it.

    Example:
        >>> count_text(3, 3), count_text(1, 5), count_text(0, 5), count_text(2, None), count_text(1, None)
        ('3 times', '1 to 5 times', 'at most 5 times', 'at least 2 times', '')
    """
    if maximum is None:
        return f"at least {minimum} times" if minimum > 1 else ""
    if minimum == maximum:
        return f"{minimum} times"
    return f"{minimum} to {maximum} times" if minimum else f"at most {maximum} times"
