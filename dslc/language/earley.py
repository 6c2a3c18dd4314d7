"""Earley's parser on characters: a text to the forest of all its derivations.

Source:
    Earley 1970, with the correction for empty rules of Aycock & Horspool 2002 (a rule that is finished at the place
    where it began moves on those who wait for it whenever they come), and one terminal of lookahead on predictions
    and completions alike. The lookahead keeps right-recursive lists linear: their tails are not finished before the
    list is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dslc.language.grammar import BnfGrammar, RuleUse
from dslc.language.matching import LiteralMatcher

NO_SYMBOL = -1
"""In the tables by dot: no terminal (or no rule) follows."""


class EarleyTables:
    """A grammar with numbers for its parts.

    A *dot* is a place in a production; the dots of one production are consecutive. `select` says by one bit a
    terminal (and the bit `end` for the end of the text) what can come next after a dot, the rest of the production
    and what follows it included.
    """

    def __init__(self, bnf: BnfGrammar, start: str) -> None:
        self.bnf = bnf
        self.rule_number = {rule.name: number for number, rule in enumerate(bnf.rules)}
        self.start = self.rule_number[start]
        terminal_number = {terminal.name: number for number, terminal in enumerate(bnf.terminals)}
        self.end = 1 << len(bnf.terminals)
        self.anything = self.end * 2 - 1
        self.next_rule: list[int] = []
        self.next_terminal: list[int] = []
        self.rule: list[int] = []
        """Rule of a dot."""
        self.production: list[int] = []
        """Production of a dot, as an index into its rule's."""
        self.first_dots: list[list[int]] = []
        self.last_dots: list[list[int]] = []
        """Dots at the end of each production, by rule."""
        for number, rule in enumerate(bnf.rules):
            self.first_dots.append([])
            self.last_dots.append([])
            for index, production in enumerate(rule.productions):
                self.first_dots[number].append(len(self.rule))
                for symbol in (*production.symbols, None):
                    is_rule = isinstance(symbol, RuleUse)
                    self.next_rule.append(self.rule_number[symbol.name] if symbol and is_rule else NO_SYMBOL)
                    self.next_terminal.append(terminal_number[symbol.name] if symbol and not is_rule else NO_SYMBOL)
                    self.rule.append(number)
                    self.production.append(index)
                self.last_dots[number].append(len(self.rule) - 1)
        self.select = self._make_select()

    def _make_select(self) -> list[int]:
        rest, empty = self._find_rests()
        follow = self._find_follow(rest, empty)
        return [rest[dot] | (follow[self.rule[dot]] if empty[dot] else 0) for dot in range(len(self.rule))]

    def _find_rests(self) -> tuple[list[int], list[bool]]:
        """What can begin the rest of the production after each dot, and whether that rest can be empty.

        A production is looked at again when a rule in it is found to begin with more: work in proportion to the
        grammar, whatever order its rules stand in.
        """
        first, nullable = [0] * len(self.first_dots), [False] * len(self.first_dots)
        rest, empty = [0] * len(self.rule), [False] * len(self.rule)
        users: list[set[tuple[int, int]]] = [set() for _ in self.first_dots]
        """By rule, the productions with it, as (first dot, last dot)."""
        productions = [
            each for dots in zip(self.first_dots, self.last_dots, strict=True) for each in zip(*dots, strict=True)
        ]
        for begin, end in productions:
            for dot in range(begin, end):
                if self.next_rule[dot] != NO_SYMBOL:
                    users[self.next_rule[dot]].add((begin, end))
        pending = dict.fromkeys(productions)
        while pending:
            (begin, end), _ = pending.popitem()  # the last first: rules mostly stand before those that they use
            empty[end] = True
            for dot in range(end - 1, begin - 1, -1):
                rule = self.next_rule[dot]
                if rule == NO_SYMBOL:
                    rest[dot] = 1 << self.next_terminal[dot]
                else:
                    rest[dot] = first[rule] | (rest[dot + 1] if nullable[rule] else 0)
                    empty[dot] = nullable[rule] and empty[dot + 1]
            owner = self.rule[begin]
            if rest[begin] & ~first[owner] or empty[begin] > nullable[owner]:
                first[owner] |= rest[begin]
                nullable[owner] |= empty[begin]
                pending.update(dict.fromkeys(users[owner]))
        return rest, empty

    def _find_follow(self, rest: list[int], empty: list[bool]) -> list[int]:
        """What can come behind each rule."""
        follow = [0] * len(self.first_dots)
        follow[self.start] = self.end
        inherits: list[set[int]] = [set() for _ in self.first_dots]
        """By rule, those that can stand at its end."""
        for dot, rule in enumerate(self.next_rule):
            if rule != NO_SYMBOL:
                follow[rule] |= rest[dot + 1]
                if empty[dot + 1]:
                    inherits[self.rule[dot]].add(rule)
        pending = dict.fromkeys(reversed(range(len(follow))))
        while pending:
            owner, _ = pending.popitem()
            for rule in inherits[owner]:
                if follow[owner] & ~follow[rule]:
                    follow[rule] |= follow[owner]
                    pending[rule] = None
        return follow


