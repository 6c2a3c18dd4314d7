"""From a terminal's pattern to its finite set of literals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.grammar import Literal
from dslc.language.patterns import CharacterRange, Choice, Concatenation, Pattern, Reference, Regex, Repeat, Text
from dslc.language.regex_strings import find_unbounded, has_bar_outside_groups, list_regex
from dslc.limits import Limit
from dslc.source import Span


def expand_pattern(
    name: str, pattern: Pattern, definitions: Mapping[str, Pattern], *, limit: int = Limit.LITERALS.default
) -> tuple[Literal, ...]:
    """All strings that a terminal matches, in order of writing, without repeats.

    A regex gives its strings by length, then alphabetically; `x?` lists those of `x` before the empty one. A string
    that a case-insensitive literal covers is that literal.

    Args:
        name: The terminal, for messages.
        pattern: Its pattern.
        definitions: Patterns of the terminals that it refers to; none of them contains itself.
        limit: Most literals.

    Raises:
        DslcError: the set is infinite or past a limit, or a part has no list of strings.

    Example:
        >>> [literal.text for literal in expand_pattern("A", Concatenation((Regex("[ab]"), Text("!"))), {})]
        ['a!', 'b!']
    """
    expansion = _Expansion(name, definitions, limit)
    # First, so that a limit on work never hides what is infinite.
    expansion.refuse_infinite(pattern)
    return expansion.expand(pattern)


class _Expansion:
    """The expansion of one terminal; what it refers to is expanded once."""

    def __init__(self, name: str, definitions: Mapping[str, Pattern], limit: int) -> None:
        self.name = name
        self.definitions = definitions
        self.limit = limit
        self.literals_by_name: dict[str, tuple[Literal, ...]] = {}
        self.finite_names: set[str] = set()

    def refuse_infinite(self, pattern: Pattern) -> None:
        match pattern:
            case Reference(name):
                if name not in self.finite_names:
                    self.refuse_infinite(self.definitions[name])
                    self.finite_names.add(name)
            case Concatenation(items) | Choice(items):
                for item in items:
                    self.refuse_infinite(item)
            case Repeat(item, minimum, maximum):
                self.refuse_infinite(item)
                if maximum is None and not self._is_only_empty(item):
                    part = pattern.span.text if pattern.span else "..."
                    raise self._infinite(pattern.span, part, f"{part[:-1]}~{minimum}..8")
            case Regex():
                unbounded = find_unbounded(pattern)
                if unbounded is not None:
                    text = pattern.span.text if pattern.span else f"/{pattern.source}/"
                    part = text[slice(*unbounded)]
                    base = part.rsplit("{", 1)[0] if part.endswith("}") else part[:-1]
                    span = pattern.span
                    if span is not None:
                        span = span.file.span(span.start + unbounded[0], span.start + unbounded[1])
                    raise self._infinite(span, part, f"{base}{{{int(part.endswith('+'))},8}}")
            case Text() | CharacterRange():
                pass

    def expand(self, pattern: Pattern) -> tuple[Literal, ...]:
        match pattern:
            case Text(text, ignore_case):
                self._check_length(len(text), pattern.span)
                return (Literal(text, ignore_case, pattern.span),)
            case CharacterRange(first, last):
                self._check_count(ord(last) - ord(first) + 1, pattern.span)
                return tuple(Literal(chr(c), False, pattern.span) for c in range(ord(first), ord(last) + 1))
            case Regex(_, flags):
                texts = list_regex(pattern, self.limit)
                self._check_count(self.limit + 1 if texts is None else len(texts), pattern.span)
                return _without_repeats(Literal(text, "i" in flags, pattern.span) for text in texts or ())
            case Reference(name):
                if name not in self.literals_by_name:
                    self.literals_by_name[name] = self.expand(self.definitions[name])
                return self.literals_by_name[name]
            case Choice(options):
                found: list[Literal] = []
                for option in options:
                    found.extend(self.expand(option))
                    # Repeats are dropped rarely, not after each option, which would take quadratic time.
                    if len(found) > 2 * self.limit:
                        found = list(_without_repeats(found))
                        self._check_count(len(found), pattern.span)
                distinct = _without_repeats(found)
                self._check_count(len(distinct), pattern.span)
                return distinct
            case Concatenation(items):
                product: tuple[Literal, ...] = (Literal("", False, pattern.span),)
                for item in items:
                    if isinstance(item, Regex) and has_bar_outside_groups(item.source):
                        raise self._error(
                            Code.UNSUPPORTED_REGEX,
                            f"regex `/{item.source}/` has `|` outside parentheses, and lark glues it to its neighbours",
                            item.span,
                            f"write `/({item.source})/`",
                        )
                    product = self._product(product, self.expand(item), pattern.span)
                return product
            case Repeat(item, minimum, maximum):
                assert maximum is not None or self._is_only_empty(item), "infinite patterns were refused"
                return self._repeat(self.expand(item), minimum, maximum or minimum, pattern.span)

    def _repeat(self, item: tuple[Literal, ...], minimum: int, maximum: int, span: Span | None) -> tuple[Literal, ...]:
        power: tuple[Literal, ...] = (Literal("", False, span),)
        found: tuple[Literal, ...] = power if minimum == 0 else ()
        for count in range(1, maximum + 1):
            following = self._product(power, item, span)
            if set(following) == set(power):
                # Another copy adds nothing: the item is empty, or holds the empty string.
                return _without_repeats((*found, *power))
            power = following
            if count >= minimum:
                found = _without_repeats((*found, *power))
                self._check_count(len(found), span)
        if (minimum, maximum) == (0, 1):
            return (
                *(literal for literal in found if literal.text),
                *(literal for literal in found if not literal.text),
            )
        return found

    def _product(self, left: tuple[Literal, ...], right: tuple[Literal, ...], span: Span | None) -> tuple[Literal, ...]:
        longest = sum(max((len(literal.text) for literal in side), default=0) for side in (left, right))
        self._check_length(longest, span)
        # Different pairs can give equal strings, so only a large excess is refused before looking.
        self._check_count(len(left) * len(right) // 10, span)
        product = _without_repeats(self._join(a, b, span) for a in left for b in right)
        self._check_count(len(product), span)
        return product

    def _join(self, left: Literal, right: Literal, span: Span | None) -> Literal:
        for one, other in ((left, right), (right, left)):
            if one.ignore_case and _has_case(one.text) and not other.ignore_case and _has_case(other.text):
                raise self._error(
                    Code.MIXED_CASE_FLAGS,
                    f"terminal `{self.name}` joins `{one.text}` in any case with `{other.text}` in one case",
                    span,
                    'give every part the flag `i`, or none, or list the spellings, as in `"on" | "ON"`',
                )
        return Literal(left.text + right.text, left.ignore_case or right.ignore_case, span)

    def _is_only_empty(self, pattern: Pattern) -> bool:
        match pattern:
            case Text() | Regex() | CharacterRange():
                return False
            case Reference(name):
                return self._is_only_empty(self.definitions[name])
            case Concatenation(items) | Choice(items):
                return all(map(self._is_only_empty, items))
            case Repeat(item, _, maximum):
                return maximum == 0 or self._is_only_empty(item)

    def _check_length(self, length: int, span: Span | None) -> None:
        most = Limit.LITERAL_LENGTH.number
        if length > most:
            raise self._error(
                Code.TERMINAL_TOO_LARGE,
                f"terminal `{self.name}` has a literal of more than {most:,} characters",
                span,
                Limit.LITERAL_LENGTH.advise("build long sentences from several terminals in a rule"),
            )

    def _check_count(self, count: int, span: Span | None) -> None:
        if count > self.limit:
            raise self._error(
                Code.TERMINAL_TOO_LARGE,
                f"terminal `{self.name}` has more than {self.limit:,} literals",
                span,
                Limit.LITERALS.advise("split it into several terminals in a rule, each one choice"),
            )

    def _infinite(self, span: Span | None, part: str, bounded: str) -> DslcError:
        return self._error(
            Code.INFINITE_TERMINAL,
            f"terminal `{self.name}` matches infinitely many strings: `{part}` has no upper limit",
            span,
            f'say how often, as in `{bounded}`, or list the strings, as in `"1" | "2"`',
        )

    def _error(self, code: Code, message: str, span: Span | None, help_text: str) -> DslcError:
        return DslcError(Diagnostic(code, Severity.ERROR, message, span, help_text))


def _has_case(text: str) -> bool:
    return text.lower() != text.upper()


def _without_repeats(literals: Iterable[Literal]) -> tuple[Literal, ...]:
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
