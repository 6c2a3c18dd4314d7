"""Brute force over small grammars: every derivation with at most so many decisions, as trees, and the tokens of each.

Nothing here uses dslc. A grammar is plain data: rules as lists of alternatives, an alternative a list of items, an item

    "name"            a rule            "NAME"                 a terminal          '"x"'     a string written in the
    rule ("?", item)       item?             ("*", item)            item*               ("+", item)    item+ ("~", item,
    1, 3) item~1..3         ("[]", [item, ..])     [item ..]           ("()", [[item, ..], ..])    (.. | ..)

It is printed as `.lark` text for the compiler and for lark, and expanded here to alternatives of symbols, a helper in
the place of each operator. Which rules are fused or lists, and so what a decision is, is written here a second time,
naively.

A tree is (rule, alternative, children); a leaf is (terminal, literal). Token labels are tuples: ("literal", terminal,
text), ("stop", group), ("alternative", group, choice).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import product
from typing import Any

Item = Any
Tree = tuple[Any, ...]
Label = tuple[Any, ...]
Symbols = tuple[str, ...]


@dataclass
class PlainGrammar:
    """A grammar as data; the rule `start` is the start."""

    rules: dict[str, list[list[Item]]]
    terminals: dict[str, list[str]]
    ignores_blank: bool = False
    aliases: dict[tuple[str, int], str] = field(default_factory=dict)
    """Of some alternatives, by rule and index."""
    inlined: set[str] = field(default_factory=set)
    """Rules written `?rule`."""
    pragmas: list[str] = field(default_factory=list)
    """`//!` lines without the mark."""
    bnf: dict[str, list[Symbols]] = field(init=False)
    """Alternatives of symbols, helpers included, as written: nothing is dropped."""
    group: dict[str, str] = field(init=False)
    """Helpers of one `~` share the name of the first of them."""
    absent: dict[str, int] = field(init=False)
    """Of the helper of brackets, how many placeholders stand for what is absent: its second alternative."""

    def __post_init__(self) -> None:
        self.bnf, self.group, self.absent = {}, {}, {}
        for name, alternatives in self.rules.items():
            self.bnf[name] = []
            self.bnf[name].extend(self._expand(alternative) for alternative in alternatives)

    # --- text -------------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The grammar as a `.lark` file."""
        lines = [f"//! {pragma}" for pragma in self.pragmas]
        for name, alternatives in self.rules.items():
            texts = []
            for choice, items in enumerate(alternatives):
                alias = self.aliases.get((name, choice))
                texts.append(" ".join([*map(_print_item, items), *(["->", alias] if alias else [])]))
            lines.append(("?" if name in self.inlined else "") + f"{name}: " + " | ".join(texts))
        for name, literals in self.terminals.items():
            lines.append(f"{name}: " + " | ".join(f'"{literal}"' for literal in literals))
        if self.ignores_blank:
            lines.append('%ignore " "')
        return "\n".join(line.rstrip() for line in lines) + "\n"

    # --- operators --------------------------------------------------------------------------------------------------

    def _new_helper(self) -> str:
        name = f"helper_{len(self.bnf)}"
        self.bnf[name] = []
        self.group[name] = name
        return name

    def _expand(self, items: list[Item]) -> Symbols:
        return tuple(symbol for item in items for symbol in self._expand_item(item))

    def _expand_item(self, item: Item) -> Symbols:
        if isinstance(item, str):
            return (item,)
        operator = item[0]
        if operator == "()" and len(item[1]) == 1:
            return self._expand(list(item[1][0]))
        if operator == "~":
            return self._expand_repeat(item)
        helper = self._new_helper()
        if operator == "()":
            self.bnf[helper] = [self._expand(alternative) for alternative in item[1]]
        elif operator == "[]":
            self.bnf[helper] = [self._expand(item[1]), ()]
            self.absent[helper] = sum(map(_count_placeholders, item[1]))
        elif operator == "?":
            self.bnf[helper] = [self._expand_item(item[1]), ()]
        elif operator == "*":
            self.bnf[helper] = [(*self._expand_item(item[1]), helper), ()]
        else:
            assert operator == "+"
            star = self._new_helper()
            once_more = (*self._expand_item(item[1]), star)
            self.bnf[helper] = [once_more]
            self.bnf[star] = [once_more, ()]
        return (helper,)

    def _expand_repeat(self, item: Item) -> Symbols:
        _, inner, minimum, maximum = item
        helpers = [self._new_helper() for _ in range(maximum - minimum)]
        once = self._expand_item(inner)
        for i, helper in enumerate(helpers):
            self.group[helper] = helpers[0]
            following = (helpers[i + 1],) if i + 1 < len(helpers) else ()
            self.bnf[helper] = [(*once, *following), ()]
        return (*(once * int(minimum)), *helpers[:1])

    # --- what is kept -----------------------------------------------------------------------------------------------

    @cached_property
    def productive(self) -> set[str]:
        """Rules that derive a text."""
        found: set[str] = set()
        while True:
            more = {
                name
                for name, alternatives in self.bnf.items()
                if any(all(s not in self.bnf or s in found for s in symbols) for symbols in alternatives)
            }
            if more == found:
                return found
            found = more

    @cached_property
    def kept(self) -> dict[str, list[tuple[int, Symbols]]]:
        """Productive alternatives of the rules reached from the start, each with its index as written."""
        kept: dict[str, list[tuple[int, Symbols]]] = {}
        pending = ["start"] if "start" in self.productive else []
        while pending:
            name = pending.pop()
            if name in kept:
                continue
            kept[name] = [
                (choice, symbols)
                for choice, symbols in enumerate(self.bnf[name])
                if all(s not in self.bnf or s in self.productive for s in symbols)
            ]
            pending.extend(s for _, symbols in kept[name] for s in symbols if s in self.bnf)
        return kept

    def literals(self, terminal: str) -> list[str]:
        """Texts of a terminal; a string written in a rule is its own terminal with one text."""
        return [terminal[1:-1]] if terminal.startswith('"') else self.terminals[terminal]