@dataclass(slots=True)
class PlaceSet:
    """The items of one place. An item is a dot and the place where its production began, as `dot * width + origin`."""

    pointers: dict[int, list[Any]]
    """By item, how its dot came over the symbol before it: the place before a rule, or (place, literal, start) of a
    terminal.
    """
    waiting: dict[int, list[tuple[int, int]]]
    """By rule, the items (dot, origin) whose next symbol it is."""
    scanning: dict[int, list[tuple[int, int]]]
    """By terminal, the same."""
    finished: set[int]
    """Finished rules, as `rule * width + origin`."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that parsing found."""

    tables: EarleyTables
    text: str
    width: int
    sets: dict[int, PlaceSet]
    """By place, in order; only places that some prefix of the text leads to."""
    ends: tuple[int, ...]
    """Places at which the start rule is finished and only ignored blanks follow; none: the text is no sentence."""

    @property
    def num_items(self) -> int:
        """Number of items at all places: how much work parsing was."""
        return sum(len(items.pointers) for items in self.sets.values())


class TextParser:
    """A parser of one grammar and start; it is built once and parses any number of texts."""

    def __init__(self, bnf: BnfGrammar, start: str) -> None:
        self.tables = EarleyTables(bnf, start)
        self.matcher = LiteralMatcher(bnf)

    def parse(self, text: str) -> Chart:
        """The chart of a text; `ends` is empty if it is no sentence."""
        tables = self.tables
        width = len(text) + 1
        sets: dict[int, PlaceSet] = {0: PlaceSet({}, {}, {}, set())}
        for dot in tables.first_dots[tables.start]:
            sets[0].pointers[dot * width] = []
        ends = []
        place = 0
        last = 0
        while place <= last:
            items = sets.get(place)
            if items is None:
                place += 1
                continue
            matches = self.matcher.match(text, place)
            lookahead = 0
            for match in matches:
                lookahead |= 1 << match[0]
            if self.matcher.skip_blanks(text, place) == len(text):
                lookahead |= tables.end
            self._close(sets, place, width, lookahead)
            for terminal, literal, start, end in matches:
                for dot, origin in items.scanning.get(terminal, ()):
                    if end not in sets:
                        sets[end] = PlaceSet({}, {}, {}, set())
                        last = max(last, end)
                    sets[end].pointers.setdefault((dot + 1) * width + origin, []).append((place, literal, start))
            if lookahead & tables.end and tables.start * width in items.finished:
                ends.append(place)
            place += 1
        return Chart(tables, text, width, dict(sorted(sets.items())), tuple(ends))

    def expected(self, chart: Chart) -> tuple[int, list[int], bool]:
        """The furthest place that a beginning of a sentence leads to, the terminals that can come there, whether the
        end can.
        """
        place = max(chart.sets)
        reached = chart.sets[place]
        fresh = PlaceSet({item: [] for item in reached.pointers}, {}, {}, set())
        self._close({**chart.sets, place: fresh}, place, chart.width, self.tables.anything)
        return place, sorted(fresh.scanning), self.tables.start * chart.width in fresh.finished

    def _close(self, sets: dict[int, PlaceSet], place: int, width: int, lookahead: int) -> None:
        """Predict and finish at one place until nothing is new."""
        tables = self.tables
        next_rule, next_terminal, select = tables.next_rule, tables.next_terminal, tables.select
        items = sets[place]
        pointers, waiting, scanning, finished = items.pointers, items.waiting, items.scanning, items.finished
        work = list(pointers)
        while work:
            item = work.pop()
            dot, origin = divmod(item, width)
            if not select[dot] & lookahead:
                continue
            rule = next_rule[dot]
            if rule != NO_SYMBOL:
                if rule in waiting:
                    waiting[rule].append((dot, origin))
                else:
                    waiting[rule] = [(dot, origin)]
                    for first_dot in tables.first_dots[rule]:
                        if select[first_dot] & lookahead:
                            predicted = first_dot * width + place
                            if predicted not in pointers:
                                pointers[predicted] = []
                                work.append(predicted)
                if rule * width + place not in finished:
                    continue
                moved: list[tuple[int, int]] = [(dot, origin)]
                begin = place
            elif next_terminal[dot] != NO_SYMBOL:
                scanning.setdefault(next_terminal[dot], []).append((dot, origin))
                continue
            else:
                rule = tables.rule[dot]
                if rule * width + origin in finished:
                    continue
                finished.add(rule * width + origin)
                moved = sets[origin].waiting.get(rule, [])
                begin = origin
            for waiting_dot, waiting_origin in moved:
                advanced = (waiting_dot + 1) * width + waiting_origin
                if advanced in pointers:
                    pointers[advanced].append(begin)
                else:
                    pointers[advanced] = [begin]
                    work.append(advanced)
