"""The syntax of a grammar file: statements and expressions exactly as written, names not looked up yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from dslc.source import Span


@dataclass(frozen=True, slots=True)
class Name:
    """A rule or terminal, by name."""

    text: str
    """The name by which it is known: for a name of an imported file that of lark, as in `numbers__digit`."""
    span: Span
    written: str = ""
    """The name as its file has it, where that is another."""

    @property
    def spelling(self) -> str:
        """The name as its file has it."""
        return self.written or self.text

    @property
    def is_terminal(self) -> bool:
        """Terminals are written in capitals."""
        return self.spelling.isupper()

    @property
    def is_kept(self) -> bool:
        """A terminal stands in trees unless its name begins with `_` where it is used."""
        return not self.spelling.startswith("_")


@dataclass(frozen=True, slots=True)
class Quoted:
    """A string or a regex."""

    value: str
    """The string, or the regex with lark's escapes resolved; empty if it was refused."""
    flags: str
    is_regex: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Range:
    """`"a".."z"`."""

    first: Quoted
    last: Quoted
    span: Span


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """`name{argument, ...}`; an argument is a name, a string, a regex, a range or another use of a template."""

    name: Name
    arguments: tuple[Item, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Row:
    """Items one after the other, with an alias where lark's syntax allows one."""

    items: tuple[Item, ...]
    span: Span
    alias: Name | None = None
    alias_span: Span | None = None
    """From the arrow to the end of the name."""


@dataclass(frozen=True, slots=True)
class Options:
    """Rows with bars between them: the body of a definition, or parentheses."""

    rows: tuple[Row, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Brackets:
    """`[a | b]`."""

    options: Options
    span: Span


@dataclass(frozen=True, slots=True)
class Operated:
    """`item?`, `item*`, `item+`, `item~n`, `item~n..m`."""

    item: Item
    operator: str
    minimum: int
    maximum: int | None
    span: Span
    operator_span: Span
    """The operator with its numbers."""


Item = Name | Quoted | Range | TemplateUse | Options | Brackets | Operated


@dataclass(frozen=True, slots=True)
class RuleStatement:
    """`?name{parameters}.priority: body`."""

    name: Name
    modifiers: str
    body: Options
    span: Span
    parameters: tuple[Name, ...] = ()
    priority_span: Span | None = None


@dataclass(frozen=True, slots=True)
class TerminalStatement:
    """`NAME.priority: body`."""

    name: Name
    body: Options
    span: Span
    priority_span: Span | None = None


@dataclass(frozen=True, slots=True)
class IgnoreStatement:
    """`%ignore body`."""

    body: Options
    span: Span


@dataclass(frozen=True, slots=True)
class ImportStatement:
    """`%import library.NAME -> ALIAS` or `%import library (NAME, ...)`."""

    library: tuple[str, ...]
    is_relative: bool
    names: tuple[Name, ...]
    aliases: tuple[Name, ...]
    """What each name is called here."""
    path_span: Span
    span: Span


class Change(Enum):
    """What a statement does to a rule or terminal that is there already."""

    OVERRIDE = "%override"
    """Put another body in its place."""
    EXTEND = "%extend"
    """Put more alternatives before its own."""


@dataclass(frozen=True, slots=True)
class ChangeStatement:
    """`%override` or `%extend` before a rule or a terminal."""

    change: Change
    statement: RuleStatement | TerminalStatement
    span: Span


@dataclass(frozen=True, slots=True)
class DeclareStatement:
    """`%declare NAME ...`."""

    names: tuple[Name, ...]
    span: Span


Statement = RuleStatement | TerminalStatement | IgnoreStatement | ImportStatement | ChangeStatement | DeclareStatement


def walk_items(options: Options) -> Iterator[Item]:
    """All items of a body, arguments of templates too, in order of writing, outer before inner; not the body itself."""
    stack: list[Item] = [item for row in reversed(options.rows) for item in reversed(row.items)]
    while stack:
        item = stack.pop()
        yield item
        match item:
            case Options(rows) | Brackets(Options(rows)):
                stack.extend(inner for row in reversed(rows) for inner in reversed(row.items))
            case Operated(inner):
                stack.append(inner)
            case TemplateUse(_, arguments):
                stack.extend(reversed(arguments))
            case _:
                pass


def walk_rows(options: Options) -> Iterator[Row]:
    """All rows of a body and of the groups in it."""
    yield from options.rows
    for item in walk_items(options):
        match item:
            case Options(rows) | Brackets(Options(rows)):
                yield from rows
            case _:
                pass


def only_item(options: Options) -> Item | None:
    """The item of a body that is a single item and nothing else."""
    if len(options.rows) == 1 and len(options.rows[0].items) == 1:
        return options.rows[0].items[0]
    return None
