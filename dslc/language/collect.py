"""From statements to definitions by name; what has no place here is refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from dslc.diagnostics import Code, Diagnostic, Label, Severity
from dslc.language.syntax import (
    IgnoreStatement,
    ImportStatement,
    Name,
    Operated,
    Options,
    OtherStatement,
    Quoted,
    Range,
    RuleStatement,
    Statement,
    TemplateUse,
    TerminalStatement,
    only_item,
    walk_items,
)
from dslc.source import Span

_VERSION_LIMIT = "is not available in this version of dslc"


@dataclass(frozen=True, slots=True)
class RuleDefinition:
    """A rule of the file."""

    name: str
    body: Options
    keep_all_tokens: bool
    expand_single: bool
    span: Span
    """Its name."""


@dataclass(frozen=True, slots=True)
class TerminalDefinition:
    """A terminal of the file, an imported one, or an ignored pattern (named as lark does, `__IGNORE_0`)."""

    name: str
    body: Options
    span: Span
    """Its name, or where it is imported or ignored."""
    imported: str | None = None
    """Name in lark's `common`."""

    @property
    def is_ignored_pattern(self) -> bool:
        """True for a pattern written in `%ignore`."""
        return self.name.startswith("__IGNORE_")


@dataclass(frozen=True, slots=True)
class Definitions:
    """What a file defines, in lark's order: imported terminals first, then as written."""

    rules: dict[str, RuleDefinition] = field(default_factory=dict)
    terminals: dict[str, TerminalDefinition] = field(default_factory=dict)
    ignored: list[Name] = field(default_factory=list)
    """Names of ignored terminals."""
    refused: set[str] = field(default_factory=set)
    """Names that refused statements would have defined: using them is not an error of its own."""
    broken: set[str] = field(default_factory=set)
    """Terminals with a part that was refused: they are not expanded."""


def collect_definitions(
    statements: Iterable[Statement], common: Mapping[str, Options]
) -> tuple[Definitions, tuple[Diagnostic, ...]]:
    """Definitions of a file, and what is wrong with its statements, names not looked up.

    Args:
        statements: The file.
        common: lark's `common` terminals.
    """
    collector = _Collector(common)
    statements = tuple(statements)
    for statement in statements:
        if isinstance(statement, ImportStatement):
            collector.read_import(statement)
    for statement in statements:
        match statement:
            case RuleStatement():
                collector.read_rule(statement)
            case TerminalStatement():
                collector.read_terminal(statement)
            case IgnoreStatement():
                collector.read_ignore(statement)
            case OtherStatement():
                collector.refuse(statement)
            case ImportStatement():
                pass
    return collector.definitions, tuple(collector.diagnostics)


