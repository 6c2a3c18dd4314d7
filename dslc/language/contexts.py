"""What inherited constraints know at a place of a tree, and how it changes from a node to what stands in it.

A *context* is a tuple of small integers, one a *component*: whether the place is inside a node of some name, whether
the node right above it is one, how many nodes of some name are on the path from the root. A node enters its context
from that of the place where it stands; helpers, `_rules` and inlined `?rules` leave none, so they pass it through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.anchors import Anchor
from dslc.language.constraints import Constraint, ConstraintKind, NodeName
from dslc.language.grammar import BnfGrammar, BnfRule, NodeShape, Production, RuleUse, TerminalUse

Context = tuple[int, ...]


class Visibility(Enum):
    """Whether trees show a node of a production."""

    SHOWN = "shown"
    PASSED = "passed"
    UNDECIDED = "undecided"
    """A `?rule` whose number of children depends on what stands in its helpers or `_rules`."""


@dataclass(frozen=True, slots=True)
class _Check:
    """A node or leaf is forbidden where a component is at least the limit."""

    component: int
    limit: int
    constraint: Constraint


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a node of a production does to the context."""

    checks: tuple[_Check, ...]
    effects: tuple[tuple[int, int], ...]
    """(component, what is added to it); components of `under` are set, not added to."""


class Contexts:
    """The contexts of one trimmed grammar under its inherited constraints."""

    def __init__(self, trimmed: BnfGrammar, constraints: Iterable[Constraint]) -> None:
        """Looks up what the constraints name.

        Raises:
            DslcError: DSLC221 if a constraint depends on whether a `?rule` is inlined, and that is not known before its
            content.
        """
        self.constraints = tuple(constraint for constraint in constraints if constraint.kind.is_inherited)
        self._components: list[tuple[ConstraintKind, NodeName]] = []
        self._caps: list[int] = []
        """Largest value of each component."""
        self._limits: list[tuple[Constraint, int, int]] = []
        """(constraint, its component, the value from which on its subject is forbidden)."""
        for constraint in self.constraints:
            named = constraint.outer or constraint.subject
            limit = 1 if constraint.outer is not None else constraint.number
            key = (constraint.kind, named)
            if key not in self._components:
                self._components.append(key)
                self._caps.append(0)
            component = self._components.index(key)
            self._caps[component] = max(self._caps[component], limit)
            self._limits.append((constraint, component, limit))
        self.initial: Context = (0,) * len(self._components)
        self._under = [i for i, (kind, _) in enumerate(self._components) if kind is ConstraintKind.FORBID_UNDER]
        self._visibility = find_visibility(trimmed)
        shapes = trimmed.node_shapes
        self._entries = {
            rule.name: [self._entry(shape) for shape in shapes[rule.name]] if not rule.is_transparent else []
            for rule in trimmed.rules
        }
        self._leaf_checks: dict[str, list[tuple[int, _Check]]] = {}
        for terminal in trimmed.terminals:
            checks = [
                (i, _Check(component, limit, constraint))
                for constraint, component, limit in self._limits
                for i, literal in enumerate(terminal.literals)
                if constraint.subject.name == terminal.name and constraint.subject.literal in (None, literal.text)
            ]
            if checks:
                self._leaf_checks[terminal.name] = checks
        self._num_literals = {terminal.name: len(terminal.literals) for terminal in trimmed.terminals}
        self._relevant = self._find_relevant(trimmed)
        self._refuse_undecided(trimmed)

    def _entry(self, shape: NodeShape) -> _Entry:
        names = (shape.name, shape.rule)
        checks = [_Check(i, n, each) for each, i, n in self._limits if each.subject.name in names]
        effects = [(i, 1) for i, (_, named) in enumerate(self._components) if named.name in names]
        return _Entry(tuple(checks), tuple(effects))

    # --- steps ----------------------------------------------------------------------------------------------------

    def enter(self, rule: str, production: int, context: Context) -> Context | None:
        """Context in which the symbols of a production stand; None where its node is forbidden."""
        if self._visibility[rule][production] is not Visibility.SHOWN:
            return context
        entry = self._entries[rule][production]
        for check in entry.checks:
            if context[check.component] >= check.limit:
                return None
        if not entry.effects and not self._under:
            return context
        values = list(context)
        for component in self._under:
            values[component] = 0
        for component, step in entry.effects:
            values[component] = min(values[component] + step, self._caps[component])
        return tuple(values)

    def literals(self, terminal: str, context: Context) -> tuple[int, ...]:
        """Literals of a terminal that may stand in a context."""
        forbidden = {i for i, check in self._leaf_checks.get(terminal, ()) if context[check.component] >= check.limit}
        return tuple(i for i in range(self._num_literals[terminal]) if i not in forbidden)

    def node_fault(self, rule: str, production: int, context: Context) -> Constraint | None:
        """The first constraint that forbids a node where it stands."""
        if self._visibility[rule][production] is Visibility.SHOWN:
            for check in self._entries[rule][production].checks:
                if context[check.component] >= check.limit:
                    return check.constraint
        return None

    def leaf_fault(self, terminal: str, literal: int, context: Context) -> Constraint | None:
        """The first constraint that forbids a literal where it stands."""
        for i, check in self._leaf_checks.get(terminal, ()):
            if i == literal and context[check.component] >= check.limit:
                return check.constraint
        return None

    def project(self, symbol: str, context: Context) -> Context:
        """The context without what makes no difference to a rule or terminal: its components are 0."""
        return self.project_bits(self._relevant[symbol], context)

    def project_bits(self, bits: int, context: Context) -> Context:
        """The context with the components of `bits` alone."""
        return tuple([value if bits >> i & 1 else 0 for i, value in enumerate(context)])

    def relevant(self, production: Production) -> int:
        """Components that make a difference to what stands in a production, as bits."""
        bits = 0
        for symbol in production.symbols:
            bits |= self._relevant[symbol.name]
        return bits

    def name_multiplier(self, contexts: Sequence[Context]) -> Constraint:
        """The constraint without whose component the fewest contexts would be left."""
        seen = set(contexts)

        def left(component: int) -> int:
            return len({context[:component] + context[component + 1 :] for context in seen})

        worst = min(range(len(self._components)), key=left)
        return next(constraint for constraint, component, _ in self._limits if component == worst)

    # --- what makes a difference ----------------------------------------------------------------------------------

    def _find_relevant(self, trimmed: BnfGrammar) -> dict[str, int]:
        """Of each rule and terminal, the components that something in it is checked against, as bits."""
        relevant = {
            terminal.name: _bits(check.component for _, check in self._leaf_checks.get(terminal.name, ()))
            for terminal in trimmed.terminals
        }
        relevant |= {rule.name: 0 for rule in trimmed.rules}
        reset = ~_bits(self._under)
        changed = True
        while changed:
            changed = False
            for rule in reversed(trimmed.rules):
                bits = relevant[rule.name]
                for i, production in enumerate(rule.productions):
                    inner = 0
                    for symbol in production.symbols:
                        inner |= relevant[symbol.name]
                    if self._visibility[rule.name][i] is Visibility.SHOWN:
                        inner = inner & reset | _bits(check.component for check in self._entries[rule.name][i].checks)
                    bits |= inner
                if bits != relevant[rule.name]:
                    relevant[rule.name], changed = bits, True
        return relevant

    def _refuse_undecided(self, trimmed: BnfGrammar) -> None:
        for rule in trimmed.rules:
            for i, production in enumerate(rule.productions):
                if self._visibility[rule.name][i] is not Visibility.UNDECIDED:
                    continue
                named = [c for c in self.constraints if rule.name in (c.subject.name, c.outer.name if c.outer else "")]
                seen = self.relevant(production) & _bits(self._under)
                blamed = named or [c for c, component, _ in self._limits if seen >> component & 1]
                if blamed:
                    raise undecided_error(blamed[0], rule.name)


