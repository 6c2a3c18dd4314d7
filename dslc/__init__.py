"""dslc: a compiler for neural architecture search spaces.

One `.lark` grammar file becomes a token automaton with exact masks and counts, readable PyTorch source, and a search.
"""

from dslc.checks import check as check
from dslc.diagnostics import Code as Code
from dslc.diagnostics import Diagnostic as Diagnostic
from dslc.diagnostics import DslcError as DslcError
from dslc.diagnostics import Severity as Severity
from dslc.space import Program as Program
from dslc.space import Space as Space
from dslc.space import compile as compile
from dslc.space import compile_text as compile_text
from dslc.space import load as load

__all__ = [
    "Code",
    "Diagnostic",
    "DslcError",
    "Program",
    "Severity",
    "Space",
    "check",
    "compile",
    "compile_text",
    "load",
]
