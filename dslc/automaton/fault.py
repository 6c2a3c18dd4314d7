"""Where a tree breaks a constraint."""

from __future__ import annotations

from dslc.automaton.constrain import Constraining
from dslc.automaton.derivation import Derivation, Scanned, scan_leaves
from dslc.diagnostics import Code, Diagnostic, Label, Severity
from dslc.language.constraints import Constraint, ConstraintKind
from dslc.language.contexts import Context, Visibility, find_visibility
from dslc.source import SourceFile


def find_fault(constraining: Constraining, derivation: Derivation) -> tuple[Constraint, int] | None:
    """The first constraint in reading order that a tree breaks, and how many literals stand before; None if none."""
    contexts = constraining.contexts
    tally = None if constraining.totals is None else Tally(constraining)
    num_leaves = 0
    pending: list[tuple[Derivation | Scanned, Context | None]] = [(derivation, contexts.initial if contexts else ())]
    while pending:
        node, context = pending.pop()
        if isinstance(node, Scanned):
            assert context is not None, "a literal has nothing behind its content"
            fault = contexts.leaf_fault(node.terminal, node.literal, context) if contexts else None
            fault = fault or (tally.count_leaf(node) if tally else None)
            if fault is not None:
                return fault, num_leaves
            num_leaves += 1
            continue
        if context is None:  # its content is behind it
            assert tally is not None, "only what refers waits for the end of a node"
            tally.finish_node(node)
            continue
        if contexts:
            fault = contexts.node_fault(node.rule, node.production, context)
            if fault is not None:
                return fault, num_leaves
            inner = contexts.enter(node.rule, node.production, context)
            assert inner is not None, "a node without fault is entered"
            context = inner
        fault = tally.count_node(node) if tally else None
        if fault is not None:
            return fault, num_leaves
        if tally and tally.referring:
            pending.append((node, None))
        pending.extend((child, context) for child in reversed(node.children))
    missing = tally.missing() if tally else None
    return None if missing is None else (missing, num_leaves)


class Tally:
    """How often each counting constraint's subject stood so far, and what each `ref` may name."""

    def __init__(self, constraining: Constraining) -> None:
        self.trimmed = constraining.trimmed
        self.counting = [each for each in constraining.constraints if each.kind.is_counted]
        self.numbers = [0] * len(self.counting)
        self.visibility = find_visibility(self.trimmed)
        self.referring = [each for each in constraining.constraints if each.kind is ConstraintKind.REF]
        self.finished = [0] * len(self.referring)
        self.lists: list[dict[str, int]] = [{}]
        """Of each open node that trees show, the last number of each terminal that refers."""

    def count_leaf(self, leaf: Scanned) -> Constraint | None:
        """Counts a literal; the `at_most` that is passed by it, or the `ref` that it breaks."""
        text = self.trimmed.terminal_by_name[leaf.terminal].literals[leaf.literal].text
        passed = self._count(
            [each.subject.name == leaf.terminal and each.subject.literal in (None, text) for each in self.counting]
        )
        for reference, finished in zip(self.referring, self.finished, strict=True):
            if reference.subject.name == leaf.terminal:
                last = self.lists[-1].get(leaf.terminal, -1)
                if int(text) >= reference.number + finished or (reference.is_increasing and int(text) <= last):
                    return reference
                self.lists[-1][leaf.terminal] = int(text)
        return passed

    def count_node(self, node: Derivation) -> Constraint | None:
        """Counts a node before its content; the `at_most` that is passed by it."""
        if self.visibility[node.rule][node.production] is not Visibility.SHOWN:
            return None
        self.lists.append({})
        shape = self.trimmed.node_shapes[node.rule][node.production]
        return self._count([each.subject.name in (shape.name, shape.rule) for each in self.counting])

    def finish_node(self, node: Derivation) -> None:
        """Takes note of the end of a node."""
        if self.visibility[node.rule][node.production] is not Visibility.SHOWN:
            return
        self.lists.pop()
        shape = self.trimmed.node_shapes[node.rule][node.production]
        for i, reference in enumerate(self.referring):
            assert reference.outer is not None, "a reference names nodes"
            self.finished[i] += reference.outer.name in (shape.name, shape.rule)

    def _count(self, is_counted: list[bool]) -> Constraint | None:
        passed = None
        for i, constraint in enumerate(self.counting):
            self.numbers[i] += is_counted[i]
            if constraint.kind is ConstraintKind.AT_MOST and self.numbers[i] > constraint.number:
                passed = passed or constraint
        return passed

    def missing(self) -> Constraint | None:
        """The first `at_least` that is not reached."""
        for constraint, number in zip(self.counting, self.numbers, strict=True):
            if constraint.kind is ConstraintKind.AT_LEAST and number < constraint.number:
                return constraint
        return None


def describe_fault(
    constraining: Constraining, derivation: Derivation, starts: tuple[int, ...], text: str
) -> Diagnostic:
    """The error of a text whose tree breaks a constraint.

    Args:
        constraining: The constraints.
        derivation: The tree.
        starts: Offset of each literal of the tree in the text.
        text: The text.
    """
    found = find_fault(constraining, derivation)
    assert found is not None, "a derivation that the constraints leave was found before"
    constraint, num_leaves = found
    file = SourceFile("<sentence>", text)
    if num_leaves < len(starts):
        place = starts[num_leaves]
        leaf = list(scan_leaves(derivation))[num_leaves]
        length = len(constraining.trimmed.terminal_by_name[leaf.terminal].literals[leaf.literal].text)
        word = text[place : place + length]
        message, span = f"`{constraint}` forbids `{word}` there", file.span(place, place + len(word))
    else:
        message, span = f"`{constraint}` forbids the end there", file.span(len(text), len(text))
    return Diagnostic(
        Code.TEXT_FORBIDDEN,
        Severity.ERROR,
        message,
        span,
        help="write a sentence that obeys it, or remove the constraint from the grammar",
        labels=(Label(constraint.span, "stated here"),) if constraint.span is not None else (),
    )
