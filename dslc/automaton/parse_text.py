"""A text to its derivation, on the grammar as written, with a caret at the first wrong place where it has none."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.automaton.derivation import Derivation, Scanned
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.earley import Chart, TextParser
from dslc.language.forest import Readings, extract_readings
from dslc.language.grammar import BnfGrammar, Literal, Terminal
from dslc.language.reading import Reading, Scan
from dslc.source import SourceFile

MAX_LITERALS_SHOWN = 12
"""Literals of one terminal that a message lists."""
MAX_TERMINALS_SHOWN = 12
"""Terminals that a message lists."""
MAX_PARSERS_KEPT = 16
"""Parsers that are kept for the next text."""


@dataclass(frozen=True, slots=True)
class ParseResult:
    """What parsing a text found."""

    derivation: Derivation
    """The only derivation, or the first: fewest nodes, then at every node the lowest alternative, then the shortest
    last symbol.
    """
    is_ambiguous: bool
    """True if the text has two derivations or more."""
    second: Derivation | None
    """Another derivation of an ambiguous text; None where constraints that count chose the first."""
    starts: tuple[int, ...]
    """Offset of each terminal of the derivation in the text, left to right."""


def parse_text(bnf: BnfGrammar, start: str, text: str) -> ParseResult:
    """The derivation of `text` from `start`, and whether it is the only one.

    Literals are matched as written, case-insensitive ones in any spelling. Where the grammar ignores blanks, any
    number of spaces may stand before, between and after terminals, none included; other ignored text is not skipped.

    Args:
        bnf: a grammar without unproductive alternatives.
        start: name of one of its rules.
        text: any text; time and memory grow in proportion to its length for LR(1) grammars that do not nest.

    Raises:
        DslcError: DSLC304 with the first wrong place and what was expected there, if it is no sentence.

    Example:
        >>> from dslc.language.grammar import BnfRule, Production, Terminal, TerminalUse
        >>> rule = BnfRule("start", (Production((TerminalUse("A"),)),))
        >>> bnf = BnfGrammar(SourceFile("a.lark", ""), (rule,), (Terminal("A", (Literal("x"), Literal("y"))),))
        >>> parse_text(bnf, "start", "y").derivation
        Derivation(rule='start', production=0, children=(Scanned(terminal='A', literal=1),))
    """
    parser = find_parser(bnf, start)
    chart = parser.parse(text)
    if not chart.ends:
        raise DslcError(_describe_failure(parser, chart))
    return build_result(bnf, extract_readings(chart))


def build_result(bnf: BnfGrammar, readings: Readings) -> ParseResult:
    """What readings of a text say, with their trees."""
    starts = tuple(step.start for step in readings.first if isinstance(step, Scan))
    second = None if readings.second is None else build_derivation(bnf, readings.second)
    return ParseResult(build_derivation(bnf, readings.first), readings.is_ambiguous, second, starts)


def build_derivation(bnf: BnfGrammar, reading: Reading) -> Derivation:
    """The tree of a reading."""
    finished: list[Derivation | Scanned] = []
    for step in reversed(reading):  # so that the children of a node are finished, first child last
        if isinstance(step, Scan):
            finished.append(Scanned(step.terminal, step.literal))
            continue
        num_children = len(bnf.rule_by_name[step.rule].productions[step.production].symbols)
        children = tuple(finished.pop() for _ in range(num_children))
        finished.append(Derivation(step.rule, step.production, children))
    (root,) = finished
    assert isinstance(root, Derivation), "a reading begins with a rule"
    return root


# Keyed by the identity of the grammar: hashing one by value would cost more than parsing a sentence. A parser holds its
# grammar, so an identity is not given to another while it is a key.
_parsers: dict[tuple[int, str], TextParser] = {}


def find_parser(bnf: BnfGrammar, start: str) -> TextParser:
    """The parser of a grammar and start, built when first asked for; the last few are kept."""
    key = (id(bnf), start)
    parser = _parsers.pop(key, None) or TextParser(bnf, start)
    _parsers[key] = parser  # last in the dictionary: used last
    if len(_parsers) > MAX_PARSERS_KEPT:
        del _parsers[next(iter(_parsers))]
    return parser


def _describe_failure(parser: TextParser, chart: Chart) -> Diagnostic:
    place, terminals, can_end = parser.expected(chart)
    text = chart.text
    wrong = parser.matcher.skip_blanks(text, place)
    file = SourceFile("<sentence>", text)
    bnf = chart.tables.bnf
    expected = [_describe_terminal(bnf.terminals[number]) for number in terminals]
    if len(expected) > MAX_TERMINALS_SHOWN:
        expected[MAX_TERMINALS_SHOWN:] = [f"{len(expected) - MAX_TERMINALS_SHOWN} other terminals"]
    if can_end:
        expected.append("the end of the sentence")
    if wrong == len(text):
        message = "the sentence is unfinished" if text.strip() else "the empty text is no sentence"
        span = file.span(wrong, wrong)
    else:
        word = _wrong_word(text, wrong)
        message = (
            f"`{word}` cannot stand there" if not _only_end(expected, can_end) else f"the sentence ends before `{word}`"
        )
        span = file.span(wrong, wrong + len(word))
    return Diagnostic(
        Code.TEXT_NOT_A_SENTENCE, Severity.ERROR, message, span, help="expected there: " + "; or ".join(expected)
    )


def _only_end(expected: list[str], can_end: bool) -> bool:
    return can_end and len(expected) == 1


def _wrong_word(text: str, place: int) -> str:
    """The characters of one kind from `place` on: what a reader would point at."""
    end = place + 1
    if text[place].isalnum() or text[place] == "_":
        while end < len(text) and (text[end].isalnum() or text[end] == "_"):
            end += 1
    return text[place:end]


def _describe_terminal(terminal: Terminal) -> str:
    shown = [_quote(literal) for literal in terminal.literals[:MAX_LITERALS_SHOWN]]
    hidden = len(terminal.literals) - len(shown)
    if hidden:
        shown.append(f"{hidden} more")
    listed = " | ".join(shown)
    return listed if terminal.is_anonymous else f"{terminal.name}: {listed}"


def _quote(literal: Literal) -> str:
    escaped = literal.text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"' + ("i" if literal.ignore_case else "")
