"""From `.lark` text to a Grammar with spans; the only module that touches lark's private parts.

lark's own tables parse the text, with positions kept, and lark's own passes give patterns and names to terminals. What lark
does after that (its own BNF) is not used: it is not the grammar as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from lark import Token, Tree
from lark.exceptions import GrammarError, LarkError, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.grammar import NonTerminal, RuleOptions
from lark.grammar import Rule as LarkRule
from lark.lexer import PatternRE, TerminalDef
from lark.lexer import Pattern as LarkPattern
from lark.load_grammar import (
    RULES,
    TERMINALS,
    PrepareAnonTerminals,
    PrepareGrammar,
    PrepareLiterals,
    TerminalTreeToPattern,
    find_grammar_errors,
    resolve_term_references,
    symbol_from_strcase,
)
from lark.parse_tree_builder import ParseTreeBuilder
from lark.parser_frontends import LexerConf, ParserConf, ParsingFrontend

from dslc.diagnostics import Code, Diagnostic, DslcError, Label, Severity
from dslc.language.explain_syntax import explain_syntax
from dslc.language.grammar import (
    Alternative,
    Expression,
    Grammar,
    Group,
    Literal,
    Maybe,
    Optional,
    Repetition,
    Rule,
    RuleUse,
    Sequence,
    Terminal,
    TerminalUse,
)
from dslc.language.literals import (
    LITERAL_LIMIT,
    CharacterRange,
    Choice,
    Concatenation,
    Pattern,
    Reference,
    Regex,
    Repeat,
    Text,
    expand_pattern,
)
from dslc.language.pragmas import Pragmas, read_pragmas
from dslc.source import SourceFile, Span

NESTING_LIMIT = 60
"""Deepest nesting of parentheses and brackets."""
REPETITION_LIMIT = 50
"""lark repeats an item in place below this number and through hidden rules from it on, which changes placeholders."""


def read_file(path: str | Path) -> SourceFile:
    """The text of a grammar file, as UTF-8 without a byte order mark.

    Raises:
        DslcError: DSLC101 if there is no such file, DSLC133 if it cannot be read as text.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DslcError(_error(Code.FILE_NOT_FOUND, f"no file is named `{path}`", None, "check the path")) from None
    except OSError as failure:
        reason = failure.strerror or str(failure)
        raise DslcError(
            _error(Code.UNREADABLE_FILE, f"cannot read `{path}`: {reason}", None, "give the path of a readable `.lark` file")
        ) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        before = SourceFile(str(path), data.decode("utf-8", errors="replace"))
        offset = len(data[: failure.start].decode("utf-8", errors="replace"))
        raise DslcError(
            _error(
                Code.UNREADABLE_FILE,
                f"byte 0x{data[failure.start]:02x} is not UTF-8 text",
                before.span(offset),
                "save the file as UTF-8",
            )
        ) from None
    return SourceFile(str(path), text)


def read_grammar(file: SourceFile) -> tuple[Grammar, tuple[Diagnostic, ...]]:
    """The grammar that a file holds, with its warnings and notes.

    Raises:
        DslcError: with every error that could be collected.

    Example:
        >>> grammar, _ = read_grammar(SourceFile("a.lark", 'start: A+\\nA: "x" | "y"\\n'))
        >>> [terminal.name for terminal in grammar.terminals]
        ['A']
    """
    try:
        return _Reader(file).read()
    except RecursionError:
        raise DslcError(
            _error(
                Code.GRAMMAR_TOO_LARGE,
                "the grammar is nested too deeply",
                None,
                "give inner groups rules or terminals of their own",
            )
        ) from None


# --- lark's parser, with positions ------------------------------------------------------------------------------------


@cache
def _grammar_parser() -> ParsingFrontend:
    """lark's parser of grammar files, built as lark builds it but for the positions that it leaves out."""
    terminals = [TerminalDef(name, PatternRE(value)) for name, value in TERMINALS.items()]
    rules = [
        LarkRule(
            NonTerminal(name.lstrip("?")),
            [symbol_from_strcase(symbol) for symbol in expansion.split()],
            order,
            None,
            RuleOptions(expand1=name.startswith("?")),
        )
        for name, expansions in RULES.items()
        for order, expansion in enumerate(expansions)
    ]
    callbacks = ParseTreeBuilder(rules, Tree, propagate_positions=True).create_callback()
    lexer_conf = LexerConf(terminals, re, ["WS", "COMMENT", "BACKSLASH"])
    lexer_conf.lexer_type = "basic"
    parser_conf = ParserConf(rules, callbacks, ["start"])
    parser_conf.parser_type = "lalr"
    return ParsingFrontend(lexer_conf, parser_conf, None)


RawTree = Tree[Token]


def _parse(text: str) -> RawTree:
    tree: RawTree = _grammar_parser().parse(text + "\n", "start")
    return tree


@cache
def _common_definitions() -> tuple[SourceFile, dict[str, RawTree]]:
    """lark's `common.lark`: terminal trees by name."""
    text = files("lark").joinpath("grammars/common.lark").read_text(encoding="utf-8")
    terminals = {str(item.children[0]): _tree(item.children[-1]) for item in map(_tree, _parse(text).children)}
    return SourceFile("common.lark", text), terminals


# --- the reader -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _TerminalDefinition:
    name: str
    tree: RawTree
    file: SourceFile
    span: Span
    """Where the user's file names it."""


@dataclass(frozen=True, slots=True)
class _RuleDefinition:
    name: str
    tree: RawTree
    keep_all_tokens: bool
    expand_single: bool
    span: Span


