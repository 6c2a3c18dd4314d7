"""Whether the target that a grammar names exists and knows the grammar's names."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.targets import get_target
from dslc.space import Space


def check_target(space: Space) -> Iterator[Diagnostic]:
    """An error for an unknown target, and one for each name of the tree that the target does not know."""
    if space.target is None:
        return
    try:
        target = get_target(space.target)
    except DslcError as error:
        for diagnostic in error.diagnostics:
            span = space.compilation.grammar.pragmas.spans.get("target")
            yield Diagnostic(diagnostic.code, diagnostic.severity, diagnostic.message, span, diagnostic.help)
        return
    for rule in space.compilation.facts.trimmed.rules:
        for production in rule.productions:
            name = production.alias or rule.name
            hidden = production.alias is None and (rule.is_transparent or rule.expand_single)
            if name in target.aliases or hidden or name in space.compilation.grammar.pragmas.starts:
                continue
            near = get_close_matches(name, list(target.aliases), n=1)
            yield Diagnostic(
                Code.UNKNOWN_NAME,
                Severity.ERROR,
                f"the target `{target.name}` knows no `{name}`",
                span=production.span or rule.span,
                help=(f"did you mean `{near[0]}`? " if near else "") + f"it knows: {', '.join(target.aliases)}",
            )
