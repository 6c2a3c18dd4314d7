"""Which literals stand at a place of a text, blanks before them skipped where the grammar ignores them."""

from __future__ import annotations

import re
from typing import Any

from dslc.language.grammar import BnfGrammar

Match = tuple[int, int, int, int]
"""Number of the terminal, index of the literal, offset of its first code point, offset after its last."""


class LiteralMatcher:
    """All literals of a grammar, in a trie.

    A *place* is the offset after a literal (or 0), before any blanks. Where the grammar ignores blanks, any number of
    them is skipped before a literal, except that a literal of blanks only is taken where it first fits: so the places
    of a derivation are a function of the derivation, and one derivation is never counted as two.
    """

    def __init__(self, bnf: BnfGrammar) -> None:
        self._ignores_blank = bnf.ignores_blank
        self._trie: dict[str, Any] = {}
        self._folded: list[tuple[int, int, re.Pattern[str]]] = []
        self._begins_blank = False
        for number, terminal in enumerate(bnf.terminals):
            for index, literal in enumerate(terminal.literals):
                self._begins_blank |= literal.text.startswith(" ")
                if literal.ignore_case and literal.text.lower() != literal.text.upper():
                    self._folded.append((number, index, re.compile(re.escape(literal.text), re.IGNORECASE)))
                    continue
                node = self._trie
                for character in literal.text:
                    node = node.setdefault(character, {})
                node.setdefault("", []).append((number, index))  # no character is the empty string

    def skip_blanks(self, text: str, place: int) -> int:
        """Offset of the first code point at or after `place` that is not skipped."""
        if self._ignores_blank:
            while place < len(text) and text[place] == " ":
                place += 1
        return place

    def match(self, text: str, place: int) -> list[Match]:
        """Every literal that stands at `place`, in order of start, then terminal and literal."""
        first = self.skip_blanks(text, place)
        if first == place or not self._begins_blank:
            return self._match_exactly(text, first)
        found = []
        for start in range(place, first + 1):
            for match in self._match_exactly(text, start):
                if start == place or match[3] > first:  # a literal of blanks only stands at the first possible start
                    found.append(match)
        return found

    def _match_exactly(self, text: str, start: int) -> list[Match]:
        found = []
        node = self._trie
        for end in range(start, len(text)):
            node = node.get(text[end])  # type: ignore[assignment]
            if node is None:
                break
            for number, index in node.get("", ()):
                found.append((number, index, start, end + 1))
        for number, index, pattern in self._folded:
            match = pattern.match(text, start)
            if match:
                found.append((number, index, start, match.end()))
        found.sort()
        return found