class _Reader:
    """One reading of one file: collects definitions, then errors in them, then builds the grammar."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.diagnostics: list[Diagnostic] = []
        self.rules: dict[str, _RuleDefinition] = {}
        self.terminals: dict[str, _TerminalDefinition] = {}
        self.ignored: list[str] = []
        self.refused: set[str] = set()
        """Names that a refused statement would have defined: uses of them are not reported again."""
        self.broken: set[str] = set()
        """Terminals whose definitions cannot be expanded, and were reported."""
        self.names: dict[int, tuple[str, bool]] = {}
        """Name and whether it is kept, by id of the raw tree of a string or regex in a rule."""

    def read(self) -> tuple[Grammar, tuple[Diagnostic, ...]]:
        self._refuse_bad_characters()
        try:
            tree = _parse(self.file.text)
        except UnexpectedInput as first:
            pragma_errors = read_pragmas(self.file)[1]
            errors = [d for d in pragma_errors if d.severity is Severity.ERROR]
            raise DslcError(_in_order([*self._syntax_errors(first), *errors])) from None
        except (LarkError, AssertionError) as failure:
            raise DslcError(_error(Code.SYNTAX, str(failure), self.file.span(0), "correct the syntax")) from None
        statements = [_tree(statement) for statement in tree.children]
        pragmas, found = read_pragmas(self.file, [self._statement_range(statement) for statement in statements])
        self.diagnostics.extend(found)
        self._refuse_deep_nesting(statements)
        for statement in statements:
            if statement.data == "import":
                self._read_import(statement)
        for statement in statements:
            self._read_statement(statement)
        self._check_references()
        self._check_starts(pragmas)
        patterns = self._patterns()
        terminals, ignores_blank, ignored = self._name_and_expand(patterns)
        rules = tuple(self._rule(definition) for definition in self.rules.values())
        self._check_repeated_alternatives(rules)
        if any(d.severity is Severity.ERROR for d in self.diagnostics):
            raise DslcError(_in_order(self.diagnostics))
        grammar = Grammar(self.file, rules, terminals, ignores_blank, ignored, pragmas)
        return grammar, tuple(_in_order(self.diagnostics))

    # --- text and syntax ----------------------------------------------------------------------------------------------

    def _refuse_bad_characters(self) -> None:
        found = [
            _error(
                Code.UNREADABLE_FILE,
                f"character U+{ord(match.group()):04X} is not text",
                self.file.span(match.start()),
                "remove it, or write it as an escape in a string, as in `\"\\x00\"`",
            )
            for match in re.finditer(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]", self.file.text)
        ]
        if found:
            raise DslcError(found[:10])

    def _syntax_errors(self, first: UnexpectedInput) -> list[Diagnostic]:
        try:
            errors = [error for error, _ in find_grammar_errors(self.file.text)]
        except (LarkError, AssertionError, StopIteration, TypeError, ValueError, IndexError, KeyError):
            errors = [first]
        found: dict[int, Diagnostic] = {}
        for error in errors or [first]:
            offset = len(self.file.text)
            length = 1
            expected: frozenset[str] = frozenset()
            if isinstance(error, UnexpectedCharacters):
                offset = error.pos_in_stream or 0
                expected = frozenset(error.allowed or ())
            elif isinstance(error, UnexpectedToken):
                expected = frozenset(error.accepts or error.expected)
                if error.token.type != "$END" and error.token.start_pos is not None:
                    offset = error.token.start_pos
                    length = max(1, len(error.token.rstrip()))
            offset = min(offset, len(self.file.text))
            explanation = explain_syntax(self.file.text, offset, expected)
            start = explanation.start if explanation.start is not None else offset
            end = explanation.end if explanation.end is not None else max(start, offset) + length
            end = min(end, len(self.file.text)) if start < len(self.file.text) else start + 1
            line = self.file.locate(start).line
            found.setdefault(
                line, _error(Code.SYNTAX, explanation.message, self.file.span(start, end), explanation.help)
            )
        return list(found.values())

    def _refuse_deep_nesting(self, statements: list[RawTree]) -> None:
        for statement in statements:
            stack = [(statement, 0)]
            while stack:
                tree, depth = stack.pop()
                depth += tree.data in ("expansions", "maybe")
                if depth > NESTING_LIMIT:
                    raise DslcError(
                        _error(
                            Code.GRAMMAR_TOO_LARGE,
                            f"parentheses and brackets are nested more than {NESTING_LIMIT} deep",
                            self._span(tree),
                            "give inner groups rules or terminals of their own",
                        )
                    )
                stack.extend((child, depth) for child in tree.children if isinstance(child, Tree))

    def _statement_range(self, statement: RawTree) -> tuple[int, int]:
        """From a statement's first character to its last, line break not counted."""
        start = statement.meta.start_pos
        ends = [start]
        stack: list[RawTree] = [statement]
        while stack:
            tree = stack.pop()
            if tree is not statement and tree.data not in ("rule", "term") and not tree.meta.empty:
                ends.append(getattr(tree.meta, "container_end_pos", tree.meta.end_pos))
            for child in tree.children:
                if isinstance(child, Tree):
                    stack.append(child)
                elif child.end_pos is not None:
                    ends.append(child.end_pos)
        return start, max(ends)

    # --- statements ---------------------------------------------------------------------------------------------------

    def _read_statement(self, statement: RawTree) -> None:
        match statement.data:
            case "rule":
                self._read_rule(statement)
            case "term":
                self._read_terminal(statement)
            case "ignore":
                self._read_ignore(statement)
            case "override" | "extend":
                inner = _tree(statement.children[0])
                name = next(child for child in inner.children if isinstance(child, Token))
                self._refuse_statement(statement, f"%{statement.data}", [name])
            case "declare":
                names = [_token(_tree(child).children[0]) for child in statement.children]
                self._refuse_statement(statement, "%declare", names)
            case _:
                pass

    def _refuse_statement(self, statement: RawTree, word: str, names: list[Token]) -> None:
        start = statement.meta.start_pos
        self._report(
            Code.UNSUPPORTED_STATEMENT,
            f"`{word}` is not available in this version of dslc",
            self.file.span(start, start + len(word)),
            "write the rule or terminal out in this file",
        )
        self.refused.update(map(str, names))

    def _read_rule(self, statement: RawTree) -> None:
        modifiers, name, parameters, priority = statement.children[:4]
        tree = _tree(statement.children[4])
        name = _token(name)
        if _tree(parameters).children:
            self._report(
                Code.TEMPLATE,
                f"rule `{name}` is a template, which is not available in this version of dslc",
                self._span(_tree(parameters)),
                "write one rule for each use of it",
            )
            self.refused.add(str(name))
            return
        marks = "".join(_token(mark) for mark in _tree(modifiers).children)
        if "?" in marks and name.startswith("_"):
            mark = _token(_tree(modifiers).children[0])
            self._report(
                Code.BAD_MODIFIER,
                f"`?{name}` has no meaning: a rule named with `_` is always replaced by its children",
                self._token_span(mark).join(self._token_span(name)),
                f"write `{name}`, or drop the `_`",
            )
        if _tree(priority).children:
            self._refuse_priority("rule", name, _token(_tree(priority).children[0]))
        definition = _RuleDefinition(str(name), tree, "!" in marks, "?" in marks, self._token_span(name))
        if self._is_new(definition.name, definition.span):
            self.rules[definition.name] = definition

    def _read_terminal(self, statement: RawTree) -> None:
        name = _token(statement.children[0])
        if len(statement.children) == 3:
            self._refuse_priority("terminal", name, _token(statement.children[1]))
        definition = _TerminalDefinition(str(name), _tree(statement.children[-1]), self.file, self._token_span(name))
        if self._is_new(definition.name, definition.span):
            self.terminals[definition.name] = definition

    def _read_ignore(self, statement: RawTree) -> None:
        tree = _tree(statement.children[0])
        # As lark does: a lone terminal is ignored under its own name, anything else under a new one.
        value = _only_value(tree)
        if value is not None and value.data == "terminal":
            self.ignored.append(str(value.children[0]))
            return
        name = f"__IGNORE_{len(self.ignored)}"
        self.ignored.append(name)
        self.terminals[name] = _TerminalDefinition(name, tree, self.file, self._span(tree))

    def _read_import(self, statement: RawTree) -> None:
        path = _tree(statement.children[0])
        names = [_token(child) for child in path.children]
        argument = statement.children[1] if len(statement.children) > 1 else None
        imported = [_token(child) for child in argument.children] if isinstance(argument, Tree) else names[-1:]
        aliases = [argument] if isinstance(argument, Token) else imported
        library = names if isinstance(argument, Tree) else names[:-1]
        dotted = ".".join(library)
        if path.data == "import_rel" or (library and dotted != "common"):
            self._report(
                Code.UNSUPPORTED_IMPORT,
                f"imports from `{'.' if path.data == 'import_rel' else ''}{dotted}` are not available in this version of dslc",
                self._span(path),
                "copy the rules and terminals into this file; only lark's `common` can be imported",
            )
            self.refused.update(map(str, aliases))
            return
        if not library:
            self._report(
                Code.UNKNOWN_IMPORT,
                f"nothing is imported from `{names[0]}`",
                self._span(path),
                "name what to import, as in `%import common.DIGIT`",
            )
            return
        common_file, definitions = _common_definitions()
        for name, alias in zip(imported, aliases, strict=True):
            if str(name) not in definitions:
                near = get_close_matches(str(name).upper(), definitions, n=1)
                self._report(
                    Code.UNKNOWN_IMPORT,
                    f"lark's `common` has no `{name}`",
                    self._token_span(name),
                    f"did you mean `{near[0]}`?" if near else "it has " + ", ".join(f"`{d}`" for d in definitions),
                )
                self.refused.add(str(alias))
            elif not alias.isupper():
                self._report(
                    Code.UNKNOWN_IMPORT,
                    f"`{name}` is a terminal and cannot be called `{alias}`",
                    self._token_span(alias),
                    f"write the name in capitals: `{alias.upper()}`",
                )
                self.refused.add(str(alias))
            elif self._is_new(str(alias), self._token_span(alias)):
                self.terminals[str(alias)] = _TerminalDefinition(
                    str(alias), definitions[str(name)], common_file, self._token_span(alias)
                )

    def _refuse_priority(self, kind: str, name: Token, number: Token) -> None:
        self._report(
            Code.PRIORITY,
            f"{kind} `{name}` has a priority, which is not available in this version of dslc",
            self.file.span(self._token_span(number).start - 1, self._token_span(number).end),
            f"remove `.{number}`: dslc keeps every reading of a text and says when there are two",
        )

    def _is_new(self, name: str, span: Span) -> bool:
        if name.startswith("__"):
            self._report(
                Code.RESERVED_NAME,
                f"names that begin with two underscores are reserved: `{name}`",
                span,
                f"write `{name.lstrip('_')}` or `_{name.lstrip('_')}`",
            )
            self.refused.add(name)
            return False
        earlier = self.rules.get(name) or self.terminals.get(name)
        if earlier is None:
            return True
        self.diagnostics.append(
            Diagnostic(
                Code.DUPLICATE_DEFINITION,
                Severity.ERROR,
                f"`{name}` is defined twice",
                span,
                "rename one of them, or join them with `|`",
                (Label(earlier.span, "first defined here"),),
            )
        )
        return False

    # --- names that are used ------------------------------------------------------------------------------------------

    def _check_references(self) -> None:
        for rule in self.rules.values():
            for tree in _subtrees(rule.tree):
                if tree.data in ("nonterminal", "terminal"):
                    self._check_name(_token(tree.children[0]), f"rule `{rule.name}`")
                elif tree.data == "template_usage":
                    self._report(
                        Code.TEMPLATE,
                        "templates are not available in this version of dslc",
                        self._span(tree),
                        "write one rule for each use; a repetition is written `(x)*`",
                    )
        for terminal in self.terminals.values():
            if terminal.file is self.file:
                self._check_terminal(terminal)
        for name in self.ignored:
            if name not in self.terminals and name not in self.refused:
                place = next(
                    self._token_span(_token(tree.children[0]))
                    for tree in _subtrees(_parse(self.file.text))
                    if tree.data == "terminal" and tree.children[0] == name
                )
                self._undefined_terminal(name, place, "%ignore")
        self._check_recursive_terminals()

    def _check_name(self, name: Token, where: str) -> None:
        if str(name) in self.refused:
            return
        span = self._token_span(name)
        if name.isupper():
            if str(name) not in self.terminals:
                self._undefined_terminal(str(name), span, where)
        elif str(name) not in self.rules:
            near = get_close_matches(str(name), [*self.rules, *self.terminals], n=1, cutoff=0.6)
            advice = f"did you mean `{near[0]}`?" if near else f"define it, as in `{name}: ...`"
            if not near and name.upper() in self.terminals:
                advice = f"did you mean `{name.upper()}`?"
            self._report(Code.UNDEFINED_RULE, f"rule `{name}` is used in {where} but not defined", span, advice)

    def _undefined_terminal(self, name: str, span: Span, where: str) -> None:
        near = get_close_matches(name, [*self.terminals, *self.rules], n=1, cutoff=0.6)
        if near:
            advice = f"did you mean `{near[0]}`?"
        elif name.lower() in self.rules:
            advice = f"did you mean `{name.lower()}`?"
        elif name in _common_definitions()[1]:
            advice = f"define it, or import it: `%import common.{name}`"
        else:
            advice = f'define it, as in `{name}: "a" | "b"`'
        self._report(Code.UNDEFINED_TERMINAL, f"terminal `{name}` is used in {where} but not defined", span, advice)

    def _check_terminal(self, terminal: _TerminalDefinition) -> None:
        where = "%ignore" if terminal.name.startswith("__IGNORE") else f"terminal `{terminal.name}`"
        for tree in _subtrees(terminal.tree):
            if tree.data == "terminal":
                name = _token(tree.children[0])
                if str(name) in self.refused:
                    self.broken.add(terminal.name)
                elif str(name) not in self.terminals:
                    self.broken.add(terminal.name)
                    self._undefined_terminal(str(name), self._token_span(name), where)
            elif tree.data == "alias":
                self.broken.add(terminal.name)
                self._report(
                    Code.MISPLACED_ALIAS,
                    f"an alias has no meaning in {where}",
                    self._alias_span(tree),
                    "aliases name alternatives of rules; remove it",
                )
            elif tree.data == "template_usage":
                self.broken.add(terminal.name)
                self._report(Code.TEMPLATE, f"a template in {where}", self._span(tree), "write it out")
            elif tree.data == "nonterminal":
                self.broken.add(terminal.name)
                name = _token(tree.children[0])
                self._report(
                    Code.RULE_IN_TERMINAL,
                    f"{where} uses rule `{name}`, and a terminal is made of strings, regexes and terminals only",
                    self._token_span(name),
                    f"make `{name}` a terminal, in capitals, or make `{terminal.name}` a rule, in small letters"
                    if where != "%ignore"
                    else f"make `{name}` a terminal, in capitals",
                )

    def _check_recursive_terminals(self) -> None:
        """Report each cycle among terminals once, and give up on all terminals that reach one."""
        uses = {
            name: [_token(t.children[0]) for t in _subtrees(d.tree) if t.data == "terminal"]
            for name, d in self.terminals.items()
            if d.file is self.file
        }
        done: set[str] = set()
        for root in uses:
            path: list[str] = []
            on_path: set[str] = set()
            stack: list[tuple[str, Iterator[Token]]] = []
            if root not in done:
                stack.append((root, iter(uses[root])))
                path.append(root)
                on_path.add(root)
            while stack:
                name, rest = stack[-1]
                used = next(rest, None)
                if used is None:
                    stack.pop()
                    path.pop()
                    on_path.discard(name)
                    done.add(name)
                    if stack and name in self.broken:
                        self.broken.add(stack[-1][0])
                elif str(used) in on_path:
                    cycle = path[path.index(str(used)) :]
                    self.broken.update(path)
                    self._report(
                        Code.RECURSIVE_TERMINAL,
                        f"terminal `{used}` contains itself: {' > '.join([*cycle, str(used)])}",
                        self._token_span(used),
                        "only rules can be recursive: write it as a rule, in small letters",
                    )
                elif str(used) in uses and str(used) not in done:
                    stack.append((str(used), iter(uses[str(used)])))
                    path.append(str(used))
                    on_path.add(str(used))
                elif str(used) in self.broken:
                    self.broken.add(name)

    def _check_starts(self, pragmas: Pragmas) -> None:
        for start in pragmas.starts:
            if start not in self.rules:
                self._missing_start(start, pragmas.spans.get(f"start {start}"))
        for claim in pragmas.sizes:
            if claim.start is not None and claim.start not in self.rules:
                self._missing_start(claim.start, pragmas.spans.get(f"size {claim.start}"))

    def _missing_start(self, start: str, span: Span | None) -> None:
        if start in self.refused:
            return
        near = get_close_matches(start, self.rules, n=1)
        first = next((name for name in self.rules if not name.startswith("_")), None)
        if near:
            advice = f"did you mean `{near[0]}`?"
        elif span is None and first is not None:
            advice = f"name the start rule: `//! start {first}`"
        else:
            advice = "define it, as in `start: ...`"
        if span is None and near:
            advice += f" rename it, or name the start rule: `//! start {near[0]}`"
            span = self.rules[near[0]].span
        message = f"the grammar has no rule `{start}` to start from" if span is None or near else f"no rule is named `{start}`"
        self._report(Code.MISSING_START, message, span or self.file.span(0), advice)

    # --- terminals ----------------------------------------------------------------------------------------------------

    def _patterns(self) -> dict[str, Pattern]:
        """Our patterns of all terminals that are sound, in lark's order."""
        patterns: dict[str, Pattern] = {}
        common_file, common = _common_definitions()
        if any(definition.file is common_file for definition in self.terminals.values()):
            for name, tree in common.items():
                patterns[f"common.{name}"] = self._pattern(tree, common_file, prefix="common.")
        for name, definition in self.terminals.items():
            if name in self.broken:
                continue
            prefix = "common." if definition.file is common_file else ""
            try:
                patterns[name] = self._pattern(definition.tree, definition.file, prefix)
            except DslcError as error:
                self.diagnostics.extend(error.diagnostics)
                self.broken.add(name)
        return patterns

    def _pattern(self, tree: RawTree, file: SourceFile, prefix: str = "") -> Pattern:
        span = _tree_span(tree, file)
        match tree.data:
            case "expansions":
                options = tuple(self._pattern(_tree(child), file, prefix) for child in tree.children)
                return options[0] if len(options) == 1 else Choice(options, span)
            case "expansion":
                items = tuple(self._pattern(_tree(child), file, prefix) for child in tree.children)
                return items[0] if len(items) == 1 else Concatenation(items, span)
            case "expr":
                minimum, maximum = self._bounds(tree, file)
                return Repeat(self._pattern(_tree(tree.children[0]), file, prefix), minimum, maximum, span)
            case "maybe":
                return Repeat(self._pattern(_tree(tree.children[0]), file, prefix), 0, 1, span)
            case "value":
                return self._pattern(_tree(tree.children[0]), file, prefix)
            case "terminal":
                return Reference(prefix + str(tree.children[0]), span)
            case "range":
                first, last = (_token(child) for child in tree.children)
                return self._range(first, last, span)
            case _:
                token = _token(tree.children[0])
                pattern = self._literal(token, file)
                if token.type == "STRING":
                    return Text(pattern.value, "i" in pattern.flags, span)
                return Regex(pattern.value, "".join(sorted(pattern.flags)), span)

    def _range(self, first: Token, last: Token, span: Span | None) -> CharacterRange:
        ends: list[str] = []
        for token in (first, last):
            pattern = self._literal(token, self.file if span is None else span.file)
            if len(pattern.value) != 1 or pattern.flags:
                raise DslcError(
                    _error(
                        Code.BAD_LITERAL,
                        f"a range goes from one character to another, not `{token}`",
                        span,
                        'write it as in `"a".."z"`, without flags',
                    )
                )
            ends.append(pattern.value)
        return CharacterRange(ends[0], ends[1], span)

    def _literal(self, token: Token, file: SourceFile) -> LarkPattern:
        """lark's pattern of a string or regex."""
        try:
            tree = PrepareLiterals().transform(Tree("value", [Tree("literal", [token])]))
            pattern: LarkPattern = tree.children[0].children[0]
        except (LarkError, GrammarError, SyntaxError, ValueError, AssertionError) as failure:
            if token.value[1:].startswith(token.value[0]):
                reason, advice = "is empty", "leave it out: an empty alternative matches nothing, as in `a: b |`"
            elif "newline" in str(failure):
                reason, advice = "has a line break", "write `\\n`"
            else:
                reason, advice = "has a wrong escape", "write a backslash as `\\\\`, a character as `\\n`, `\\x41` or `\\u0041`"
            kind = "string" if token.type == "STRING" else "regex"
            span = _token_span(token, file)
            raise DslcError(_error(Code.BAD_LITERAL, f"the {kind} `{token}` {reason}", span, advice)) from None
        return pattern

    def _bounds(self, tree: RawTree, file: SourceFile) -> tuple[int, int | None]:
        operator = str(tree.children[1])
        if operator in "?*+":
            return {"?": (0, 1), "*": (0, None), "+": (1, None)}[operator]
        numbers = [_token(child) for child in tree.children[2:]]
        minimum, maximum = int(numbers[0]), int(numbers[-1])
        if minimum < 0 or maximum < minimum:
            span = _token_span(numbers[0], file).join(_token_span(numbers[-1], file))
            advice = "write numbers from 0" if minimum < 0 or maximum < 0 else f"write `~{maximum}..{minimum}`"
            raise DslcError(
                _error(Code.BAD_REPETITION, f"`{span.text}` is not a number of repetitions", span, advice)
            )
        return minimum, maximum

    def _name_and_expand(self, patterns: Mapping[str, Pattern]) -> tuple[tuple[Terminal, ...], bool, tuple[str, ...]]:
        """All terminals of rules with their literals; whether a blank is ignored; sources of what is ignored."""
        lark_patterns = self._lark_patterns()
        definitions = [TerminalDef(name, pattern) for name, pattern in lark_patterns.items()]
        anonymous = self._name_anonymous(definitions)
        used = self._used_terminals()
        terminals: list[Terminal] = []
        for name, definition in self.terminals.items():
            if name in used and name in patterns and name in lark_patterns:
                literals = self._expand(name, patterns[name], patterns, lark_patterns[name], definition.span)
                if definition.file is not self.file:
                    literals = tuple(replace(literal, span=definition.span) for literal in literals)
                terminals.append(Terminal(name, literals, False, definition.span))
        for name, (pattern, lark_pattern) in anonymous.items():
            literals = self._expand(name, pattern, patterns, lark_pattern, pattern.span)
            terminals.append(Terminal(name, literals, True, pattern.span))
        self._check_uses(used)
        ignored = [name for name in dict.fromkeys(self.ignored) if name in lark_patterns]
        ignores_blank = any(re.fullmatch(lark_patterns[name].to_regexp(), " ") for name in ignored)
        sources = tuple(name if name in used else self._ignore_source(name, lark_patterns[name]) for name in ignored)
        return tuple(terminals), ignores_blank, sources

    def _ignore_source(self, name: str, pattern: LarkPattern) -> str:
        value = _only_value(self.terminals[name].tree)
        if value is not None and value.data == "literal":
            return str(value.children[0])
        return f"/{_escape_slashes(pattern.to_regexp())}/"

    def _lark_patterns(self) -> dict[str, LarkPattern]:
        """What lark matches for each terminal, in lark's order of definition."""
        common_file, common = _common_definitions()
        trees: dict[str, RawTree] = {}
        for name, definition in self.terminals.items():
            if name not in self.broken:
                trees[name] = PrepareGrammar().transform(deepcopy(definition.tree))
        imported = {name: PrepareGrammar().transform(deepcopy(tree)) for name, tree in common.items()}
        resolve_term_references(imported)
        for name, definition in self.terminals.items():
            if definition.file is common_file:
                original = next(n for n, tree in common.items() if tree is definition.tree)
                trees[name] = imported[original]
        result: dict[str, LarkPattern] = {}
        resolve_term_references(trees)
        transformer = PrepareLiterals() * TerminalTreeToPattern()
        for name, tree in trees.items():
            try:
                result[name] = transformer.transform(tree)
            except (LarkError, GrammarError, AssertionError, ValueError, re.error) as failure:
                self.broken.add(name)
                self._report(
                    Code.BAD_LITERAL,
                    f"lark cannot read terminal `{name}`: {failure}",
                    self.terminals[name].span,
                    "write it as strings joined with `|`",
                )
        return result

    def _name_anonymous(self, definitions: list[TerminalDef]) -> dict[str, tuple[Pattern, LarkPattern]]:
        """Name strings and regexes in rules as lark does, in lark's order; returns the new terminals."""
        known = {definition.name for definition in definitions} | set(self.terminals)
        namer = PrepareAnonTerminals(definitions)
        namer.term_set |= known
        found: dict[str, tuple[Pattern, LarkPattern]] = {}
        for rule in self.rules.values():
            namer.rule_options = RuleOptions(keep_all_tokens=True) if rule.keep_all_tokens else None
            skeleton, raw_by_id = _skeleton(rule.tree)
            for node in skeleton.iter_subtrees():
                if id(node) not in raw_by_id:
                    continue
                raw = raw_by_id[id(node)]
                try:
                    pattern = self._pattern(raw, self.file)
                    lark_pattern = _lark_pattern(raw)
                    symbol = namer.pattern(lark_pattern)
                except DslcError as error:
                    self.diagnostics.extend(error.diagnostics)
                    continue
                except GrammarError as failure:
                    self._report(
                        Code.BAD_LITERAL,
                        f"`{self._span(raw).text}` has other flags here than elsewhere ({failure})",
                        self._span(raw),
                        "write the same flags everywhere",
                    )
                    continue
                self.names[id(raw)] = (symbol.name, not symbol.filter_out)
                if symbol.name not in known:
                    found.setdefault(symbol.name, (pattern, lark_pattern))
        return found

    def _used_terminals(self) -> set[str]:
        """Names of defined terminals that rules use, by name or by writing the same string."""
        used = {name for name, _ in self.names.values()}
        for rule in self.rules.values():
            used.update(str(tree.children[0]) for tree in _subtrees(rule.tree) if tree.data == "terminal")
        return used

    def _expand(
        self, name: str, pattern: Pattern, definitions: Mapping[str, Pattern], lark_pattern: LarkPattern, span: Span | None
    ) -> tuple[Literal, ...]:
        shown = name if not name.startswith("__") or span is None else span.text
        try:
            literals = expand_pattern(shown, pattern, definitions, limit=LITERAL_LIMIT)
        except DslcError as error:
            self.diagnostics.extend(self._in_this_file(d, span) for d in error.diagnostics)
            return ()
        if any(literal.text == "" for literal in literals):
            self._report(
                Code.EMPTY_TERMINAL,
                f"terminal `{shown}` matches the empty string",
                span or self.file.span(0),
                f"make it match something, and write `{shown}?` where it may be absent"
                if shown == name
                else "make it match something, and add `?` where it may be absent",
            )
            return ()
        matcher = re.compile(lark_pattern.to_regexp())
        for literal in literals:
            if matcher.fullmatch(literal.text) is None:
                self._report(
                    Code.UNSUPPORTED_REGEX,
                    f"terminal `{shown}`: lark would not match `{literal.text}`, because it glues regexes to their neighbours",
                    span or self.file.span(0),
                    "put each regex in parentheses, as in `/(a|b)/`",
                )
                return ()
        return literals

    def _in_this_file(self, diagnostic: Diagnostic, span: Span | None) -> Diagnostic:
        """Point at the import where the fault lies inside an imported terminal."""
        if diagnostic.span is None or diagnostic.span.file is self.file:
            return replace(diagnostic, span=diagnostic.span or span)
        return replace(diagnostic, span=span)

    def _check_uses(self, used: set[str]) -> None:
        parts = {
            str(tree.children[0])
            for definition in self.terminals.values()
            for tree in _subtrees(definition.tree)
            if tree.data == "terminal"
        }
        for name, definition in self.terminals.items():
            if name in used and name in self.ignored and not name.startswith("__IGNORE"):
                self.diagnostics.append(
                    Diagnostic(
                        Code.IGNORED_TERMINAL_USED,
                        Severity.WARNING,
                        f"terminal `{name}` is ignored and also used in a rule",
                        definition.span,
                        "use another terminal in the rule, or do not ignore this one",
                    )
                )
            if name not in used and name not in self.ignored and name not in parts:
                self.diagnostics.append(
                    Diagnostic(
                        Code.UNUSED_TERMINAL,
                        Severity.WARNING,
                        f"terminal `{name}` is not used",
                        definition.span,
                        "remove it, or use it in a rule",
                    )
                )

    # --- rules --------------------------------------------------------------------------------------------------------

    def _rule(self, definition: _RuleDefinition) -> Rule:
        alternatives = tuple(self._alternative(_tree(child), definition) for child in definition.tree.children)
        return Rule(
            definition.name, alternatives, definition.keep_all_tokens, definition.expand_single, definition.span
        )

    def _alternative(self, tree: RawTree, definition: _RuleDefinition) -> Alternative:
        if tree.data != "alias":
            return Alternative(self._expression(tree, definition), None, self._span(tree, definition.span))
        alias = str(_tree(tree.children[1]).children[0])
        if definition.name.startswith("_"):
            self._report(
                Code.MISPLACED_ALIAS,
                f"rule `{definition.name}` leaves no node in the tree, so its alternatives cannot have the alias `{alias}`",
                self._alias_span(tree),
                f"remove the alias, or call the rule `{definition.name.lstrip('_')}`",
            )
        expression = self._expression(_tree(tree.children[0]), definition)
        return Alternative(expression, alias, self._span(tree, definition.span))

    def _expression(self, tree: RawTree, definition: _RuleDefinition) -> Expression:
        span = self._span(tree, definition.span)
        match tree.data:
            case "expansion":
                items = tuple(self._expression(_tree(child), definition) for child in tree.children)
                return items[0] if len(items) == 1 else Sequence(items, span)
            case "expansions":
                return Group(tuple(self._expression(_tree(child), definition) for child in tree.children), span)
            case "alias":
                self._report(
                    Code.MISPLACED_ALIAS,
                    "an alias inside parentheses has no meaning",
                    self._alias_span(tree),
                    "make the group a rule of its own and put the aliases there",
                )
                return self._expression(_tree(tree.children[0]), definition)
            case "expr":
                item = self._expression(_tree(tree.children[0]), definition)
                try:
                    minimum, maximum = self._bounds(tree, self.file)
                except DslcError as error:
                    self.diagnostics.extend(error.diagnostics)
                    return item
                if str(tree.children[1]) == "?":
                    return Optional(item, span)
                return Repetition(item, minimum, maximum, span)
            case "maybe":
                inner = self._expression(_tree(tree.children[0]), definition)
                assert isinstance(inner, Group), "brackets hold expansions"
                # `[a]` holds the item itself; a Group stands for `[a | b]`, or for `[(a)]` with its parentheses.
                simple = len(inner.options) == 1 and not isinstance(inner.options[0], Group)
                item = inner.options[0] if simple else inner
                return Maybe(item, _num_kept(item, definition.keep_all_tokens), span)
            case "value":
                return self._value(_tree(tree.children[0]), definition, span)
            case _:
                raise AssertionError(f"an expression of kind {tree.data}")

    def _value(self, tree: RawTree, definition: _RuleDefinition, span: Span) -> Expression:
        match tree.data:
            case "nonterminal":
                return RuleUse(str(tree.children[0]), span)
            case "terminal":
                name = str(tree.children[0])
                return TerminalUse(name, definition.keep_all_tokens or not name.startswith("_"), span)
            case "literal" | "range":
                # A literal that was refused has no name, and its rule is never used.
                name, is_kept = self.names.get(id(tree), ("", True))
                return TerminalUse(name, is_kept, span)
            case _:
                return Sequence((), span)

    def _check_repeated_alternatives(self, rules: tuple[Rule, ...]) -> None:
        for rule in rules:
            first: dict[Expression, Alternative] = {}
            for alternative in rule.alternatives:
                earlier = first.setdefault(alternative.expression, alternative)
                if earlier is alternative:
                    continue
                is_same = earlier.alias == alternative.alias
                labels = (Label(earlier.span, "first written here"),) if earlier.span else ()
                self.diagnostics.append(
                    Diagnostic(
                        Code.REPEATED_ALTERNATIVE,
                        Severity.WARNING if is_same else Severity.ERROR,
                        f"rule `{rule.name}` has the same alternative twice"
                        + ("" if is_same else ", under two names, which lark refuses"),
                        alternative.span,
                        "remove one of them",
                        labels,
                    )
                )

    # --- spans and reports --------------------------------------------------------------------------------------------

    def _report(self, code: Code, message: str, span: Span, help_text: str) -> None:
        self.diagnostics.append(_error(code, message, span, help_text))

    def _span(self, tree: RawTree, default: Span | None = None) -> Span:
        return _tree_span(tree, self.file) or default or self.file.span(0)

    def _token_span(self, token: Token) -> Span:
        return _token_span(token, self.file)

    def _alias_span(self, tree: RawTree) -> Span:
        name = self._token_span(_token(_tree(tree.children[1]).children[0]))
        return self.file.span(self.file.text.rfind("->", 0, name.start), name.end)