def _count_placeholders(item: Item) -> int:
    """How many placeholders an absent item leaves, in the words of lark.

    One for each name that would stay in the tree, of alternatives as many as the one with most; a repetition without an
    end leaves none.
    """
    if isinstance(item, str):
        return 0 if item.startswith(('"', "_")) else 1
    operator, inner = item[0], item[1]
    if operator in ("*", "+"):
        return 0
    if operator == "()":
        return max(sum(map(_count_placeholders, items)) for items in inner)
    if operator == "[]":
        return sum(map(_count_placeholders, inner))
    return _count_placeholders(inner) * (item[3] if operator == "~" else 1)


def _print_item(item: Item) -> str:
    if isinstance(item, str):
        return item
    operator = item[0]
    if operator == "[]":
        return "[" + " ".join(map(_print_item, item[1])) + "]"
    if operator == "()":
        return "(" + " | ".join(" ".join(map(_print_item, items)) for items in item[1]) + ")"
    inner = _print_item(item[1])
    if operator == "~":
        return f"{inner}~{item[2]}..{item[3]}" if item[2] != item[3] else f"{inner}~{item[2]}"
    return f"{inner}{operator}"


# --- what a decision is -----------------------------------------------------------------------------------------------


class Decisions:
    """Which rules ask what.

    Written from the words: a directly left-recursive rule, and the right form `x: y SEP x | y`, is the list `b a*`; a
    rule with one alternative asks nothing; where after splicing every alternative begins with a terminal, or a fused
    rule without stop, at most one is empty and all first tokens differ, rule and first literal are one decision; else
    the alternative is a token of its own.
    """

    def __init__(self, grammar: PlainGrammar, no_lists: Collection[str] = ()) -> None:
        self.grammar = grammar
        self.lists = {
            name: shape
            for name in grammar.kept
            if (shape := self.list_shape(name)) is not None and name not in no_lists
        }
        # What is asked about: a rule, or of a list `name:base` and `name:more`.
        self.ways: dict[str, list[tuple[Label | None, Symbols]]] = {}
        """Label of each way if it is asked for openly, and what it is made of."""
        for name, alternatives in grammar.kept.items():
            group = grammar.group.get(name, name)
            if name not in self.lists:
                self.ways[name] = [(("alternative", group, choice), symbols) for choice, symbols in alternatives]
                continue
            bases, steps = self.lists[name]
            self.ways[name] = [(None, (f"{name}:base", f"{name}:more"))]
            self.ways[f"{name}:base"] = [(("alternative", group, choice), symbols) for choice, symbols in bases]
            self.ways[f"{name}:more"] = [(("stop", group), ())] + [
                (("alternative", group, choice), (*symbols, f"{name}:more")) for choice, symbols in steps
            ]
        self.fused: dict[str, set[Label]] = {}
        """First tokens of each fused rule."""
        self.has_stop: dict[str, bool] = {}
        while self._fuse_more():
            pass

    def list_shape(self, name: str) -> tuple[list[tuple[int, Symbols]], list[tuple[int, Symbols]]] | None:
        """(bases, steps) of a list, None otherwise."""
        alternatives = self.grammar.kept[name]
        steps = [(choice, symbols[1:]) for choice, symbols in alternatives if symbols[:1] == (name,)]
        bases = [(choice, symbols) for choice, symbols in alternatives if symbols[:1] != (name,)]
        if steps and bases and not any(name in symbols for _, symbols in steps + bases):
            return bases, steps
        if len(alternatives) == 2:
            (choice, short), (long_choice, long) = sorted(alternatives, key=lambda pair: len(pair[1]))
            if short and name not in short and long[: len(short)] == short and long[len(short) :][-1:] == (name,):
                step = long[len(short) : -1] + short
                if name not in step:
                    return [(choice, short)], [(long_choice, step)]
        return None

    def is_right_list(self, name: str) -> bool:
        """Whether a list is the right form: its one step's alternative does not begin with itself."""
        ((choice, _), *_rest) = self.lists[name][1]
        return dict(self.grammar.kept[name])[choice][0] != name

    def _spliced(self, symbols: Symbols) -> Symbols:
        result: list[str] = []
        for symbol in symbols:
            ways = self.ways.get(symbol)
            result.extend(self._spliced(ways[0][1]) if ways is not None and len(ways) == 1 else [symbol])
        return tuple(result)

    def _fuse_more(self) -> bool:
        changed = False
        for unit, ways in self.ways.items():
            if unit in self.fused or len(ways) == 1:
                continue
            firsts: list[Label] = []
            for _, symbols in ways:
                spliced = self._spliced(symbols)
                if not spliced:
                    firsts.append(("stop", self.group_of(unit)))
                elif spliced[0] not in self.ways:
                    firsts.extend(("literal", spliced[0], text) for text in self.grammar.literals(spliced[0]))
                elif spliced[0] in self.fused and not self.has_stop[spliced[0]]:
                    firsts.extend(self.fused[spliced[0]])
                else:
                    break
            else:
                if len(set(firsts)) == len(firsts):
                    self.fused[unit] = set(firsts)
                    self.has_stop[unit] = any(label[0] == "stop" for label in firsts)
                    changed = True
        return changed

    def group_of(self, unit: str) -> str:
        """Name under which the stops and alternatives of a rule go."""
        name = unit.split(":")[0]
        return self.grammar.group.get(name, name)

    def price(self, unit: str, way: int) -> int:
        """Decisions that a way costs beside its parts.

        The first literal of a fused way counts even if it is the only one.
        """
        ways = self.ways[unit]
        if len(ways) == 1:
            return 0
        if unit not in self.fused:
            return 1
        spliced = self._spliced(ways[way][1])
        if not spliced:
            return 1
        return 1 if spliced[0] not in self.ways and len(self.grammar.literals(spliced[0])) == 1 else 0


