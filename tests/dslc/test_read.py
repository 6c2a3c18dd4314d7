"""Reading grammar files: what is accepted agrees with lark, what is refused is refused by name and place."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Lark, Tree
from lark.exceptions import LarkError
from lark.grammar import Terminal as LarkTerminal

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.grammars import grammar_names, grammar_text
from dslc.language.grammar import (
    Expression,
    Grammar,
    Group,
    Maybe,
    Optional,
    Repetition,
    RuleUse,
    Sequence,
    TerminalUse,
)
from dslc.language.read import read_file, read_grammar
from dslc.source import SourceFile
from tests.strategies import grammar_texts


def _read(text: str) -> Grammar:
    return read_grammar(SourceFile("x", text))[0]


def _refuse(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(DslcError) as caught:
        read_grammar(SourceFile("x", text))
    return caught.value.diagnostics


def _uses(expression: Expression) -> list[TerminalUse]:
    match expression:
        case TerminalUse():
            return [expression]
        case RuleUse():
            return []
        case Sequence(items) | Group(items):
            return [use for item in items for use in _uses(item)]
        case Optional(item) | Maybe(item) | Repetition(item):
            return _uses(item)


# --- what is accepted -------------------------------------------------------------------------------------------------

ACCEPTED = [
    'start: "a"\n',
    "start:\n",
    'start: | "a"\n',
    'start: A\nA: "a" | "b" | "c"\n',
    'start: a?\na: "x"\n',
    "start: a?\na: start\n",
    "start: a\na: b\nb: a?\n",
    'start: "if" "IF" "while" "+" "++" "(" ")" "é" "_x" "3"\n',
    'start: "if" IF "while"\nIF: "iff"\n',
    'start: "x" X\nX: "x"\n',
    'start: "x" _X\n_X: "x"\n',
    'start: _X Y _Y\n_X: "x"\nY: "y"\n_Y: "z"\n',
    '!start: "x" _X Y a\n_X: "w"\nY: "y"\na: "x" _X\n',
    "start: /a|b/ /[ab]/ A\nA: /a|b/\n",
    'start: "a".."f" "0".."2"\n',
    'start: "a"i "b"\nB: "b"\n',
    'start: A\nA: "on"i | "off"\n',
    "start: A\nA: /[ab]c?/i\n",
    'start: A\nA: B C?\nB: "b" | "d"\nC: ["c"] "e"\n',
    'start: A\nA: ("a" | "b")~1..2\n',
    'start: A\nA: ("a" ["b"])? "c"\n',
    'start: A B\nA: /x{2,3}/\nB: "\\n" | "\\t" | "\\u00e9" | "\\\\" | "\\""\n',
    'start: A\nA: /\\// | /"/ | "/"\n',
    '?start: a | b\na: "x" -> one | "y" -> two\n!?b: "z"\n',
    'start: _a b\n_a: "x" B\nb: B\nB: "b"\n',
    'start: [A] "-" ["x"] "-" [A "x" b] "-" [b | A b] "-" b\nb: A\nA: "a"\n',
    'start: (b | "x") (A b)? (b)* ((b) "y")+\nb: A\nA: "a"\n',
    'start: b~2 b~1..3 b~0..1\nb: "x" | "y"\n',
    'start: A -> first | "x" -> second |  -> third\nA: "a"\n',
    'start: A B\nA: "a" | "b"\nB: "a" | "b"\n%ignore " "\n',
    'start: A\nA: "a"\n%ignore /\\s+/\n',
    '%import common.WS\n%import common.WS_INLINE -> BLANK\n%ignore WS\n%ignore BLANK\nstart: "a"\n',
    "%import common.DIGIT\nstart: DIGIT\n",
    "%import common (DIGIT, HEXDIGIT, LETTER)\nstart: DIGIT HEXDIGIT LETTER\n",
    '%import common.INT\nstart: "a"\n%ignore INT\n',
    '%import common.DIGIT -> D\nstart: D E\nE: D "." D\n',
    'start: "a" // comment\n  # another\n  | "b"   // "quoted"\n',
    'start: "a" \\\n  "b"\n',
    '\n\n  start: "a"\r\n  | "b"\r\n\r\nb: start\r\n',
    'start: start "a" | start start | \n',
    'start: a_1 B_2\na_1: "x"\nB_2: "y"\n',
    'start: ";" SEMI\nSEMI: ";" | ":"\n',
    'start: as as\nas: "a"*\n',
    'start: A "a b" "c"\nA: "x y" | "z"\n%ignore " "\n',
    'start: A\nA: B\nB: C\nC: "a" | "b"\n',
    'start: "x" " "\n%ignore " "\n',
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_is_accepted_agrees_with_lark(text: str) -> None:
    _compare_with_lark(text)


@pytest.mark.parametrize("name", grammar_names())
def test_shipped_grammars_agree_with_lark(name: str) -> None:
    _compare_with_lark(grammar_text(name))


@settings(max_examples=60)
@given(grammar_texts(decorated=True))
def test_random_grammars_agree_with_lark(text: str) -> None:
    _compare_with_lark(text)


def _compare_with_lark(text: str) -> None:
    """Names of terminals, what they match, which tokens are kept, rules, aliases and options: as lark has them."""
    grammar = _read(text)
    starts = [rule.name for rule in grammar.rules]
    lark = Lark(text, parser="earley", lexer="dynamic", start=starts, maybe_placeholders=True)
    ignored = set(lark.ignore_tokens)
    theirs = {terminal.name: terminal.pattern for terminal in lark.terminals if terminal.name not in ignored}
    ours = {terminal.name: terminal for terminal in grammar.terminals}
    assert set(ours) - ignored == set(theirs)
    for name, pattern in theirs.items():
        matcher = re.compile(pattern.to_regexp())
        assert all(matcher.fullmatch(literal.text) for literal in ours[name].literals)
    written = {rule.name: rule for rule in grammar.rules}
    assert {rule.origin.name for rule in lark.rules if not rule.origin.name.startswith("__")} == set(written)
    for name, rule in written.items():
        lark_rules = [r for r in lark.rules if r.origin.name == name]
        assert {r.options.keep_all_tokens for r in lark_rules} == {rule.keep_all_tokens}
        assert {r.options.expand1 for r in lark_rules} == {rule.expand_single}
        aliases = [a.alias for a in rule.alternatives]
        assert {r.alias for r in lark_rules} <= set(aliases)
        our_uses = {(use.name, use.is_kept) for a in rule.alternatives for use in _uses(a.expression)}
        their_uses = {
            (s.name, not s.filter_out) for r in lark_rules for s in r.expansion if isinstance(s, LarkTerminal)
        }
        # Rules that lark makes for `*` and `+` hold some of the terminals.
        assert {use for use in their_uses if use in our_uses or (use[0], not use[1]) not in our_uses} == their_uses


@pytest.mark.parametrize(
    "body",
    [
        "[X]",
        '["x"]',
        "[X X]",
        "[X b]",
        "[_X]",
        "[_X X]",
        "[_b X]",
        "[X | X X | b]",
        '[(X "y")]',
        "[X b?]",
        "[X*]",
        "[X+]",
        "[b X*]",
        "[X~2]",
        "[X~1..3]",
        "[X~0..2 b]",
        "[(X | X b)~2]",
        "[(X X)? b]",
        "[[X] b]",
        "[[X [b]] b]",
        "[X~49]",
        "[X~50]",
        "[X~2..60]",
        "[(X b)~55 X]",
        "[X [X] | b [X] X X]",
    ],
)
@pytest.mark.parametrize("mark", ["", "!"])
def test_placeholders_are_as_many_as_larks(body: str, mark: str) -> None:
    """The oracle is lark's tree of a text in which the brackets are absent."""
    text = f'{mark}start: "s" {body} "e"\nb: "b"\n_b: "c"\nX: "x"\n_X: "w"\n'
    tree = Lark(text, parser="earley", maybe_placeholders=True).parse("se")
    assert isinstance(tree, Tree)
    expression = _read(text).rules[0].alternatives[0].expression
    assert isinstance(expression, Sequence)
    maybe = expression.items[1]
    assert isinstance(maybe, Maybe)
    assert maybe.num_placeholders == sum(child is None for child in tree.children)