# --- trees ------------------------------------------------------------------------------------------------------------


def _error(code: Code, message: str, span: Span | None, help_text: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, span, help_text)


def _in_order(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    return sorted(diagnostics, key=lambda d: (d.span.start if d.span else -1, d.code.value))


def _tree(node: RawTree | Token) -> RawTree:
    assert isinstance(node, Tree), "a tree stands here in lark's grammar of grammars"
    return node


def _token(node: RawTree | Token) -> Token:
    assert isinstance(node, Token), "a token stands here in lark's grammar of grammars"
    return node


def _token_span(token: Token, file: SourceFile) -> Span:
    assert token.start_pos is not None, "lark positions every token"
    return file.span(token.start_pos, token.start_pos + len(token))


def _tree_span(tree: RawTree, file: SourceFile) -> Span | None:
    meta = tree.meta
    if meta.empty:
        return None
    # The container of a group is its parentheses.
    start = getattr(meta, "container_start_pos", meta.start_pos)
    end = getattr(meta, "container_end_pos", meta.end_pos)
    text = file.text[start:end]
    return file.span(start, start + max(1, len(text.rstrip())))


def _subtrees(tree: RawTree) -> Iterator[RawTree]:
    """All subtrees but the names of aliases, in order of writing."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        children = node.children[:1] if node.data == "alias" else node.children
        stack.extend(child for child in reversed(children) if isinstance(child, Tree))


def _only_value(tree: RawTree) -> RawTree | None:
    """What an `expansions` holds if it is one value and nothing else."""
    for data in ("expansions", "expansion", "value"):
        if tree.data != data or len(tree.children) != 1 or not isinstance(tree.children[0], Tree):
            return None
        tree = tree.children[0]
    return tree


def _skeleton(tree: RawTree) -> tuple[RawTree, dict[int, RawTree]]:
    """The tree as lark's naming pass sees it, and the raw string or regex behind each of its pattern nodes.

    lark numbers anonymous terminals level by level, from the deepest, so the levels must be those that lark has by then.
    """
    raw_by_id: dict[int, RawTree] = {}

    def copy(node: RawTree) -> RawTree | Token:
        if node.data == "value":
            value = _tree(node.children[0])
            if value.data in ("literal", "range"):
                pattern: RawTree = Tree("pattern", [])
                raw_by_id[id(pattern)] = value
                return pattern
            return Token("SYMBOL", "")
        return Tree(node.data, [copy(child) if isinstance(child, Tree) else child for child in node.children])

    skeleton = copy(tree)
    assert isinstance(skeleton, Tree), "a rule is not a value"
    return skeleton, raw_by_id


def _lark_pattern(raw: RawTree) -> LarkPattern:
    tree = PrepareLiterals().transform(Tree("value", [deepcopy(raw)]))
    pattern: LarkPattern = tree.children[0].children[0]
    return pattern


def _escape_slashes(regex: str) -> str:
    return re.sub(r"\\.|/", lambda m: m.group() if m.group() != "/" else r"\/", regex, flags=re.DOTALL).replace("\n", r"\n")


def _num_kept(expression: Expression, keep_all_tokens: bool) -> int:
    """How many children the longest way through an expression surely leaves in the tree, as lark counts placeholders.

    lark counts after it has put hidden rules in the place of `*`, `+` and long repetitions, and hidden rules count nothing.
    """
    match expression:
        case TerminalUse(_, is_kept):
            return int(is_kept or keep_all_tokens)
        case RuleUse(name):
            return int(not name.startswith("_"))
        case Sequence(items):
            return sum(_num_kept(item, keep_all_tokens) for item in items)
        case Group(options):
            return max(_num_kept(option, keep_all_tokens) for option in options)
        case Optional(item):
            return _num_kept(item, keep_all_tokens)
        case Maybe(item):
            return _num_kept(item, keep_all_tokens)
        case Repetition(item, _, maximum):
            if maximum is None or maximum >= REPETITION_LIMIT:
                return 0
            return maximum * _num_kept(item, keep_all_tokens)