# --- enumeration ------------------------------------------------------------------------------------------------------


class Derivations:
    """All derivations of a grammar, by their exact number of decisions."""

    def __init__(self, grammar: PlainGrammar, no_lists: Collection[str] = ()) -> None:
        self.grammar = grammar
        self.decisions = Decisions(grammar, no_lists)
        self.count_sequence = cache(self._count_sequence)
        self.count_unit = cache(self._count_unit)

    # Parses are made of units first: (unit, way, children); lists become trees of the grammar as written afterwards.

    def _count_unit(self, unit: str, cost: int) -> int:
        if unit not in self.decisions.ways:
            literals = len(self.grammar.literals(unit))
            return literals if cost == (0 if literals == 1 else 1) else 0
        return sum(
            self.count_sequence(symbols, cost - self.decisions.price(unit, way))
            for way, (_, symbols) in enumerate(self.decisions.ways[unit])
        )

    def _count_sequence(self, symbols: Symbols, cost: int) -> int:
        if cost < 0:
            return 0
        if not symbols:
            return int(cost == 0)
        # The last symbol's cost is fixed by the others', from the left so that a cycle costs before it turns.
        return sum(
            first * self.count_sequence(symbols[1:], cost - spent)
            for spent in range(cost + 1)
            if self._can_cost(symbols[1:], cost - spent) and (first := self.count_unit(symbols[0], spent))
        )

    def _can_cost(self, symbols: Symbols, cost: int) -> bool:
        """Whether `cost` is at least what the symbols need, so that no part is asked for more than it can get."""
        return cost >= sum(self.least[symbol] for symbol in symbols)

    @cached_property
    def least(self) -> dict[str, int]:
        """Fewest decisions of each symbol, by repeated relaxation."""
        symbols = {s for ways in self.decisions.ways.values() for _, body in ways for s in body}
        least = {s: (0 if len(self.grammar.literals(s)) == 1 else 1) for s in symbols if s not in self.decisions.ways}
        unknown = 10**9
        least |= dict.fromkeys(self.decisions.ways, unknown)
        changed = True
        while changed:
            changed = False
            for unit, ways in self.decisions.ways.items():
                for way, (_, body) in enumerate(ways):
                    cost = self.decisions.price(unit, way) + sum(least[s] for s in body)
                    if cost < least[unit]:
                        least[unit], changed = cost, True
        return least

    def count(self, cost: int) -> int:
        """Number of derivations with exactly `cost` decisions."""
        return self.count_unit("start", cost)

    def trees(self, cost: int) -> Iterator[Tree]:
        """Derivations with exactly `cost` decisions, as trees of the grammar as written."""
        for parse in self._parses("start", cost):
            yield self.to_tree(parse)

    def _parses(self, unit: str, cost: int) -> Iterator[Tree]:
        if unit not in self.decisions.ways:
            for literal in range(self.count_unit(unit, cost)):
                yield (unit, literal)
            return
        for way, (_, symbols) in enumerate(self.decisions.ways[unit]):
            for children in self._parse_sequence(symbols, cost - self.decisions.price(unit, way)):
                yield (unit, way, children)

    def _parse_sequence(self, symbols: Symbols, cost: int) -> Iterator[tuple[Tree, ...]]:
        if not symbols:
            if cost == 0:
                yield ()
            return
        for spent in range(cost + 1):
            if not self._can_cost(symbols[1:], cost - spent):
                continue
            if self.count_unit(symbols[0], spent) and self.count_sequence(symbols[1:], cost - spent):
                for first, rest in product(
                    self._parses(symbols[0], spent), list(self._parse_sequence(symbols[1:], cost - spent))
                ):
                    yield (first, *rest)

    def to_tree(self, parse: Tree) -> Tree:
        """The tree of the grammar as written: lists are nested again."""
        if len(parse) == 2:
            return parse
        unit, way, children = parse
        if unit not in self.decisions.lists:
            choice = self.grammar.kept[unit][way][0]
            return (unit, choice, tuple(map(self.to_tree, children)))
        bases, steps = self.decisions.lists[unit]
        (_, base_way, base), more = children
        items = []
        while more[2]:
            items.append((more[1] - 1, tuple(map(self.to_tree, more[2][:-1]))))
            more = more[2][-1]
        first = tuple(map(self.to_tree, base))
        if not self.decisions.is_right_list(unit):
            tree: Tree = (unit, bases[base_way][0], first)
            for step, content in items:
                tree = (unit, steps[step][0], (tree, *content))
            return tree
        flat = [*first, *(child for _, content in items for child in content)]
        width = len(bases[0][1])
        separator = len(steps[0][1]) - width
        tree = (unit, bases[0][0], tuple(flat[len(flat) - width :]))
        del flat[len(flat) - width :]
        while flat:
            begin = len(flat) - width - separator
            tree = (unit, steps[0][0], (*flat[begin:], tree))
            del flat[begin:]
        return tree

    # Token labels are written by walking the tree as written.

    def labels(self, tree: Tree) -> tuple[Label, ...]:
        """The tokens of a derivation."""
        labels: list[Label] = []
        self._walk(tree, labels, is_first=False)
        return tuple(labels)

    def _walk(self, tree: Tree, labels: list[Label], *, is_first: bool) -> bool:
        """Writes the labels of a subtree; whether a fused decision above still waits for its first literal."""
        if len(tree) == 2:
            terminal, literal = tree
            literals = self.grammar.literals(terminal)
            if is_first or len(literals) > 1:
                labels.append(("literal", terminal, literals[literal]))
            return False
        name, choice, children = tree
        if name in self.decisions.lists:
            return self._walk_list(tree, labels, is_first=is_first)
        way = [index for index, _ in self.grammar.kept[name]].index(choice)
        is_first = self._announce(name, way, labels, is_first=is_first)
        for child in children:
            is_first = self._walk(child, labels, is_first=is_first)
        return is_first

    def _walk_list(self, tree: Tree, labels: list[Label], *, is_first: bool) -> bool:
        name = tree[0]
        bases, steps = self.decisions.lists[name]
        step_of_choice = {choice: step for step, (choice, _) in enumerate(steps)}
        is_right = self.decisions.is_right_list(name)
        items: list[tuple[int, tuple[Tree, ...]]] = []  # steps in reading order
        if is_right:
            width = len(bases[0][1])
            base_way, base = 0, tree[2][:width]
            while tree[1] in step_of_choice:
                inner = tree[2][-1]
                items.append((0, (*tree[2][width:-1], *inner[2][:width])))
                tree = inner
        else:
            while tree[1] in step_of_choice:
                items.insert(0, (step_of_choice[tree[1]], tree[2][1:]))
                tree = tree[2][0]
            base_way = [choice for choice, _ in bases].index(tree[1])
            base = tree[2]
        is_first = self._announce(f"{name}:base", base_way, labels, is_first=is_first)
        for child in base:
            is_first = self._walk(child, labels, is_first=is_first)
        for step, content in items:
            assert not is_first, "a tail never begins a fused rule"
            is_first = self._announce(f"{name}:more", step + 1, labels, is_first=False)
            for child in content:
                is_first = self._walk(child, labels, is_first=is_first)
        self._announce(f"{name}:more", 0, labels, is_first=False)
        return False

    def _announce(self, unit: str, way: int, labels: list[Label], *, is_first: bool) -> bool:
        ways = self.decisions.ways[unit]
        if len(ways) == 1:
            return is_first
        if unit not in self.decisions.fused:
            label = ways[way][0]
            assert label is not None
            assert not is_first
            labels.append(label)
            return False
        if not self.decisions._spliced(ways[way][1]):
            labels.append(("stop", self.decisions.group_of(unit)))
            return False
        return True

    def sentence(self, tree: Tree) -> tuple[str, ...]:
        """The texts of a derivation's leaves."""
        if len(tree) == 2:
            return (self.grammar.literals(tree[0])[tree[1]],)
        return tuple(text for child in tree[2] for text in self.sentence(child))

    def leaves(self, tree: Tree) -> tuple[str, ...]:
        """The terminals of a derivation with their texts, as one string each."""
        if len(tree) == 2:
            return (f"{tree[0]}.{tree[1]}",)
        return tuple(leaf for child in tree[2] for leaf in self.leaves(child))


