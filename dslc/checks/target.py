"""Whether the target that a grammar names exists and knows the grammar's names, and whether its `//! op` lines hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.grammar import BnfRule, Production, RuleUse, TerminalUse
from dslc.program.configure import configure_target
from dslc.program.operations import define_operations
from dslc.program.targets import AlternativeChecker, AlternativeForm, Target
from dslc.space import Space


def check_target(space: Space) -> Iterator[Diagnostic]:
    """An error for an unknown target, for wrong `//! op` lines, and for each name that the target does not know."""
    pragmas = space.compilation.grammar.pragmas
    try:
        if space.target is None:
            define_operations(pragmas.operations)
            return
        target = configure_target(pragmas)
    except DslcError as error:
        yield from error.diagnostics
        return
    for rule in space.compilation.facts.trimmed.rules:
        for production in rule.productions:
            if isinstance(target, AlternativeChecker):
                for problem in target.check_alternative(_describe_alternative(space, rule, production)):
                    yield replace(problem, span=production.span or rule.span)
            else:
                yield from _check_name(space, target, rule, production)


def _check_name(space: Space, target: Target, rule: BnfRule, production: Production) -> Iterator[Diagnostic]:
    name = production.alias or rule.node_name
    hidden = production.alias is None and (rule.is_transparent or rule.expand_single)
    if name in target.aliases or hidden or name in space.compilation.grammar.pragmas.starts:
        return
    near = get_close_matches(name, list(target.aliases), n=1)
    yield Diagnostic(
        Code.UNKNOWN_NAME,
        Severity.ERROR,
        f"the target `{target.name}` knows no `{name}`",
        span=production.span or rule.span,
        help=(f"did you mean `{near[0]}`? " if near else "") + f"it knows: {', '.join(target.aliases)}",
    )


def _describe_alternative(space: Space, rule: BnfRule, production: Production) -> AlternativeForm:
    grammar = space.compilation.facts.trimmed
    kept = [symbol for symbol in production.symbols if isinstance(symbol, RuleUse) or symbol.is_kept]
    is_fixed = not production.nones and not any(
        isinstance(symbol, RuleUse) and grammar.rule_by_name[symbol.name].is_transparent for symbol in kept
    )
    num_children = len(kept) if is_fixed else None
    is_single = rule.expand_single and production.alias is None and num_children == 1
    literals = [
        (symbol.name, literal.text)
        for symbol in kept
        if isinstance(symbol, TerminalUse)
        for literal in grammar.terminal_by_name[symbol.name].literals
    ]
    return AlternativeForm(
        rule.label if rule.helper else rule.name,
        production.alias,
        num_children,
        rule.is_transparent or is_single,
        any(production.nones),
        tuple(dict.fromkeys(literals)),
    )
