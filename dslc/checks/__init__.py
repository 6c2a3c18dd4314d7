"""Checks of a compiled grammar: one a file, each a function of a space that yields diagnostics, listed in CHECKS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from dslc.checks.ambiguity import check_ambiguity
from dslc.checks.equal_trees import check_equal_trees
from dslc.checks.rules import check_rules
from dslc.checks.sizes import check_sizes
from dslc.checks.target import check_target
from dslc.diagnostics import Diagnostic, DslcError
from dslc.language.read import read_grammar
from dslc.pipeline import compile_start, find_grammar
from dslc.source import SourceFile
from dslc.space import Space

CHECKS: tuple[Callable[[Space], Iterable[Diagnostic]], ...] = (
    check_rules,
    check_equal_trees,
    check_ambiguity,
    check_sizes,
    check_target,
)
"""Every check, in the order in which their findings are shown."""


def check(path: str | Path) -> tuple[Diagnostic, ...]:
    """Everything there is to say about a grammar file, for each of its starts; never raises for a bad grammar."""
    try:
        return check_file(find_grammar(path))
    except DslcError as error:
        return error.diagnostics


def check_file(file: SourceFile) -> tuple[Diagnostic, ...]:
    """As `check`, on a text that is already read."""
    try:
        grammar, found = read_grammar(file)
    except DslcError as error:
        return error.diagnostics
    diagnostics = list(found)
    for start in grammar.pragmas.starts:
        try:
            compilation = compile_start(grammar, start=start)
        except DslcError as error:
            diagnostics.extend(error.diagnostics)
            continue
        diagnostics.extend(compilation.diagnostics)
        space = Space(compilation)
        for run_check in CHECKS:
            diagnostics.extend(run_check(space))
    return tuple(dict.fromkeys(diagnostics))  # what two starts share is said once
