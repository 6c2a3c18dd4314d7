"""Small grammars as plain data, with what tests of parsing and ambiguity compare against; nothing here uses dslc's
own code beyond its nouns.

A grammar is written one rule a line, alternatives between bars, `"x"` for a literal, capitals for a terminal:

    start: start "+" item | item
    item: N | "(" start ")"
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from lark import Lark, Token, Tree
from lark.visitors import CollapseAmbiguities

from dslc.language.grammar import BnfGrammar, BnfRule, Literal, Production, RuleUse, Terminal, TerminalUse
from dslc.source import SourceFile

Shape = Any
"""A tree as nested tuples: (rule, production, child, …) and (terminal, literal index)."""


@dataclass(frozen=True)
class PlainGrammar:
    """Rules by name (the first is the start) and terminals by name."""

    rules: dict[str, tuple[tuple[str, ...], ...]]
    terminals: dict[str, tuple[str, ...]]
    ignores_blank: bool = False

    @property
    def start(self) -> str:
        return next(iter(self.rules))

    @cached_property
    def bnf(self) -> BnfGrammar:
        rules = []
        for name, alternatives in self.rules.items():
            productions = [
                Production(
                    tuple(RuleUse(s) if s in self.rules else TerminalUse(s) for s in symbols), choice=choice, alias=None
                )
                for choice, symbols in enumerate(alternatives)
            ]
            rules.append(BnfRule(name, tuple(productions), label=name))
        terminals = [
            Terminal(name, tuple(Literal(text) for text in literals), is_anonymous=name.startswith('"'))
            for name, literals in self.terminals.items()
        ]
        return BnfGrammar(SourceFile("plain.lark", ""), tuple(rules), tuple(terminals), self.ignores_blank)

    @cached_property
    def lark_names(self) -> dict[str, str]:
        names = {name: f"r{number}" for number, name in enumerate(self.rules)}
        return names | {name: f"T{number}" for number, name in enumerate(self.terminals)}

    @cached_property
    def lark(self) -> Lark:
        """The same grammar for lark's Earley parser: every alternative has an alias, every terminal stays in the
        tree.
        """
        names = self.lark_names
        lines = []
        for name, alternatives in self.rules.items():
            texts = [
                f"{' '.join(names[s] for s in symbols)} -> {names[name]}_{k}" for k, symbols in enumerate(alternatives)
            ]
            lines.append(f"{names[name]}: " + " | ".join(texts))
        for name, literals in self.terminals.items():
            lines.append(f"{names[name]}: " + " | ".join(f'"{text}"' for text in literals))
        if self.ignores_blank:
            lines.append('%ignore " "')
        return Lark(
            "\n".join(lines),
            parser="earley",
            lexer="dynamic_complete",
            ambiguity="explicit",
            maybe_placeholders=True,
            start=names[self.start],
        )

    def lark_trees(self, text: str) -> set[Shape]:
        """Every tree that lark finds, as shapes."""
        rule_by_alias = {
            f"{self.lark_names[name]}_{k}": (name, k) for name, rules in self.rules.items() for k in range(len(rules))
        }
        terminal_by_name = {lark_name: name for name, lark_name in self.lark_names.items()}

        def shape(node: Any) -> Shape:
            if isinstance(node, Token):
                terminal = terminal_by_name[node.type]
                return (terminal, self.terminals[terminal].index(str(node)))
            assert isinstance(node, Tree)
            return (*rule_by_alias[node.data], *(shape(child) for child in node.children))

        return {shape(tree) for tree in CollapseAmbiguities().transform(self.lark.parse(text))}


def plain_grammar(text: str, *, ignores_blank: bool = False, **terminals: str) -> PlainGrammar:
    """A grammar from the notation above; terminals are given as texts between blanks."""
    rules: dict[str, tuple[tuple[str, ...], ...]] = {}
    found: dict[str, tuple[str, ...]] = {}
    for line in text.strip().splitlines():
        name, body = line.split(":", 1)
        rules[name.strip()] = tuple(tuple(part.split()) for part in body.split("|"))
        for symbol in body.replace("|", " ").split():
            if symbol.startswith('"'):
                found[symbol] = (symbol.strip('"'),)
    return PlainGrammar(rules, found | {name: tuple(value.split()) for name, value in terminals.items()}, ignores_blank)


def random_grammar(generator: random.Random, *, max_rules: int = 4, overlapping: bool = False) -> PlainGrammar:
    """A random grammar of 1 to `max_rules` rules, each productive and reachable."""
    pool = ("a", "b", "ab", "ba", "aa") if overlapping else ("a", "b", "c", "d")
    while True:
        names = [f"s{number}" for number in range(generator.randint(1, max_rules))]
        terminals: dict[str, tuple[str, ...]] = {}
        for number in range(generator.randint(1, 3)):
            terminals[f"A{number}"] = tuple(generator.sample(pool, generator.randint(1, 3 if overlapping else 2)))
        rules = {}
        for name in names:
            alternatives: list[tuple[str, ...]] = []
            for _ in range(generator.randint(1, 3)):
                symbols = tuple(
                    generator.choice(names) if generator.random() < 0.5 else generator.choice(list(terminals))
                    for _ in range(generator.choice((0, 1, 1, 2, 2, 3)))
                )
                if symbols not in alternatives:
                    alternatives.append(symbols)
            rules[name] = tuple(alternatives)
        trimmed = _trim(rules)
        if trimmed:
            used = {symbol for alternatives in trimmed.values() for symbols in alternatives for symbol in symbols}
            return PlainGrammar(trimmed, {name: value for name, value in terminals.items() if name in used})


def _trim(rules: dict[str, tuple[tuple[str, ...], ...]]) -> dict[str, tuple[tuple[str, ...], ...]]:
    productive: set[str] = set()
    while True:
        more = {
            name
            for name, alternatives in rules.items()
            if any(all(s in productive or s not in rules for s in symbols) for symbols in alternatives)
        }
        if more == productive:
            break
        productive = more
    start = next(iter(rules))
    kept = {
        name: tuple(symbols for symbols in alternatives if all(s in productive or s not in rules for s in symbols))
        for name, alternatives in rules.items()
        if name in productive
    }
    reached: set[str] = set()
    work = [start] if start in kept else []
    while work:
        name = work.pop()
        if name not in reached:
            reached.add(name)
            work.extend(s for symbols in kept[name] for s in symbols if s in kept)
    return {name: alternatives for name, alternatives in kept.items() if name in reached}


def is_cyclic(grammar: PlainGrammar) -> bool:
    """Whether some rule derives just itself, by closing the relation "derives exactly"."""
    nullable: set[str] = set()
    for _ in grammar.rules:
        nullable |= {name for name, alts in grammar.rules.items() if any(all(s in nullable for s in a) for a in alts)}
    pairs = {
        (name, symbol)
        for name, alternatives in grammar.rules.items()
        for symbols in alternatives
        for place, symbol in enumerate(symbols)
        if symbol in grammar.rules and all(s in nullable for s in symbols[:place] + symbols[place + 1 :])
    }
    for _ in grammar.rules:
        pairs |= {(a, d) for a, b in pairs for c, d in pairs if b == c}
    return any(a == b for a, b in pairs)


def is_rendered(grammar: PlainGrammar, text: str) -> bool:
    """Whether a text is what some derivation is rendered as, not just a text that can be read."""
    return count_trees(grammar, text, whole_words=True) > 0


def count_trees(grammar: PlainGrammar, text: str, *, most: int = 2, whole_words: bool = False) -> int:
    """Number of derivation trees of a text, at most `most`: the least fixpoint of the counts of all spans.

    With `whole_words` and ignored blanks, a terminal must be all that stands between two blanks.
    """
    places = range(len(text) + 1)
    counts: dict[tuple[str, int, int], int] = {}

    def stands(literal: str, begin: int) -> bool:
        if whole_words and grammar.ignores_blank:
            around = text[max(0, begin - 1) : begin] + text[begin + len(literal) :][:1]
            return text.startswith(literal, begin) and not around.strip(" ")
        return text.startswith(literal, begin)

    def spans(symbols: tuple[str, ...], begin: int) -> Iterator[tuple[int, int]]:
        if not symbols:
            yield begin, 1
            return
        symbol = symbols[0]
        middles: list[tuple[int, int]] = []
        if symbol in grammar.rules:
            middles = [(end, counts.get((symbol, begin, end), 0)) for end in places if end >= begin]
        else:
            starts = [begin]
            while grammar.ignores_blank and text[starts[-1] : starts[-1] + 1] == " ":
                starts.append(starts[-1] + 1)
            for literal in grammar.terminals[symbol]:
                middles += [(s + len(literal), 1) for s in starts if stands(literal, s)]
        for middle, ways in middles:
            if ways:
                for end, others in spans(symbols[1:], middle):
                    yield end, ways * others

    while True:
        before = dict(counts)
        for name, alternatives in grammar.rules.items():
            for begin in places:
                found: dict[int, int] = {}
                for symbols in alternatives:
                    for end, ways in spans(symbols, begin):
                        found[end] = min(most, found.get(end, 0) + ways)
                for end, ways in found.items():
                    counts[name, begin, end] = ways
        if before == counts:
            ends = [e for e in places if e == len(text) or (grammar.ignores_blank and not text[e:].strip(" "))]
            return min(most, sum(counts.get((grammar.start, 0, end), 0) for end in ends))


def texts_up_to(grammar: PlainGrammar, num_terminals: int) -> list[str]:
    """Every text made of at most so many literals of the grammar, each once, with the joiner between them."""
    literals = sorted({text for literals in grammar.terminals.values() for text in literals})
    joiner = " " if grammar.ignores_blank else ""
    found: dict[str, None] = {}
    for length in range(num_terminals + 1):
        for words in product(literals, repeat=length):
            found[joiner.join(words)] = None
    return list(found)
