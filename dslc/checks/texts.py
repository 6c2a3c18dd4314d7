"""Texts that a reader can take for others: shared by terminals, run together, or spelt in other ways."""

from __future__ import annotations

from collections.abc import Iterator

from dslc.diagnostics import Code, Diagnostic, Label, Severity
from dslc.language.atoms import used_terminals
from dslc.language.grammar import Literal, Terminal
from dslc.language.run_together import RunTogether, find_run_together
from dslc.language.shared_texts import SharedText, find_shared_texts
from dslc.source import Span
from dslc.space import Space


def check_texts(space: Space) -> Iterator[Diagnostic]:
    """Warnings for terminals that share a text, for literals that run together, for spellings that are only read."""
    trimmed = space.compilation.facts.trimmed
    for shared in find_shared_texts(trimmed, space.start):
        yield _describe_shared(shared)
    for found in find_run_together(trimmed, space.start):
        yield _describe_run_together(found)
    for terminal in used_terminals(trimmed):
        for literal in terminal.literals:
            if literal.ignore_case and literal.text.lower() != literal.text.upper():
                yield Diagnostic(
                    Code.ONE_SPELLING,
                    Severity.WARNING,
                    f"{_name(terminal, literal)} is rendered as `{literal.text}` only; its other spellings are read",
                    span=_place(terminal, literal),
                    help="write it without `i`, or list the spellings that are to be sampled: each is a token",
                )


def _describe_shared(shared: SharedText) -> Diagnostic:
    first, second = shared.first, shared.second
    one, other = _name(first, shared.of_first), _name(second, shared.literal)
    place = "there" if shared.before is None else f"after `{shared.before}`" if shared.before else "at the beginning"
    text = shared.literal.text
    first_place = _place(first, shared.of_first)
    return Diagnostic(
        Code.SHARED_TEXT,
        Severity.WARNING,
        f"{one} and {other} both read `{text}`, and both can stand {place}",
        span=_place(second, shared.literal),
        help="both are kept, as two tokens; give one of them another text, or use one terminal for both",
        labels=(Label(first_place, "the same text"),) if first_place is not None else (),
    )


def _describe_run_together(found: RunTogether) -> Diagnostic:
    shorter, longer, name = found.literal.text, found.longer.text, found.terminal.name
    refused = " and refuses the sentence" if found.is_refused else ""
    return Diagnostic(
        Code.RUN_TOGETHER,
        Severity.WARNING,
        f"in `{found.text}`, `{shorter}` runs together with what follows: lark's default lexer reads the longer "
        f"`{longer}` of `{name}`{refused}",
        span=_place(found.terminal, found.literal),
        help='read sentences with `lexer="dynamic_complete"`, or part them: `%ignore " "`, or a string between them',
    )


def _name(terminal: Terminal, literal: Literal) -> str:
    return f'`"{literal.text}"`' if terminal.is_anonymous else f"`{terminal.name}`"


def _place(terminal: Terminal, literal: Literal) -> Span | None:
    return literal.span or terminal.span
