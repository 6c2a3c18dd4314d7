"""A grammar as data, in its two forms: as written (EBNF) and with a helper rule in each operator's place (BNF).

Positions are fields with `compare=False`, so two grammars read from differently laid out text are equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path

from dslc.language.pragmas import Pragmas
from dslc.source import SourceFile, Span


@dataclass(frozen=True, slots=True)
class Literal:
    """One string of a terminal; with `ignore_case` it is rendered as written and parsed in any spelling."""

    text: str
    ignore_case: bool = False
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Terminal:
    """A grammar symbol that denotes a finite set of strings.

    Anonymous terminals (a string written in a rule) carry the name that lark gives them (`LPAR`, `IF`, `__ANON_0`).
    """

    name: str
    literals: tuple[Literal, ...]
    """In order of writing, without repeats; regexes contribute their strings by length, then alphabetically."""
    is_anonymous: bool = False
    span: Span | None = field(default=None, compare=False, repr=False)
    is_regex: bool = False
    """Written as one regex, which lark keeps in the tree where it stands in a rule, and tells from an equal string."""

    @property
    def is_forced(self) -> bool:
        """True if there is one literal: rendered, never sampled unless it tells alternatives apart."""
        return len(self.literals) == 1


@dataclass(frozen=True, slots=True)
class TerminalUse:
    """A terminal in a rule; `is_kept` says whether lark keeps its token in the tree."""

    name: str
    is_kept: bool = True
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RuleUse:
    """A rule in a rule."""

    name: str
    span: Span | None = field(default=None, compare=False, repr=False)


Symbol = TerminalUse | RuleUse


# --- as written -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sequence:
    """Items one after the other; the empty sequence is the empty text."""

    items: tuple[Expression, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Group:
    """`( a | b )`: one of several expressions."""

    options: tuple[Expression, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Optional:
    """`item?`."""

    item: Expression
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Maybe:
    """`[item]`: like `item?`, but an absent item leaves `num_placeholders` Nones in the tree."""

    item: Expression
    num_placeholders: int
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Repetition:
    """`item*` (0, None), `item+` (1, None), `item~n..m` (n, m)."""

    item: Expression
    minimum: int
    maximum: int | None
    span: Span | None = field(default=None, compare=False, repr=False)


Expression = Symbol | Sequence | Group | Optional | Maybe | Repetition


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to write a rule, with its alias if it has one."""

    expression: Expression
    alias: str | None = None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as written."""

    name: str
    alternatives: tuple[Alternative, ...]
    keep_all_tokens: bool = False
    """Written `!rule`: anonymous tokens stay in the tree."""
    expand_single: bool = False
    """Written `?rule`: a node with one child and no alias is replaced by the child."""
    span: Span | None = field(default=None, compare=False, repr=False)
    template: str | None = None
    """The template that it is made from, by the name that its nodes have in trees."""


@dataclass(frozen=True)
class Grammar:
    """A grammar file as written, imports followed and templates written out.

    `str()` is `.lark` text. It reads back to an equal value unless templates or imported terminals are used, whose
    names, such as `list{item}` and `numbers__DIGIT`, no file can hold.
    """

    file: SourceFile = field(compare=False, repr=False)
    rules: tuple[Rule, ...]
    terminals: tuple[Terminal, ...]
    ignores_blank: bool
    """An ignored terminal matches one space, so rendering joins terminals with a space."""
    ignored: tuple[str, ...]
    """Sources of the ignored patterns, for printing and for the oracle."""
    pragmas: Pragmas = field(compare=False, repr=False)
    imports: tuple[SourceFile, ...] = field(default=(), compare=False, repr=False)
    """The files that were imported, those that come with lark left out."""

    def texts(self) -> dict[str, str]:
        """The text of the file, then of each file that it imports, by path from the folder of the file."""
        # By name, since a saved space keeps names but no folder.
        folder = Path(self.file.name).parent
        imported = {Path(file.name).relative_to(folder).as_posix(): file.text for file in self.imports}
        return {Path(self.file.name).name: self.file.text, **imported}

    def __str__(self) -> str:
        # The import stands here since printing reads the classes of this module.
        from dslc.language.print_grammar import print_grammar

        return print_grammar(self)


# --- BNF --------------------------------------------------------------------------------------------------------------


class HelperKind(Enum):
    """What a helper rule stands for."""

    OPTIONAL = "?"
    MAYBE = "[]"
    STAR = "*"
    PLUS = "+"
    REPEAT = "~"
    GROUP = "()"


@dataclass(frozen=True, slots=True)
class Production:
    """One alternative in BNF."""

    symbols: tuple[Symbol, ...]
    alias: str | None = None
    nones: tuple[int, ...] = ()
    """Placeholders: how many Nones stand before symbol i, and last how many at the end; empty means none at all."""
    choice: int = field(default=0, compare=False)
    """Index of the alternative as written, kept when unproductive alternatives are dropped."""
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class BnfRule:
    """A rule in BNF; a helper rule stands for one operator at one place of the file."""

    name: str
    """Unique; helpers are named after their rule, as in `__layer_star_0`."""
    productions: tuple[Production, ...]
    expand_single: bool = False
    helper: HelperKind | None = None
    stop_group: str | None = None
    """Helpers of one `~n..m` share a stop token: the name of the first of them. None: the rule's own name."""
    label: str = ""
    """As the user wrote it: `layer`, `layer*`, `("a"|"b")`; for messages and stop tokens."""
    span: Span | None = field(default=None, compare=False, repr=False)
    template: str | None = None
    """As in `Rule`."""

    @property
    def node_name(self) -> str:
        """What nodes of the rule are called in trees, where they have no alias."""
        return self.template or self.name

    @property
    def is_transparent(self) -> bool:
        """True if nodes of this rule are replaced by their children in the tree: helpers and `_rules`."""
        return self.helper is not None or self.name.startswith("_")


