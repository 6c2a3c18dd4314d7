"""Diagnostics as data: what is wrong, where, and what to do; rendered only at the end.

Families: 1xx reading a grammar file, 2xx grammar meaning, 3xx automaton, sampling and sentences, 4xx types and shapes
of programs, 5xx emitted code, 6xx search configuration and runs, 9xx a bug in dslc. Each code has a section in
docs/diagnostics.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import version
from typing import Any
from unicodedata import combining, east_asian_width

from dslc.source import Span


class Severity(Enum):
    """How bad it is; only errors make a command fail."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Code(Enum):
    """Stable names of everything dslc complains about; the value is what users see."""

    # 1xx: reading
    FILE_NOT_FOUND = "DSLC101"
    SYNTAX = "DSLC102"
    UNDEFINED_RULE = "DSLC103"
    UNDEFINED_TERMINAL = "DSLC104"
    DUPLICATE_DEFINITION = "DSLC105"
    UNREADABLE_FILE = "DSLC106"
    RULE_IN_TERMINAL = "DSLC107"
    RECURSIVE_TERMINAL = "DSLC108"
    BAD_REPETITION = "DSLC109"
    BAD_LITERAL = "DSLC110"
    UNSUPPORTED_REGEX = "DSLC111"
    INFINITE_TERMINAL = "DSLC112"
    TERMINAL_TOO_LARGE = "DSLC113"
    EMPTY_TERMINAL = "DSLC114"
    MIXED_CASE_FLAGS = "DSLC115"
    MISPLACED_ALIAS = "DSLC116"
    BAD_MODIFIER = "DSLC117"
    TEMPLATE = "DSLC118"
    UNSUPPORTED_IMPORT = "DSLC119"
    UNKNOWN_IMPORT = "DSLC120"
    NEVER_DEFINED = "DSLC121"
    PRIORITY = "DSLC122"
    BAD_PRAGMA = "DSLC123"
    UNKNOWN_PRAGMA = "DSLC124"
    DUPLICATE_PRAGMA = "DSLC126"
    PRAGMA_IN_RULE = "DSLC127"
    MISSING_START = "DSLC128"
    UNUSED_TERMINAL = "DSLC129"
    IGNORED_TERMINAL_USED = "DSLC130"
    REPEATED_ALTERNATIVE = "DSLC131"
    GRAMMAR_TOO_LARGE = "DSLC132"
    LEADING_BAR = "DSLC133"
    RECURSIVE_IMPORT = "DSLC134"
    IMPORTED_LINE = "DSLC135"
    NOTHING_TO_CHANGE = "DSLC136"
    COLLIDING_OPTIONALS = "DSLC137"
    CONSTRAINT_NAME = "DSLC141"
    REFERENCE_LITERAL = "DSLC142"
    REFERENCE_TWICE = "DSLC143"
    ANCHOR_NAME = "DSLC146"
    ANCHOR_DECISION = "DSLC147"
    # 2xx: grammar meaning
    UNKNOWN_START = "DSLC201"
    DEFAULT_BUDGET = "DSLC202"
    UNPRODUCTIVE_RULE = "DSLC203"
    UNREACHABLE_RULE = "DSLC204"
    AMBIGUOUS_GRAMMAR = "DSLC205"
    CYCLIC_RULE = "DSLC206"
    SIZE_CLAIM_WRONG = "DSLC207"
    EQUAL_TREES = "DSLC208"
    SHARED_TEXT = "DSLC209"
    RUN_TOGETHER = "DSLC210"
    SUPERCRITICAL = "DSLC211"
    ONE_SPELLING = "DSLC212"
    CONSTRAINT_UNDECIDED = "DSLC221"
    INCREASING_NESTED = "DSLC222"
    # 3xx: automaton, sampling, sentences
    AMBIGUOUS_TEXT = "DSLC301"
    SENTENCE_OVER_BUDGET = "DSLC302"
    TOKENS_NOT_A_SENTENCE = "DSLC303"
    TEXT_NOT_A_SENTENCE = "DSLC304"
    TEXT_FORBIDDEN = "DSLC305"
    EMPTY_LANGUAGE = "DSLC321"
    BUDGET_TOO_SMALL = "DSLC322"
    TABLES_TOO_LARGE = "DSLC323"
    BUDGET_PAST_TABLES = "DSLC324"
    INDEX_OUT_OF_RANGE = "DSLC325"
    CONTRADICTION = "DSLC331"
    CONSTRAINTS_TOO_LARGE = "DSLC332"
    STARTING_TARGET = "DSLC335"
    SPACE_UNREADABLE = "DSLC341"
    NEWER_SPACE = "DSLC342"
    OTHER_LAYOUT = "DSLC343"
    SPACE_TOO_LARGE = "DSLC344"
    # 4xx: types and shapes
    NO_TARGET = "DSLC401"
    UNKNOWN_TARGET = "DSLC402"
    UNKNOWN_NAME = "DSLC403"
    WRONG_CHILDREN = "DSLC404"
    NOT_A_SIZE = "DSLC405"
    EVEN_FILTER = "DSLC406"
    SHAPE_MISMATCH = "DSLC407"
    UNKNOWN_OPERATION = "DSLC408"
    WRONG_ARGUMENTS = "DSLC409"
    OPERATION_EXISTS = "DSLC410"
    OPERATION_TOO_LARGE = "DSLC411"
    TARGET_ARGUMENTS = "DSLC412"
    PLUGIN_FAILED = "DSLC413"
    NAME_CLASH = "DSLC414"
    NO_SUCH_NODE = "DSLC415"
    NOT_A_NUMBER = "DSLC416"
    MIXED_VALUES = "DSLC417"
    TOO_MANY_CONSTANTS = "DSLC418"
    BAD_VARIABLE = "DSLC419"
    # 5xx: emitted code
    EMITTED_CODE_FAILED = "DSLC501"
    BAD_CLASS_NAME = "DSLC502"
    MISSING_ARGUMENT = "DSLC503"
    UNKNOWN_ARGUMENT = "DSLC504"
    DRAWING_FORMAT = "DSLC581"
    NO_LAYOUT = "DSLC582"
    CANNOT_WRITE = "DSLC583"
    DRAWING_TOO_LARGE = "DSLC584"
    # 6xx: search configuration and runs
    UNKNOWN_TASK = "DSLC601"
    TASK_NOT_FOUND = "DSLC602"
    TASK_REFUSES_TARGET = "DSLC603"
    UNKNOWN_OPTION = "DSLC604"
    BAD_SETTING = "DSLC605"
    MISSING_EXTRA = "DSLC606"
    NO_CUDA = "DSLC607"
    TASK_NEEDED = "DSLC608"
    UNKNOWN_STRATEGY = "DSLC609"
    TASK_RAISED = "DSLC611"
    REWARD_NOT_FINITE = "DSLC612"
    REWARD_WRONG_TYPE = "DSLC613"
    LOSS_NOT_FINITE = "DSLC614"
    NO_REWARD = "DSLC615"
    TOO_MANY_FAILURES = "DSLC616"
    VALUES_NOT_FINITE = "DSLC617"
    FIT_FAILED = "DSLC618"
    RUN_LOCKED = "DSLC621"
    RUN_EXISTS = "DSLC622"
    NOT_A_RUN = "DSLC623"
    NEWER_RUN = "DSLC624"
    CHECKPOINT_UNREADABLE = "DSLC625"
    HISTORY_DIFFERS = "DSLC626"
    GRAMMAR_CHANGED = "DSLC627"
    NO_CHECKPOINT = "DSLC628"
    DATA_UNREADABLE = "DSLC631"
    BAD_DATA = "DSLC632"
    MISSING_COLUMN = "DSLC633"
    NOT_RECORDED = "DSLC634"
    TASK_NOT_IMPORTABLE = "DSLC651"
    WORKER_DIED = "DSLC652"
    CHILD_TOO_SLOW = "DSLC653"
    CHILD_TOO_LARGE = "DSLC654"
    WORKER_FAILED = "DSLC655"
    SETTING_FIXED = "DSLC656"
    CANNOT_RECORD = "DSLC657"
    SETTING_CHANGED = "DSLC658"
    NO_CLUSTER = "DSLC659"
    NO_NICHES = "DSLC671"
    NO_POPULATIONS = "DSLC672"
    POPULATION_FAILED = "DSLC673"
    POPULATION_DIFFERS = "DSLC674"
    POPULATION_IN_PROCESS = "DSLC675"
    FILE_EXISTS = "DSLC681"
    USAGE = "DSLC682"
    UNKNOWN_CODE = "DSLC683"
    NOT_COMPARABLE = "DSLC691"
    CALLBACK_RAISED = "DSLC692"
    # 9xx: bugs in dslc
    INTERNAL_ERROR = "DSLC901"


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that explains the first, such as "first defined here"."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem.

    The message is lower case without a full stop, in the reader's terms, with names in backticks; `help` is an action.
    """

    code: Code
    severity: Severity
    message: str
    span: Span | None = None
    """Where; None when no place in a file is at fault (a command-line value, a run folder)."""
    help: str | None = None
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()


class DslcError(Exception):
    """Input at fault: holds every diagnostic that could be collected, at least one of them an error.

    Catch it and show `diagnostics`, or let the command line do so; the text of the exception is that of `render_text`.
    """

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = (
            (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        )
        assert any(d.severity is Severity.ERROR for d in self.diagnostics), "a DslcError needs an error"
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return render_text(self.diagnostics)


# --- rendering --------------------------------------------------------------------------------------------------------

_COLOR = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}
_GUTTER_COLOR = "1;34"
_MAX_EXCERPT = 100
"""Columns of an excerpt; longer lines are cut around the place."""


def render_text(diagnostics: Iterable[Diagnostic], *, color: bool = False) -> str:
    """Diagnostics for people: message, place, excerpt with carets, help and notes; a blank line between two of them.

    Args:
        diagnostics: What to show, in this order.
        color: Use the terminal's colours.

    Example:
        >>> from dslc.source import SourceFile
        >>> place = SourceFile("a.lark", 'start: block\\n').span(7, 12)
        >>> print(render_text([Diagnostic(Code.INTERNAL_ERROR, Severity.ERROR, "no `block`", place, "define it")]))
        error[DSLC901]: no `block`
         --> a.lark:1:8
          |
        1 | start: block
          |        ^^^^^
          |
        help: define it
        note: docs/diagnostics.md#dslc901
    """
    return "\n\n".join(_render_one(diagnostic, color) for diagnostic in diagnostics)


def _render_one(diagnostic: Diagnostic, color: bool) -> str:
    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if color else text

    accent = _COLOR[diagnostic.severity]
    title = paint(f"{diagnostic.severity.value}[{diagnostic.code.value}]", accent)
    lines = [f"{title}: {paint(_printable(diagnostic.message), '1')}"]
    places = [*([Label(diagnostic.span, "")] if diagnostic.span else []), *diagnostic.labels]
    width = max((len(str(place.span.location.line)) for place in places), default=0)
    bar = paint("|", _GUTTER_COLOR)
    for place in places:
        is_primary = place.span is diagnostic.span
        location = place.span.location
        arrow = paint("-->" if is_primary else ":::", _GUTTER_COLOR)
        lines.append(f"{' ' * width}{arrow} {place.span.file.name}:{location.line}:{location.column}")
        text, start, length = _excerpt(place.span)
        marks = paint(("^" if is_primary else "-") * length, accent if is_primary else _GUTTER_COLOR)
        number = paint(str(location.line).rjust(width), _GUTTER_COLOR)
        lines.append(f"{' ' * width} {bar}")
        lines.append(f"{number} {bar} {text}".rstrip())
        lines.append(f"{' ' * width} {bar} {' ' * start}{marks} {_printable(place.message)}".rstrip())
    if places:
        lines.append(f"{' ' * width} {bar}")
    if diagnostic.help:
        lines.append(f"{paint('help', '1;32')}: {_printable(diagnostic.help)}")
    for note in (*diagnostic.notes, f"docs/diagnostics.md#{diagnostic.code.value.lower()}"):
        lines.append(f"{paint('note', '1')}: {_printable(note)}")
    return "\n".join(lines)


def _printable(text: str) -> str:
    """Text that cannot move the cursor or change colours: file contents are not trusted."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _excerpt(span: Span) -> tuple[str, int, int]:
    """The line of a span as shown, the column of the first mark and the number of marks, as terminals count columns."""
    location, end = span.location, span.end_location
    line = span.file.line_text(location.line)
    first = location.column - 1
    last = end.column - 1 if end.line == location.line else len(line)
    # Only what is near is looked at: a line can have a million characters.
    skipped = max(0, first - 2 * _MAX_EXCERPT)
    line = line[skipped : first + 3 * _MAX_EXCERPT]
    first, last = first - skipped, last - skipped
    shown = [" " * 4 if character == "\t" else _printable(character) for character in line]
    before = ""
    if skipped or sum(map(_columns, shown)) > _MAX_EXCERPT:
        left = max(0, min(first - _MAX_EXCERPT // 3, len(shown) - _MAX_EXCERPT))
        right = left + _MAX_EXCERPT
        before = "…" if skipped + left else ""
        shown = shown[left:right] + ["…"] * (right < len(shown))
        first, last = first - left, min(last - left, len(shown))
    start = _columns(before) + sum(map(_columns, shown[:first]))
    length = sum(map(_columns, shown[first:last]))
    return before + "".join(shown), start, max(1, length)


def _columns(text: str) -> int:
    """Terminal columns: two for wide characters, none for combining ones."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def render_json(diagnostics: Iterable[Diagnostic], files: Iterable[str]) -> dict[str, Any]:
    """Diagnostics as a `dslc.check/1` document, for `files`, the names of all files that were looked at.

    Lines and columns count from 1 in code points, ends are exclusive; they are null where no place is at fault.
    """
    diagnostics = tuple(diagnostics)
    return {
        "format": "dslc.check/1",
        "dslc": version("dslc"),
        "files": list(files),
        "counts": {s.value: sum(d.severity is s for d in diagnostics) for s in Severity},
        "diagnostics": [
            {
                "code": diagnostic.code.value,
                "severity": diagnostic.severity.value,
                "message": diagnostic.message,
                **_json_place(diagnostic.span),
                "excerpt": diagnostic.span.file.line_text(diagnostic.span.location.line) if diagnostic.span else None,
                "help": diagnostic.help,
                "labels": [{**_json_place(label.span), "message": label.message} for label in diagnostic.labels],
                "notes": list(diagnostic.notes),
            }
            for diagnostic in diagnostics
        ],
    }


def _json_place(span: Span | None) -> dict[str, str | int | None]:
    if span is None:
        return dict.fromkeys(("file", "line", "column", "end_line", "end_column"))
    start, end = span.location, span.end_location
    return {
        "file": span.file.name,
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
    }


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Diagnostics as workflow commands that GitHub shows beside the lines of a change; one a line.

    Example:
        >>> print(render_github([Diagnostic(Code.INTERNAL_ERROR, Severity.NOTE, "100% odd", help="look")]))
        ::notice title=DSLC901::100%25 odd%0Ahelp: look
    """
    kinds = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
    lines = []
    for diagnostic in diagnostics:
        properties: dict[str, str | int] = {}
        if diagnostic.span is not None:
            start, end = diagnostic.span.location, diagnostic.span.end_location
            properties = {"file": diagnostic.span.file.name, "line": start.line, "col": start.column}
            properties |= {"endLine": end.line, "endColumn": end.column}
        properties["title"] = diagnostic.code.value
        fields = ",".join(f"{key}={_escape_github(str(value), ':,')}" for key, value in properties.items())
        text = diagnostic.message + (f"\nhelp: {diagnostic.help}" if diagnostic.help else "")
        lines.append(f"::{kinds[diagnostic.severity]} {fields}::{_escape_github(text)}")
    return "\n".join(lines)


def _escape_github(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