def test_everything_is_where_it_stands() -> None:
    text = 'start: (a | "x")? [B b~1..2]\n    | "w" -> one\na: "y"\nb: B\nB: "1" | /2/\n'
    grammar = _read(text)
    start = grammar.rules[0]
    assert start.span is not None
    assert start.span.text == "start"

    def shown(expression: Expression) -> list[str]:
        assert expression.span is not None
        inner: list[Expression] = []
        match expression:
            case Sequence(items) | Group(items):
                inner = list(items)
            case Optional(item) | Maybe(item) | Repetition(item):
                inner = [item]
            case _:
                pass
        return [expression.span.text, *(text for item in inner for text in shown(item))]

    assert shown(start.alternatives[0].expression) == [
        '(a | "x")? [B b~1..2]',
        '(a | "x")?',
        '(a | "x")',
        "a",
        '"x"',
        "[B b~1..2]",
        "B b~1..2",
        "B",
        "b~1..2",
        "b",
    ]
    assert [a.span.text for a in start.alternatives if a.span] == ['(a | "x")? [B b~1..2]', '"w" -> one']
    b = next(terminal for terminal in grammar.terminals if terminal.name == "B")
    assert b.span is not None
    assert b.span.location == (5, 1)
    assert [literal.span.text for literal in b.literals if literal.span] == ['"1"', "/2/"]


