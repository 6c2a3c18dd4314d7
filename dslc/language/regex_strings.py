"""From a regex to the finite set of strings that it matches, by way of a finite automaton.

`\\d`, `\\w` and `\\s` mean the ASCII characters.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache

from interegular import parse_pattern
from interegular.fsm import FSM, State, TransitionKey, anything_else
from interegular.patterns import InvalidSyntax, Unsupported

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.patterns import Regex
from dslc.language.regex_size import count_steps, refuse_large_regex

_PARTS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|.", re.DOTALL)
"""Classes, escapes and single characters of a valid regex."""
_LOOKAROUNDS = ("(?=", "(?!", "(?<=", "(?<!")
_REFUSED_FLAGS = {"x": "blanks and comments inside the regex", "l": "the machine's locale"}
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


def list_regex(pattern: Regex, limit: int) -> tuple[str, ...] | None:
    """All strings that a finite regex matches, by length, then alphabetically; None if there are more than `limit`.

    Raises:
        DslcError: DSLC110 for a regex that is not valid, DSLC111 for one that cannot be listed.

    Example:
        >>> list_regex(Regex("a|b?c"), 100)
        ('a', 'c', 'bc')
    """
    automaton = _automaton(pattern)
    transitions = _live_transitions(automaton)
    characters: dict[TransitionKey, list[str]] = {}
    is_open: set[TransitionKey] = set()
    for character, key in automaton.alphabet.items():
        # `anything_else` stands for the rest of Unicode: past any limit.
        if character is anything_else:
            is_open.add(key)
        else:
            characters.setdefault(key, []).append(str(character))
    found: list[str] = []
    layer = [("", automaton.initial)] if automaton.initial in transitions else []
    while layer:
        found.extend(sorted(text for text, state in layer if state in automaton.finals))
        following: list[tuple[str, State]] = []
        for text, state in layer:
            for key, target in transitions[state]:
                if key in is_open:
                    return None
                following.extend((text + character, target) for character in characters[key])
            # Each of these leads to a string of its own, so there are never more of them than strings.
            if len(following) > limit:
                return None
        if len(found) > limit:
            return None
        layer = following
    matcher = _compile(pattern)
    wrong = next((text for text in found if matcher.fullmatch(text) is None), None)
    if wrong is not None:
        raise _unsupported(pattern, f"cannot be listed: its automaton has `{wrong}`, which Python does not match")
    return tuple(found)


def find_unbounded(pattern: Regex) -> tuple[int, int] | None:
    """Where a regex without upper limit repeats first, as offsets in its text (slash included); None if it is finite.

    Raises:
        DslcError: as `list_regex`.

    Example:
        >>> find_unbounded(Regex("a(b|c)+d")), find_unbounded(Regex("a{1,3}"))
        ((2, 8), None)
    """
    if not _has_cycle(_automaton(pattern)):
        return None
    text = pattern.span.text if pattern.span is not None else f"/{pattern.source}/"
    end = text.rfind("/")
    position = item = 1
    group_starts: list[int] = []
    while position < end:
        rest = text[position:end]
        if found := re.match(r"[*+]|\{\d*,\}", rest):
            return item, position + found.end()
        if found := re.match(r"\?|\{\d*,?\d*\}", rest):
            position += found.end()
        elif found := re.match(r"\(\??", rest):
            group_starts.append(position)
            position += found.end()
        elif rest[0] == ")":
            item = group_starts.pop() if group_starts else position
            position += 1
        else:
            found = _PARTS.match(rest)
            assert found is not None, "the last branch matches any character"
            item, position = position, position + found.end()
    return 0, len(text)


def has_bar_outside_groups(source: str) -> bool:
    """True for `a|b`, not for `(a|b)`: lark glues the former to its neighbours without parentheses."""
    depth = 0
    for part in _PARTS.findall(source):
        depth += (part == "(") - (part == ")")
        if part == "|" and depth == 0:
            return True
    return False


@lru_cache(maxsize=256)
def _automaton(pattern: Regex) -> FSM:
    if pattern.source.startswith("*"):
        message = f"`{_show(pattern)}` is read as a regex, and comments are written with `//`"
        advice = "begin each line of the comment with `//`"
        raise DslcError(Diagnostic(Code.BAD_LITERAL, Severity.ERROR, message, pattern.span, advice))
    with suppress(RecursionError):  # nested so deeply that the next line refuses it
        _compile(pattern)
    refuse_large_regex(pattern)
    for flag, meaning in _REFUSED_FLAGS.items():
        if flag in pattern.flags:
            raise _unsupported(pattern, f"has the flag `{flag}` ({meaning})")
    for mark in _LOOKAROUNDS:
        if mark in pattern.source:
            raise _unsupported(pattern, f"looks around its match with `{mark}...)`")
    try:
        # interegular takes a bracket right after the opening one for the closing one.
        source = "".join(re.sub(r"^\[(\^?)\]", r"[\1\]", part) for part in _PARTS.findall(pattern.source))
        source = f"(?s:{source})" if "s" in pattern.flags else source
        with count_steps(pattern):
            return parse_pattern(source).to_fsm()
    except Unsupported as unsupported:
        found = re.search(r"\\\w|[\^$]", str(unsupported))
        if found is not None and "reference" not in str(unsupported):
            raise _unsupported(
                pattern, f"uses `{found.group()}`, which stands for a place and not for a string"
            ) from None
        raise _unsupported(pattern, "refers back to a group, or uses another part that cannot be listed") from None
    except (InvalidSyntax, AttributeError, ValueError, KeyError, AssertionError) as failure:
        raise _unsupported(pattern, f"cannot be listed ({type(failure).__name__})") from None


def _compile(pattern: Regex) -> re.Pattern[str]:
    flags = re.ASCII
    for letter, flag in _FLAGS.items():
        if letter in pattern.flags:
            flags |= flag
    try:
        return re.compile(pattern.source, flags)
    except (re.error, OverflowError) as failure:
        reason = failure.msg if isinstance(failure, re.error) else str(failure)
        message = f"regex `{_show(pattern)}` is not valid: {reason}"
        raise DslcError(
            Diagnostic(Code.BAD_LITERAL, Severity.ERROR, message, pattern.span, "correct the regex")
        ) from None


def _unsupported(pattern: Regex, reason: str) -> DslcError:
    return DslcError(
        Diagnostic(
            Code.UNSUPPORTED_REGEX,
            Severity.ERROR,
            f"regex `{_show(pattern)}` {reason}",
            pattern.span,
            "write it with characters, classes, groups, `|` and bounded repetition, or list the strings",
        )
    )


def _show(pattern: Regex) -> str:
    return pattern.span.text if pattern.span is not None else f"/{pattern.source}/{pattern.flags}"


def _live_transitions(automaton: FSM) -> dict[State, list[tuple[TransitionKey, State]]]:
    """Transitions between states that are reached and from which a final state can be reached."""
    sources: dict[State, set[State]] = {}
    for state, row in automaton.map.items():
        for target in row.values():
            sources.setdefault(target, set()).add(state)
    live = set(automaton.finals)
    queue = list(live)
    while queue:
        for source in sources.get(queue.pop(), ()):
            if source not in live:
                live.add(source)
                queue.append(source)
    transitions: dict[State, list[tuple[TransitionKey, State]]] = {}
    queue = [automaton.initial] if automaton.initial in live else []
    while queue:
        state = queue.pop()
        if state not in transitions:
            row = automaton.map.get(state, {})
            transitions[state] = [(key, target) for key, target in sorted(row.items()) if target in live]
            queue.extend(target for _, target in transitions[state])
    return transitions


def _has_cycle(automaton: FSM) -> bool:
    transitions = _live_transitions(automaton)
    incoming = dict.fromkeys(transitions, 0)
    for row in transitions.values():
        for _, target in row:
            incoming[target] += 1
    queue = [state for state, count in incoming.items() if count == 0]
    removed = 0
    while queue:
        removed += 1
        for _, target in transitions[queue.pop()]:
            incoming[target] -= 1
            if incoming[target] == 0:
                queue.append(target)
    return removed < len(transitions)
