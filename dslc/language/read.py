"""From `.lark` text to a Grammar with spans; the only module that touches lark's private parts.

lark's own tables parse the text, with positions kept, and lark's own passes give patterns and names to terminals. What
lark does after that (its own BNF) is not used: it is not the grammar as written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Token, Tree
from lark.common import LexerConf, ParserConf
from lark.exceptions import GrammarError, LarkError, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.grammar import NonTerminal, RuleOptions, Symbol
from lark.grammar import Rule as LarkRule
from lark.grammar import Terminal as LarkTerminal
from lark.lexer import Pattern as LarkPattern
from lark.lexer import PatternRE, TerminalDef
from lark.load_grammar import (
    RULES,
    TERMINALS,
    PrepareAnonTerminals,
    TerminalTreeToPattern,
    _literal_to_pattern,
    resolve_term_references,
    symbol_from_strcase,
)
from lark.parse_tree_builder import ParseTreeBuilder
from lark.parser_frontends import ParsingFrontend

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.build import RuleBuilder, build_pattern, find_repeated_alternatives
from dslc.language.collect import Definitions, collect_definitions
from dslc.language.explain_syntax import explain_syntax
from dslc.language.grammar import Grammar
from dslc.language.literals import LITERAL_LIMIT
from dslc.language.patterns import Pattern
from dslc.language.pragmas import read_pragmas
from dslc.language.read_file import read_file as read_file
from dslc.language.resolve import resolve_names
from dslc.language.syntax import (
    Brackets,
    IgnoreStatement,
    ImportStatement,
    Item,
    Name,
    Operated,
    Options,
    OtherStatement,
    Quoted,
    Range,
    Row,
    RuleStatement,
    Statement,
    TemplateUse,
    TerminalStatement,
)
from dslc.language.terminals import TerminalSources, expand_terminals
from dslc.source import SourceFile, Span

NESTING_LIMIT = 60
"""Deepest nesting of parentheses and brackets."""
_MAX_SYNTAX_ERRORS = 20
_STATEMENT = re.compile(r"(?<=\n)[^\S\n]*(?:[?!]*\w[\w-]*[^\S\n]*(?:\.\d+)?[^\S\n]*[:={]|%)")
"""A line that looks like the beginning of a statement."""

LarkTree = Tree[Any]


def read_grammar(file: SourceFile, *, literal_limit: int = LITERAL_LIMIT) -> tuple[Grammar, tuple[Diagnostic, ...]]:
    """The grammar that a file holds, with its warnings and notes.

    Args:
        file: The grammar file.
        literal_limit: Most literals of one terminal.

    Raises:
        DslcError: with every error that could be collected.

    Example:
        >>> grammar, _ = read_grammar(SourceFile("a.lark", 'start: A+\\nA: "x" | "y"\\n'))
        >>> [terminal.name for terminal in grammar.terminals]
        ['A']
    """
    _refuse_bad_characters(file)
    diagnostics: list[Diagnostic] = []
    statements = _parse_statements(file, diagnostics)
    pragmas, found = read_pragmas(file, [(statement.span.start, statement.span.end) for statement in statements])
    diagnostics.extend(found)
    common = _common_terminals()
    definitions, found = collect_definitions(statements, common)
    diagnostics.extend(found)
    diagnostics.extend(resolve_names(definitions, pragmas, file, common))
    patterns = _lark_patterns(definitions, diagnostics)
    names, anonymous = _name_anonymous(definitions, patterns)
    sources = TerminalSources(
        definitions, common, {name: pattern.to_regexp() for name, pattern in patterns.items()}, anonymous, names
    )
    terminals, ignores_blank, ignored, found = expand_terminals(sources, literal_limit=literal_limit)
    diagnostics.extend(found)
    builder = RuleBuilder(names)
    rules = tuple(builder.build_rule(definition) for definition in definitions.rules.values())
    diagnostics.extend(find_repeated_alternatives(rules))
    diagnostics.sort(key=lambda d: (d.span.start if d.span else -1, d.code.value))
    if any(d.severity is Severity.ERROR for d in diagnostics):
        raise DslcError(diagnostics)
    return Grammar(file, rules, terminals, ignores_blank, ignored, pragmas), tuple(diagnostics)


def _error(code: Code, message: str, span: Span | None, help_text: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, span, help_text)


def _refuse_bad_characters(file: SourceFile) -> None:
    found = [
        _error(
            Code.UNREADABLE_FILE,
            f"character U+{ord(match.group()):04X} is not text",
            file.span(match.start()),
            'remove it, or write it as an escape in a string, as in `"\\x00"`',
        )
        for match in re.finditer(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]", file.text)
    ]
    if found:
        raise DslcError(found[:_MAX_SYNTAX_ERRORS])


# --- lark's parser, with positions ------------------------------------------------------------------------------------


@cache
def _grammar_parser() -> ParsingFrontend:
    """lark's parser of grammar files, built as lark builds it but for the positions that it leaves out."""
    terminals = [TerminalDef(name, PatternRE(value)) for name, value in TERMINALS.items()]
    rules = [
        LarkRule(
            NonTerminal(name.lstrip("?")),
            [symbol_from_strcase(symbol) for symbol in expansion.split()],  # type: ignore[no-untyped-call]
            order,
            None,
            RuleOptions(expand1=name.startswith("?")),
        )
        for name, expansions in RULES.items()
        for order, expansion in enumerate(expansions)
    ]
    builder = ParseTreeBuilder(rules, Tree, propagate_positions=True)  # type: ignore[no-untyped-call]
    lexer_conf = LexerConf(terminals, re, ["WS", "COMMENT", "BACKSLASH"])
    lexer_conf.lexer_type = "basic"
    parser_conf = ParserConf(rules, builder.create_callback(), ["start"])  # type: ignore[no-untyped-call]
    parser_conf.parser_type = "lalr"
    return ParsingFrontend(lexer_conf, parser_conf, None)