def test_blanks() -> None:
    for ignore, answer in (('" "', True), ("/[ \\t]/", True), ('"\\n"', False), ("/ +/", True), ("/  /", False)):
        assert _read(f'start: "a"\n%ignore {ignore}\n').ignores_blank is answer
    assert not _read('start: "a"\n').ignores_blank


def test_a_byte_order_mark_and_line_breaks_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "a.lark"
    path.write_bytes(b'\xef\xbb\xbf//! max_tokens 3\r\nstart: "a"\r\n  | "b"\r\n')
    grammar = read_grammar(read_file(path))[0]
    assert grammar.pragmas.max_tokens == 3
    assert len(grammar.rules[0].alternatives) == 2


# --- what is refused --------------------------------------------------------------------------------------------------

S = 'start: "a"\n'
REFUSED = [
    # syntax
    ("start: 'a'\n", [(Code.SYNTAX, 1, 8)]),
    ("start: 'a\n", [(Code.SYNTAX, 1, 8)]),
    ('start: “a”\n', [(Code.SYNTAX, 1, 8)]),
    ('start: "a\n', [(Code.SYNTAX, 1, 8)]),
    ('start: /a/ / "test"\n', [(Code.SYNTAX, 1, 12)]),
    ('start: / "test"\n', [(Code.SYNTAX, 1, 8)]),
    ('start = "a"\n', [(Code.SYNTAX, 1, 7)]),
    ('start := "a"\n', [(Code.SYNTAX, 1, 7)]),
    ('start ::= "a"\n', [(Code.SYNTAX, 1, 7)]),
    ('start "a"\n', [(Code.SYNTAX, 1, 1)]),
    ('start: "a";\n', [(Code.SYNTAX, 1, 11)]),
    ('start: "a", "b"\n', [(Code.SYNTAX, 1, 11)]),
    ('start: {"a"}\n', [(Code.SYNTAX, 1, 8)]),
    ("start: <a>\n", [(Code.SYNTAX, 1, 8)]),
    ('start: ("a"\n', [(Code.SYNTAX, 1, 8)]),
    ('start: "a")\n', [(Code.SYNTAX, 1, 11)]),
    ('start: ["a")\n', [(Code.SYNTAX, 1, 12)]),
    ('start: "a"**\n', [(Code.SYNTAX, 1, 11)]),
    ("start: *\n", [(Code.SYNTAX, 1, 8)]),
    ('start: "a" ->\n', [(Code.SYNTAX, 1, 12)]),
    ('start: "a" -> Alias\n', [(Code.SYNTAX, 1, 15)]),
    ('start: "a" -> ALIAS\n', [(Code.SYNTAX, 1, 15)]),
    ('start: "a"~\n', [(Code.SYNTAX, 1, 11)]),
    ('start: "a"~2..\n', [(Code.SYNTAX, 1, 11)]),
    ("start: 3\n", [(Code.SYNTAX, 1, 8)]),
    ("start: my-rule\n", [(Code.SYNTAX, 1, 8)]),
    ('Start: "a"\n', [(Code.SYNTAX, 1, 1)]),
    ("start: fooBar\n", [(Code.SYNTAX, 1, 8)]),
    ("start: é\n", [(Code.SYNTAX, 1, 8)]),
    ('__x: "a"\n', [(Code.SYNTAX, 1, 1)]),
    ("/* x */\n" + S, [(Code.SYNTAX, 1, 1)]),
    ("%include x\n" + S, [(Code.SYNTAX, 1, 1)]),
    ('| "a"\n', [(Code.SYNTAX, 1, 1)]),
    ("start: a\n  b\nc: ;\n", [(Code.SYNTAX, 2, 3), (Code.SYNTAX, 3, 4)]),
    ("start: 'a'\nb: \"x\n  | y\nc: (\n//! nothing 3\n",
     [(Code.SYNTAX, 1, 8),
      (Code.SYNTAX, 2, 4),
      (Code.SYNTAX, 4, 4),
      (Code.UNKNOWN_PRAGMA, 5, 5)]),
    # names
    ("start: a | b\n", [(Code.UNDEFINED_RULE, 1, 8), (Code.UNDEFINED_RULE, 1, 12)]),
    ("start: A | a\nB: C\n%ignore D\n",
     [(Code.UNDEFINED_TERMINAL, 1, 8),
      (Code.UNDEFINED_RULE, 1, 12),
      (Code.UNDEFINED_TERMINAL, 2, 4),
      (Code.UNDEFINED_TERMINAL, 3, 9)]),
    (S + S, [(Code.DUPLICATE_DEFINITION, 2, 1)]),
    ('start: A\nA: "a"\nA: "b"\n', [(Code.DUPLICATE_DEFINITION, 3, 1)]),
    ('%import common.DIGIT\nstart: DIGIT\nDIGIT: "1"\n', [(Code.DUPLICATE_DEFINITION, 3, 1)]),
    ('start: A\nA: a\na: "x"\n', [(Code.RULE_IN_TERMINAL, 2, 4)]),
    (S + "%ignore start\n", [(Code.RULE_IN_TERMINAL, 2, 9)]),
    ('start: A\nA: B | "x"\nB: "y" A\n', [(Code.RECURSIVE_TERMINAL, 3, 8)]),
    ('start: A\nA: A "x"\n', [(Code.RECURSIVE_TERMINAL, 2, 4)]),
    # the start
    ("", [(Code.MISSING_START, 1, 1)]),
    ("// nothing\n", [(Code.MISSING_START, 1, 1)]),
    ('a: "x" b\nb: "y"\n', [(Code.MISSING_START, 1, 1)]),
    ('b: "y"\nstrt: b\n', [(Code.MISSING_START, 2, 1)]),
    ("//! start begn\n" + S, [(Code.MISSING_START, 1, 11)]),
    ("//! size 3 of strt\n" + S, [(Code.MISSING_START, 1, 15)]),
    # literals and terminals
    ('start: ""\n', [(Code.BAD_LITERAL, 1, 8)]),
    ('start: "\\x4"\n', [(Code.BAD_LITERAL, 1, 8)]),
    ('start: A\nA: /[a-/\n', [(Code.BAD_LITERAL, 2, 4)]),
    ("start: /a\nb/\n", [(Code.BAD_LITERAL, 1, 8)]),
    ('start: "a" /* c */\n', [(Code.BAD_LITERAL, 1, 12)]),
    ('start: A\nA: "a".."zz"\n', [(Code.BAD_LITERAL, 2, 4)]),
    ('start: "z".."a"\n', [(Code.BAD_LITERAL, 1, 8)]),
    ("start: a~3..1\na: \"x\"\n", [(Code.BAD_REPETITION, 1, 9)]),
    ('start: A\nA: "x"~-1\n', [(Code.BAD_REPETITION, 2, 7)]),
    ("start: A\nA: /(?=a)b/\n", [(Code.UNSUPPORTED_REGEX, 2, 4)]),
    ("start: /\\bfoo/\n", [(Code.UNSUPPORTED_REGEX, 1, 8)]),
    ('start: A\nA: "c" /a|b/\n', [(Code.UNSUPPORTED_REGEX, 2, 8)]),
    ("start: A b\nA: /x[0-9]+/\nb: /y*z/ B\nB: \"u\" \"v\"+\n",
     [(Code.INFINITE_TERMINAL, 2, 6),
      (Code.INFINITE_TERMINAL, 3, 5),
      (Code.INFINITE_TERMINAL, 4, 8)]),
    ("%import common.INT\n%import common (CNAME, WS)\n"
     "%import common.ESCAPED_STRING -> STRING\n%ignore WS\nstart: INT CNAME STRING\n",
     [(Code.INFINITE_TERMINAL, 1, 16),
      (Code.INFINITE_TERMINAL, 2, 17),
      (Code.INFINITE_TERMINAL, 3, 34)]),
    ("start: A\nA: /[0-9]{5}/\n", [(Code.TERMINAL_TOO_LARGE, 2, 4)]),
    ("start: /./\n", [(Code.TERMINAL_TOO_LARGE, 1, 8)]),
    ('start: A\nA: "a"?\n', [(Code.EMPTY_TERMINAL, 2, 1)]),
    ("start: A\nA: /(a|)/\n", [(Code.EMPTY_TERMINAL, 2, 1)]),
    ("start: /a?/\n", [(Code.EMPTY_TERMINAL, 1, 8)]),
    ("start: A\nA:\n", [(Code.EMPTY_TERMINAL, 2, 1)]),
    (S + "%ignore\n", [(Code.EMPTY_TERMINAL, 2, 1)]),
    (S + '%ignore " "*\n', [(Code.EMPTY_TERMINAL, 2, 9)]),
    ('start: A\nA: "on"i "x"\n', [(Code.MIXED_CASE_FLAGS, 2, 4)]),
    # rules
    ('start: ("a" -> x | "b")\n', [(Code.MISPLACED_ALIAS, 1, 13)]),
    ('start: ["a" -> x]\n', [(Code.MISPLACED_ALIAS, 1, 13)]),
    ('start: _a\n_a: "x" -> b | "y" -> c\n', [(Code.MISPLACED_ALIAS, 2, 9), (Code.MISPLACED_ALIAS, 2, 20)]),
    ('start: A\nA: "x" -> b\n', [(Code.MISPLACED_ALIAS, 2, 8)]),
    ('!?_a: "x"\nstart: _a\n', [(Code.BAD_MODIFIER, 1, 1)]),
    ('start: _a\n?_a: "x"\n', [(Code.BAD_MODIFIER, 2, 1)]),
    ('start: "x" -> a | "x" -> b\n', [(Code.REPEATED_ALTERNATIVE, 1, 19)]),
    ('start: X -> a | "x" -> b\nX: "x"\n', [(Code.REPEATED_ALTERNATIVE, 1, 17)]),
    ("start: " + "(" * 100 + '"a"' + ")" * 100 + "\n", [(Code.GRAMMAR_TOO_LARGE, 1, 67)]),
    # imports
    ("%import pythn.NAME\nstart: NAME\n", [(Code.UNKNOWN_IMPORT, 1, 9)]),
    ("%import common.NUMBER.A\nstart: A\n", [(Code.UNKNOWN_IMPORT, 1, 9)]),
    ("%import .other.NAME\nstart: NAME\n", [(Code.UNSUPPORTED_IMPORT, 1, 9)]),
    ("%import .other (NAME, rule)\nstart: NAME rule\n", [(Code.UNSUPPORTED_IMPORT, 1, 9)]),
    ("%import common.DIGITS\nstart: DIGITS\n", [(Code.UNKNOWN_IMPORT, 1, 16)]),
    ("%import common\n" + S, [(Code.UNKNOWN_IMPORT, 1, 9)]),
    ("%import common.DIGIT -> digit\nstart: digit\n", [(Code.UNKNOWN_IMPORT, 1, 25)]),
    ("%import common.DIGIT -> A\n%import common.DIGIT -> B\nstart: A B\n",
     [(Code.DUPLICATE_DEFINITION, 2, 25), (Code.UNDEFINED_TERMINAL, 3, 8)]),
    ("%import common.DIGIT -> A\n%import common.HEXDIGIT -> A\nstart: A\n", [(Code.DUPLICATE_DEFINITION, 2, 28)]),
    ("%import python (NAME, STRING)\n%import python.DEC_NUMBER\nstart: NAME STRING DEC_NUMBER\n",
     [(Code.INFINITE_TERMINAL, 1, 17), (Code.UNSUPPORTED_REGEX, 1, 23), (Code.INFINITE_TERMINAL, 2, 16)]),
    # changes and declarations
    ('%override start: "a"\n', [(Code.NOTHING_TO_CHANGE, 1, 11)]),
    ('%override strt: "a"\n' + S, [(Code.NOTHING_TO_CHANGE, 1, 11)]),
    ('%extend start: "a"\n' + S, [(Code.NOTHING_TO_CHANGE, 1, 9)]),
    (S + '%extend !start: "b"\n', [(Code.BAD_MODIFIER, 2, 9)]),
    ('t{x}: x\n%extend t{y}: y "b"\nstart: t{"a"}\n', [(Code.TEMPLATE, 2, 9)]),
    ('%declare A\nstart: A\n%extend A: "x"\n', [(Code.NEVER_DEFINED, 1, 10), (Code.NOTHING_TO_CHANGE, 3, 9)]),
    ("%declare A _B\nstart: A _B\n", [(Code.NEVER_DEFINED, 1, 10), (Code.NEVER_DEFINED, 1, 12)]),
    ('%declare A\nstart: A\nA: "x"\n', [(Code.NEVER_DEFINED, 1, 10), (Code.DUPLICATE_DEFINITION, 3, 1)]),
    # templates
    ('t{x}: x\nstart: t{"a", "b"} t{"a"}\n', [(Code.TEMPLATE, 2, 8)]),
    ('t{x}: x\nstart: t u{"a"} start{"a"}\n',
     [(Code.TEMPLATE, 2, 8), (Code.UNDEFINED_RULE, 2, 10), (Code.TEMPLATE, 2, 17)]),
    ('t{x}: y "a"\nstart: t{"a"}\n', [(Code.UNDEFINED_RULE, 1, 7)]),
    ('t{x, x}: x\nstart: t{"a", "b"}\n', [(Code.TEMPLATE, 1, 1)]),
    ('t{start}: start\nstart: t{"a"}\n', [(Code.TEMPLATE, 1, 1)]),
    ('t{x}: x\nA: t{"a"}\nstart: A\n', [(Code.TEMPLATE, 2, 4)]),
    ('start{x}: x\n', [(Code.TEMPLATE, 1, 1)]),
    ('t{f}: f{"a"}\nstart: t{start} t{"b"}\n', [(Code.TEMPLATE, 1, 7), (Code.TEMPLATE, 1, 7)]),
    ('t{x}: x t{u{x}}\nu{x}: x\nstart: t{"a"}\n', [(Code.GRAMMAR_TOO_LARGE, 1, 9)]),
    ('t{x}: x\nstart: t{"\\x4"}\n', [(Code.BAD_LITERAL, 2, 10)]),
    # optionals
    ('start: "b" [A?]\nA: "a"\n', [(Code.COLLIDING_OPTIONALS, 1, 8)]),
    ('start: [A]~2\nA: "a"\n', [(Code.COLLIDING_OPTIONALS, 1, 8)]),
    # anchors
    ("//! anchor A: start\n//! ref A: start\nstart: A | A start\nA: \"0\" | \"1\"\n", [(Code.ANCHOR_DECISION, 1, 12)]),
    ("//! anchor A: strat\n//! anchor C: long\n//! anchor D: _b\n//! anchor F: start\nstart: A _b D F -> long\n"
     "_b: \"d\"\nA: \"a\"\nD: \"a\" | \"d\"\nF: \"f\" | \"g\" | \"h\"\n",
     [(Code.ANCHOR_DECISION, 1, 12),
      (Code.ANCHOR_NAME, 1, 15),
      (Code.ANCHOR_NAME, 2, 12),
      (Code.ANCHOR_NAME, 2, 15),
      (Code.ANCHOR_NAME, 3, 15),
      (Code.ANCHOR_DECISION, 4, 12)]),
    ("//! forbid a inside start\n//! max_depth 3 _b\nstart: _b A _C D A\n_b: \"d\" A\nA: \"a\"\n"
     "_C: \"c\"\nD: \"d\"\n//! forbid A.b under start\n//! forbid _C under start\n//! forbid D under start\n",
     [(Code.CONSTRAINT_NAME, 1, 12),
      (Code.CONSTRAINT_NAME, 2, 17),
      (Code.CONSTRAINT_NAME, 8, 12),
      (Code.CONSTRAINT_NAME, 9, 12),
      (Code.CONSTRAINT_NAME, 10, 12)]),
    ("//! targt x\n" + S, [(Code.UNKNOWN_PRAGMA, 1, 5)]),
    # characters
    ('start: "a\0b"\n', [(Code.UNREADABLE_FILE, 1, 10)]),
    ("start: a\x1b\n", [(Code.UNREADABLE_FILE, 1, 9)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_refused_by_name_and_place(text: str, expected: list[tuple[Code, int, int]]) -> None:
    errors = [d for d in _refuse(text) if d.severity is Severity.ERROR]
    places = [(d.code, *d.span.location) if d.span else (d.code, 0, 0) for d in errors]
    assert places == expected
    assert all(d.help for d in errors)
    for diagnostic in errors:
        assert diagnostic.message[0] == diagnostic.message[0].lower()
        assert not diagnostic.message.endswith(".")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('start: A\nA: "a"\nB: "b"\n', [(Code.UNUSED_TERMINAL, 3, 1)]),
        ("%import common.INT\n" + S, [(Code.UNUSED_TERMINAL, 1, 16)]),
        ('start: A "x"\nA: "a"\n%ignore A\n', [(Code.IGNORED_TERMINAL_USED, 2, 1)]),
        ('start: "a" | "b" | "a"\n', [(Code.REPEATED_ALTERNATIVE, 1, 20)]),
        ('start: "a" -> x | -> y | -> z\n', [(Code.REPEATED_ALTERNATIVE, 1, 26)]),
        ('start:\n  | "a"\n  | "b"\n', [(Code.LEADING_BAR, 2, 3)]),
        ('start: | "a"\n', []),
        ('start: "a"\n//! max_tokens 3\n  | "b"\n', [(Code.PRAGMA_IN_RULE, 2, 1)]),
        ('start: "a"\n//! max_tokens 3\nb: start\n', []),
    ],
)
def test_warnings(text: str, expected: list[tuple[Code, int, int]]) -> None:
    _, diagnostics = read_grammar(SourceFile("x", text))
    assert [(d.code, *d.span.location) for d in diagnostics if d.span] == expected
    assert all(d.severity is Severity.WARNING for d in diagnostics)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("start: exprs\nexpr: \"a\"\n", "did you mean `expr`?"),
        ("start: NUM\nNUMS: \"1\"\n", "did you mean `NUMS`?"),
        ("start: num\nNUM: \"1\"\n", "did you mean `NUM`?"),
        ("start: NUMBER\n", "`%import common.NUMBER`"),
        ("%import common.DIGTI\nstart: DIGTI\n", "did you mean `DIGIT`?"),
        ("begin: \"a\"\n", "`//! start begin`"),
        ("start: A\nA: /[0-9]+/\n", "`[0-9]{1,8}`"),
        ("start: A\nA: (\"a\" | \"b\")*\n", "`(\"a\" | \"b\")~0..8`"),
        ("start: 'it'\n", "`\"it\"`"),
    ],
)  # fmt: skip
def test_advice(text: str, advice: str) -> None:
    assert any(advice in (d.help or "") for d in _refuse(text))


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            ["start", "a", "A", ":", "|", '"x"', "/y/", "(", ")", "[", "]", "?", "*", "+", "~", "2", "..", "->",
             "%ignore",
             "%import", "common", ".", "WS", "\n", "\n", " ", "{", "}", ",", "!", "//! ", "max_tokens", "//",
             "'", '"', "/",
             "\\", "é", "_", "=", ";"]
        ),
        max_size=14,
    ).map("".join)
)  # fmt: skip
def test_any_text_is_read_or_refused(text: str) -> None:
    """No traceback, and nothing is accepted that lark's loader refuses."""
    try:
        _read(text)
    except DslcError as error:
        if any(d.span is not None and not 0 <= d.span.start <= len(text) for d in error.diagnostics) or not str(error):
            raise
        return
    try:
        Lark(text, parser="earley", lexer="dynamic_complete")
    except LarkError as failure:
        # lark multiplies optionals out, and refuses what then comes up twice.
        if "Rules defined twice" not in str(failure):
            raise


