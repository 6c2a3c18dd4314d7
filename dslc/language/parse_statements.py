"""`.lark` text to statements, with the place of everything that is written."""

from __future__ import annotations

import re
from typing import Any

from lark import Token, Tree
from lark.exceptions import GrammarError, LarkError, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.explain_syntax import explain_syntax
from dslc.language.lark_parts import LarkTree, grammar_parser, literal_pattern
from dslc.language.pragmas import read_pragmas
from dslc.language.syntax import (
    Brackets,
    Change,
    ChangeStatement,
    DeclareStatement,
    IgnoreStatement,
    ImportStatement,
    Item,
    Name,
    Operated,
    Options,
    Quoted,
    Range,
    Row,
    RuleStatement,
    Statement,
    TemplateUse,
    TerminalStatement,
)
from dslc.limits import Limit
from dslc.source import SourceFile, Span

MAX_SYNTAX_ERRORS = 20
"""Most of them that are told at once."""
_STATEMENT = re.compile(r"(?<=\n)[^\S\n]*(?:[?!]*\w[\w-]*[^\S\n]*(?:\.\d+)?[^\S\n]*[:={]|%)")
"""A line that looks like the beginning of a statement."""


def parse_statements(file: SourceFile, diagnostics: list[Diagnostic]) -> tuple[Statement, ...]:
    """The statements of a file; errors inside strings and regexes are added to `diagnostics`.

    Raises:
        DslcError: with all syntax errors, and with those of the `//!` lines.
    """
    try:
        tree: LarkTree = grammar_parser().parse(file.text + "\n", "start")
    except UnexpectedInput as first:
        errors = [d for d in read_pragmas(file)[1] if d.severity is Severity.ERROR]
        errors.extend(_syntax_errors(file, first))
        raise DslcError(sorted(errors, key=lambda d: d.span.start if d.span else -1)) from None
    _refuse_deep_nesting(tree, file)
    converter = _Converter(file, diagnostics)
    return tuple(converter.statement(child) for child in tree.children)


def _error(code: Code, message: str, span: Span | None, help_text: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, span, help_text)


def _syntax_errors(file: SourceFile, error: UnexpectedInput) -> list[Diagnostic]:
    """Each error explained; after one, reading goes on at the next line that begins a statement."""
    text = file.text
    found: list[Diagnostic] = []
    while len(found) < MAX_SYNTAX_ERRORS:
        offset, length = len(text), 1
        if isinstance(error, UnexpectedCharacters):
            offset = error.pos_in_stream or 0
        elif isinstance(error, UnexpectedToken) and error.token.type != "$END" and error.token.start_pos is not None:
            offset = error.token.start_pos
            length = len(str(error.token).strip()) or 1
        offset = min(offset, len(text))
        explanation = explain_syntax(text, offset, length)
        span = file.span(explanation.start, explanation.end)
        found.append(_error(Code.SYNTAX, explanation.message, span, explanation.help))
        line_start = text.rfind("\n", 0, min(offset, explanation.start)) + 1
        line_end = text.find("\n", max(offset, explanation.start))
        following = _STATEMENT.search(text, line_end) if line_end >= 0 else None
        end = following.start() if following is not None else len(text)
        # Blanks in its place keep all offsets.
        text = text[:line_start] + re.sub(r"[^\n]", " ", text[line_start:end]) + text[end:]
        try:
            grammar_parser().parse(text + "\n", "start")
        except UnexpectedInput as another:
            error = another
        else:
            break
    return found


def _refuse_deep_nesting(root: LarkTree, file: SourceFile) -> None:
    stack = [(root, 0)]
    while stack:
        tree, depth = stack.pop()
        depth += tree.data in ("expansions", "maybe")
        if depth > Limit.NESTING.number:
            raise DslcError(
                _error(
                    Code.GRAMMAR_TOO_LARGE,
                    f"parentheses and brackets are nested more than {Limit.NESTING.number} deep",
                    _tree_span(tree, file),
                    Limit.NESTING.advise("give inner groups rules or terminals of their own"),
                )
            )
        stack.extend((child, depth) for child in tree.children if isinstance(child, Tree))


# --- from lark's trees to our syntax ----------------------------------------------------------------------------------


def _tree_span(tree: LarkTree, file: SourceFile, default: int = 0) -> Span:
    """What a tree covers, parentheses included; one character at `default` for an empty one."""
    if tree.meta.empty:
        return file.span(default, default)
    start = getattr(tree.meta, "container_start_pos", tree.meta.start_pos)
    end = getattr(tree.meta, "container_end_pos", tree.meta.end_pos)
    return file.span(start, start + max(1, len(file.text[start:end].rstrip())))


def _children(tree: LarkTree) -> list[Any]:
    """Trees and tokens; which of them stand where is fixed by lark's grammar of grammars."""
    return tree.children