@dataclass(frozen=True, slots=True)
class NodeShape:
    """How a node of one production stands in parse trees, as lark shapes them."""

    name: str
    """The alias, or else the rule."""
    rule: str
    choice: int
    is_transparent: bool
    """The node is replaced by its children."""
    is_expanded: bool
    """The node is replaced by its child where it has just one: a `?rule` without alias."""
    num_symbols: int
    keeps: tuple[bool, ...]
    """For each symbol: False for a terminal that stands in no tree."""
    nones: tuple[int, ...]
    """As in `Production`."""
    is_arranged: bool
    """Some of the children are left out though they stand in other trees, or Nones are set between them."""


@dataclass(frozen=True)
class BnfGrammar:
    """A grammar in BNF: rules by name in order of writing, helpers right after the rule that holds them."""

    file: SourceFile = field(compare=False, repr=False)
    rules: tuple[BnfRule, ...]
    terminals: tuple[Terminal, ...]
    ignores_blank: bool = False

    @cached_property
    def rule_by_name(self) -> dict[str, BnfRule]:
        """Rules by name."""
        return {rule.name: rule for rule in self.rules}

    @cached_property
    def terminal_by_name(self) -> dict[str, Terminal]:
        """Terminals by name."""
        return {terminal.name: terminal for terminal in self.terminals}

    @cached_property
    def kept_terminals(self) -> frozenset[str]:
        """Names of the terminals that stand in trees, wherever that is."""
        productions = (production for rule in self.rules for production in rule.productions)
        symbols = (symbol for production in productions for symbol in production.symbols)
        return frozenset(symbol.name for symbol in symbols if isinstance(symbol, TerminalUse) and symbol.is_kept)

    @cached_property
    def node_shapes(self) -> dict[str, tuple[NodeShape, ...]]:
        """Of each rule by name, what nodes of its productions become."""
        return {rule.name: tuple(self._node_shape(rule, each) for each in rule.productions) for rule in self.rules}

    def _node_shape(self, rule: BnfRule, production: Production) -> NodeShape:
        keeps = tuple(isinstance(symbol, RuleUse) or symbol.is_kept for symbol in production.symbols)
        drops_kept = any(
            not is_kept and symbol.name in self.kept_terminals
            for symbol, is_kept in zip(production.symbols, keeps, strict=True)
        )
        return NodeShape(
            name=production.alias or rule.node_name,
            rule=rule.name,
            choice=production.choice,
            is_transparent=rule.is_transparent,
            is_expanded=rule.expand_single and not production.alias,
            num_symbols=len(keeps),
            keeps=keeps,
            nones=production.nones,
            is_arranged=drops_kept or any(production.nones),
        )

    @property
    def joiner(self) -> str:
        """What stands between two rendered terminals."""
        return " " if self.ignores_blank else ""

    def __str__(self) -> str:
        """One rule a line in BNF notation, helpers included; for people and golden files, not read back."""
        lines = []
        for rule in self.rules:
            texts = []
            for production in rule.productions:
                text = " ".join(symbol.name for symbol in production.symbols) or "<empty>"
                texts.append(f"{text} -> {production.alias}" if production.alias else text)
            lines.append(f"{rule.name}: " + " | ".join(texts))
        for terminal in self.terminals:
            lines.append(f"{terminal.name}: " + " | ".join(repr(literal.text) for literal in terminal.literals))
        return "\n".join(lines)
