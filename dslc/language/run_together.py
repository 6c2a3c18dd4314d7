"""Literals that run together in rendered sentences: the longest match of a terminal is not the one that was meant.

lark's default lexer (Earley's `dynamic`) tries, of each terminal that can stand at a place, its longest match only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dslc.language.atoms import used_terminals
from dslc.language.earley import TextParser
from dslc.language.grammar import BnfGrammar, Literal, Terminal
from dslc.language.matching import LiteralMatcher, Match
from dslc.language.shortest_texts import Moves, ShortestTexts

MAX_STATES = 300
"""Most beginnings of what is missing that are told apart for one terminal; past it nothing is said of it."""
MAX_WORK = 50_000
"""Limit of work for one terminal: places between two states."""
MAX_LITERALS = 2_000
"""Of one terminal; past it nothing is said of it."""

_BEFORE, _DONE = 0, 1
"""States: nothing was read in its place yet; something was."""


@dataclass(frozen=True, slots=True)
class RunTogether:
    """A terminal one of whose literals and the text behind it read as a longer literal of it."""

    terminal: Terminal
    literal: Literal
    longer: Literal
    text: str
    """A shortest sentence in which they do."""
    is_refused: bool
    """True if a parser that takes longest matches only refuses that sentence."""


def find_run_together(bnf: BnfGrammar, start: str) -> Iterator[RunTogether]:
    """For each terminal a sentence in which its longest match is not what stands there, if there is one.

    Args:
        bnf: a grammar of productive, reachable rules.
        start: name of its start rule.

    Example:
        >>> from dslc.language.grammar import BnfRule, Production, TerminalUse
        >>> from dslc.source import SourceFile
        >>> rule = BnfRule("start", (Production((TerminalUse("A"), TerminalUse("B"))),))
        >>> terminals = (Terminal("A", (Literal("1"), Literal("12"))), Terminal("B", (Literal("2"),)))
        >>> (found,) = find_run_together(BnfGrammar(SourceFile("a.lark", ""), (rule,), terminals), "start")
        >>> found.text, found.longer.text, found.is_refused
        ('12', '12', True)
    """
    parser: TextParser | None = None
    for terminal in used_terminals(bnf):
        machine = _Machine(bnf, terminal)
        if not machine.is_useful:
            continue
        literals = ShortestTexts(bnf, machine.moves, max_work=MAX_WORK).find(start, _BEFORE, _DONE)
        if literals is None:
            continue
        literal, longer = machine.find_pair(literals)
        if parser is None:
            parser = TextParser(bnf, start)
            parser.matcher = _LongestMatcher(bnf)
        text = bnf.joiner.join(literals)
        yield RunTogether(terminal, literal, longer, text, not parser.parse(text).ends)


class _LongestMatcher(LiteralMatcher):
    """Of each terminal its longest match only."""

    def match(self, text: str, place: int) -> list[Match]:
        longest: dict[int, int] = {}
        found = super().match(text, place)
        for number, _, _, end in found:
            longest[number] = max(longest.get(number, 0), end)
        return [match for match in found if match[3] == longest[match[0]]]


class _Machine:
    """Guesses a literal of one terminal, then follows what a longer literal of it has more, over the next literals.

    States beside the first and the last are the rests that are still missing.
    """

    def __init__(self, bnf: BnfGrammar, terminal: Terminal) -> None:
        self.terminal = terminal
        self.joiner = bnf.joiner
        self.is_folded = any(literal.ignore_case for each in bnf.terminals for literal in each.literals)
        self._states: dict[str, int] = {}
        self.pairs = self._find_pairs() if len(terminal.literals) <= MAX_LITERALS else {}
        self.is_useful = bool(self.pairs)
        self.moves: Moves = self._make_moves(bnf) if self.is_useful else {}

    def _fold(self, text: str) -> str:
        return text.casefold() if self.is_folded else text

    def _find_pairs(self) -> dict[int, list[tuple[int, str]]]:
        """By index of a literal, each longer literal with what it has more, if that begins as what stands between."""
        texts = [self._fold(literal.text) for literal in self.terminal.literals]
        index = {text: i for i, text in enumerate(texts)}
        pairs: dict[int, list[tuple[int, str]]] = {}
        for longer, text in enumerate(texts):
            for length in range(1, len(text)):
                shorter = index.get(text[:length])
                if shorter is not None and text.startswith(self.joiner, length):
                    pairs.setdefault(shorter, []).append((longer, text[length:]))
        return pairs

    def _make_moves(self, bnf: BnfGrammar) -> Moves:
        rests = {rest for pairs in self.pairs.values() for _, rest in pairs}
        texts = sorted({self._fold(literal.text) for terminal in bnf.terminals for literal in terminal.literals})
        pending = sorted(rests)
        while pending:  # rests of rests
            rest = pending.pop()
            if rest in self._states:
                continue
            self._states[rest] = 2 + len(self._states)
            if len(self._states) > MAX_STATES:
                self.is_useful = False
                return {}
            for text in texts:
                left = self._after(rest, text)
                if left:
                    pending.append(left)
        moves: dict[str, dict[int, dict[int, str]]] = {}
        for terminal in bnf.terminals:
            of_state: dict[int, dict[int, str]] = {}
            moves[terminal.name] = of_state
            for index, literal in enumerate(terminal.literals):
                for state in (_BEFORE, _DONE):
                    _add(of_state, state, state, literal.text)
                if terminal.name == self.terminal.name:
                    for _, rest in self.pairs.get(index, ()):
                        _add(of_state, _BEFORE, self._states[rest], literal.text)
                for rest, state in self._states.items():
                    left = self._after(rest, self._fold(literal.text))
                    if left is not None:
                        _add(of_state, state, self._states[left] if left else _DONE, literal.text)
        return moves

    def _after(self, rest: str, text: str) -> str | None:
        """What is missing after one more literal: nothing if it holds all of the rest; None if it does not fit."""
        written = self.joiner + text
        if written.startswith(rest):
            return ""
        return rest[len(written) :] if rest.startswith(written) else None

    def find_pair(self, literals: tuple[str, ...]) -> tuple[Literal, Literal]:
        """The literal of the terminal in a sentence that leads to the last state, and the longer one."""
        texts = [self._fold(literal) for literal in literals]
        index = {self._fold(literal.text): i for i, literal in enumerate(self.terminal.literals)}
        for place, text in enumerate(texts):
            behind = "".join(self.joiner + other for other in texts[place + 1 :])
            fitting = [pair for pair in self.pairs.get(index.get(text, -1), ()) if behind.startswith(pair[1])]
            if fitting:
                longer = max(fitting, key=lambda pair: len(pair[1]))[0]
                return self.terminal.literals[index[text]], self.terminal.literals[longer]
        raise AssertionError("the machine was led to its last state")


def _add(moves: dict[int, dict[int, str]], before: int, after: int, literal: str) -> None:
    known = moves.setdefault(before, {}).get(after)
    if known is None or len(literal) < len(known):
        moves[before][after] = literal
