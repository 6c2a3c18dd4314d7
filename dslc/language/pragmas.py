"""The `//!` lines of a grammar file: what dslc adds to lark."""

from __future__ import annotations

from dataclasses import dataclass, field

from dslc.source import Span


@dataclass(frozen=True, slots=True)
class SizeClaim:
    """`size NUMBER [of RULE] [at INT tokens]`: holds when the exact count, rounded to the digits written, equals it."""

    text: str
    """The number as written, such as `6.3e16`."""
    start: str | None
    """The start that it is about; None means the default start."""
    at_tokens: int | None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Pragmas:
    """Everything that the `//!` lines of one file say."""

    target: str | None = None
    target_parameters: tuple[str, ...] = ()
    """Names in parentheses after the target, as in `generic(t, T)`."""
    starts: tuple[str, ...] = ("start",)
    """First is the default."""
    max_tokens: int | None = None
    sizes: tuple[SizeClaim, ...] = ()
    spans: dict[str, Span] = field(default_factory=dict, compare=False, repr=False)
    """Where each pragma stands, by its word (`target`, `max_tokens`, `start`)."""
