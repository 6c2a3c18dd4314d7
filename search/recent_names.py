"""Hashes and texts of the sentences met last."""

from __future__ import annotations

KEPT = 1 << 15
"""Sentences of each of the two generations."""


class RecentNames:
    """What was named lately, so that a policy that repeats itself is not decoded again; of bounded size.

    There are two generations: a new one begins when the present one is full, and the one before that is forgotten.
    Whatever is asked for again moves into the present one. A forgotten sentence is named anew, and alike.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._present: dict[tuple[int, ...], tuple[str, str]] = {}
        self._past: dict[tuple[int, ...], tuple[str, str]] = {}

    def find(self, tokens: tuple[int, ...]) -> tuple[str, str] | None:
        """Program hash and text, if they are kept."""
        found = self._present.get(tokens)
        if found is None and (found := self._past.pop(tokens, None)) is not None:
            self.keep(tokens, found)
        return found

    def keep(self, tokens: tuple[int, ...], names: tuple[str, str]) -> None:
        """Note hash and text.

        Example:
            >>> recent = RecentNames(2)
            >>> for i in range(5):
            ...     recent.keep((i,), (str(i), "text"))
            >>> [i for i in range(5) if recent.find((i,))]
            [2, 3, 4]
        """
        if len(self._present) >= self._kept:
            self._past, self._present = self._present, {}
        self._present[tokens] = names
