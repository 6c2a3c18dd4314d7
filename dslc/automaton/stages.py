"""What `ref` has to know while a sentence is read from left to right: the stage.

A *stage* is one integer for all of it: how many nodes of each name that is referred to are finished, as far as literals
can tell, and for each terminal whose lists increase its last literal in the list that is open. A finished node and a
literal of such a terminal each change the stage, as a *map*: stage before to stage after, NEVER_STAGE where a literal
names what is not finished yet. Maps are numbered; 0 is the map that changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

from dslc.automaton.classification import Classification, Option, Part, PartRole
from dslc.automaton.increasing import Lists, find_lists
from dslc.language.constraints import Constraint, ConstraintKind
from dslc.language.contexts import Visibility, find_visibility, undecided_error
from dslc.language.grammar import BnfGrammar

StageMap = tuple[int, ...]
"""[stages] the stage after, by the one before."""
SAME = 0
"""Number of the map that changes nothing."""
_Value = tuple[int, ...]
"""Finished nodes of each name, then the place of the last literal of each increasing terminal, 0 for none."""


class Stages:
    """The stages of a grammar under its `ref` lines, and how its nodes and literals change them."""

    def __init__(self, trimmed: BnfGrammar, start: str, constraints: Sequence[Constraint], limit: int) -> None:
        """Looks up what is referred to.

        Args:
            trimmed: The grammar.
            start: Its start rule.
            constraints: All of them; those that are no `ref` are not looked at.
            limit: Most stages for which maps are made; with more, only `size` is known.

        Raises:
            DslcError: DSLC222 if a list that is to increase can stand inside another, DSLC221 if it is not known before
            the content of a `?rule` whether its node is finished or holds a list.
        """
        references = [each for each in constraints if each.kind is ConstraintKind.REF]
        literals = {
            terminal.name: [(literal.text, int(literal.text)) for literal in terminal.literals]
            for terminal in trimmed.terminals
            if any(each.subject.name == terminal.name for each in references)
        }
        self._references = [each for each in references if each.subject.name in literals]
        caps: dict[str, int] = {}
        for each in self._references:
            assert each.outer is not None, "a reference names nodes"
            furthest = max(number for _, number in literals[each.subject.name]) - each.number + 1
            caps[each.outer.name] = max(furthest, caps.get(each.outer.name, 0))
        self._names = list(caps)
        increasing = [each for each in self._references if each.is_increasing]
        numbers = [sorted({number for _, number in literals[each.subject.name]}) for each in increasing]
        self._caps = [*caps.values(), *(len(each) for each in numbers)]
        self.size = prod(cap + 1 for cap in self._caps)
        self._values: list[_Value] = []
        self.never = self.size
        """Stands for no stage."""
        self._maps: list[StageMap] = []
        self._number_of_map: dict[StageMap, int] = {}
        if self.size > limit:
            return
        self._values = list(product(*(range(cap + 1) for cap in self._caps)))
        self._stage_of = {value: stage for stage, value in enumerate(self._values)}
        self._find_map(tuple(range(self.size)))
        visibility = find_visibility(trimmed)
        lists = [find_lists(trimmed, start, visibility, each) for each in increasing]
        self._of_node = self._map_nodes(trimmed, visibility, lists)
        self._begins = self._map_begins(lists)
        self._of_literal = {
            (name, text): self._map_literal(name, number, increasing, numbers)
            for name, texts in literals.items()
            for text, number in texts
        }

    # --- maps -----------------------------------------------------------------------------------------------------

    def _find_map(self, after: StageMap) -> int:
        number = self._number_of_map.get(after)
        if number is None:
            number = self._number_of_map[after] = len(self._maps)
            self._maps.append(after)
        return number

    def read(self, number: int) -> StageMap:
        """The map of a number."""
        return self._maps[number]

    def join(self, first: int, second: int) -> int:
        """Number of one map after another."""
        if first == SAME or second == SAME:
            return first or second
        then = (*self._maps[second], self.never)
        return self._find_map(tuple([then[stage] for stage in self._maps[first]]))

    def of_node(self, rule: str, production: int) -> int:
        """What the end of a node changes."""
        return self._of_node.get((rule, production), SAME)

    def of_begin(self, rule: str, production: int) -> int:
        """What the beginning of a node changes."""
        return self._begins.get((rule, production), SAME)

    def of_literal(self, terminal: str, text: str) -> int:
        """What a literal changes."""
        return self._of_literal.get((terminal, text), SAME)

    # --- nodes and literals -----------------------------------------------------------------------------------------

    def _map_nodes(
        self, trimmed: BnfGrammar, visibility: dict[str, list[Visibility]], lists: Sequence[Lists]
    ) -> dict[tuple[str, int], int]:
        maps = {}
        for rule in trimmed.rules:
            for i, (shape, seen) in enumerate(zip(trimmed.node_shapes[rule.name], visibility[rule.name], strict=True)):
                names = {shape.name, shape.rule}
                named = [each for each in self._references if each.outer and each.outer.name in names]
                if named and seen is Visibility.UNDECIDED:
                    raise undecided_error(named[0], rule.name)
                if seen is not Visibility.SHOWN:
                    continue
                finishes = [name in names for name in self._names]
                closes = [(rule.name, i) in each.nodes for each in lists]
                if any(finishes) or any(closes):
                    maps[rule.name, i] = self._map_node(finishes, closes)
        return maps

    def _map_begins(self, lists: Sequence[Lists]) -> dict[tuple[str, int], int]:
        """Where lists stand inside one another, each begins anew."""
        begins = {}
        for node in {node for each in lists if each.are_nested for node in each.nodes}:
            opens = [each.are_nested and node in each.nodes for each in lists]
            begins[node] = self._map_node([False] * len(self._names), opens)
        return begins

    def _map_node(self, finishes: list[bool], closes: list[bool]) -> int:
        def after(value: _Value) -> _Value:
            finished, last = value[: len(finishes)], value[len(finishes) :]
            more = [min(n + step, cap) for n, step, cap in zip(finished, finishes, self._caps, strict=False)]
            return (*more, *(0 if is_closed else place for place, is_closed in zip(last, closes, strict=True)))

        return self._find_map(tuple([self._stage_of[after(value)] for value in self._values]))

    def _map_literal(self, terminal: str, number: int, increasing: list[Constraint], numbers: list[list[int]]) -> int:
        least = {
            self._names.index(each.outer.name): number - each.number + 1
            for each in self._references
            if each.subject.name == terminal and each.outer is not None
        }
        places = {
            len(self._names) + i: numbers[i].index(number) + 1
            for i, each in enumerate(increasing)
            if each.subject.name == terminal
        }

        def after(value: _Value) -> int:
            is_finished = all(value[i] >= n for i, n in least.items())
            if not is_finished or any(value[i] >= place for i, place in places.items()):
                return self.never
            return self._stage_of[tuple([places.get(i, n) for i, n in enumerate(value)])]

        return self._find_map(tuple([after(value) for value in self._values]))


class StageSteps:
    """What the parts of a classification change, in reading order."""

    def __init__(self, stages: Stages, split: Classification, trimmed: BnfGrammar) -> None:
        self.stages = stages
        self._split = split
        self._rules = trimmed.rule_by_name
        self._texts = {terminal.name: terminal.literals[0].text for terminal in trimmed.terminals}
        self._of_reduction = [stages.of_node(each.rule, each.production) for each in split.reductions]

    def of_literal(self, symbol: int, token: int | None = None) -> int:
        """What a literal of a terminal changes; without a token, the only one that it has."""
        name = self._split.terminal_names[symbol]
        text = self._texts[name] if token is None else self._split.vocabulary[token].text
        assert text is not None, "a terminal is filled by a literal"
        return self.stages.of_literal(name, text)

    def list_items(self, part: Part, option: Option) -> tuple[int, ...]:
        """What an option of a part is made of, in reading order: symbols, and -1 - m for map m."""
        items = []
        begin = self._find_begin(part, option)
        # An item of a right list belongs to the node behind its separator.
        place = self._separator_length(part) if begin != SAME else 0
        for i, action in enumerate(option.actions):
            if i == place and begin != SAME:
                items.append(-1 - begin)
            if action >= 0:
                items.append(action)
            elif self._of_reduction[-1 - action] != SAME:
                items.append(-1 - self._of_reduction[-1 - action])
        return tuple(items)

    def _find_begin(self, part: Part, option: Option) -> int:
        """What the beginning of the node changes in which the option's symbols stand, or may stand."""
        if option.production is None:
            return SAME
        productions = [option.production]
        if not self._split.is_left_list.get(part.rule, True):  # it is not known yet which node the first item is of
            productions = [0, 1]
        begin = SAME
        for production in productions:
            begin = self.stages.join(begin, self.stages.of_begin(part.rule, production))
        return begin

    def _separator_length(self, part: Part) -> int:
        if part.role is not PartRole.MORE or self._split.is_left_list[part.rule]:
            return 0
        item, longer = sorted(len(each.symbols) for each in self._rules[part.rule].productions)
        return longer - 1 - item
