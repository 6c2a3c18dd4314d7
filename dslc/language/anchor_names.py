"""Look up what anchors name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from dslc.diagnostics import Code, Diagnostic, Label, Severity
from dslc.language.anchors import Anchor
from dslc.language.constraints import Constraint, ConstraintKind
from dslc.language.grammar import Literal, Rule, Terminal
from dslc.source import Span


def yes_literal(literals: Sequence[Literal]) -> int:
    """Which of two literals says yes: the larger of two numbers, else the one that is written first.

    Example:
        >>> yes_literal([Literal("0"), Literal("1")]), yes_literal([Literal("skip"), Literal("none")])
        (1, 0)
    """
    try:
        first, second = (float(literal.text) for literal in literals)
    except ValueError:
        return 0
    return int(second > first)


def check_anchors(
    anchors: Iterable[Anchor], constraints: Iterable[Constraint], rules: Sequence[Rule], terminals: Sequence[Terminal]
) -> Iterator[Diagnostic]:
    """An error for each name of an anchor that is no rule or no yes / no decision, and for one that is a reference."""
    references = {each.subject.name: each for each in constraints if each.kind is ConstraintKind.REF}
    anchors = tuple(anchors)
    rule_names = [rule.name for rule in rules]
    aliases = {each.alias: rule.name for rule in rules for each in rule.alternatives if each.alias is not None}
    literals = {terminal.name: terminal.literals for terminal in terminals}
    for anchor in anchors:
        if anchor.terminal not in literals:
            yield _unknown(anchor.terminal, anchor.terminal_span, "terminal", list(literals))
        elif len(literals[anchor.terminal]) != 2:
            number = len(literals[anchor.terminal])
            yield Diagnostic(
                Code.ANCHOR_DECISION,
                Severity.ERROR,
                f"terminal `{anchor.terminal}` has {number} literal{'' if number == 1 else 's'}, "
                "and the answers to an anchor are two",
                anchor.terminal_span,
                f'give it one literal for yes and one for no, as in `{anchor.terminal}: "1" | "0"`',
            )
        reference = references.get(anchor.terminal)
        if reference is not None:
            yield Diagnostic(
                Code.ANCHOR_DECISION,
                Severity.ERROR,
                f"terminal `{anchor.terminal}` names nodes by its literals, so it does not answer yes or no",
                anchor.terminal_span,
                "keep one of the two lines",
                labels=() if reference.span is None else (Label(reference.span, "a reference because of this"),),
            )
        if anchor.rule not in rule_names and anchor.rule in aliases:
            yield Diagnostic(
                Code.ANCHOR_NAME,
                Severity.ERROR,
                f"`{anchor.rule}` is an alias, and an anchor asks about the nodes of a rule",
                anchor.rule_span,
                f"name its rule, `{aliases[anchor.rule]}`",
            )
        elif anchor.rule not in rule_names:
            yield _unknown(anchor.rule, anchor.rule_span, "rule", rule_names)
        elif anchor.rule.startswith("_"):
            yield Diagnostic(
                Code.ANCHOR_NAME,
                Severity.ERROR,
                f"rule `{anchor.rule}` leaves no node in the tree",
                anchor.rule_span,
                f"call the rule `{anchor.rule.lstrip('_')}`, or name what stands in it",
            )


def _unknown(name: str, span: Span | None, kind: str, known: Sequence[str]) -> Diagnostic:
    near = get_close_matches(name, known, n=1)
    shown = ", ".join(f"`{each}`" for each in known if not each.startswith("_"))
    advice = f"did you mean `{near[0]}`?" if near else f"name one of {shown}" if shown else "the grammar has none"
    return Diagnostic(Code.ANCHOR_NAME, Severity.ERROR, f"no {kind} is called `{name}`", span, advice)
