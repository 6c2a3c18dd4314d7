"""Rules that can never end, that nothing uses, or that derive only themselves."""

from __future__ import annotations

from collections.abc import Iterator

from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.language.analyze import reachable_rules
from dslc.space import Space


def check_rules(space: Space) -> Iterator[Diagnostic]:
    """Warnings for unproductive, unreachable and cyclic rules."""
    compilation = space.compilation
    facts, rules = compilation.facts, compilation.bnf.rule_by_name
    for name in facts.unproductive:
        yield Diagnostic(
            Code.UNPRODUCTIVE_RULE,
            Severity.WARNING,
            f"rule `{name}` can never end: every alternative needs another `{name}` or a rule like it",
            span=rules[name].span,
            help="add an alternative without it; alternatives that use it are dropped",
        )
    used = reachable_rules(compilation.bnf, compilation.grammar.pragmas.starts)
    for name in facts.unreachable:
        rule = rules[name]
        if rule.helper is None and name not in used and name not in facts.unproductive:
            yield Diagnostic(
                Code.UNREACHABLE_RULE,
                Severity.WARNING,
                f"rule `{name}` is not used by any start",
                span=rule.span,
                help=f"remove it, or list it: `//! start {' '.join([*compilation.grammar.pragmas.starts, name])}`",
            )
    for cycle in facts.cyclic:
        labels = [rules[name].label or name for name in cycle]
        yield Diagnostic(
            Code.CYCLIC_RULE,
            Severity.WARNING,
            f"`{labels[0]}` can derive just itself: {' > '.join([*labels, labels[0]])}",
            span=rules[cycle[0]].span,
            help="each turn costs tokens and adds nothing to the text; remove one of these alternatives",
        )