class _Collector:
    """Collects definitions and diagnostics."""

    def __init__(self, common: Mapping[str, Options]) -> None:
        self.common = common
        self.definitions = Definitions()
        self.diagnostics: list[Diagnostic] = []

    def read_rule(self, rule: RuleStatement) -> None:
        name = rule.name.text
        if rule.parameters_span is not None:
            self._report(
                Code.TEMPLATE,
                f"rule `{name}` is a template, which {_VERSION_LIMIT}",
                rule.parameters_span,
                "write one rule for each use of it; a repetition is written `(x)*`, a choice `(x | y)`",
            )
            self.definitions.refused.add(name)
            return
        if "?" in rule.modifiers and name.startswith("_"):
            self._report(
                Code.BAD_MODIFIER,
                f"`{rule.modifiers}{name}`: a rule named with `_` is always replaced by its children",
                rule.span.file.span(rule.span.start, rule.name.span.end),
                f"write `{rule.modifiers.replace('?', '')}{name}`, or `{rule.modifiers}{name.lstrip('_')}`",
            )
        self._refuse_priority("rule", name, rule.priority_span)
        self._check_body(rule.body)
        self._warn_of_bar(rule)
        for row in rule.body.rows:
            if row.alias is not None and row.alias_span is not None and name.startswith("_"):
                self._report(
                    Code.MISPLACED_ALIAS,
                    f"rule `{name}` leaves no node in the tree that could be called `{row.alias.text}`",
                    row.alias_span,
                    f"remove the alias, or call the rule `{name.lstrip('_')}`",
                )
        if self._is_new(rule.name):
            self.definitions.rules[name] = RuleDefinition(
                name, rule.body, "!" in rule.modifiers, "?" in rule.modifiers, rule.name.span
            )

    def read_terminal(self, terminal: TerminalStatement) -> None:
        name = terminal.name.text
        self._refuse_priority("terminal", name, terminal.priority_span)
        is_sound = self._check_body(terminal.body) and self._is_written(terminal.body, terminal.name.span)
        if self._is_new(terminal.name):
            self.definitions.terminals[name] = TerminalDefinition(name, terminal.body, terminal.name.span)
            if not is_sound:
                self.definitions.broken.add(name)

    def read_ignore(self, ignore: IgnoreStatement) -> None:
        definitions = self.definitions
        item = only_item(ignore.body)
        # As lark does: a lone terminal is ignored under its own name, anything else under a new one.
        if isinstance(item, Name) and item.is_terminal:
            definitions.ignored.append(item)
            return
        if not self._is_written(ignore.body, ignore.span):
            return
        name = f"__IGNORE_{len(definitions.ignored)}"
        definitions.ignored.append(Name(name, ignore.body.span))
        definitions.terminals[name] = TerminalDefinition(name, ignore.body, ignore.body.span)
        if not self._check_body(ignore.body):
            definitions.broken.add(name)

    def read_import(self, statement: ImportStatement) -> None:
        dotted = "." * statement.is_relative + ".".join(statement.library)
        if statement.is_relative or (statement.library and dotted != "common"):
            self._report(
                Code.UNSUPPORTED_IMPORT,
                f"an import from `{dotted}` {_VERSION_LIMIT}",
                statement.path_span,
                "copy the rules and terminals into this file; only lark's `common` can be imported",
            )
            self.definitions.refused.update(alias.text for alias in statement.aliases)
            return
        if not statement.library:
            self._report(
                Code.UNKNOWN_IMPORT,
                f"nothing is imported from `{statement.names[0].text}`",
                statement.path_span,
                "name what to import, as in `%import common.DIGIT`",
            )
            return
        for name, alias in zip(statement.names, statement.aliases, strict=True):
            if name.text not in self.common:
                near = get_close_matches(name.text.upper(), self.common, n=1)
                public = [known for known in self.common if not known.startswith("_")]
                self._report(
                    Code.UNKNOWN_IMPORT,
                    f"lark's `common` has no `{name.text}`",
                    name.span,
                    f"did you mean `{near[0]}`?" if near else "it has " + ", ".join(public),
                )
                self.definitions.refused.add(alias.text)
            elif not alias.is_terminal:
                self._report(
                    Code.UNKNOWN_IMPORT,
                    f"`{name.text}` is a terminal and cannot be called `{alias.text}`",
                    alias.span,
                    f"write the name in capitals: `{alias.text.upper()}`",
                )
                self.definitions.refused.add(alias.text)
            elif self._is_new(alias):
                definition = TerminalDefinition(alias.text, self.common[name.text], alias.span, name.text)
                self.definitions.terminals[alias.text] = definition

    def refuse(self, statement: OtherStatement) -> None:
        self._report(
            Code.UNSUPPORTED_STATEMENT,
            f"`{statement.word}` {_VERSION_LIMIT}",
            statement.span.file.span(statement.span.start, statement.span.start + len(statement.word)),
            "write the rule or terminal out in this file",
        )
        self.definitions.refused.update(name.text for name in statement.names)

    def _is_written(self, body: Options, span: Span) -> bool:
        """False, and reported, if a terminal is made of nothing."""
        is_written = len(body.rows) > 1 or bool(body.rows[0].items)
        if not is_written:
            advice = 'write what it matches, as in `"a" | "b"`'
            self._report(Code.EMPTY_TERMINAL, "nothing stands here to match", span, advice)
        return is_written

    def _check_body(self, body: Options) -> bool:
        """Report what is wrong with a body whatever its names mean; False if a terminal cannot be made of it."""
        is_sound = True
        for item in walk_items(body):
            match item:
                case Quoted(""):
                    is_sound = False
                case Range(first, last) if not first.value or not last.value:
                    is_sound = False
                case Range(first, last) if len(first.value) != 1 or len(last.value) != 1 or first.flags or last.flags:
                    is_sound = False
                    advice = 'write it as in `"a".."z"`, without flags'
                    self._report(
                        Code.BAD_LITERAL, f"`{item.span.text}` is not a range of characters", item.span, advice
                    )
                case Range(first, last) if last.value < first.value:
                    is_sound = False
                    advice = f'write `"{last.value}".."{first.value}"`'
                    self._report(Code.BAD_LITERAL, f"range `{item.span.text}` runs backwards", item.span, advice)
                case Operated(_, _, minimum, maximum) if minimum < 0 or (maximum is not None and maximum < minimum):
                    is_sound = False
                    advice = f"write `~{maximum}..{minimum}`" if maximum and minimum > 0 else "write numbers from 0"
                    self._report(
                        Code.BAD_REPETITION,
                        f"`{item.operator_span.text}` is not a number of repetitions",
                        item.operator_span,
                        advice,
                    )
                case TemplateUse():
                    is_sound = False
                    self._report(
                        Code.TEMPLATE,
                        f"a template {_VERSION_LIMIT}",
                        item.span,
                        "write one rule for each use of it; a repetition is written `(x)*`, a choice `(x | y)`",
                    )
                case _:
                    pass
        return is_sound

    def _warn_of_bar(self, rule: RuleStatement) -> None:
        """A bar on the line after the colon looks like layout, but makes an empty alternative."""
        first = rule.body.rows[0]
        gap = rule.span.file.text[rule.name.span.end : rule.body.span.start + 1]
        if not first.items and len(rule.body.rows) > 1 and "\n" in gap:
            bar = rule.span.file.text.index("|", rule.name.span.end)
            self.diagnostics.append(
                Diagnostic(
                    Code.LEADING_BAR,
                    Severity.WARNING,
                    f"the first alternative of rule `{rule.name.text}` is empty: nothing stands before this bar",
                    rule.span.file.span(bar),
                    "remove the bar; if the empty alternative is meant, write it last, or in the line of the colon",
                )
            )

    def _refuse_priority(self, kind: str, name: str, span: Span | None) -> None:
        if span is not None:
            self._report(
                Code.PRIORITY,
                f"{kind} `{name}` has a priority, which {_VERSION_LIMIT}",
                span,
                f"remove `{span.text}`: dslc keeps every reading of a text and says when there are two",
            )

    def _is_new(self, name: Name) -> bool:
        earlier = self.definitions.rules.get(name.text) or self.definitions.terminals.get(name.text)
        if earlier is not None:
            self.diagnostics.append(
                Diagnostic(
                    Code.DUPLICATE_DEFINITION,
                    Severity.ERROR,
                    f"`{name.text}` is defined twice",
                    name.span,
                    "rename one of them, or join them with `|`",
                    (Label(earlier.span, "first defined here"),),
                )
            )
        return earlier is None

    def _report(self, code: Code, message: str, span: Span, help_text: str) -> None:
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, help_text))
