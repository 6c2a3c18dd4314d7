"""What a terminal matches, as written: strings, regexes, and operators over them."""

from __future__ import annotations

from dataclasses import dataclass, field

from dslc.source import Span


@dataclass(frozen=True, slots=True)
class Text:
    """`"text"` or `"text"i`."""

    text: str
    ignore_case: bool = False
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Regex:
    """`/regex/flags`, escapes resolved as lark does."""

    source: str
    flags: str = ""
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CharacterRange:
    """`"a".."z"`."""

    first: str
    last: str
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """Another terminal."""

    name: str
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Patterns one after the other."""

    items: tuple[Pattern, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several patterns."""

    options: tuple[Pattern, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Repeat:
    """`item?` (0, 1), `item*` (0, None), `item+` (1, None), `item~n..m` (n, m)."""

    item: Pattern
    minimum: int
    maximum: int | None
    span: Span | None = field(default=None, compare=False, repr=False)


Pattern = Text | Regex | CharacterRange | Reference | Concatenation | Choice | Repeat
