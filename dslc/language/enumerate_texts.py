"""The texts of a grammar by length, each with its number of derivations, capped at two."""

from __future__ import annotations

from dataclasses import dataclass, field

from dslc.language.atoms import AtomGrammar

Texts = dict[int, dict[str, int]]
"""By length, the texts of a symbol as strings of one character an atom, with 1 or 2 (two or more) derivations."""


@dataclass(slots=True)
class TextTable:
    """The texts of every rule, one length after the other."""

    grammar: AtomGrammar
    max_work: int
    """Most concatenations of two texts; past it nothing more is listed."""
    work: int = 0
    length: int = -1
    """The greatest length that is complete."""
    texts: list[Texts] = field(default_factory=list)
    """By rule."""
    _prefixes: list[list[list[Texts]]] = field(default_factory=list)
    """By rule, production and dot: the texts of what stands before the dot."""
    _order: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.texts = [{} for _ in self.grammar.rules]
        self._prefixes = [
            [[{} for _ in range(len(production) + 1)] for production in rule] for rule in self.grammar.rules
        ]
        for rule in self._prefixes:
            for dots in rule:
                dots[0][0] = {"": 1}
        self._order = order_rules(self.grammar)

    @property
    def is_over(self) -> bool:
        """True if the limit on work was passed, so the next length is incomplete."""
        return self.work > self.max_work

    def extend(self) -> bool:
        """List all texts of the next length; False if the limit on work was met before the end."""
        length = self.length + 1
        while True:
            changed = False
            for rule in self._order:
                found: dict[str, int] = {}
                for production, dots in zip(self.grammar.rules[rule], self._prefixes[rule], strict=True):
                    for dot, symbol in enumerate(production):
                        longer = self._append(dots[dot], symbol, length)
                        if self.is_over:
                            return False
                        if longer:
                            dots[dot + 1][length] = longer
                    for text, times in dots[-1].get(length, {}).items():
                        found[text] = min(2, found.get(text, 0) + times)
                if found != self.texts[rule].get(length, {}):
                    self.texts[rule][length] = found
                    changed = True
            if not changed:  # the last pass has also brought the texts of this length into every prefix
                self.length = length
                return True

    def _append(self, prefix: Texts, symbol: int, length: int) -> dict[str, int]:
        self.work += 1
        if symbol >= 0:
            atom = chr(symbol)
            before = prefix.get(length - 1, {})
            self.work += len(before)
            return {text + atom: times for text, times in before.items()}
        longer: dict[str, int] = {}
        after = self.texts[~symbol]
        for shorter, left in prefix.items():
            right = after.get(length - shorter)
            if not right:
                continue
            self.work += len(left) * len(right)
            if self.is_over:
                break
            for head, times in left.items():
                for tail, more in right.items():
                    text = head + tail
                    longer[text] = min(2, longer.get(text, 0) + times * more)
        return longer


def order_rules(grammar: AtomGrammar) -> list[int]:
    """Rules such that, cycles aside, each stands after those that it can be replaced with on its own."""
    empty = find_empty_rules(grammar)
    order: list[int] = []
    seen: set[int] = set()
    for root in range(len(grammar.rules)):
        work = [(root, False)]
        while work:
            rule, is_finished = work.pop()
            if is_finished:
                order.append(rule)
            elif rule not in seen:
                seen.add(rule)
                work.append((rule, True))
                work.extend((other, False) for other in sorted(replacements(grammar, rule, empty), reverse=True))
    return order


def find_empty_rules(grammar: AtomGrammar) -> set[int]:
    """The rules that derive the empty text."""
    empty: set[int] = set()
    while True:
        more = {
            number
            for number, rule in enumerate(grammar.rules)
            if any(all(symbol < 0 and ~symbol in empty for symbol in production) for production in rule)
        }
        if more == empty:
            return empty
        empty = more


def replacements(grammar: AtomGrammar, rule: int, empty: set[int]) -> set[int]:
    """The rules that a production of `rule` derives when all its other symbols derive the empty text."""
    found: set[int] = set()
    for production in grammar.rules[rule]:
        others = [symbol for symbol in production if symbol >= 0 or ~symbol not in empty]
        if not others:
            found.update(~symbol for symbol in production)
        elif len(others) == 1 and others[0] < 0:
            found.add(~others[0])
    return found


def find_cycle(grammar: AtomGrammar) -> tuple[int, ...]:
    """Rules that derive just one another in a circle, in the order of the circle; none: no rule derives just itself."""
    empty = find_empty_rules(grammar)
    edges = [sorted(replacements(grammar, rule, empty)) for rule in range(len(grammar.rules))]
    for rule in range(len(grammar.rules)):
        came_from = dict.fromkeys(edges[rule], rule)
        work = list(edges[rule])
        for other in work:  # grows: breadth first, so the circle is a shortest one through `rule`
            if other == rule:
                circle = [rule]
                while came_from[circle[-1]] != rule:
                    circle.append(came_from[circle[-1]])
                return (rule, *reversed(circle[1:]))
            for target in edges[other]:
                if target not in came_from:
                    came_from[target] = other
                    work.append(target)
    return ()


def longest_text(grammar: AtomGrammar) -> int | None:
    """Most atoms in a text, or None where a rule can contain itself."""
    longest: dict[int, int] = {}
    open_rules: set[int] = set()
    work = [(grammar.start, False)]
    while work:
        rule, is_finished = work.pop()
        if is_finished:
            open_rules.discard(rule)
            longest[rule] = max(
                sum(1 if symbol >= 0 else longest[~symbol] for symbol in production)
                for production in grammar.rules[rule]
            )
        elif rule in open_rules:
            return None
        elif rule not in longest:
            open_rules.add(rule)
            work.append((rule, True))
            work.extend((~symbol, False) for production in grammar.rules[rule] for symbol in production if symbol < 0)
    return longest[grammar.start]
