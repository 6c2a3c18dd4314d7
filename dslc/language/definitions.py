"""What grammar files define, by name: their syntax, not yet the rules of a Grammar."""

from __future__ import annotations

from dataclasses import dataclass, field

from dslc.language.syntax import Name, Options
from dslc.source import Span


@dataclass(frozen=True, slots=True)
class RuleDefinition:
    """A rule, or with parameters a template."""

    name: str
    body: Options
    keep_all_tokens: bool
    expand_single: bool
    span: Span
    """Its name."""
    parameters: tuple[str, ...] = ()
    template: str | None = None
    """The name that the template has in its file: lark gives it to the nodes of every rule made from it."""
    extension_sizes: tuple[int, ...] = ()
    """How many of the first rows were put there by each `%extend`, the last of them first."""


@dataclass(frozen=True, slots=True)
class TerminalDefinition:
    """A terminal, or an ignored pattern (named as lark does, `__IGNORE_0`)."""

    name: str
    body: Options
    span: Span
    """Its name; of a terminal that comes with lark the place of the import."""
    place: Span | None
    """Where the main file names it; None if it came along with something that was imported."""
    is_library: bool = False
    """It comes with lark."""

    @property
    def is_ignored_pattern(self) -> bool:
        """True for a pattern written in `%ignore`."""
        return self.name.startswith("__IGNORE_")


@dataclass(frozen=True, slots=True)
class Definitions:
    """What a file defines, in lark's order: what is imported first, then as written."""

    rules: dict[str, RuleDefinition] = field(default_factory=dict)
    templates: dict[str, RuleDefinition] = field(default_factory=dict)
    terminals: dict[str, TerminalDefinition] = field(default_factory=dict)
    parts: dict[str, TerminalDefinition] = field(default_factory=dict)
    """Terminals of imported files that terminals are made of, and that rules cannot use."""
    declared: dict[str, Name] = field(default_factory=dict)
    """What `%declare` names and nothing defines."""
    ignored: list[Name] = field(default_factory=list)
    """Names of ignored terminals."""
    prioritized: list[tuple[Name, Span]] = field(default_factory=list)
    """Rules and terminals with a priority, and where that stands."""
    refused: set[str] = field(default_factory=set)
    """Names that refused statements would have defined: using them is not an error of its own."""
    broken: set[str] = field(default_factory=set)
    """Terminals with a part that was refused: they are not expanded."""

    def find(self, name: str) -> RuleDefinition | TerminalDefinition | Name | None:
        """What a name stands for."""
        return self.rules.get(name) or self.templates.get(name) or self.terminals.get(name) or self.declared.get(name)

    @property
    def all_rules(self) -> tuple[RuleDefinition, ...]:
        """Rules, then templates."""
        return (*self.rules.values(), *self.templates.values())

    @property
    def all_terminals(self) -> tuple[TerminalDefinition, ...]:
        """Terminals that rules can use, then those that only terminals are made of."""
        return (*self.terminals.values(), *self.parts.values())
