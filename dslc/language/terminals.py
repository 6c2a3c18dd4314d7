"""From definitions to the terminals of a Grammar: every literal listed, everything infinite refused in one go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.build import build_pattern
from dslc.language.definitions import Definitions, TerminalDefinition
from dslc.language.grammar import Literal, Terminal
from dslc.language.literals import expand_pattern
from dslc.language.patterns import Pattern, Text
from dslc.language.syntax import Name, Quoted, only_item, walk_items
from dslc.source import Span


@dataclass(frozen=True, slots=True)
class TerminalSources:
    """What terminals are made from."""

    definitions: Definitions
    regexes: Mapping[str, str]
    """What lark matches for each sound terminal, as a regex of Python, in lark's order."""
    anonymous: Mapping[str, tuple[Pattern, str]]
    """Terminals written in rules: our pattern and lark's regex, in lark's order."""
    names: Mapping[int, tuple[str, bool]]
    """Terminal of each string or regex in a rule, by id."""


def expand_terminals(
    sources: TerminalSources, *, literal_limit: int
) -> tuple[tuple[Terminal, ...], bool, tuple[str, ...], tuple[Diagnostic, ...]]:
    """Terminals of rules; whether a blank is ignored; sources of what is ignored; what is wrong with any of them."""
    expander = _Expander(sources, literal_limit)
    terminals = expander.expand()
    expander.diagnostics.extend(expander.find_odd_uses())
    names = dict.fromkeys(name.text for name in sources.definitions.ignored)
    ignored = [name for name in names if name in sources.regexes]
    ignores_blank = any(re.fullmatch(sources.regexes[name], " ") for name in ignored)
    return terminals, ignores_blank, tuple(map(expander.ignored_source, ignored)), tuple(expander.diagnostics)


class _Expander:
    """Expands the terminals of one file."""

    def __init__(self, sources: TerminalSources, literal_limit: int) -> None:
        self.sources = sources
        self.definitions = sources.definitions
        self.literal_limit = literal_limit
        self.diagnostics: list[Diagnostic] = []
        self.own_files = {terminal.span.file for terminal in self.definitions.all_terminals} | {
            rule.span.file for rule in self.definitions.rules.values()
        }
        self.used = {name for name, _ in sources.names.values()} | {
            item.text
            for rule in self.definitions.rules.values()
            for item in walk_items(rule.body)
            if isinstance(item, Name)
        }
        sound = (each for each in self.definitions.all_terminals if each.name not in self.definitions.broken)
        self.patterns = {definition.name: build_pattern(definition.body) for definition in sound}

    def expand(self) -> tuple[Terminal, ...]:
        terminals: list[Terminal] = []
        for name, regex in self.sources.regexes.items():
            definition = self.definitions.terminals[name]
            if name in self.used:
                literals = self._literals(name, self.patterns[name], regex, definition.span)
                if definition.is_library:
                    literals = tuple(replace(literal, span=definition.span) for literal in literals)
                item = only_item(definition.body)
                is_regex = isinstance(item, Quoted) and item.is_regex
                terminals.append(Terminal(name, literals, definition.is_ignored_pattern, definition.span, is_regex))
        for name, (pattern, regex) in self.sources.anonymous.items():
            assert pattern.span is not None, "what stands in a rule has a place"
            literals = self._literals(pattern.span.text, pattern, regex, pattern.span)
            terminals.append(Terminal(name, literals, True, pattern.span, not isinstance(pattern, Text)))
        return tuple(terminals)

    def _literals(self, shown: str, pattern: Pattern, regex: str, span: Span) -> tuple[Literal, ...]:
        """Literals of a terminal, none if it was reported."""
        try:
            literals = expand_pattern(shown, pattern, self.patterns, limit=self.literal_limit)
        except DslcError as error:
            for diagnostic in error.diagnostics:
                # A fault inside what comes with lark is shown at the import.
                is_here = diagnostic.span is not None and diagnostic.span.file in self.own_files
                self.diagnostics.append(diagnostic if is_here else replace(diagnostic, span=span))
            return ()
        if any(literal.text == "" for literal in literals):
            self._report(
                Code.EMPTY_TERMINAL,
                f"terminal `{shown}` matches the empty string",
                span,
                "make it match something, and write `?` after its uses where it may be absent",
            )
            return ()
        matcher = re.compile(regex)
        wrong = next((literal.text for literal in literals if matcher.fullmatch(literal.text) is None), None)
        if wrong is not None:
            self._report(
                Code.UNSUPPORTED_REGEX,
                f"terminal `{shown}`: lark does not match `{wrong}`, because it glues regexes to their neighbours",
                span,
                "put each regex in parentheses of its own, as in `/(a|b)/`",
            )
            return ()
        return literals

    def ignored_source(self, name: str) -> str:
        """What stands after `%ignore`."""
        if name in self.used and not name.startswith("__"):
            return name
        item = only_item(self.definitions.terminals[name].body)
        return item.span.text if isinstance(item, Quoted) else f"/{_escape_slashes(self.sources.regexes[name])}/"

    def find_odd_uses(self) -> Iterator[Diagnostic]:
        """Warnings for terminals that nothing uses, and for those both used and ignored."""
        ignored = {name.text for name in self.definitions.ignored}
        parts = {
            item.text
            for definition in self.definitions.all_terminals
            for item in walk_items(definition.body)
            if isinstance(item, Name)
        }
        for name, definition in self.definitions.terminals.items():
            if name in ignored and name in self.sources.regexes and re.fullmatch(self.sources.regexes[name], ""):
                shown = definition.span.text if definition.is_ignored_pattern else name
                message = f"`{shown}` is ignored and matches the empty string"
                advice = 'make it match something, as in `%ignore " "`'
                yield Diagnostic(Code.EMPTY_TERMINAL, Severity.ERROR, message, definition.span, advice)
            if name in self.used and name in ignored:
                what = "is ignored and also used in a rule"
                advice = "use another terminal in the rule, or do not ignore this one"
                yield _warning(Code.IGNORED_TERMINAL_USED, definition, what, advice)
            elif name not in self.used | ignored | parts and definition.place is not None:
                yield _warning(Code.UNUSED_TERMINAL, definition, "is not used", "remove it, or use it in a rule")

    def _report(self, code: Code, message: str, span: Span, help_text: str) -> None:
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, help_text))


def _warning(code: Code, definition: TerminalDefinition, what: str, advice: str) -> Diagnostic:
    shown = definition.span.text if definition.is_ignored_pattern else definition.name
    place = definition.place or definition.span
    return Diagnostic(code, Severity.WARNING, f"terminal `{shown}` {what}", place, advice)


def _escape_slashes(regex: str) -> str:
    """A regex as lark's source text: slashes and line breaks escaped."""
    escaped = re.sub(r"\\.|/", lambda m: r"\/" if m.group() == "/" else m.group(), regex, flags=re.DOTALL)
    return escaped.replace("\\\n", "\n").replace("\n", r"\n")
