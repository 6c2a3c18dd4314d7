"""Diagnostics as data: what is wrong, where, and what to do; rendered only at the end.

Families: 1xx reading a grammar file, 2xx grammar meaning, 3xx automaton, sampling and sentences, 4xx types and shapes of
programs, 5xx emitted code, 6xx search configuration and runs, 9xx a bug in dslc. Each code has a section in docs/diagnostics.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

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
    RESERVED_NAME = "DSLC106"
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
    UNSUPPORTED_STATEMENT = "DSLC121"
    PRIORITY = "DSLC122"
    BAD_PRAGMA = "DSLC123"
    UNKNOWN_PRAGMA = "DSLC124"
    PRAGMA_NOT_AVAILABLE = "DSLC125"
    DUPLICATE_PRAGMA = "DSLC126"
    PRAGMA_IN_RULE = "DSLC127"
    MISSING_START = "DSLC128"
    UNUSED_TERMINAL = "DSLC129"
    IGNORED_TERMINAL_USED = "DSLC130"
    REPEATED_ALTERNATIVE = "DSLC131"
    GRAMMAR_TOO_LARGE = "DSLC132"
    UNREADABLE_FILE = "DSLC133"
    # 2xx: grammar meaning
    UNKNOWN_START = "DSLC201"
    DEFAULT_BUDGET = "DSLC202"
    UNPRODUCTIVE_RULE = "DSLC203"
    UNREACHABLE_RULE = "DSLC204"
    AMBIGUOUS_GRAMMAR = "DSLC205"
    CYCLIC_RULE = "DSLC206"
    SIZE_CLAIM_WRONG = "DSLC207"
    EQUAL_TREES = "DSLC208"
    TOKENS_RUN_TOGETHER = "DSLC209"
    # 3xx: automaton, sampling, sentences
    AMBIGUOUS_TEXT = "DSLC301"
    SENTENCE_OVER_BUDGET = "DSLC302"
    TOKENS_NOT_A_SENTENCE = "DSLC303"
    TEXT_NOT_A_SENTENCE = "DSLC304"
    EMPTY_LANGUAGE = "DSLC321"
    BUDGET_TOO_SMALL = "DSLC322"
    TABLES_TOO_LARGE = "DSLC323"
    BUDGET_PAST_TABLES = "DSLC324"
    INDEX_OUT_OF_RANGE = "DSLC325"
    # 4xx: types and shapes
    NO_TARGET = "DSLC401"
    UNKNOWN_TARGET = "DSLC402"
    UNKNOWN_NAME = "DSLC403"
    WRONG_CHILDREN = "DSLC404"
    NOT_A_SIZE = "DSLC405"
    EVEN_FILTER = "DSLC406"
    SHAPE_MISMATCH = "DSLC407"
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
    RUN_LOCKED = "DSLC621"
    RUN_EXISTS = "DSLC622"
    NOT_A_RUN = "DSLC623"
    NEWER_RUN = "DSLC624"
    CHECKPOINT_UNREADABLE = "DSLC625"
    HISTORY_DIFFERS = "DSLC626"
    GRAMMAR_CHANGED = "DSLC627"
    NO_CHECKPOINT = "DSLC628"
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

    Catch it and show `diagnostics`, or let the command line do so; the text of the exception is the rendered diagnostics.
    """

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = (
            (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        )
        assert any(d.severity is Severity.ERROR for d in self.diagnostics), "a DslcError needs an error"
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "\n".join(f"{d.severity.value}[{d.code.value}]: {d.message}" for d in self.diagnostics)
