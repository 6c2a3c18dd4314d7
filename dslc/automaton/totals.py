"""How many nodes of each counted name a sentence has, as far as `at_most`, `at_least` and `ref` can tell totals apart.

A *total* is one integer: a count of all counted names together, and a stage of all that is referred to. Counts are
added: one that no limit tells from a larger one stays where it is, and one past its `at_most` gives the total DEAD,
whatever is added to it. What a sentence counts does not depend on the order, so the count of a part of a sentence says
all about it. What a part does to the stage depends on the stage that it begins with (see `dslc.automaton.stages`), so a
part has *ways* from each: what it adds to the count, together with the stage that it leads to, as one total.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import product
from math import prod

from dslc.automaton.classification import Classification, Option, Part, RuleKind
from dslc.automaton.classify import find_head
from dslc.automaton.stages import SAME, Stages, StageSteps
from dslc.diagnostics import Code, Diagnostic, DslcError, Label, Severity
from dslc.language.constraints import Constraint, ConstraintKind
from dslc.language.contexts import Visibility, find_visibility, undecided_error
from dslc.language.grammar import BnfGrammar

MAX_TOTALS = 64
"""Most totals: the product of the ranges of all counted names and of all that is referred to."""
Needs = list[dict[int, int]]
"""[stage before] fewest tokens of a part, by what it adds to the count and the stage after, as a total."""


class Totals:
    """The totals of a grammar under its `at_most`, `at_least` and `ref`, and what each node and literal adds."""

    def __init__(self, trimmed: BnfGrammar, start: str, constraints: Sequence[Constraint]) -> None:
        """Looks up what is counted.

        Raises:
            DslcError: DSLC332 if there are too many totals, with the constraints whose ranges multiply to it; DSLC221
            if it is not known before the content of a `?rule` whether its node counts; DSLC222 if a list that is to
            increase can stand inside another.
        """
        counting = [constraint for constraint in constraints if constraint.kind.is_counted]
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
        num_counts = prod(cap + 1 for cap in caps)
        self.stages = Stages(trimmed, start, constraints, MAX_TOTALS)
        self.num_stages = self.stages.size
        self.size = num_counts * self.num_stages
        """R: totals are 0 to R - 1, count * number of stages + stage, and R is DEAD."""
        if self.size > MAX_TOTALS:
            raise _too_many_totals([each for each in constraints if not each.kind.is_inherited], self.size)
        self.dead = self.size
        self.over = num_counts
        """The count of too much."""
        values = list(product(*(range(cap + 1) for cap in caps)))
        self._number = {value: i for i, value in enumerate(values)}
        is_hard = [i in most for i in range(len(caps))]

        def add(first: tuple[int, ...], second: tuple[int, ...]) -> int:
            total = []
            for a, b, cap, hard in zip(first, second, caps, is_hard, strict=True):
                if a + b > cap and hard:
                    return self.over
                total.append(min(a + b, cap))
            return self._number[tuple(total)]

        self.sums = [[add(first, second) for second in values] + [self.over] for first in values]
        """[counts + 1][counts + 1] sum of two counts."""
        self.sums.append([self.over] * (num_counts + 1))
        self.add = self._make_add()
        """[R + 1][R + 1] total of two parts one after the other: the sum of the counts, and the stage of the second."""
        self.accepts = [
            all(value[i] >= low for i, low in least.items()) for value in values for _ in range(self.num_stages)
        ]
        """[R] whether a whole sentence may have the total."""
        self._units = []
        for i, cap in enumerate(caps):
            one = tuple(min(1, cap) if i == j else 0 for j in range(len(caps)))
            self._units.append(self.over if cap == 0 and is_hard[i] else self._number[one])
        self._nodes = self._find_nodes(trimmed, counting)
        self._trimmed = trimmed

    def _make_add(self) -> list[list[int]]:
        if self.num_stages == 1:
            return self.sums
        totals = range(self.size)
        add = [
            [self.find(self.sums[a // self.num_stages][b // self.num_stages], b % self.num_stages) for b in totals]
            for a in totals
        ]
        return [*([*row, self.dead] for row in add), [self.dead] * (self.size + 1)]

    def find(self, count: int, stage: int) -> int:
        """The total of a count and a stage."""
        return self.dead if count == self.over or stage == self.stages.never else count * self.num_stages + stage

    def list_gains(self, count: int, step: int) -> list[int]:
        """[stage before] what adds to the count and changes the stage by a map, as a total; DEAD where it cannot be."""
        return [self.find(count, stage) for stage in self.stages.read(step)]

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
                total = self.sums[total][self._units[i]]
        return total

    def join(self, first: Needs, second: Needs) -> Needs:
        """Needs of two parts one after the other."""
        add, dead, num_stages = self.add, self.dead, self.num_stages
        joined: Needs = []
        for ways in first:
            own: dict[int, int] = {}
            for a, tokens in ways.items():
                row = add[a]
                for b, more in second[a % num_stages].items():
                    total = row[b]
                    if total != dead and tokens + more < own.get(total, tokens + more + 1):
                        own[total] = tokens + more
            joined.append(own)
        return joined

    def step(self, needs: Needs, number: int) -> Needs:
        """Needs of a part behind which the stage changes by a map."""
        if number == SAME:
            return needs
        after, num_stages = self.stages.read(number), self.num_stages
        changed: Needs = []
        for ways in needs:
            own: dict[int, int] = {}
            for total, tokens in ways.items():
                stage = after[total % num_stages]
                if stage != self.stages.never:
                    moved = total - total % num_stages + stage
                    own[moved] = min(tokens, own.get(moved, tokens))
            changed.append(own)
        return changed

    def step_before(self, needs: Needs, number: int) -> Needs:
        """Needs of a part before which the stage changes by a map."""
        return needs if number == SAME else [dict(needs[s]) if s < len(needs) else {} for s in self.stages.read(number)]

    def of_node(self, rule: str, production: int) -> int:
        """What a node of a production adds to the count, its content not counted."""
        return self._nodes[rule][production]

    def of_literal(self, terminal: str, text: str) -> int:
        """What a literal adds to the count."""
        return self._gain([s.name == terminal and s.literal in (None, text) for s in self.subjects])


class Gains:
    """What the parts of a classification add to the total, and the fewest tokens for each total that they can add."""

    def __init__(self, totals: Totals, split: Classification, trimmed: BnfGrammar, needs: Sequence[int]) -> None:
        self.totals = totals
        self.split = split
        self.num_terminals = split.num_terminals
        self.steps = StageSteps(totals.stages, split, trimmed)
        self._texts = {terminal.name: terminal.literals[0].text for terminal in trimmed.terminals}
        self._needs = needs
        # What a symbol without a choice of its own adds to the count; the others add nothing before they are filled.
        self.closed = [0] * (split.num_terminals + len(split.parts))
        for symbol, count in enumerate(split.literal_counts):
            if count == 1:
                name = split.terminal_names[symbol]
                self.closed[symbol] = totals.of_literal(name, self._texts[name])
        for symbol in split.splice_order:
            part = split.parts[symbol - split.num_terminals]
            if part.options:
                self.closed[symbol] = self._of_option(part, part.options[0])

    def _of_option(self, part: Part, option: Option) -> int:
        sums = self.totals.sums
        count = 0 if option.production is None else self.totals.of_node(part.rule, option.production)
        for symbol in option.symbols:
            count = sums[count][self.closed[symbol]]
        return count

    def of_choice(self, symbol: int, token: int) -> int:
        """What a token adds to the count that fills the slot of a symbol, with all that it leaves no choice about."""
        # A fused part looks at the token of the parts that it begins with; each adds its own.
        count = 0
        while True:
            if symbol < self.num_terminals:
                return self.totals.sums[count][self._of_token(token)]
            part = self.split.parts[symbol - self.num_terminals]
            option = part.options[part.option_by_token[token]]
            count = self.totals.sums[count][self._of_option(part, option)]
            if part.kind is not RuleKind.FUSED:
                return count
            head = find_head(option.symbols, self.split.heads)
            if head is None or (head < self.num_terminals and self.split.literal_counts[head] == 1):
                return count
            symbol = head

    def _of_token(self, token: int) -> int:
        literal = self.split.vocabulary[token]
        assert literal.terminal is not None, "a terminal is filled by a literal"
        assert literal.text is not None, "a literal has a text"
        return self.totals.of_literal(literal.terminal, literal.text)

    def start_needs(self, count: int, step: int, tokens: int) -> Needs:
        """Needs of what adds to the count and changes the stage by one map."""
        gains = self.totals.list_gains(count, step)
        return [{total: tokens} if total != self.totals.dead else {} for total in gains]

    @cached_property
    def needs(self) -> list[Needs]:
        """[symbol] fewest tokens that finish it, by what it adds to the total, what is certain included."""
        split, num_terminals, totals = self.split, self.num_terminals, self.totals
        found: list[Needs] = []
        for symbol, count in enumerate(split.literal_counts):
            if count == 1:
                found.append(self.start_needs(self.closed[symbol], self.steps.of_literal(symbol), 0))
                continue
            found.append([{} for _ in range(totals.num_stages)])
            for token in split.literal_tokens[symbol] if count else ():
                own = self.start_needs(self._of_token(token), self.steps.of_literal(symbol, token), 1)
                for all_ways, ways in zip(found[symbol], own, strict=True):
                    all_ways.update(ways)
        found += [[{} for _ in range(totals.num_stages)] for _ in split.parts]
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

    def _relax(self, symbol: int, found: list[Needs]) -> bool:
        """Prices the options of a part anew; whether one became cheaper."""
        split, totals = self.split, self.totals
        part = split.parts[symbol - self.num_terminals]
        changed = False
        for option in part.options:
            head = find_head(option.symbols, split.heads)
            begin = 0 if option.production is None else totals.of_node(part.rule, option.production)
            sums = self.start_needs(begin, SAME, surcharge(part, head, split.literal_counts))
            for item in self.steps.list_items(part, option):
                sums = totals.join(sums, found[item]) if item >= 0 else totals.step(sums, -1 - item)
            for own, ways in zip(found[symbol], sums, strict=True):
                for total, tokens in ways.items():
                    if tokens < own.get(total, tokens + 1):
                        own[total] = tokens
                        changed = True
        return changed


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
            "count fewer names, or up to smaller numbers: their ranges are multiplied"
            if any(each.kind.is_counted for each in counting)
            else "let literals name fewer nodes, or leave out `increasing`: the ranges are multiplied",
            labels=tuple(Label(other.span, "together with this") for other in others if other.span is not None),
        )
    )
