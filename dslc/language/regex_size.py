"""How much work a regex is, before and while it becomes a finite automaton."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from interegular import fsm

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.patterns import Regex
from dslc.limits import Limit

_PARTS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|\{\d*,?\d*\}|.", re.DOTALL)
_CHARACTER = r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)|[^\\]"
_RANGE = re.compile(rf"({_CHARACTER})-(?=[^\]])({_CHARACTER})", re.DOTALL)


def refuse_large_regex(pattern: Regex) -> None:
    """Nothing, or DslcError (DSLC113) for a regex that is nested too deeply or too long when it is written out.

    Example:
        >>> refuse_large_regex(Regex("(a|b){1000}"))
        >>> refuse_large_regex(Regex("((a|b){99}){99}"))
        Traceback (most recent call last):
        dslc.diagnostics.DslcError: error[DSLC113]: a regex has more than 2,000 parts when it is written out
        help: build it from several terminals in a rule; or raise the limit `regex_parts`: DSLC_LIMIT_REGEX_PARTS=4000
        note: docs/diagnostics.md#dslc113
    """
    # Parts of each open group, and of its last item, which a repetition multiplies.
    sizes, last, spanned = [0], 0, 0
    for part in _PARTS.findall(pattern.source):
        if part == "(":
            sizes.append(0)
            last = 0
            if len(sizes) - 1 > Limit.NESTING.number:
                _refuse(pattern, f"nests more than {Limit.NESTING.number} deep", Limit.NESTING)
        elif part == ")":
            last = sizes.pop() if len(sizes) > 1 else 0
            sizes[-1] += last
        elif part[0] == "{" and len(part) > 2:
            copies = max([1, *(min(int(number[:9]), 10**9) for number in re.findall(r"\d+", part))])
            sizes[-1] += last * (copies - 1)
            last *= copies
        elif part not in "?*+|":
            last = 1
            sizes[-1] += 1
            if part[0] == "[":
                spanned += sum(_width(found) for found in _RANGE.finditer(part[1:]))
        if max(sum(sizes), len(sizes)) > Limit.REGEX_PARTS.number:
            _refuse(
                pattern,
                f"has more than {Limit.REGEX_PARTS.number:,} parts when it is written out",
                Limit.REGEX_PARTS,
            )
        if spanned > Limit.REGEX_CHARACTERS.number:
            _refuse(
                pattern,
                f"has ranges of more than {Limit.REGEX_CHARACTERS.number:,} characters",
                Limit.REGEX_CHARACTERS,
            )


def _width(found: re.Match[str]) -> int:
    first, last = (_code_point(found.group(side)) for side in (1, 2))
    return max(0, last - first + 1)


def _code_point(text: str) -> int:
    if len(text) > 2:
        return int(text[2:], 16)
    return ord(text[-1])


@contextmanager
def count_steps(pattern: Regex) -> Iterator[None]:
    """While it is open, interegular compares states no more often than the limit; DslcError (DSLC113) if it would.

    A regex of few parts can have very many states, such as `(a|b)*a(a|b){30}`; interegular compares each with all
    before it and has no limit of its own.
    """
    crawl: Callable[..., Any] = fsm.crawl
    left = limit = Limit.REGEX_STEPS.number

    def counted_crawl(alphabet: Any, initial: Any, final: Callable[[Any], bool], follow: Any) -> Any:
        num_states = 0

        def counted_final(state: Any) -> bool:  # asked once of each state
            nonlocal left, num_states
            num_states += 1
            size = len(state) if isinstance(state, dict | frozenset | tuple) else 1
            left -= (num_states + 10 * size) * len(alphabet.by_transition)
            if left < 0:
                _refuse(pattern, f"takes more than {limit:,} steps to become a finite automaton", Limit.REGEX_STEPS)
            return final(state)

        return crawl(alphabet, initial, counted_final, follow)

    fsm.crawl = counted_crawl
    try:
        yield
    finally:
        fsm.crawl = crawl


def _refuse(pattern: Regex, what: str, limit: Limit) -> None:
    raise DslcError(
        Diagnostic(
            Code.TERMINAL_TOO_LARGE,
            Severity.ERROR,
            f"a regex {what}",
            pattern.span,
            limit.advise("build it from several terminals in a rule"),
        )
    )