class _Converter:
    """Converts lark's trees of one file."""

    def __init__(self, file: SourceFile, diagnostics: list[Diagnostic]) -> None:
        self.file = file
        self.diagnostics = diagnostics
        self.end = 0
        """Where the last thing converted ended: the place of an empty row."""

    def statement(self, tree: LarkTree) -> Statement:
        start = tree.meta.start_pos
        children = _children(tree)
        match tree.data:
            case "rule":
                modifiers, name, parameters, priority, body = children
                rule_name = self.name(name)
                names = tuple(self.name(parameter) for parameter in _children(parameters))
                options = self.options(body)
                return RuleStatement(
                    rule_name,
                    "".join(_children(modifiers)),
                    options,
                    self.file.span(start, max(rule_name.span.end, options.span.end)),
                    names,
                    self.priority(_children(priority)[0]) if _children(priority) else None,
                )
            case "term":
                name = self.name(children[0])
                options = self.options(children[-1])
                priority_span = self.priority(children[1]) if len(children) == 3 else None
                return TerminalStatement(name, options, self.file.span(start, options.span.end), priority_span)
            case "ignore":
                self.end = start
                options = self.options(_children(tree)[0])
                return IgnoreStatement(options, self.file.span(start, options.span.end))
            case "import":
                return self.import_statement(tree)
            case "declare":
                names = tuple(self.name(_children(symbol)[0]) for symbol in _children(tree))
                return DeclareStatement(names, self.file.span(start, names[-1].span.end))
            case _:
                inner = self.statement(_children(tree)[0])
                assert isinstance(inner, RuleStatement | TerminalStatement), "lark's syntax has no other"
                return ChangeStatement(Change(f"%{tree.data}"), inner, self.file.span(start, inner.span.end))

    def import_statement(self, tree: LarkTree) -> ImportStatement:
        path = _children(tree)[0]
        argument = _children(tree)[1] if len(_children(tree)) > 1 else None
        parts = tuple(self.name(part) for part in _children(path))
        if isinstance(argument, Tree):
            library, names = parts, tuple(self.name(child) for child in _children(argument))
        else:
            library, names = parts[:-1], parts[-1:]
        aliases = (self.name(argument),) if isinstance(argument, Token) else names
        path_span = _tree_span(path, self.file)
        span = self.file.span(tree.meta.start_pos, max(path_span.end, aliases[-1].span.end))
        dotted = tuple(part.text for part in library)
        return ImportStatement(dotted, path.data == "import_rel", names, aliases, path_span, span)

    def priority(self, number: Token) -> Span:
        span = self.token_span(number)
        return self.file.span(self.file.text.rindex(".", 0, span.start + 1), span.end)

    def options(self, tree: LarkTree) -> Options:
        start = self.end
        rows = tuple(self.row(child) for child in _children(tree))
        span = _tree_span(tree, self.file, start)
        return Options(rows, span)

    def row(self, tree: LarkTree) -> Row:
        if tree.data == "alias":
            row = self.row(_children(tree)[0])
            alias = self.name(_children(_children(tree)[1])[0])
            arrow = self.file.text.rindex("->", 0, alias.span.start)
            return Row(row.items, _tree_span(tree, self.file), alias, self.file.span(arrow, alias.span.end))
        start = self.end
        items = tuple(self.item(child) for child in _children(tree))
        return Row(items, _tree_span(tree, self.file, start))

    def item(self, tree: LarkTree) -> Item:
        span = _tree_span(tree, self.file)
        self.end = span.end
        match tree.data:
            case "expansions":
                return self.options(tree)
            case "maybe":
                return Brackets(self.options(_children(tree)[0]), span)
            case "expr":
                return self.operated(tree, span)
            case _:
                value = _children(tree)[0]
        return self.value(value, span)

    def value(self, value: LarkTree, span: Span) -> Item:
        match value.data:
            case "terminal" | "nonterminal":
                return self.name(_children(value)[0])
            case "range":
                return Range(self.quoted(_children(value)[0]), self.quoted(_children(value)[1]), span)
            case "literal":
                return self.quoted(_children(value)[0])
            case _:
                template, *arguments = _children(value)
                name = self.name(_children(template)[0])
                items = tuple(self.value(_children(each)[0], _tree_span(each, self.file)) for each in arguments)
                self.end = span.end
                return TemplateUse(name, items, span)

    def operated(self, tree: LarkTree, span: Span) -> Operated:
        operator = self.token_span(_children(tree)[1])
        item = self.item(_children(tree)[0])
        self.end = span.end
        if operator.text != "~":
            minimum, maximum = {"?": (0, 1), "*": (0, None), "+": (1, None)}[operator.text]
            return Operated(item, operator.text, minimum, maximum, span, operator)
        # Longer numbers pass every limit, and Python refuses to read thousands of digits.
        numbers = [int(number) if len(number) < 10 else 10**9 for number in _children(tree)[2:]]
        return Operated(item, "~", numbers[0], numbers[-1], span, self.file.span(operator.start, span.end))

    def name(self, token: Token) -> Name:
        span = self.token_span(token)
        self.end = span.end
        return Name(str(token), span)

    def quoted(self, token: Token) -> Quoted:
        span = self.token_span(token)
        self.end = span.end
        is_regex = token.type == "REGEXP"
        kind, value = ("regex" if is_regex else "string"), str(token)
        try:
            pattern = literal_pattern(value, token.type)
        except (LarkError, GrammarError, SyntaxError, ValueError, AssertionError):
            if value[1:].startswith(value[0]):
                reason, advice = "is empty", "leave it out: an alternative with nothing in it is empty, as in `a: b |`"
            elif "\n" in value:
                reason, advice = "has a line break", "write `\\n`"
            else:
                reason = "has a wrong escape"
                advice = "write a backslash as `\\\\`, characters as `\\n`, `\\x41` or `\\u0041`"
            self.diagnostics.append(_error(Code.BAD_LITERAL, f"the {kind} {reason}", span, advice))
            return Quoted("", "", is_regex, span)
        return Quoted(pattern.value, "".join(sorted(pattern.flags)), is_regex, span)

    def token_span(self, token: Token) -> Span:
        assert token.start_pos is not None, "lark positions every token of a file"
        return self.file.span(token.start_pos, token.start_pos + len(token))
