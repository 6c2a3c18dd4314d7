"""lark's own parser of grammar files and lark's own passes; the only module that touches lark's private parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from lark import Token, Tree
from lark.common import LexerConf, ParserConf
from lark.exceptions import GrammarError, LarkError
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

from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.language.build import build_pattern
from dslc.language.definitions import Definitions, RuleDefinition
from dslc.language.patterns import Pattern
from dslc.language.syntax import Brackets, Item, Name, Operated, Options, Quoted, Range, Row, TemplateUse

LarkTree = Tree[Any]


@cache
def grammar_parser() -> ParsingFrontend:
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


def literal_pattern(source: str, kind: str) -> LarkPattern:
    """lark's pattern of a string or regex as written."""
    pattern: LarkPattern = _literal_to_pattern(Token(kind, source))  # type: ignore[no-untyped-call]
    return pattern


# --- from our syntax to lark's passes ---------------------------------------------------------------------------------


def _to_lark(options: Options, by_id: dict[int, Quoted | Range | TemplateUse] | None = None) -> LarkTree:
    """The tree as lark's passes want it.

    With `by_id`, strings are empty `pattern` nodes, and remembered by id of the node, as uses of templates are.
    """

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
            case TemplateUse(_, arguments):
                use = Tree("template_usage", [item(argument) for argument in arguments])
                if by_id is not None:
                    by_id[id(use)] = written
                return use

    return Tree("expansions", [row(r) for r in options.rows])


def _lark_pattern(written: Quoted | Range) -> LarkPattern:
    if isinstance(written, Range):
        return PatternRE(f"[{written.first.span.text[1:-1]}-{written.last.span.text[1:-1]}]")
    return literal_pattern(written.span.text, "REGEXP" if written.is_regex else "STRING")


def lark_patterns(definitions: Definitions, diagnostics: list[Diagnostic]) -> dict[str, LarkPattern]:
    """What lark matches for each sound terminal that rules can use, in lark's order of definition."""
    trees = {
        terminal.name: _to_lark(terminal.body)
        for terminal in definitions.all_terminals
        if terminal.name not in definitions.broken
    }
    resolve_term_references(trees)  # type: ignore[no-untyped-call]
    transformer = TerminalTreeToPattern()
    patterns: dict[str, LarkPattern] = {}
    for name, definition in definitions.terminals.items():
        if name in definitions.broken:
            continue
        try:
            patterns[name] = transformer.transform(trees[name])
        except (LarkError, GrammarError, re.error, AssertionError) as failure:
            definitions.broken.add(name)
            message = f"lark cannot read terminal `{name}`: {failure}"
            advice = "write it as strings and `|`"
            diagnostics.append(Diagnostic(Code.BAD_LITERAL, Severity.ERROR, message, definition.span, advice))
    return patterns


class AnonymousNames:
    """Names of strings and regexes in rules, given as lark gives them: rule by rule, each from its deepest level."""

    def __init__(self, definitions: Definitions, patterns: Mapping[str, LarkPattern]) -> None:
        self.names: dict[int, tuple[str, bool]] = {}
        """Terminal of a string, by id, and whether its token is kept."""
        self.found: dict[str, tuple[Pattern, str]] = {}
        """The terminals that are new, as our pattern and lark's regex, in lark's order."""
        self._known = set(definitions.terminals)
        self._namer = PrepareAnonTerminals(  # type: ignore[no-untyped-call]
            [TerminalDef(name, pattern) for name, pattern in patterns.items()]
        )
        self._namer.term_set |= self._known

    def name_rule(self, rule: RuleDefinition) -> list[TemplateUse]:
        """Name what a rule writes; its uses of templates come back in the order in which lark looks at them."""
        self._namer.rule_options = RuleOptions(keep_all_tokens=True) if rule.keep_all_tokens else None
        by_id: dict[int, Quoted | Range | TemplateUse] = {}
        uses = []
        for node in _with_extensions(_to_lark(rule.body, by_id), rule).iter_subtrees():
            written = by_id.get(id(node))
            if isinstance(written, TemplateUse):
                uses.append(written)
            elif written is not None and id(written) not in self.names and _is_sound(written):
                lark_pattern = _lark_pattern(written)
                symbol = self._namer.pattern(lark_pattern)
                self.names[id(written)] = (symbol.name, not symbol.filter_out)
                if symbol.name not in self._known:
                    self.found.setdefault(symbol.name, (build_pattern(written), lark_pattern.to_regexp()))
        return uses


def _with_extensions(tree: LarkTree, rule: RuleDefinition) -> LarkTree:
    """The tree of a rule with what `%extend` put there one level deeper, where lark has it."""
    rows, extensions = list(tree.children), []
    for size in rule.extension_sizes:
        extensions.append(Tree("expansions", rows[:size]))
        rows = rows[size:]
    return Tree("expansions", [*extensions, *rows])


def _is_sound(written: Quoted | Range) -> bool:
    if isinstance(written, Quoted):
        return written.value != ""
    return len(written.first.value) == 1 == len(written.last.value) and written.first.value <= written.last.value
