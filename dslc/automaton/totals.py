"""How many nodes of each counted name a sentence has, as far as `at_most` and `at_least` can tell totals apart.

A *total* is one integer for all counted names together. Totals are added: a count that no limit tells from a larger
one stays where it is, and a count past its `at_most` gives the total DEAD, whatever is added to it. What a sentence
counts does not depend on the order, so the total of a part of a sentence says all about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import product
from math import prod

from dslc.automaton.classification import Classification, Option, Part, RuleKind
from dslc.automaton.classify import find_head
from dslc.diagnostics import Code, Diagnostic, DslcError, Label, Severity
from dslc.language.constraints import Constraint, ConstraintKind
from dslc.language.contexts import Visibility, find_visibility, undecided_error
from dslc.language.grammar import BnfGrammar

MAX_TOTALS = 64
"""Most totals: the product of the ranges of all counted names."""


class Totals:
    """The totals of a grammar under its `at_most` and `at_least`, and what each node and literal adds."""

    def __init__(self, trimmed: BnfGrammar, constraints: Sequence[Constraint]) -> None:
        """Looks up what is counted.

        Raises:
            DslcError: DSLC332 if there are too many totals, with the constraints whose ranges multiply to it; DSLC221
            if it is not known before the content of a `?rule` whether its node counts.
        """
        counting = [constraint for constraint in constraints if not constraint.kind.is_inherited]
        self.subjects = list(dict.fromkeys(constraint.subject for constraint in counting))
        most: dict[int, int] = {}
        least: dict[int, int] = {}
        for constraint in counting:
            number = self.subjects.index(constraint.subject)
            if constraint.kind is ConstraintKind.AT_MOST:
                most[number] = min(most.get(number, constraint.number), constraint.number)
            else:
                least[number] = max(least.get(number, 0), constraint.number)
        caps = [most.get(i, least.get(i, 0)) for i in range(len(self.subjects))]
        self.size = prod(cap + 1 for cap in caps)
        """R: totals are 0 to R - 1, and R is DEAD."""
        if self.size > MAX_TOTALS:
            raise _too_many_totals(counting, self.size)
        self.dead = self.size
        values = list(product(*(range(cap + 1) for cap in caps)))
        self._number = {value: i for i, value in enumerate(values)}
        is_hard = [i in most for i in range(len(caps))]

        def add(first: tuple[int, ...], second: tuple[int, ...]) -> int:
            total = []
            for a, b, cap, hard in zip(first, second, caps, is_hard, strict=True):
                if a + b > cap and hard:
                    return self.dead
                total.append(min(a + b, cap))
            return self._number[tuple(total)]

        self.add = [[add(first, second) for second in values] + [self.dead] for first in values]
        """[R + 1][R + 1] sum of two totals."""
        self.add.append([self.dead] * (self.size + 1))
        self.accepts = [all(value[i] >= low for i, low in least.items()) for value in values]
        """[R] whether a whole sentence may have the total."""
        self._units = []
        for i, cap in enumerate(caps):
            one = tuple(min(1, cap) if i == j else 0 for j in range(len(caps)))
            self._units.append(self.dead if cap == 0 and is_hard[i] else self._number[one])
        self._nodes = self._find_nodes(trimmed, counting)
        self._trimmed = trimmed

    def _find_nodes(self, trimmed: BnfGrammar, counting: Sequence[Constraint]) -> dict[str, list[int]]:
        visibility = find_visibility(trimmed)
        names = {subject.name for subject in self.subjects}
        nodes: dict[str, list[int]] = {}
        for rule in trimmed.rules:
            gains = []
            for shape, seen in zip(trimmed.node_shapes[rule.name], visibility[rule.name], strict=True):
                own = {shape.name, shape.rule} & names
                if own and seen is Visibility.UNDECIDED:
                    blamed = next(constraint for constraint in counting if constraint.subject.name in own)
                    raise undecided_error(blamed, rule.name)
                gains.append(self._gain([s.name in own for s in self.subjects] if seen is Visibility.SHOWN else []))
            nodes[rule.name] = gains
        return nodes

    def _gain(self, is_counted: Sequence[bool]) -> int:
        total = 0
        for i, counts in enumerate(is_counted):
            if counts:
                total = self.add[total][self._units[i]]
        return total

    def of_node(self, rule: str, production: int) -> int:
        """What a node of a production adds, its content not counted."""
        return self._nodes[rule][production]

    def of_literal(self, terminal: str, text: str) -> int:
        """What a literal adds."""
        return self._gain([s.name == terminal and s.literal in (None, text) for s in self.subjects])


class Gains:
    """What the parts of a classification add to the total, and the fewest tokens for each total that they can add."""

    def __init__(self, totals: Totals, split: Classification, trimmed: BnfGrammar, needs: Sequence[int]) -> None:
        self.totals = totals
        self.split = split
        self.num_terminals = split.num_terminals
        self._texts = {terminal.name: terminal.literals[0].text for terminal in trimmed.terminals}
        self._needs = needs
        # What a symbol without a choice of its own adds; the others add nothing before they are filled.
        self.closed = [0] * (split.num_terminals + len(split.parts))
        for symbol, count in enumerate(split.literal_counts):
            if count == 1:
                name = split.terminal_names[symbol]
                self.closed[symbol] = totals.of_literal(name, self._texts[name])
        for symbol in split.splice_order:
            part = split.parts[symbol - split.num_terminals]
            if part.options:
                self.closed[symbol] = self._of_option(part, part.options[0])
        self._of_choice: dict[tuple[int, int], int] = {}

    def _of_option(self, part: Part, option: Option) -> int:
        add = self.totals.add
        total = 0 if option.production is None else self.totals.of_node(part.rule, option.production)
        for symbol in option.symbols:
            total = add[total][self.closed[symbol]]
        return total

    def of_choice(self, symbol: int, token: int) -> int:
        """What a token adds that fills the slot of a symbol, with everything that it leaves no choice about."""
        # A fused part looks at the token of the parts that it begins with; each adds its own.
        total = 0
        while True:
            if symbol < self.num_terminals:
                return self.totals.add[total][self._of_token(token)]
            part = self.split.parts[symbol - self.num_terminals]
            option = part.options[part.option_by_token[token]]
            total = self.totals.add[total][self._of_option(part, option)]
            if part.kind is not RuleKind.FUSED:
                return total
            head = find_head(option.symbols, self.split.heads)
            if head is None or (head < self.num_terminals and self.split.literal_counts[head] == 1):
                return total
            symbol = head

    def _of_token(self, token: int) -> int:
        literal = self.split.vocabulary[token]
        assert literal.terminal is not None, "a terminal is filled by a literal"
        assert literal.text is not None, "a literal has a text"
        return self.totals.of_literal(literal.terminal, literal.text)

    @cached_property
    def needs(self) -> list[dict[int, int]]:
        """[symbol] fewest tokens that finish it, by what it adds to the total, what is certain included."""
        split, num_terminals = self.split, self.num_terminals
        found: list[dict[int, int]] = []
        for symbol, count in enumerate(split.literal_counts):
            if count == 1:
                found.append({self.closed[symbol]: 0} if self.closed[symbol] != self.totals.dead else {})
            else:
                gains = {self._of_token(token) for token in split.literal_tokens[symbol]} if count else set()
                found.append({gain: 1 for gain in gains if gain != self.totals.dead})
        found += [{} for _ in split.parts]
        users: list[set[int]] = [set() for _ in found]
        for i, part in enumerate(split.parts):
            for option in part.options:
                for symbol in option.symbols:
                    users[symbol].add(num_terminals + i)
        # Parts that can be finished soonest first: most of them are then right at once.
        order = sorted(range(num_terminals, len(found)), key=lambda symbol: self._needs[symbol])
        rank = {symbol: i for i, symbol in enumerate(order)}
        pending = set(order)
        while pending:
            for symbol in sorted(pending, key=rank.__getitem__):
                pending.discard(symbol)
                if self._relax(symbol, found):
                    pending |= users[symbol]
        return found

    def _relax(self, symbol: int, found: list[dict[int, int]]) -> bool:
        """Prices the options of a part anew; whether one became cheaper."""
        split, add, dead = self.split, self.totals.add, self.totals.dead
        part = split.parts[symbol - self.num_terminals]
        own = found[symbol]
        changed = False
        for option in part.options:
            head = find_head(option.symbols, split.heads)
            begin = 0 if option.production is None else self.totals.of_node(part.rule, option.production)
            sums = {begin: surcharge(part, head, split.literal_counts)} if begin != dead else {}
            for each in option.symbols:
                sums = join_needs(sums, found[each], add, dead)
            for total, tokens in sums.items():
                if tokens < own.get(total, tokens + 1):
                    own[total] = tokens
                    changed = True
        return changed


def join_needs(first: dict[int, int], second: dict[int, int], add: list[list[int]], dead: int) -> dict[int, int]:
    """Fewest tokens by total of two parts one after the other."""
    joined: dict[int, int] = {}
    for a, tokens in first.items():
        row = add[a]
        for b, more in second.items():
            total = row[b]
            if total != dead and tokens + more < joined.get(total, tokens + more + 1):
                joined[total] = tokens + more
    return joined


def surcharge(part: Part, head: int | None, literal_counts: Sequence[int]) -> int:
    """Tokens that an option costs beside its symbols.

    A labelled alternative and a stop cost one; a fused option pays with its first literal, which is free where it
    stands elsewhere if it is forced.
    """
    if part.kind is RuleKind.SPLICED:
        return 0
    if part.kind is RuleKind.ALTERNATIVE or head is None:
        return 1
    return 1 if head < len(literal_counts) and literal_counts[head] == 1 else 0


def _too_many_totals(counting: Sequence[Constraint], size: int) -> DslcError:
    *others, last = counting
    return DslcError(
        Diagnostic(
            Code.CONSTRAINTS_TOO_LARGE,
            Severity.ERROR,
            f"{' and '.join(f'`{constraint}`' for constraint in counting)} tell {size} totals apart, and {MAX_TOTALS} "
            "are the most",
            last.span,
            "count fewer names, or up to smaller numbers: their ranges are multiplied",
            labels=tuple(Label(other.span, "together with this") for other in others if other.span is not None),
        )
    )
