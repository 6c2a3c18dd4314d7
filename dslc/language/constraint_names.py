"""Look up the nodes that constraints name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from dslc.diagnostics import Code, Diagnostic, Label, Severity
from dslc.language.constraints import Constraint, ConstraintKind, NodeName
from dslc.language.grammar import Expression, Group, Rule, RuleUse, Terminal, TerminalUse
from dslc.language.grammar import Sequence as Items


def check_constraint_names(
    constraints: Iterable[Constraint], rules: Sequence[Rule], terminals: Sequence[Terminal]
) -> Iterator[Diagnostic]:
    """An error for each name of a constraint that is no node or leaf of the trees."""
    constraints = tuple(constraints)
    if not constraints:
        return
    aliases = [each.alias for rule in rules for each in rule.alternatives if each.alias is not None]
    nodes = list(dict.fromkeys([*(rule.name for rule in rules), *aliases]))
    leaves = {terminal.name: [literal.text for literal in terminal.literals] for terminal in terminals}
    keeps = _find_keeps(rules)
    for constraint in constraints:
        for node in (constraint.subject, constraint.outer):
            if node is not None:
                yield from _check_node(node, nodes, leaves, keeps)
    yield from _check_references([each for each in constraints if each.kind is ConstraintKind.REF], leaves)


def _check_references(references: Sequence[Constraint], leaves: dict[str, list[str]]) -> Iterator[Diagnostic]:
    """An error for each terminal that refers and has a literal that is no number, or that refers twice."""
    first: dict[str, Constraint] = {}
    for reference in references:
        name = reference.subject.name
        words = [text for text in leaves.get(name, ()) if re.fullmatch("[0-9]{1,9}", text) is None]
        if words:
            more = f" and {len(words) - 1} more are" if len(words) > 1 else " is"
            yield Diagnostic(
                Code.REFERENCE_LITERAL,
                Severity.ERROR,
                f"`{name}` refers by number, and its literal `{words[0]}`{more} no whole number from 0",
                reference.subject.span,
                f"write numbers only: 0 names the first input, or the first `{reference.outer}` where there is none",
            )
        if name in first:
            other = first[name]
            yield Diagnostic(
                Code.REFERENCE_TWICE,
                Severity.ERROR,
                f"`{name}` refers to `{other.outer}` already",
                reference.span,
                "keep one of the lines, or use another terminal",
                (Label(other.span, "first stated here"),) if other.span is not None else (),
            )
        first.setdefault(name, reference)


def _check_node(
    node: NodeName, nodes: list[str], leaves: dict[str, list[str]], keeps: dict[str, set[bool]]
) -> Iterator[Diagnostic]:
    def report(message: str, advice: str) -> Iterator[Diagnostic]:
        yield Diagnostic(Code.CONSTRAINT_NAME, Severity.ERROR, message, node.span, advice)

    known = list(leaves) if node.is_terminal else nodes
    if node.name not in known:
        kind = "terminal" if node.is_terminal else "rule or alias"
        near = get_close_matches(node.name, [*nodes, *leaves], n=1)
        shown = ", ".join(f"`{name}`" for name in known if not name.startswith("_"))
        advice = f"did you mean `{near[0]}`?" if near else f"name one of {shown}" if shown else "the grammar has none"
        yield from report(f"no {kind} is called `{node.name}`", advice)
    elif not node.is_terminal and node.name.startswith("_"):
        yield from report(
            f"rule `{node.name}` leaves no node in the tree",
            f"call the rule `{node.name.lstrip('_')}`, or name what stands in it",
        )
    elif node.is_terminal and keeps.get(node.name) == {False}:
        yield from report(
            f"terminal `{node.name}` stands in no tree",
            "name the rule that holds it; trees keep terminals without a leading `_` that a rule names",
        )
    elif node.is_terminal and len(keeps.get(node.name, ())) > 1:
        yield from report(
            f"terminal `{node.name}` stands in the tree in some places only: elsewhere a rule has it as a string",
            f"write `{node.name}` in place of the string everywhere, or name the rule that holds it",
        )
    elif node.literal is not None and node.literal not in leaves[node.name]:
        texts = leaves[node.name]
        near = get_close_matches(node.literal, texts, n=1)
        shown = ", ".join(f"`{text}`" for text in texts[:12]) + (", …" if len(texts) > 12 else "")
        advice = f"did you mean `{near[0]}`?" if near else f"its literals are {shown}"
        yield from report(f"terminal `{node.name}` has no literal `{node.literal}`", advice)


def _find_keeps(rules: Sequence[Rule]) -> dict[str, set[bool]]:
    """Of each terminal, whether trees keep it where rules use it: both, where they differ."""
    keeps: dict[str, set[bool]] = {}
    pending: list[Expression] = [each.expression for rule in rules for each in rule.alternatives]
    while pending:
        item = pending.pop()
        if isinstance(item, TerminalUse):
            keeps.setdefault(item.name, set()).add(item.is_kept)
        elif isinstance(item, Items):
            pending += item.items
        elif isinstance(item, Group):
            pending += item.options
        elif not isinstance(item, RuleUse):
            pending.append(item.item)
    return keeps
