"""The target of a grammar: found by its name, completed by what the grammar's `//!` lines say."""

from __future__ import annotations

from dataclasses import replace

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.pragmas import Pragmas
from dslc.program.operations import define_operations
from dslc.program.targets import ConfigurableTarget, Target, get_target


def configure_target(pragmas: Pragmas) -> Target:
    """The target that the lines of a grammar name; they have to name one.

    Raises:
        DslcError: with every problem of the `target` and `op` lines, each at its place.
    """
    assert pragmas.target is not None, "the grammar names a target"
    place = pragmas.spans.get("target")
    try:
        operations = define_operations(pragmas.operations)
        target = get_target(pragmas.target)
        if isinstance(target, ConfigurableTarget):
            return target.configure(pragmas.target_parameters, operations)
    except DslcError as error:
        raise DslcError(replace(problem, span=problem.span or place) for problem in error.diagnostics) from error
    problems = []
    if pragmas.target_parameters:
        names = ", ".join(pragmas.target_parameters)
        message = f"the target `{target.name}` takes no names in brackets, and has ({names})"
        help = f"write `//! target {target.name}`"
        problems.append(Diagnostic(Code.TARGET_ARGUMENTS, Severity.ERROR, message, place, help))
    for definition in pragmas.operations:
        message = f"the target `{target.name}` knows no `//! op`, and so not `{definition.name}`"
        help = "remove the line, or use a target that does, such as `generic(x)`"
        problems.append(Diagnostic(Code.TARGET_ARGUMENTS, Severity.ERROR, message, definition.span, help))
    if problems:
        raise DslcError(problems)
    return target
