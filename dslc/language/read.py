"""From `.lark` text to a Grammar with spans.

lark's own tables parse the text, with positions kept, and lark's own passes give patterns and names to terminals. What
lark does after that (its own BNF) is not used: it is not the grammar as written.
"""

from __future__ import annotations

import re

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.build import RuleBuilder, find_repeated_alternatives
from dslc.language.collect import collect_definitions
from dslc.language.grammar import Grammar
from dslc.language.lark_parts import lark_patterns, name_anonymous
from dslc.language.parse_statements import MAX_SYNTAX_ERRORS, common_terminals, parse_statements
from dslc.language.pragmas import read_pragmas
from dslc.language.read_file import read_file as read_file
from dslc.language.resolve import resolve_names
from dslc.language.terminals import TerminalSources, expand_terminals
from dslc.limits import Limit
from dslc.source import SourceFile, Span


def read_grammar(file: SourceFile, *, literal_limit: int | None = None) -> tuple[Grammar, tuple[Diagnostic, ...]]:
    """The grammar that a file holds, with its warnings and notes.

    Args:
        file: The grammar file.
        literal_limit: Most literals of one terminal; default: the limit `literals`.

    Raises:
        DslcError: with every error that could be collected.

    Example:
        >>> grammar, _ = read_grammar(SourceFile("a.lark", 'start: A+\\nA: "x" | "y"\\n'))
        >>> [terminal.name for terminal in grammar.terminals]
        ['A']
    """
    _refuse_long_file(file)
    _refuse_bad_characters(file)
    diagnostics: list[Diagnostic] = []
    statements = parse_statements(file, diagnostics)
    pragmas, found = read_pragmas(file, [(statement.span.start, statement.span.end) for statement in statements])
    diagnostics.extend(found)
    common = common_terminals()
    _refuse_many_rules(file, len(statements))
    definitions, found = collect_definitions(statements, common)
    diagnostics.extend(found)
    diagnostics.extend(resolve_names(definitions, pragmas, file, common))
    patterns = lark_patterns(definitions, common, diagnostics)
    names, anonymous = name_anonymous(definitions, patterns)
    sources = TerminalSources(
        definitions, common, {name: pattern.to_regexp() for name, pattern in patterns.items()}, anonymous, names
    )
    terminals, ignores_blank, ignored, found = expand_terminals(
        sources, literal_limit=Limit.LITERALS.number if literal_limit is None else literal_limit
    )
    diagnostics.extend(found)
    builder = RuleBuilder(names)
    rules = tuple(builder.build_rule(definition) for definition in definitions.rules.values())
    diagnostics.extend(find_repeated_alternatives(rules))
    diagnostics.sort(key=lambda d: (d.span.start if d.span else -1, d.code.value))
    if any(d.severity is Severity.ERROR for d in diagnostics):
        raise DslcError(diagnostics)
    return Grammar(file, rules, terminals, ignores_blank, ignored, pragmas), tuple(diagnostics)


def _refuse_long_file(file: SourceFile) -> None:
    limit = Limit.CHARACTERS.number
    if len(file.text) > limit:
        raise _too_large(
            f"the file has {len(file.text):,} characters, more than {limit:,}",
            file.span(limit),
            Limit.CHARACTERS.advise("a space of that size is better built from terminals with several literals"),
        )


def _refuse_many_rules(file: SourceFile, number: int) -> None:
    limit = Limit.RULES.number
    if number > limit:
        raise _too_large(
            f"the file has {number:,} rules and terminals, more than {limit:,}",
            file.span(0),
            Limit.RULES.advise("join rules that say the same"),
        )


def _too_large(message: str, span: Span, advice: str) -> DslcError:
    return DslcError(Diagnostic(Code.GRAMMAR_TOO_LARGE, Severity.ERROR, message, span, advice))


def _refuse_bad_characters(file: SourceFile) -> None:
    found = [
        Diagnostic(
            Code.UNREADABLE_FILE,
            Severity.ERROR,
            f"character U+{ord(match.group()):04X} is not text",
            file.span(match.start()),
            'remove it, or write it as an escape in a string, as in `"\\x00"`',
        )
        for match in re.finditer(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]", file.text)
    ]
    if found:
        raise DslcError(found[:MAX_SYNTAX_ERRORS])
