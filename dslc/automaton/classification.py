"""What became of each rule: spliced in place, fused with its first token, made a list, or a labelled alternative.

The rules of a trimmed grammar are rewritten to *parts* without losing a derivation:

- A list rule (`x: x a1 | .. | x am | b1 | .. | bk` with x nowhere else, or the right form `x: y SEP x | y`) is `b
  (a)*`: its whole is the base followed by a tail, `more: <stop> | a more`; with k > 1 the base is a part of its own.
- A part with one option is *spliced*: it stands for its symbols and asks nothing.
- A part is *fused* where, after splicing, every option begins with a terminal or with a fused part that has no stop, at
  most one is empty (its token is `<stop rule>`), and all first tokens differ: option and first literal are one
  decision.
- Any other part is *alternative*: its options are the tokens `<rule#k>`, k the index of the alternative as written; the
  end of a list is always `<stop rule>`.

A symbol of a part is an integer: a terminal's index in the grammar, or the number of terminals + the part's index.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from dslc.automaton.tables import Token


class RuleKind(Enum):
    """What a rule became; `LIST` says nothing about its base and tail, which may be fused or alternative."""

    SPLICED = "spliced"
    FUSED = "fused"
    LIST = "list"
    ALTERNATIVE = "alternative"


class PartRole(Enum):
    """Which part of its rule: the whole, or for a list the base or the tail."""

    WHOLE = "whole"
    BASE = "base"
    MORE = "more"


STOP_CHOICE = -1
"""The choice of the option that ends a list: no alternative as written."""


@dataclass(frozen=True, slots=True)
class Option:
    """One way to fill a part."""

    symbols: tuple[int, ...]
    choice: int
    """Index of the alternative as written, or STOP_CHOICE."""
    actions: tuple[int, ...]
    """How to build the tree: a symbol to fill, or -1 - i for reduction i of the classification."""
    production: int | None = None
    """Production of the trimmed rule in whose node the symbols stand, the tail of a list excepted; None for a stop and
    for a list's whole that begins with its base: no node of their own."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """Joins the last `num_children` values into a node of `rule`."""

    rule: str
    production: int
    """Index into the productions of the trimmed rule."""
    num_children: int
    on_list: bool
    """A step of a list: the node begins where its first child begins."""


@dataclass(frozen=True, slots=True)
class Part:
    """A rule, or the base or tail of a list."""

    rule: str
    role: PartRole
    kind: RuleKind
    """SPLICED, FUSED or ALTERNATIVE."""
    options: tuple[Option, ...]
    option_by_token: dict[int, int]
    """Index of the option that a token takes; empty if spliced."""

    @property
    def name(self) -> str:
        """`rule`, `rule.base` or `rule.more`."""
        return self.rule if self.role is PartRole.WHOLE else f"{self.rule}.{self.role.value}"


@dataclass(frozen=True, slots=True)
class EncodingTables:
    """What writing the tokens of a derivation looks up."""

    symbol_by_terminal: dict[str, int]
    literal_ids: frozenset[int]
    """Tokens that are literals."""
    token_by_option: tuple[dict[int, int], ...]
    """[part] a token of each option; which of several literals does not matter."""
    step_by_production: dict[str, dict[int, int]]
    """Of each list: option of the tail that a production is a step of."""
    base_by_production: dict[str, dict[int, int]]
    """Of each left list: option of the base that a production is."""


@dataclass(frozen=True)
class Classification:
    """Kind of each rule, the parts, and the vocabulary."""

    start: int
    """Symbol of the start rule."""
    kind_by_rule: dict[str, RuleKind]
    parts: tuple[Part, ...]
    whole_by_rule: dict[str, int]
    """Symbol of a rule's whole part."""
    tail_by_rule: dict[str, int]
    """Symbol of a list's tail."""
    is_left_list: dict[str, bool]
    """Of each list, whether it is the left-recursive form."""
    reductions: tuple[Reduction, ...]
    vocabulary: tuple[Token, ...]
    literal_tokens: tuple[tuple[int, ...], ...]
    """Token ids of each terminal's literals, in order; empty where the terminal is never sampled."""
    fusion_order: tuple[int, ...]
    """Symbols of the fused parts, each after the parts that its options begin with."""
    splice_order: tuple[int, ...]
    """Symbols of the spliced parts, each after the parts that it holds."""
    heads: dict[int, int | None]
    """First terminal, fused or alternative part of a spliced part; None if its text is empty."""

    terminal_names: tuple[str, ...]
    """Names of the terminals, by symbol."""
    literal_counts: tuple[int, ...]
    """How many literals each terminal has."""

    @property
    def num_terminals(self) -> int:
        """Symbols below this are terminals."""
        return len(self.literal_tokens)

    @cached_property
    def encoding(self) -> EncodingTables:
        """Tables for writing tokens, made when first asked for."""
        steps: dict[str, dict[int, int]] = {}
        bases: dict[str, dict[int, int]] = {}
        for part in self.parts:
            if part.role is PartRole.WHOLE:
                continue
            table = (steps if part.role is PartRole.MORE else bases).setdefault(part.rule, {})
            for i, option in enumerate(part.options):
                if option.choice != STOP_CHOICE:
                    table.update({self.reductions[-1 - a].production: i for a in option.actions if a < 0})
        return EncodingTables(
            symbol_by_terminal={name: i for i, name in enumerate(self.terminal_names)},
            literal_ids=frozenset(token for ids in self.literal_tokens for token in ids),
            token_by_option=tuple({o: token for token, o in part.option_by_token.items()} for part in self.parts),
            step_by_production=steps,
            base_by_production=bases,
        )
