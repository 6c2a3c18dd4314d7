"""Checks of a compiled grammar: one a file, each a function of a space that yields diagnostics, listed in CHECKS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from dslc.checks.ambiguity import check_ambiguity
from dslc.checks.equal_trees import check_equal_trees
from dslc.checks.recursion import check_recursion
from dslc.checks.rules import check_rules
from dslc.checks.sizes import check_sizes
from dslc.checks.target import check_target
from dslc.checks.texts import check_texts
from dslc.diagnostics import Diagnostic, DslcError
from dslc.language.grammar import Grammar
from dslc.pipeline import compile_start, find_grammar
from dslc.saved_space import is_saved_space, load_compilation
from dslc.source import SourceFile
from dslc.space import Space

CHECKS: tuple[Callable[[Space], Iterable[Diagnostic]], ...] = (
    check_rules,
    check_recursion,
    check_equal_trees,
    check_texts,
    check_ambiguity,
    check_sizes,
    check_target,
)
"""Every check, in the order in which their findings are shown."""


def check(path: str | Path) -> tuple[Diagnostic, ...]:
    """Everything there is to say about a grammar file, for each of its starts; never raises for a bad grammar.

    Of a saved space the grammar in it is checked.
    """
    return check_path(path)[1]


def check_path(path: str | Path) -> tuple[str, tuple[Diagnostic, ...]]:
    """As `check`, with the name of the grammar file before it."""
    try:
        if is_saved_space(path):
            saved = load_compilation(path)
            return saved.grammar.file.name, check_grammar(saved.grammar, saved.diagnostics)
        file = find_grammar(path)
    except DslcError as error:
        return str(path), error.diagnostics
    return file.name, check_file(file)


def check_file(file: SourceFile) -> tuple[Diagnostic, ...]:
    """As `check`, on a text that is already read."""
    # Here, since it needs lark, which a saved space does without.
    from dslc.language.read import read_grammar

    try:
        grammar, found = read_grammar(file)
    except DslcError as error:
        return error.diagnostics
    return check_grammar(grammar, found)


def check_grammar(grammar: Grammar, found: Iterable[Diagnostic] = ()) -> tuple[Diagnostic, ...]:
    """As `check`, on a grammar; `found` is what there was to say when it was read."""
    diagnostics = list(found)
    starts = grammar.pragmas.starts
    claimed = {claim.start for claim in grammar.pragmas.sizes if claim.start is not None}
    for start in starts:
        try:
            compilation = compile_start(grammar, start=start)
        except DslcError as error:
            diagnostics.extend(error.diagnostics)
            continue
        diagnostics.extend(compilation.diagnostics)
        space = Space(compilation)
        for run_check in CHECKS:
            diagnostics.extend(run_check(space))
    for start in sorted(claimed - {*starts}):  # of a rule that is no start, only what is claimed of it
        try:
            diagnostics.extend(check_sizes(Space(compile_start(grammar, start=start))))
        except DslcError as error:
            diagnostics.extend(error.diagnostics)
    return tuple(dict.fromkeys(diagnostics))  # what two starts share is said once