@given(st.binary(max_size=20))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.lark"
        path.write_bytes(data)
        try:
            text = read_file(path).text
        except DslcError as error:
            if [d.code for d in error.diagnostics] != [Code.UNREADABLE_FILE]:
                raise
            return
    assert text.encode() == data.removeprefix(b"\xef\xbb\xbf")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.lark"
    bad.write_bytes(b"start: a\n// caf\xe9\n")
    for path, code in (
        (tmp_path / "none.lark", Code.FILE_NOT_FOUND),
        (tmp_path, Code.UNREADABLE_FILE),
        (bad, Code.UNREADABLE_FILE),
    ):
        with pytest.raises(DslcError) as caught:
            read_file(path)
        assert [d.code for d in caught.value.diagnostics] == [code]
    span = caught.value.diagnostics[0].span
    assert span is not None
    assert span.location == (2, 7)


def test_terminals_that_multiply_are_refused() -> None:
    chain = "".join(f"T{i}: T{i + 1} | T{i + 1}\n" for i in range(40))
    errors = _refuse(f'start: T0\n{chain}T40: "a"\n')
    assert [d.code for d in errors] == [Code.TERMINAL_TOO_LARGE]


def test_thousands_of_literals() -> None:
    literals = " | ".join(f'"w{i}"' for i in range(3000))
    assert len(_read(f"start: A\nA: {literals}\n").terminals[0].literals) == 3000


def test_a_large_file_is_read_in_bounded_work() -> None:
    rules = "".join(f'r{i}: r{i + 1} A | "x{i}"\n' for i in range(1500))
    grammar = _read(f'start: r0\n{rules}r1500: A\nA: "a" | "b"\n')
    assert len(grammar.rules) == 1502
    chain = "".join(f"T{i}: T{i + 1}\n" for i in range(300))
    assert _read(f'start: T0\n{chain}T300: "a" | "b"\n').terminals[0].literals[1].text == "b"


def test_a_bracket_in_a_class_is_a_character() -> None:
    """`re` warns that a later Python might read it as a nested set, which no user of a grammar can mend."""
    grammar, found = read_grammar(SourceFile("a.lark", "start: A\nA: /[[ab]/\n"))
    assert [literal.text for literal in grammar.terminals[0].literals] == ["[", "a", "b"]
    assert found == ()