def _parse_statements(file: SourceFile, diagnostics: list[Diagnostic]) -> tuple[Statement, ...]:
    """The statements of a file; errors inside strings and regexes are added to `diagnostics`.

    Raises:
        DslcError: with all syntax errors, and with those of the `//!` lines.
    """
    try:
        tree: LarkTree = _grammar_parser().parse(file.text + "\n", "start")
    except UnexpectedInput as first:
        errors = [d for d in read_pragmas(file)[1] if d.severity is Severity.ERROR]
        errors.extend(_syntax_errors(file, first))
        raise DslcError(sorted(errors, key=lambda d: d.span.start if d.span else -1)) from None
    _refuse_deep_nesting(tree, file)
    converter = _Converter(file, diagnostics)
    return tuple(converter.statement(child) for child in tree.children)


@cache
def _common_terminals() -> dict[str, Options]:
    """lark's `common` terminals by name."""
    text = files("lark").joinpath("grammars/common.lark").read_text(encoding="utf-8")
    statements = _parse_statements(SourceFile("common.lark", text), [])
    return {s.name.text: s.body for s in statements if isinstance(s, TerminalStatement)}


def _syntax_errors(file: SourceFile, error: UnexpectedInput) -> list[Diagnostic]:
    """Each error explained; after one, reading goes on at the next line that begins a statement."""
    text = file.text
    found: list[Diagnostic] = []
    while len(found) < _MAX_SYNTAX_ERRORS:
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
            _grammar_parser().parse(text + "\n", "start")
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
        if depth > NESTING_LIMIT:
            raise DslcError(
                _error(
                    Code.GRAMMAR_TOO_LARGE,
                    f"parentheses and brackets are nested more than {NESTING_LIMIT} deep",
                    _tree_span(tree, file),
                    "give inner groups rules or terminals of their own",
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
                options = self.options(body)
                return RuleStatement(
                    rule_name,
                    "".join(_children(modifiers)),
                    options,
                    self.file.span(start, max(rule_name.span.end, options.span.end)),
                    _tree_span(parameters, self.file) if _children(parameters) else None,
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
                return OtherStatement("%declare", names, self.file.span(start, names[-1].span.end))
            case _:
                inner = self.statement(_children(tree)[0])
                names = (inner.name,) if isinstance(inner, RuleStatement | TerminalStatement) else ()
                return OtherStatement(f"%{tree.data}", names, self.file.span(start, inner.span.end))

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
        match value.data:
            case "terminal" | "nonterminal":
                return self.name(_children(value)[0])
            case "range":
                return Range(self.quoted(_children(value)[0]), self.quoted(_children(value)[1]), span)
            case "literal":
                return self.quoted(_children(value)[0])
            case _:
                return TemplateUse(span)

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
            pattern = _literal_pattern(value, token.type)
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


def _literal_pattern(source: str, kind: str) -> LarkPattern:
    """lark's pattern of a string or regex as written."""
    pattern: LarkPattern = _literal_to_pattern(Token(kind, source))  # type: ignore[no-untyped-call]
    return pattern


# --- from our syntax to lark's passes ---------------------------------------------------------------------------------


def _to_lark(options: Options, by_id: dict[int, Quoted | Range] | None = None) -> LarkTree:
    """The tree as lark's passes want it; with `by_id`, strings are empty `pattern` nodes, remembered by their id."""

    def row(written: Row) -> LarkTree:
        tree = Tree("expansion", [item(part) for part in written.items])
        # The alias node stands for a level of the tree.
        return Tree("alias", [tree, Symbol(written.alias.text)]) if written.alias else tree

    def item(written: Item) -> LarkTree | Symbol:
        match written:
            case Options(rows):
                return Tree("expansions", [row(r) for r in rows])
            case Brackets(inner):
                return Tree("maybe", [item(inner)])
            case Operated(inner_item, "~", minimum, maximum):
                return Tree("expr", [item(inner_item), Token("TILDE", "~"), str(minimum), str(maximum)])
            case Operated(inner_item, operator):
                return Tree("expr", [item(inner_item), Token("OP", operator)])
            case Name(text):
                # Terminals stay inside a `value` node, where lark resolves them.
                return Tree("value", [LarkTerminal(text)]) if by_id is None else LarkTerminal(text)
            case Quoted() | Range() if by_id is not None:
                pattern: LarkTree = Tree("pattern", [])
                by_id[id(pattern)] = written
                return pattern
            case Quoted():
                return Tree("value", [Tree("pattern", [_lark_pattern(written)])])
            case Range():
                return Tree("value", [Tree("pattern", [_lark_pattern(written)])])
            case TemplateUse():
                return Symbol("")

    return Tree("expansions", [row(r) for r in options.rows])


def _lark_pattern(written: Quoted | Range) -> LarkPattern:
    if isinstance(written, Range):
        return PatternRE(f"[{written.first.span.text[1:-1]}-{written.last.span.text[1:-1]}]")
    return _literal_pattern(written.span.text, "REGEXP" if written.is_regex else "STRING")


def _lark_patterns(definitions: Definitions, diagnostics: list[Diagnostic]) -> dict[str, LarkPattern]:
    """What lark matches for each sound terminal, in lark's order of definition."""
    trees: dict[str, LarkTree] = {}
    if any(definition.imported for definition in definitions.terminals.values()):
        common = {name: _to_lark(body) for name, body in _common_terminals().items()}
        resolve_term_references(common)  # type: ignore[no-untyped-call]
    for name, definition in definitions.terminals.items():
        if definition.imported is not None:
            trees[name] = common[definition.imported]
        elif name not in definitions.broken:
            trees[name] = _to_lark(definition.body)
    resolve_term_references(trees)  # type: ignore[no-untyped-call]
    transformer = TerminalTreeToPattern()
    patterns: dict[str, LarkPattern] = {}
    for name, tree in trees.items():
        try:
            patterns[name] = transformer.transform(tree)
        except (LarkError, GrammarError, re.error, AssertionError) as failure:
            definitions.broken.add(name)
            definition = definitions.terminals[name]
            message = f"lark cannot read terminal `{name}`: {failure}"
            diagnostics.append(_error(Code.BAD_LITERAL, message, definition.span, "write it as strings and `|`"))
    return patterns


def _name_anonymous(
    definitions: Definitions, patterns: Mapping[str, LarkPattern]
) -> tuple[dict[int, tuple[str, bool]], dict[str, tuple[Pattern, str]]]:
    """Names of the strings and regexes in rules, as lark gives them: by id, with whether the token is kept.

    Also the terminals that are new, as our pattern and lark's regex, in lark's order: lark goes through each rule level
    by level, from the deepest.
    """
    known = set(definitions.terminals)
    namer = PrepareAnonTerminals(  # type: ignore[no-untyped-call]
        [TerminalDef(name, pattern) for name, pattern in patterns.items()]
    )
    namer.term_set |= known
    names: dict[int, tuple[str, bool]] = {}
    found: dict[str, tuple[Pattern, str]] = {}
    for rule in definitions.rules.values():
        namer.rule_options = RuleOptions(keep_all_tokens=True) if rule.keep_all_tokens else None
        by_id: dict[int, Quoted | Range] = {}
        for node in _to_lark(rule.body, by_id).iter_subtrees():
            written = by_id.get(id(node))
            if written is None or not _is_sound(written):
                continue
            lark_pattern = _lark_pattern(written)
            symbol = namer.pattern(lark_pattern)
            names[id(written)] = (symbol.name, not symbol.filter_out)
            if symbol.name not in known:
                found.setdefault(symbol.name, (build_pattern(written), lark_pattern.to_regexp()))
    return names, found


def _is_sound(written: Quoted | Range) -> bool:
    if isinstance(written, Quoted):
        return written.value != ""
    return len(written.first.value) == 1 == len(written.last.value) and written.first.value <= written.last.value
