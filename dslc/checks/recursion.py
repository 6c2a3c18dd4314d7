"""Recursion that never ends by itself where all choices are equally likely."""

from __future__ import annotations

from collections.abc import Iterator

from dslc.automaton.starting import criticality, mean_offspring, spectral_radius
from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.language.components import find_components
from dslc.language.grammar import BnfRule
from dslc.space import Space

ROUNDING = 1e-6
"""How far below 1 a computed growth still counts as 1."""


def check_recursion(space: Space) -> Iterator[Diagnostic]:
    """A note for each set of rules that contain one another and grow: equal logits expect no end of them."""
    automaton = space.lowering.automaton
    if criticality(automaton) < 1.0 - ROUNDING:
        return
    offspring = mean_offspring(automaton)
    found: dict[str, tuple[float, BnfRule]] = {}
    for component in find_components(dict(enumerate(offspring))):
        growth = spectral_radius(offspring, component)
        if growth < 1.0 - ROUNDING:
            continue
        inside = set(component)
        leaves = {slot: sum(n for child, n in offspring[slot].items() if child in inside) for slot in component}
        slot = max(sorted(component), key=lambda each: leaves[each])
        rule = _rule_of_slot(space, automaton.slot_names[slot])
        # Constraints tell places of a rule apart: the one that grows most is named.
        if growth > found.get(rule.name, (0.0, rule))[0]:
            found[rule.name] = growth, rule
    for growth, rule in found.values():
        name = rule.label or rule.name
        yield Diagnostic(
            Code.SUPERCRITICAL,
            Severity.NOTE,
            f"`{name}` never ends by itself where all choices are equally likely: each leaves {growth:.3g} more of its"
            " kind on average, so a sentence has infinite expected length",
            span=rule.span,
            help=f"searches start from another table, see `dslc info`; else give `{name}` more alternatives without"
            f" itself, or a limit such as `//! max_depth 8 {_named_rule(space, rule)}`",
        )


def _rule_of_slot(space: Space, slot_name: str) -> BnfRule:
    """The rule of a slot that leaves others: it is called as the rule, with its part of a list behind."""
    for rule in space.lowering.bnf.rules:
        if slot_name in (rule.label or rule.name, f"{rule.label or rule.name}.more", f"{rule.label or rule.name}.base"):
            return rule
    for rule in space.lowering.bnf.rules:  # told apart by constraints, which stand behind the name
        if slot_name.startswith(rule.label or rule.name):
            return rule
    return space.lowering.bnf.rule_by_name[space.start]


def _named_rule(space: Space, rule: BnfRule) -> str:
    """The rule as written that holds a helper rule, since constraints name those of the tree."""
    owner = rule.name
    for other in space.lowering.bnf.rules:
        if other.helper is None:
            owner = other.name
        if other.name == rule.name:
            break
    return owner