# --- properties -------------------------------------------------------------------------------------------------------


def properties(grammar: PlainGrammar) -> set[str]:
    """Which of `left-recursive`, `nullable`, `unit-cyclic`, `not LL(1)` a trimmed grammar is."""
    kept = grammar.kept
    nullable: set[str] = set()
    first: dict[str, set[str]] = {name: set() for name in kept}
    follow: dict[str, set[str]] = {name: set() for name in kept}
    follow["start"].add("$")

    def first_of(symbols: Symbols) -> tuple[set[str], bool]:
        found: set[str] = set()
        for symbol in symbols:
            if symbol not in kept:
                return found | set(grammar.literals(symbol)), False
            found |= first[symbol]
            if symbol not in nullable:
                return found, False
        return found, True

    before = -1
    while before != (before := sum(map(len, (*first.values(), *follow.values()))) + len(nullable)):
        for name, alternatives in kept.items():
            for _, symbols in alternatives:
                firsts, empty = first_of(symbols)
                first[name] |= firsts
                if empty:
                    nullable.add(name)
                for i, symbol in enumerate(symbols):
                    if symbol in kept:
                        rest, rest_empty = first_of(symbols[i + 1 :])
                        follow[symbol] |= rest | (follow[name] if rest_empty else set())
    found: set[str] = set()
    if nullable:
        found.add("nullable")
    corners: dict[str, set[str]] = {name: set() for name in kept}
    units: dict[str, set[str]] = {name: set() for name in kept}
    for name, alternatives in kept.items():
        for _, symbols in alternatives:
            for symbol in symbols:
                if symbol not in kept:
                    break
                corners[name].add(symbol)
                if symbol not in nullable:
                    break
            for i, symbol in enumerate(symbols):
                if symbol in kept and all(s in nullable for s in (*symbols[:i], *symbols[i + 1 :])):
                    units[name].add(symbol)
        choices: Counter[str] = Counter()
        for _, symbols in alternatives:
            firsts, empty = first_of(symbols)
            choices.update(firsts | (follow[name] if empty else set()))
        if any(number > 1 for number in choices.values()):
            found.add("not LL(1)")
    if _has_cycle(corners):
        found.add("left-recursive")
    if _has_cycle(units):
        found.add("unit-cyclic")
    return found


def _has_cycle(edges: dict[str, set[str]]) -> bool:
    for root in edges:
        reached: set[str] = set()
        pending = list(edges[root])
        while pending:
            name = pending.pop()
            if name == root:
                return True
            if name not in reached:
                reached.add(name)
                pending.extend(edges[name])
    return False
