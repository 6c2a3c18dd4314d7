"""From `.lark` text to a Grammar with spans.

lark's own tables parse the text, with positions kept, and lark's own passes give patterns and names to terminals. What
lark does after that (its own BNF) is not used: it is not the grammar as written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from warnings import catch_warnings, simplefilter

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.anchor_names import check_anchors
from dslc.language.build import RuleBuilder, find_repeated_alternatives
from dslc.language.collect import collect_definitions
from dslc.language.collisions import find_collisions
from dslc.language.constraint_names import check_constraint_names
from dslc.language.grammar import Grammar
from dslc.language.imports import ImportedFile, ImportReader, common_terminals
from dslc.language.lark_parts import AnonymousNames, lark_patterns
from dslc.language.parse_statements import parse_statements
from dslc.language.pragmas import read_pragmas
from dslc.language.read_file import read_file as read_file
from dslc.language.read_file import refuse_bad_characters
from dslc.language.resolve import note_priorities, resolve_names
from dslc.language.templates import write_out_templates
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
    with catch_warnings():
        # `re` warns of a `[` in a class, which a later Python might read as a nested set; this one does not.
        simplefilter("ignore", FutureWarning)
        return _read_grammar(file, literal_limit)


def _read_grammar(file: SourceFile, literal_limit: int | None) -> tuple[Grammar, tuple[Diagnostic, ...]]:
    _refuse_long_file(file)
    refuse_bad_characters(file)
    diagnostics: list[Diagnostic] = []
    statements = parse_statements(file, diagnostics)
    pragmas, found = read_pragmas(file, [(statement.span.start, statement.span.end) for statement in statements])
    diagnostics.extend(found)
    _refuse_many_rules(file, len(statements))
    main = ImportedFile(file, statements, is_library=False)
    reader = ImportReader(main, diagnostics)
    definitions = collect_definitions(main, reader)
    diagnostics.extend(note_priorities(definitions))
    diagnostics.extend(resolve_names(definitions, pragmas, file, common_terminals()))
    patterns = lark_patterns(definitions, diagnostics)
    anonymous = AnonymousNames(definitions, patterns)
    write_out_templates(definitions, anonymous, diagnostics)
    regexes = {name: pattern.to_regexp() for name, pattern in patterns.items()}
    sources = TerminalSources(definitions, regexes, anonymous.found, anonymous.names)
    terminals, ignores_blank, ignored, found = expand_terminals(
        sources, literal_limit=Limit.LITERALS.number if literal_limit is None else literal_limit
    )
    diagnostics.extend(found)
    builder = RuleBuilder(anonymous.names, definitions.rules.values())
    rules = tuple(builder.build_rule(definition) for definition in definitions.rules.values())
    diagnostics.extend(find_repeated_alternatives(rules))
    diagnostics.extend(find_collisions(rules))
    diagnostics.extend(check_constraint_names(pragmas.constraints, rules, terminals))
    diagnostics.extend(check_anchors(pragmas.anchors, pragmas.constraints, rules, terminals))
    diagnostics = _arrange(diagnostics, file, reader)
    if any(d.severity is Severity.ERROR for d in diagnostics):
        raise DslcError(diagnostics)
    grammar = Grammar(file, rules, terminals, ignores_blank, ignored, pragmas, reader.files)
    return grammar, tuple(diagnostics)


def _arrange(diagnostics: Iterable[Diagnostic], file: SourceFile, reader: ImportReader) -> list[Diagnostic]:
    """Each once, by file and place; what is wrong in a file that comes with lark is shown where that is imported."""
    order = {each.name: number for number, each in enumerate((file, *reader.files))}
    places = reader.library_places

    def show(diagnostic: Diagnostic) -> Diagnostic:
        place = places.get(diagnostic.span.file.name) if diagnostic.span else None
        labels = tuple(label for label in diagnostic.labels if label.span.file.name not in places)
        return replace(diagnostic, span=place or diagnostic.span, labels=labels)

    def key(diagnostic: Diagnostic) -> tuple[int, int, str]:
        if diagnostic.span is None:
            return -1, -1, diagnostic.code.value
        return order.get(diagnostic.span.file.name, -1), diagnostic.span.start, diagnostic.code.value

    return sorted(dict.fromkeys(map(show, diagnostics)), key=key)


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
