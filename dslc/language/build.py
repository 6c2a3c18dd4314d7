"""From the syntax of definitions to the rules of a Grammar and to the patterns of terminals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dslc.diagnostics import Code, Diagnostic, Label, Severity
from dslc.language.definitions import RuleDefinition
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
from dslc.language.patterns import CharacterRange, Choice, Concatenation, Pattern, Reference, Regex, Repeat, Text
from dslc.language.syntax import Brackets, Item, Name, Operated, Options, Quoted, Range, Row, TemplateUse, walk_items

REPETITION_LIMIT = 50
"""lark writes `x~n` out below this number and uses hidden rules from it on, which leave no placeholders."""


def build_pattern(syntax: Options | Row | Item) -> Pattern:
    """What a terminal's definition, or a string or regex in a rule, matches.

    Args:
        syntax: The definition or a part of it, without errors.
    """
    match syntax:
        case Options(rows):
            options = tuple(build_pattern(row) for row in rows)
            return options[0] if len(options) == 1 else Choice(options, syntax.span)
        case Row(items):
            parts = tuple(build_pattern(item) for item in items)
            return parts[0] if len(parts) == 1 else Concatenation(parts, syntax.span)
        case Brackets(options):
            return Repeat(build_pattern(options), 0, 1, syntax.span)
        case Operated(item, _, minimum, maximum):
            return Repeat(build_pattern(item), minimum, maximum, syntax.span)
        case Name(name):
            return Reference(name, syntax.span)
        case Range(first, last):
            return CharacterRange(first.value, last.value, syntax.span)
        case Quoted(value, flags, is_regex):
            return Regex(value, flags, syntax.span) if is_regex else Text(value, "i" in flags, syntax.span)
        case TemplateUse():
            raise AssertionError("templates stand in no terminal")


class RuleBuilder:
    """Builds rules whose strings and regexes have got their names."""

    def __init__(self, names: Mapping[int, tuple[str, bool]], rules: Iterable[RuleDefinition]) -> None:
        """Args:
        names: terminal and whether its token is kept, by id of the string, regex or range in a rule.
        rules: all rules, templates written out.
        """
        self.names = names
        self.keep_all_tokens = False
        # lark marks symbols, and one that a template gets as its argument is the same in all rules made from it.
        self.kept = {id(item) for rule in rules if rule.keep_all_tokens for item in walk_items(rule.body)}

    def build_rule(self, definition: RuleDefinition) -> Rule:
        """The rule that a definition stands for."""
        self.keep_all_tokens = definition.keep_all_tokens
        alternatives = tuple(
            Alternative(self._row(row), row.alias.text if row.alias else None, row.span) for row in definition.body.rows
        )
        return Rule(
            definition.name,
            alternatives,
            definition.keep_all_tokens,
            definition.expand_single,
            definition.span,
            definition.template,
        )

    def _row(self, row: Row) -> Expression:
        items = tuple(self._item(item) for item in row.items)
        return items[0] if len(items) == 1 else Sequence(items, row.span)

    def _item(self, item: Item) -> Expression:
        match item:
            case Name(name):
                if not item.is_terminal:
                    return RuleUse(name, item.span)
                return TerminalUse(name, item.is_kept or id(item) in self.kept, item.span)
            case Quoted() | Range():
                # A string that was refused has no name, and then the grammar is not used.
                name, is_kept = self.names.get(id(item), ("", True))
                return TerminalUse(name, is_kept or id(item) in self.kept, item.span)
            case Options(rows):
                return Group(tuple(self._row(row) for row in rows), item.span)
            case Brackets(Options(rows)):
                options = tuple(self._row(row) for row in rows)
                # `[a]` holds the item itself; a Group stands for `[a | b]`, or keeps the parentheses of `[(a)]`.
                simple = len(options) == 1 and not isinstance(options[0], Group)
                inner = options[0] if simple else Group(options, item.span)
                return Maybe(inner, self._num_kept(item.options), item.span)
            case Operated(inner_item, "?"):
                return Optional(self._item(inner_item), item.span)
            case Operated(inner_item, _, minimum, maximum):
                return Repetition(self._item(inner_item), minimum, maximum, item.span)
            case TemplateUse():
                raise AssertionError("templates were written out")

    def _num_kept(self, item: Item) -> int:
        """How many placeholders an absent item leaves: the most children that it leaves when present, as lark counts.

        lark counts when it has put hidden rules in the place of `*`, `+` and long repetitions, and those count nothing.
        """
        match item:
            case Name(name):
                is_kept = item.is_kept or self.keep_all_tokens if item.is_terminal else not name.startswith("_")
                return int(is_kept)
            case Quoted() | Range():
                return int(self.keep_all_tokens or self.names.get(id(item), ("", True))[1])
            case Options(rows) | Brackets(Options(rows)):
                return max(sum(map(self._num_kept, row.items)) for row in rows)
            case Operated(inner, "?"):
                return self._num_kept(inner)
            case Operated(inner, _, _, maximum):
                is_hidden = maximum is None or maximum >= REPETITION_LIMIT
                return 0 if is_hidden or maximum is None else maximum * self._num_kept(inner)
            case TemplateUse():
                raise AssertionError("templates were written out")


def find_repeated_alternatives(rules: tuple[Rule, ...]) -> tuple[Diagnostic, ...]:
    """Alternatives written twice: a warning, and an error if under two names, since lark refuses that."""
    found: list[Diagnostic] = []
    for rule in rules:
        first: dict[Expression, Alternative] = {}
        for alternative in rule.alternatives:
            earlier = first.setdefault(_without_marks(alternative.expression), alternative)
            if earlier is alternative:
                continue
            # lark merges empty alternatives whatever their names.
            is_same = earlier.alias == alternative.alias or alternative.expression == Sequence(())
            found.append(
                Diagnostic(
                    Code.REPEATED_ALTERNATIVE,
                    Severity.WARNING if is_same else Severity.ERROR,
                    f"rule `{rule.name}` has the same alternative twice"
                    + ("" if is_same else " under two names, which lark refuses"),
                    alternative.span,
                    "remove one of them",
                    (Label(earlier.span, "first written here"),) if earlier.span else (),
                )
            )
    return tuple(found)


def _without_marks(expression: Expression) -> Expression:
    """The expression with every token kept: lark takes `A` and the string that `A` stands for as the same."""
    match expression:
        case TerminalUse(name):
            return TerminalUse(name)
        case RuleUse():
            return expression
        case Sequence(items):
            return Sequence(tuple(map(_without_marks, items)))
        case Group(options):
            return Group(tuple(map(_without_marks, options)))
        case Optional(item):
            return Optional(_without_marks(item))
        case Maybe(item, num_placeholders):
            return Maybe(_without_marks(item), num_placeholders)
        case Repetition(item, minimum, maximum):
            return Repetition(_without_marks(item), minimum, maximum)
