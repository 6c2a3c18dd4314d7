"""Random small grammars as plain data, with what the compiler makes of them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from dslc.automaton.derivation import Derivation, Scanned
from dslc.automaton.lower import Lowering, lower_grammar
from dslc.automaton.tables import Token, TokenKind
from dslc.diagnostics import Code, DslcError, Severity
from dslc.language.analyze import analyze_grammar
from dslc.language.grammar import BnfGrammar, RuleUse
from dslc.language.normalize import normalize_grammar
from dslc.language.read import read_grammar
from dslc.source import SourceFile
from tests.oracle_derivations import Item, Label, PlainGrammar, Tree

LITERALS = ("a", "b", "c", "d", "e", "f")
STRINGS = ('"x"', '"y"', '"("')


def random_grammar(seed: int, *, operators: bool) -> PlainGrammar:
    """1 to 4 rules of 1 to 3 alternatives of up to 3 items, over 1 to 3 terminals and strings.

    Rules lean towards what is hard: recursion on the left and alone, empty alternatives, lists. What lark refuses for
    colliding optionals is drawn anew.
    """
    generator = random.Random(seed)
    while True:
        grammar = _draw_grammar(generator, operators)
        if not operators or not collides(grammar):
            return grammar


def collides(grammar: PlainGrammar) -> bool:
    """Whether lark refuses a grammar for optionals that leave the same symbols."""
    try:
        read_grammar(SourceFile("random.lark", grammar.text()))
    except DslcError as error:
        errors = {found.code for found in error.diagnostics if found.severity is Severity.ERROR}
        if errors == {Code.COLLIDING_OPTIONALS}:
            return True
        raise
    return False


def _draw_grammar(generator: random.Random, operators: bool) -> PlainGrammar:
    names = ["start", "p", "q", "r"][: generator.randint(1, 4)]
    pool = list(LITERALS)
    terminals: dict[str, list[str]] = {}
    for name in ("A", "B", "C")[: generator.randint(1, 3)]:
        size = generator.choice((1, 1, 2, 2, 3))
        literals = generator.sample(pool, min(size, len(pool)))
        pool = [text for text in pool if text not in literals]
        if literals:
            terminals[name] = literals
    atoms = [*terminals, *terminals, *STRINGS]

    def item(depth: int = 0) -> Item:
        if operators and depth < 2 and generator.random() < 0.25:
            operator = generator.choice(("?", "*", "+", "~", "[]", "()"))
            if operator == "[]":
                return ("[]", [item(depth + 1) for _ in range(generator.randint(1, 2))])
            group = ("()", [[item(depth + 1)] for _ in range(generator.choice((1, 2, 2)))])
            if operator == "()":
                return group
            inner = generator.choice((generator.choice(atoms), generator.choice(names), group))
            if operator == "~":
                minimum = generator.randint(0, 2)
                return ("~", inner, minimum, minimum + generator.randint(0 if minimum else 1, 2))
            return (operator, inner)
        return generator.choice(names) if generator.random() < 0.45 else generator.choice(atoms)

    rules: dict[str, list[list[Item]]] = {}
    for name in names:
        alternatives: list[list[Item]] = []
        for _ in range(generator.randint(1, 3)):
            shape = generator.random()
            items = [item() for _ in range(generator.choice((0, 1, 1, 2, 2, 3)))]
            if shape < 0.12:
                items = [name, *items[:2]]  # left-recursive
            elif shape < 0.2:
                items = [generator.choice(names)]  # alone
            elif shape < 0.26 and alternatives and alternatives[-1]:
                separator = [generator.choice(atoms)] if generator.random() < 0.5 else []
                items = [*alternatives[-1], *separator, name]  # the right form of a list
            if items not in alternatives:
                alternatives.append(items)
        rules[name] = alternatives
    if not any(all(isinstance(s, str) and s not in rules for s in items) for items in rules["start"]):
        rules["start"].append([generator.choice(list(terminals))])
    return PlainGrammar(rules, terminals, ignores_blank=generator.random() < 0.5)


@dataclass(frozen=True)
class Compiled:
    """What dslc makes of a plain grammar, with names translated to the oracle's."""

    lowering: Lowering
    rule_names: dict[str, str]
    """From a rule of the BNF to the oracle's."""
    group_of: dict[str, str]

    def label(self, token: Token) -> Label:
        """A token as the oracle writes it."""
        if token.kind is TokenKind.LITERAL:
            assert token.terminal is not None
            return ("literal", self.terminal_name(token.terminal), token.text)
        assert token.rule is not None
        name = self.rule_names[token.rule]
        group = self.group_of.get(name, name)
        if token.kind is TokenKind.STOP:
            return ("stop", group)
        return ("alternative", group, int(token.label.rstrip(">").rsplit("#", 1)[1]))

    def terminal_name(self, name: str) -> str:
        """A terminal as the oracle names it."""
        terminal = self.lowering.bnf.terminal_by_name[name]
        return f'"{terminal.literals[0].text}"' if terminal.is_anonymous else name

    def tree(self, node: Derivation | Scanned) -> Tree:
        """A derivation as the oracle writes it."""
        if isinstance(node, Scanned):
            return (self.terminal_name(node.terminal), node.literal)
        production = self.lowering.bnf.rule_by_name[node.rule].productions[node.production]
        return (self.rule_names[node.rule], production.choice, tuple(self.tree(child) for child in node.children))


def compile_plain(grammar: PlainGrammar, max_budget: int) -> Compiled:
    """The automaton of a plain grammar, read from its text."""
    bnf, lowering = lower_text(grammar.text(), max_budget)
    return Compiled(lowering, match_rules(bnf, grammar), grammar.group)


def lower_text(text: str, max_budget: int, start: str = "start") -> tuple[BnfGrammar, Lowering]:
    """The BNF of a grammar text as written, and its automaton."""
    written, _ = read_grammar(SourceFile("random.lark", text))
    bnf = normalize_grammar(written)
    facts = analyze_grammar(bnf, start)
    return bnf, lower_grammar(facts, max_budget=max_budget, constraints=written.pragmas.constraints)


def match_rules(bnf: BnfGrammar, grammar: PlainGrammar) -> dict[str, str]:
    """Which rule of the BNF is which of the oracle's: both are walked from the start at once."""
    names = {"start": "start"}
    pending = ["start"]
    while pending:
        name = pending.pop()
        productions = bnf.rule_by_name[name].productions
        alternatives = grammar.bnf[names[name]]
        assert len(productions) == len(alternatives), grammar.text()
        for production, symbols in zip(productions, alternatives, strict=True):
            assert len(production.symbols) == len(symbols), grammar.text()
            for symbol, other in zip(production.symbols, symbols, strict=True):
                if isinstance(symbol, RuleUse):
                    if symbol.name not in names:
                        pending.append(symbol.name)
                    assert names.setdefault(symbol.name, other) == other, grammar.text()
    return names