def undecided_error(constraint: Constraint | Anchor, rule: str) -> DslcError:
    """The error of a constraint or anchor that depends on whether a `?rule` is inlined."""
    return DslcError(
        Diagnostic(
            Code.CONSTRAINT_UNDECIDED,
            Severity.ERROR,
            f"`{constraint}` depends on whether `?{rule}` is replaced by its only child, which its content alone "
            "decides",
            constraint.span,
            f"write `{rule}` without `?`, or give this alternative an alias",
        )
    )


def _bits(components: Iterable[int]) -> int:
    bits = 0
    for component in components:
        bits |= 1 << component
    return bits


def find_visibility(trimmed: BnfGrammar) -> dict[str, list[Visibility]]:
    """Of each production, whether trees show its node."""
    numbers = _count_children(trimmed)
    shapes = trimmed.node_shapes
    visibility: dict[str, list[Visibility]] = {}
    for rule in trimmed.rules:
        found = []
        for shape, production in zip(shapes[rule.name], rule.productions, strict=True):
            if shape.is_transparent:
                found.append(Visibility.PASSED)
            elif not shape.is_expanded:
                found.append(Visibility.SHOWN)
            else:
                children = _sum_children(production, numbers)
                found.append(
                    Visibility.PASSED
                    if children == {1}
                    else Visibility.UNDECIDED
                    if 1 in children
                    else Visibility.SHOWN
                )
        visibility[rule.name] = found
    return visibility


def _count_children(trimmed: BnfGrammar) -> dict[str, set[int]]:
    """Of each rule, how many children it can add to the node around it: 0, 1, or 2 for more."""
    numbers: dict[str, set[int]] = {rule.name: set() if rule.is_transparent else {1} for rule in trimmed.rules}
    hidden: list[BnfRule] = [rule for rule in trimmed.rules if rule.is_transparent]
    changed = True
    while changed:
        changed = False
        for rule in reversed(hidden):
            for production in rule.productions:
                more = _sum_children(production, numbers) - numbers[rule.name]
                if more:
                    numbers[rule.name] |= more
                    changed = True
    return numbers


def _sum_children(production: Production, numbers: dict[str, set[int]]) -> set[int]:
    sums = {min(2, sum(production.nones))}
    for symbol in production.symbols:
        if isinstance(symbol, TerminalUse):
            own = {1 if symbol.is_kept else 0}
        else:
            assert isinstance(symbol, RuleUse)
            own = numbers[symbol.name]
        sums = {min(2, a + b) for a in sums for b in own}
    return sums
