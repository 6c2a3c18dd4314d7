"""From a terminal's pattern to its finite set of literals.

Regexes are expanded through a finite automaton; in them `\\d`, `\\w` and `\\s` mean the ASCII characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from interegular import parse_pattern
from interegular.fsm import FSM, anything_else
from interegular.patterns import InvalidSyntax, Unsupported

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.grammar import Literal
from dslc.source import Span

LITERAL_LIMIT = 10_000
"""Most literals of one terminal."""
LENGTH_LIMIT = 10_000
"""Most characters of one literal."""


# --- patterns ---------------------------------------------------------------------------------------------------------


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


# --- expansion --------------------------------------------------------------------------------------------------------


def expand_pattern(
    name: str,
    pattern: Pattern,
    definitions: Mapping[str, Pattern],
    *,
    limit: int = LITERAL_LIMIT,
) -> tuple[Literal, ...]:
    """All strings that a terminal matches, in order of writing, without repeats; a regex's by length, then alphabetically.

    Args:
        name: The terminal, for messages.
        pattern: Its pattern.
        definitions: Patterns of the terminals that it may refer to; must not be recursive.
        limit: Most literals.

    Raises:
        DslcError: the set is infinite or past a limit, or a regex uses what has no finite meaning here.

    Example:
        >>> [literal.text for literal in expand_pattern("A", Regex("[ab]c?"), {})]
        ['a', 'b', 'ac', 'bc']
    """
    expansion = _Expansion(name, definitions, limit)
    expansion.refuse_infinite(pattern)
    return _without_repeats(expansion.expand(pattern))


class _Expansion:
    """The expansion of one terminal; results of other terminals are kept."""

    def __init__(self, name: str, definitions: Mapping[str, Pattern], limit: int) -> None:
        self.name = name
        self.definitions = definitions
        self.limit = limit
        self.literals_by_name: dict[str, tuple[Literal, ...]] = {}
        self.finite_names: set[str] = set()

    def refuse_infinite(self, pattern: Pattern) -> None:
        """Raise if a part of the pattern has no upper limit; so a limit on work never hides that."""
        match pattern:
            case Reference(name):
                if name not in self.finite_names:
                    self.refuse_infinite(self.definitions[name])
                    self.finite_names.add(name)
            case Concatenation(items) | Choice(items):
                for item in items:
                    self.refuse_infinite(item)
            case Repeat(item, _, maximum):
                self.refuse_infinite(item)
                if maximum is None and not _is_only_empty(item, self.definitions):
                    raise self._infinite(pattern.span, pattern.span.text if pattern.span else "a repetition")
            case Regex():
                unbounded = find_unbounded(pattern)
                if unbounded is not None and _has_cycle(self._automaton(pattern)):
                    start, end = unbounded
                    part = None
                    if pattern.span is not None:
                        part = pattern.span.file.span(pattern.span.start + start, pattern.span.start + end)
                    raise self._infinite(part, part.text if part else pattern.source)
            case _:
                pass

    def expand(self, pattern: Pattern) -> tuple[Literal, ...]:
        match pattern:
            case Text(text, ignore_case):
                return (Literal(text, ignore_case, pattern.span),)
            case CharacterRange(first, last):
                if ord(last) < ord(first):
                    raise _error(
                        Code.BAD_LITERAL,
                        f'range `"{first}".."{last}"` runs backwards',
                        pattern.span,
                        f'write `"{last}".."{first}"`',
                    )
                self._check_count(ord(last) - ord(first) + 1, pattern.span)
                return tuple(Literal(chr(c), False, pattern.span) for c in range(ord(first), ord(last) + 1))
            case Regex():
                return self._expand_regex(pattern)
            case Reference(name):
                if name not in self.literals_by_name:
                    self.literals_by_name[name] = self.expand(self.definitions[name])
                return self.literals_by_name[name]
            case Choice(options):
                found: list[Literal] = []
                for option in options:
                    found.extend(self.expand(option))
                    self._check_count(len(found), pattern.span)
                return _without_repeats(found)
            case Concatenation(items):
                for item in items:
                    if len(items) > 1 and isinstance(item, Regex) and _has_bar_outside_groups(item.source):
                        raise _error(
                            Code.UNSUPPORTED_REGEX,
                            f"`{_show(item)}` has `|` outside parentheses, and lark glues it to its neighbours unprotected",
                            item.span,
                            f"write `/({item.source})/`",
                        )
                result: tuple[Literal, ...] = (Literal("", False, pattern.span),)
                for item in items:
                    result = self._product(result, self.expand(item), pattern.span)
                return result
            case Repeat(item, minimum, maximum):
                return self._repeat(self.expand(item), minimum, maximum or minimum, pattern.span)

    def _repeat(
        self, item: tuple[Literal, ...], minimum: int, maximum: int, span: Span | None
    ) -> tuple[Literal, ...]:
        """Literals of `item~minimum..maximum`, longer ones first as in `item?`, which lists the item before nothing."""
        power: tuple[Literal, ...] = (Literal("", False, span),)
        powers: list[tuple[Literal, ...]] = []
        total = 0
        for count in range(maximum + 1):
            if count:
                following = self._product(power, item, span)
                if following == power:
                    powers = powers or [power]
                    break
                power = following
            if count >= minimum:
                powers.append(power)
                total += len(power)
                if (minimum, maximum) != (0, 1):
                    self._check_count(total, span)
        if (minimum, maximum) == (0, 1):
            powers.reverse()
        return _without_repeats(literal for power in powers for literal in power)

    def _product(
        self, left: tuple[Literal, ...], right: tuple[Literal, ...], span: Span | None
    ) -> tuple[Literal, ...]:
        self._check_count(len(left) * len(right), span)
        if max((len(a.text) for a in left), default=0) + max((len(b.text) for b in right), default=0) > LENGTH_LIMIT:
            raise _error(
                Code.TERMINAL_TOO_LARGE,
                f"terminal `{self.name}` has a literal of more than {LENGTH_LIMIT:,} characters",
                span,
                "build long sentences from several terminals in a rule",
            )
        return _without_repeats(self._join(a, b, span) for a in left for b in right)

    def _join(self, left: Literal, right: Literal, span: Span | None) -> Literal:
        for one, other in ((left, right), (right, left)):
            if one.ignore_case and _has_case(one.text) and not other.ignore_case and _has_case(other.text):
                raise _error(
                    Code.MIXED_CASE_FLAGS,
                    f"terminal `{self.name}` joins `{one.text}` in any case with `{other.text}` in one case",
                    span,
                    'give every part the flag `i`, or none, or list the spellings, as in `"on" | "ON"`',
                )
        return Literal(left.text + right.text, left.ignore_case or right.ignore_case, span)

    def _expand_regex(self, pattern: Regex) -> tuple[Literal, ...]:
        automaton = self._automaton(pattern)
        texts = _strings(automaton, self.limit)
        if texts is None:
            raise self._too_many(f"`{_show(pattern)}` matches more", pattern.span)
        ignore_case = "i" in pattern.flags
        compiled = _compile(pattern)
        for text in texts:
            if compiled.fullmatch(text) is None:
                raise _error(
                    Code.UNSUPPORTED_REGEX,
                    f"regex `{_show(pattern)}` cannot be listed: its expansion has `{text}`, which Python does not match",
                    pattern.span,
                    "write it without flags and escapes that change what characters mean, or list the strings",
                )
        return _without_repeats(Literal(text, ignore_case, pattern.span) for text in texts)

    def _automaton(self, pattern: Regex) -> FSM:
        _compile(pattern)
        for construct, meaning in _LOOKAROUNDS.items():
            if construct in pattern.source:
                raise _unsupported(pattern, f"looks around its match (`{construct}`: {meaning})")
        if "x" in pattern.flags:
            raise _unsupported(pattern, "has the flag `x` (blanks and comments in the regex)")
        if "l" in pattern.flags:
            raise _unsupported(pattern, "has the flag `l` (the machine's locale)")
        try:
            # A quantifier's laziness changes which match comes first, not what is matched in full.
            tree = parse_pattern(_PYTHON_ONLY.sub("", pattern.source))
            automaton: FSM = (tree if "s" not in pattern.flags else parse_pattern(f"(?s:{pattern.source})")).to_fsm()
        except Unsupported as unsupported:
            raise _unsupported(pattern, f"uses what has no finite list ({unsupported})") from None
        except (InvalidSyntax, AttributeError, ValueError, KeyError, AssertionError) as failure:
            raise _unsupported(pattern, f"cannot be read by the expansion ({failure})") from None
        return automaton

    def _check_count(self, count: int, span: Span | None) -> None:
        if count > self.limit:
            raise self._too_many("it has more", span)

    def _too_many(self, reason: str, span: Span | None) -> DslcError:
        return _error(
            Code.TERMINAL_TOO_LARGE,
            f"terminal `{self.name}` has more than {self.limit:,} literals: {reason} than that",
            span,
            "split it into several terminals in a rule, one choice each",
        )

    def _infinite(self, span: Span | None, part: str) -> DslcError:
        bounded = f"{part[:-1]}~1..8" if part[-1:] in "+*" and span and not part.startswith("[") else None
        if span is not None and _is_in_regex(span):
            bounded = f"{part.rstrip('?').rstrip('+*')}{{1,8}}" if part.rstrip("?")[-1:] in "+*" else None
        advice = f"say how often, as in `{bounded}`" if bounded else "give it an upper limit"
        return _error(
            Code.INFINITE_TERMINAL,
            f"terminal `{self.name}` matches infinitely many strings: `{part}` has no upper limit",
            span,
            f"{advice}, or list the strings, as in `{self.name}: \"1\" | \"2\"`",
        )


_LOOKAROUNDS = {"(?=": "lookahead", "(?!": "lookahead", "(?<=": "lookbehind", "(?<!": "lookbehind"}
_PYTHON_ONLY = re.compile(r"(?!)")


def _is_in_regex(span: Span) -> bool:
    line_start = span.file.text.rfind("\n", 0, span.start) + 1
    return "/" in span.file.text[line_start : span.start]


def _error(code: Code, message: str, span: Span | None, help_text: str) -> DslcError:
    return DslcError(Diagnostic(code, Severity.ERROR, message, span, help_text))


def _unsupported(pattern: Regex, reason: str) -> DslcError:
    return _error(
        Code.UNSUPPORTED_REGEX,
        f"regex `{_show(pattern)}` {reason}",
        pattern.span,
        "write it with characters, classes, groups, `|` and bounded repetition, or list the strings",
    )


def _show(pattern: Regex) -> str:
    return pattern.span.text if pattern.span is not None else f"/{pattern.source}/{pattern.flags}"


def _compile(pattern: Regex) -> re.Pattern[str]:
    flags = re.ASCII
    for letter, flag in (("i", re.I), ("m", re.M), ("s", re.S), ("x", re.X)):
        if letter in pattern.flags:
            flags |= flag
    try:
        return re.compile(pattern.source, flags)
    except (re.error, OverflowError, RecursionError) as failure:
        raise _error(
            Code.BAD_LITERAL, f"regex `{_show(pattern)}` is not valid: {failure}", pattern.span, "correct the regex"
        ) from None


def _has_case(text: str) -> bool:
    return text.lower() != text.upper()


def _without_repeats(literals: Iterable[Literal]) -> tuple[Literal, ...]:
    """Each string once, at its first place; a spelling that a case-insensitive literal covers is that literal."""
    literals = tuple(literals)
    any_case = {literal.text.lower() for literal in literals if literal.ignore_case}
    kept: dict[tuple[str, bool], Literal] = {}
    for literal in literals:
        lower = literal.text.lower()
        if lower in any_case:
            kept.setdefault((lower, True), Literal(literal.text, True, literal.span))
        else:
            kept.setdefault((literal.text, False), literal)
    return tuple(kept.values())


def _is_only_empty(pattern: Pattern, definitions: Mapping[str, Pattern]) -> bool:
    match pattern:
        case Text(text):
            return text == ""
        case Regex(source):
            return source == ""
        case CharacterRange():
            return False
        case Reference(name):
            return _is_only_empty(definitions[name], definitions)
        case Concatenation(items) | Choice(items):
            return all(_is_only_empty(item, definitions) for item in items)
        case Repeat(item, _, maximum):
            return maximum == 0 or _is_only_empty(item, definitions)


# --- finite automata --------------------------------------------------------------------------------------------------


def _live_map(automaton: FSM) -> dict[int, list[tuple[int, int]]]:
    """Transitions (key, target) between states from which a final state can be reached."""
    sources: dict[int, set[int]] = {}
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
    reached = {automaton.initial} & live
    queue = list(reached)
    result: dict[int, list[tuple[int, int]]] = {}
    while queue:
        state = queue.pop()
        result[state] = [(key, target) for key, target in sorted(automaton.map.get(state, {}).items()) if target in live]
        for _, target in result[state]:
            if target not in reached:
                reached.add(target)
                queue.append(target)
    return result


def _has_cycle(automaton: FSM) -> bool:
    transitions = _live_map(automaton)
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


def _strings(automaton: FSM, limit: int) -> list[str] | None:
    """All strings of an automaton without cycles, by length, then alphabetically; None past the limit."""
    transitions = _live_map(automaton)
    characters: dict[int, list[str]] = {}
    for character, key in automaton.alphabet.items():
        # `anything_else` stands for the rest of Unicode: past any limit on literals.
        characters.setdefault(key, []).append("" if character is anything_else else str(character))
    found: list[str] = []
    layer = [("", automaton.initial)] if automaton.initial in transitions else []
    while layer:
        found.extend(sorted(text for text, state in layer if state in automaton.finals))
        following: list[tuple[str, int]] = []
        for text, state in layer:
            for key, target in transitions[state]:
                for character in characters[key]:
                    if not character:
                        return None
                    following.append((text + character, target))
            # Every live prefix leads to a string of its own, so the layer is never larger than the answer.
            if len(following) > limit:
                return None
        if len(found) > limit or (layer and len(layer[0][0]) > LENGTH_LIMIT):
            return None
        layer = following
    return found


def _has_bar_outside_groups(source: str) -> bool:
    depth = 0
    in_class = False
    position = 0
    while position < len(source):
        character = source[position]
        if character == "\\":
            position += 1
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
            if source[position + 1 : position + 3] == "^]" or source[position + 1 : position + 2] == "]":
                position += source[position + 1 :].index("]") + 1
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "|" and depth == 0:
            return True
        position += 1
    return False


def find_unbounded(pattern: Regex) -> tuple[int, int] | None:
    """Where the first part without upper limit stands, as offsets in the regex as written; None if there is none.

    Example:
        >>> find_unbounded(Regex("a(b|c)+d"))
        (2, 8)
    """
    # The span covers the text as written, slash included; without one the source stands for it.
    text = pattern.span.text if pattern.span is not None else f"/{pattern.source}/"
    position = 1
    end = text.rfind("/")
    group_starts: list[int] = []
    item = 1
    while position < end:
        character = text[position]
        if character == "\\":
            item, position = position, position + 2
        elif character == "[":
            item = position
            position += 1
            if text[position] == "^":
                position += 1
            if text[position] == "]":
                position += 1
            while position < end and text[position] != "]":
                position += 2 if text[position] == "\\" else 1
            position += 1
        elif character == "(":
            group_starts.append(position)
            position += 1
            # `(?:` and friends: the mark is not a quantifier.
            if text[position : position + 1] == "?":
                position += 1
        elif character == ")":
            item = group_starts.pop() if group_starts else position
            position += 1
        elif character in "*+":
            position += 1
            return item, position
        elif character == "{" and (unbounded := re.match(r"\{\d*,\}", text[position:end])):
            return item, position + unbounded.end()
        elif character == "{" and (bounded := re.match(r"\{\d*,?\d*\}", text[position:end])):
            position += bounded.end()
        elif character == "?":
            position += 1
        else:
            item, position = position, position + 1
    return None
