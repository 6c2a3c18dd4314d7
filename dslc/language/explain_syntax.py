"""What is probably meant where a grammar file does not follow lark's syntax."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """A message for a syntax error, what to do, and a better place than where the parser stopped, if there is one."""

    message: str
    help: str
    start: int | None = None
    end: int | None = None


_BAD_NAME = re.compile(r"[A-Za-z_][\w]*(?:-[A-Za-z0-9_]+)*")


def explain_syntax(text: str, offset: int, expected: frozenset[str]) -> Explanation:
    """Why the parser stopped at `offset`, where it expected one of lark's terminals `expected`.

    Example:
        >>> explain_syntax("start: 'a'", 7, frozenset()).message
        'strings are written in double quotes'
    """
    rest = text[offset:]
    line_start = text.rfind("\n", 0, offset) + 1
    before = text[line_start:offset]
    first = rest[:1]
    if not rest.strip():
        return _explain_end(text)
    if first == "'":
        closed = re.match(r"'[^'\n]*'", rest)
        advice = f'write `"{closed.group()[1:-1]}"`' if closed else 'write `"text"`'
        return Explanation("strings are written in double quotes", advice, offset, offset + (closed.end() if closed else 1))
    if first == '"':
        return Explanation("the string is not closed", 'add `"` at its end, or write `\\"` for a quote inside it')
    if first == "/":
        return Explanation("the regex is not closed", "add `/` at its end, or write `\\/` for a slash inside it")
    return Explanation(f"unexpected `{first}`", "see the syntax of lark")


def _explain_end(text: str) -> Explanation:
    return Explanation("the file ends in the middle of a rule", "finish the rule", len(text.rstrip()) - 1 if text.strip() else 0)
