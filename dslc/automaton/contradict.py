"""Constraints that leave no sentence: which of them cannot hold together, and the smallest sentence without one."""

from __future__ import annotations

from collections.abc import Sequence

from dslc.automaton.budget import budget_too_small
from dslc.automaton.lower import NEVER, fewest_tokens, lower_grammar
from dslc.automaton.render import render_tokens
from dslc.automaton.scalar import advance_state, allowed_tokens, start_state
from dslc.diagnostics import Code, Diagnostic, DslcError, Label, Severity
from dslc.language.analyze import Facts
from dslc.language.constraints import Constraint

MAX_EXAMPLE_TOKENS = 1_000
"""Longest sentence that is shown as an example."""


def explain_contradiction(facts: Facts, constraints: Sequence[Constraint]) -> DslcError:
    """The error of constraints that no sentence of any length obeys.

    It names a set of them of which each is needed, and shows the shortest sentence that obeys all but the last.
    """
    core = list(constraints)
    for constraint in tuple(constraints):
        without = [other for other in core if other is not constraint]
        if fewest_tokens(facts, without) == NEVER:
            core = without
    *others, last = core
    names = " and ".join(f"`{constraint}`" for constraint in core)
    held = "contradict each other" if others else "cannot hold"
    notes: tuple[str, ...] = ()
    example = _shortest(facts, others)
    if example is not None:
        notes = (f"the shortest sentence without `{last}` is `{example}`",)
    return DslcError(
        Diagnostic(
            Code.CONTRADICTION,
            Severity.ERROR,
            f"no sentence of `{facts.start}` is left: {names} {held}",
            last.span,
            help="remove " + ("one of them" if others else "it") + ", or give the grammar another way to end",
            labels=tuple(Label(other.span, "together with this") for other in others if other.span is not None),
            notes=notes,
        )
    )


def explain_budget(facts: Facts, constraints: Sequence[Constraint], budget: int, min_tokens: int) -> DslcError:
    """The error of a budget that no sentence fits under the constraints, with those that alone are to blame."""
    (plain,) = budget_too_small(facts.start, budget, min_tokens).diagnostics
    notes, labels, span = [], [], None
    example = _shortest(facts, constraints)
    if constraints and example is not None:
        notes.append(f"the shortest sentence is `{example}`")
    for constraint in constraints:
        others = [other for other in constraints if other is not constraint]
        fewest = fewest_tokens(facts, others)
        if fewest > budget:
            continue
        example = _shortest(facts, others)
        notes.append(f"without `{constraint}` it would be `{example}`, of {fewest} tokens")
        if span is None:
            span = constraint.span
        elif constraint.span is not None:
            labels.append(Label(constraint.span, "and this"))
    return DslcError(
        Diagnostic(plain.code, plain.severity, plain.message, span, plain.help, tuple(labels), tuple(notes))
    )


def _shortest(facts: Facts, constraints: Sequence[Constraint]) -> str | None:
    """A sentence of the fewest tokens; None if it is too long to show."""
    fewest = fewest_tokens(facts, constraints)
    if fewest > MAX_EXAMPLE_TOKENS:
        return None
    lowering = lower_grammar(facts, max_budget=fewest, constraints=constraints)
    tokens: list[int] = []
    state = start_state(lowering.automaton, fewest)
    while allowed := allowed_tokens(lowering.automaton, state):
        tokens.append(allowed[0])
        state = advance_state(lowering.automaton, state, allowed[0])
    return render_tokens(lowering, tokens)
