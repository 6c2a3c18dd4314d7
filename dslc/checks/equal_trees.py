"""Alternatives that give equal trees: a target cannot tell them apart."""

from __future__ import annotations

from collections.abc import Iterator

from dslc.diagnostics import Code, Diagnostic, Label, Severity
from dslc.language.grammar import BnfRule, Production, RuleUse, TerminalUse
from dslc.space import Space


def check_equal_trees(space: Space) -> Iterator[Diagnostic]:
    """For each two alternatives whose trees lark makes equal: a warning, with a target an error."""
    severity = Severity.ERROR if space.target is not None else Severity.WARNING
    for rule in space.compilation.facts.trimmed.rules:
        seen: dict[tuple[object, ...], Production] = {}
        for production in rule.productions:
            first = seen.setdefault(_shape(rule, production), production)
            if first is production or (rule.is_transparent and not production.symbols):
                continue
            one, other = _as_written(space, first), _as_written(space, production)
            label = production.alias or rule.node_name
            yield Diagnostic(
                Code.EQUAL_TREES,
                severity,
                f"`{one}` and `{other}` cannot be told apart: both give the tree `{label}`",
                span=production.span or rule.span,
                help=f"add aliases, such as `{one} -> {_alias(one, 1)}` and `{other} -> {_alias(other, 2)}`",
                labels=(Label(first.span, "the same tree as this"),) if first.span else (),
            )


def _shape(rule: BnfRule, production: Production) -> tuple[object, ...]:
    kept = tuple(symbol.name for symbol in production.symbols if isinstance(symbol, RuleUse) or symbol.is_kept)
    return (production.alias, kept, production.nones, rule.name)


def _as_written(space: Space, production: Production) -> str:
    words = []
    for symbol in production.symbols:
        if isinstance(symbol, TerminalUse):
            terminal = space.compilation.facts.trimmed.terminal_by_name[symbol.name]
            words.append(f'"{terminal.literals[0].text}"' if terminal.is_anonymous else symbol.name)
        else:
            words.append(symbol.name)
    return " ".join(words) or "<empty>"


def _alias(text: str, number: int) -> str:
    name = text.strip('"').lower()
    return name if name.isidentifier() else f"choice_{number}"
