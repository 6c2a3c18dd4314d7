"""Rules that lark refuses because two ways through their brackets and optionals leave the same symbols.

lark writes every way through `?`, `[ ]`, `( | )` and short repetitions of a rule out, and takes two ways with the same
symbols for one rule that is defined twice, unless they are the same in all: placeholders in the same places, the same
alias. dslc does not write them out, so this is looked for by itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from dslc.diagnostics import Code, Diagnostic, Label, Severity
from dslc.language.build import REPETITION_LIMIT
from dslc.language.grammar import (
    Alternative,
    Expression,
    Group,
    Maybe,
    Optional,
    Repetition,
    Rule,
    RuleUse,
    Sequence,
    TerminalUse,
)

WAY_LIMIT = 4_096
"""Most ways through one rule; where there are more, lark needs minutes for the grammar, and nothing is said here."""
LENGTH_LIMIT = 2_000
"""Most symbols in one way."""

_Word = tuple[object, ...]
"""Symbols of one way, with `_ABSENT` for each placeholder."""
_ABSENT = None


class _TooManyError(Exception):
    """There are more ways than are looked at."""


class _CollisionError(Exception):
    """Two ways of a part that lark gives a rule of its own, for a repetition."""


def find_collisions(rules: tuple[Rule, ...]) -> tuple[Diagnostic, ...]:
    """An error for each rule with two ways that lark takes for one, a warning where both are empty: lark drops one."""
    found: list[Diagnostic] = []
    for rule in rules:
        aliases = {alternative.alias for alternative in rule.alternatives}
        if len(aliases) > 1 or any(_has_placeholders(alternative.expression) for alternative in rule.alternatives):
            found.extend(_check_rule(rule))
    return tuple(found)


def _check_rule(rule: Rule) -> Iterable[Diagnostic]:
    seen: dict[_Word, tuple[_Word, Alternative]] = {}
    for alternative in rule.alternatives:
        try:
            words = _ways(alternative.expression)
        except _TooManyError:
            return
        except _CollisionError:
            yield _diagnostic(rule, alternative, alternative, None)
            return
        is_empty_reported = False
        for word in sorted(words, key=len):
            symbols = _symbols(word)
            first, earlier = seen.setdefault(symbols, (word, alternative))
            if first == word and (earlier.alias == alternative.alias or not symbols):
                continue
            if not symbols:
                if not is_empty_reported:
                    yield _diagnostic(rule, earlier, alternative, symbols)
                is_empty_reported = True
            elif not (word == first == symbols and _is_written_twice(earlier, alternative)):
                yield _diagnostic(rule, earlier, alternative, symbols)
                return
        if len(seen) > WAY_LIMIT:
            return


def _is_written_twice(one: Alternative, other: Alternative) -> bool:
    """Whether two alternatives are written alike, which is reported as that."""
    return one is not other and not _has_operators(one.expression) and not _has_operators(other.expression)


def _diagnostic(rule: Rule, first: Alternative, second: Alternative, symbols: _Word | None) -> Diagnostic:
    shown = "," if symbols is None else f", `{' '.join(map(_show, symbols))}`,"
    if symbols == ():
        message = f"rule `{rule.name}` can be empty in two ways with other placeholders, of which lark keeps the first"
        severity = Severity.WARNING
    else:
        message = (
            f"two ways through the brackets of rule `{rule.name}` leave the same symbols{shown} which lark refuses"
        )
        severity = Severity.ERROR
    advice = "write what may be absent once: `[a?]` as `[a]`, `[a]~2` as `[a [a]]`, alternatives without common texts"
    labels = (Label(first.span, "the other way"),) if first is not second and first.span else ()
    return Diagnostic(Code.COLLIDING_OPTIONALS, severity, message, second.span, advice, labels)


def _show(symbol: object) -> str:
    return symbol if isinstance(symbol, str) else "..."


def _symbols(word: _Word) -> _Word:
    return tuple(symbol for symbol in word if symbol is not _ABSENT)


def _has_placeholders(expression: Expression) -> bool:
    match expression:
        case Maybe(_, num_placeholders):
            return num_placeholders > 0 or _has_placeholders(expression.item)
        case Sequence(items) | Group(items):
            return any(map(_has_placeholders, items))
        case Optional(item) | Repetition(item):
            return _has_placeholders(item)
        case _:
            return False


def _has_operators(expression: Expression) -> bool:
    match expression:
        case Sequence(items):
            return any(map(_has_operators, items))
        case TerminalUse() | RuleUse():
            return False
        case _:
            return True


def _ways(expression: Expression) -> set[_Word]:
    """What lark writes out for an expression."""
    match expression:
        case TerminalUse(name) | RuleUse(name):
            return {(name,)}
        case Sequence(items):
            words: set[_Word] = {()}
            for item in items:
                words = _join(words, _ways(item))
            return words
        case Group(options):
            return _limited({word for option in options for word in _ways(option)})
        case Optional(item):
            return {*_ways(item), ()}
        case Maybe(item, num_placeholders):
            return {*_ways(item), (_ABSENT,) * num_placeholders}
        case Repetition(item, minimum, None):
            # The item and one more of it, in a rule of its own that all repetitions of the item share.
            words = _ways(item)
            itself: _Word = (("many", frozenset(words)),)
            _refuse_collisions({*words, *_join({itself}, words)})
            return {itself} if minimum else {itself, ()}
        case Repetition(item, minimum, maximum):
            assert maximum is not None, "the unbounded case stands above"
            words = _ways(item)
            if maximum >= REPETITION_LIMIT:
                _refuse_collisions(_join(words, words))
                return {(("times", frozenset(words), minimum, maximum),)}
            found: set[_Word] = set()
            power: set[_Word] = {()}
            for number in range(maximum + 1):
                if number >= minimum:
                    found = _limited(found | power)
                power = _join(power, words)
            return found


def _join(left: set[_Word], right: set[_Word]) -> set[_Word]:
    longest = max(map(len, left)) + max(map(len, right))
    if len(left) * len(right) > WAY_LIMIT or longest > LENGTH_LIMIT:
        raise _TooManyError
    return {(*one, *other) for one in left for other in right}


def _limited(words: set[_Word]) -> set[_Word]:
    if len(words) > WAY_LIMIT:
        raise _TooManyError
    return words


def _refuse_collisions(words: set[_Word]) -> None:
    first: dict[_Word, _Word] = {}
    for word in words:
        symbols = _symbols(word)
        if first.setdefault(symbols, word) != word and symbols:
            raise _CollisionError
