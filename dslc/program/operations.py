"""Ops that a grammar defines, looked up in the table of ops and written out as its ops.

A definition is a formula over ops that the table has, so a program with it is a graph like any other: equal formulas
are equal programs, whatever their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from string import Formatter
from types import MappingProxyType

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.operations import Called, Formula, Name, Number, Operated, OperationDefinition, Operator
from dslc.program import op_rules
from dslc.program.graph import GraphBuilder, Node
from dslc.program.op_spec import OpSpec
from dslc.program.ops import SHIPPED_OPS
from dslc.source import Span

STEP_LIMIT = 1000
"""Most ops of the table in one definition that is written out."""
OPERATOR_OPS: Mapping[Operator, str] = MappingProxyType(
    {
        Operator.ADD: "add",
        Operator.SUBTRACT: "sub",
        Operator.MULTIPLY: "mul",
        Operator.DIVIDE: "divide",
        Operator.POWER: "pow",
        Operator.NEGATE: "negate",
    }
)
"""Ops that the operators of a formula stand for."""


@dataclass(frozen=True, slots=True)
class Step:
    """One op of the table in a definition that is written out."""

    op: str
    operands: tuple[int, ...] = ()
    """The arguments of the definition come first, then the steps before this one, numbered from 0."""
    value: int | float | None = None
    """Of the op `number`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A definition that is written out."""

    name: str
    parameters: tuple[str, ...]
    steps: tuple[Step, ...]
    result: int
    """Number of the argument or step that is the value."""
    calls: tuple[str, ...]
    """Names of the definitions that it calls, in order of writing, without repeats."""
    text: str
    """As the grammar writes it."""


NOT_ELEMENTWISE = ("rand", "_like(", "math.", "self.")
"""In the source of ops that draw, that take plain numbers, or that need more than their inputs."""

Operations = Mapping[str, Operation]
"""By name, in order of writing."""
NO_OPERATIONS: Operations = MappingProxyType({})


def is_elementwise(spec: OpSpec) -> bool:
    """True if an op computes each element from the same element of its inputs, and needs nothing else."""
    fields = [name for _, name, _, _ in Formatter().parse(spec.expression) if name is not None]
    return (
        bool(spec.arity)
        and spec.type_rule is op_rules.same_type
        and spec.parameter_rule is op_rules.no_parameters
        and all(name.isdigit() for name in fields)
        and not any(word in spec.expression for word in NOT_ELEMENTWISE)
    )


ELEMENTWISE: Mapping[str, OpSpec] = MappingProxyType(
    {name: spec for name, spec in SHIPPED_OPS.items() if is_elementwise(spec)}
)
"""What a formula can call: ops that come with dslc, work on each element, train nothing and draw nothing."""


def define_operations(definitions: Iterable[OperationDefinition]) -> Operations:
    """The definitions of a grammar, written out.

    Raises:
        DslcError: DSLC408 to DSLC411, all that are wrong, each at its place in the file.
    """
    known: dict[str, Operation] = {}
    definitions = tuple(definitions)
    names = tuple(definition.name for definition in definitions)
    problems: list[Diagnostic] = []
    for definition in definitions:
        writer = _StepWriter(definition, known, names)
        result = writer.write(definition.body)
        problems.extend(writer.problems)
        # A wrong definition is known to those that call it, so that it is told once.
        steps = () if writer.problems else tuple(writer.steps)
        calls = tuple(dict.fromkeys(writer.calls))
        known[definition.name] = Operation(
            definition.name, definition.parameters, steps, 0 if writer.problems else result, calls, definition.text
        )
    if problems:
        raise DslcError(problems)
    return MappingProxyType(known)


def add_operation(
    builder: GraphBuilder, operation: Operation, arguments: tuple[Node, ...], rule: str, tokens: tuple[int, int]
) -> Node:
    """The node of a definition's value, with those that it needs; all are said to be made for `rule` and `tokens`."""
    values = list(arguments)
    for step in operation.steps:
        attributes = {} if step.value is None else {"value": step.value}
        inputs = [values[i] for i in step.operands]
        values.append(builder.add(step.op, *inputs, attributes=attributes, rule=rule, tokens=tokens))
    return values[operation.result]


class _StepWriter:
    """Writes one formula out; its depth is that of the text, which the reader limits."""

    def __init__(self, definition: OperationDefinition, known: Operations, names: tuple[str, ...]) -> None:
        self.definition, self.known, self.names = definition, known, names
        self.steps: list[Step] = []
        self.calls: list[str] = []
        self.problems: list[Diagnostic] = []
        self.num_steps = 0
        if definition.name in SHIPPED_OPS:
            self.report(
                Code.OPERATION_EXISTS,
                f"there is an op `{definition.name}` in the table of ops",
                definition.span,
                "choose another name",
            )

    def write(self, formula: Formula) -> int:
        """Number of the value of a formula."""
        match formula:
            case Number(value):
                return self.add(Step("number", value=value))
            case Name(name):
                return self.find_parameter(formula)
            case Operated(operator, values):
                return self.add(Step(OPERATOR_OPS[operator], tuple(self.write(value) for value in values)))
            case Called(name, values):
                operands = tuple(self.write(value) for value in values)
                if name in self.known:
                    return self.call(formula, self.known[name], operands)
                if name in ELEMENTWISE:
                    self.check_count(formula, ELEMENTWISE[name].arity or 0)
                    return self.add(Step(name, operands))
                self.report_unknown_function(formula)
                return 0

    def add(self, step: Step) -> int:
        self.num_steps += 1
        if self.num_steps <= STEP_LIMIT:
            self.steps.append(step)
        elif self.num_steps == STEP_LIMIT + 1:
            self.report_size()
        return len(self.definition.parameters) + len(self.steps) - 1

    def call(self, called: Called, operation: Operation, operands: tuple[int, ...]) -> int:
        self.calls.extend((*operation.calls, operation.name))
        if not self.check_count(called, len(operation.parameters)):
            return 0
        values = list(operands)
        for step in operation.steps:
            values.append(self.add(Step(step.op, tuple(values[i] for i in step.operands), step.value)))
        return values[operation.result] if values else 0

    def find_parameter(self, name: Name) -> int:
        parameters = self.definition.parameters
        if name.name in parameters:
            return parameters.index(name.name)
        if name.name in self.known or name.name in ELEMENTWISE:
            help = f"`{name.name}` is an op: call it, as in `{_call_form(name.name, self.known)}`"
        else:
            near = get_close_matches(name.name, parameters, n=1)
            help = f"did you mean `{near[0]}`? " if near else ""
            help += f"it can use its arguments: {', '.join(parameters)}" if parameters else "it has no arguments"
        self.report(Code.UNKNOWN_OPERATION, f"`{self.definition.name}` has no argument `{name.name}`", name.span, help)
        return 0

    def check_count(self, called: Called, wanted: int) -> bool:
        if len(called.arguments) == wanted:
            return True
        values = f"{wanted} value" + ("s" if wanted != 1 else "")
        self.report(
            Code.WRONG_ARGUMENTS,
            f"`{called.function}` takes {values}, not {len(called.arguments)}",
            called.span,
            f"write `{_call_form(called.function, self.known)}`",
        )
        return False

    def report_unknown_function(self, called: Called) -> None:
        name = called.function
        if name == self.definition.name:
            message, help = f"`{name}` calls itself", "a program is a formula of fixed size: write it without itself"
        elif name in self.names:
            message = f"`{self.definition.name}` calls `{name}`, which is defined below it"
            help = f"move the line of `{name}` above this one"
        elif name in SHIPPED_OPS:
            message = f"a formula cannot call `{name}`"
            help = "it trains, draws or changes shapes; a formula works on each element by itself"
        else:
            known = (*self.known, *ELEMENTWISE)
            near = get_close_matches(name, known, n=1)
            message = f"there is no op `{name}`"
            help = f"did you mean `{near[0]}`? " if near else ""
            help += f"there are: {', '.join(sorted(known))}"
        self.report(Code.UNKNOWN_OPERATION, message, called.span, help)

    def report_size(self) -> None:
        self.report(
            Code.OPERATION_TOO_LARGE,
            f"`{self.definition.name}` has more than {STEP_LIMIT:,} operations when what it calls is written out",
            self.definition.span,
            "make it smaller: an op that calls another twice is more than twice as large",
        )

    def report(self, code: Code, message: str, span: Span | None, help: str) -> None:
        self.problems.append(Diagnostic(code, Severity.ERROR, message, span, help))


def _call_form(name: str, known: Operations) -> str:
    """How an op is called: `max(a, b)`."""
    if name in known:
        return f"{name}({', '.join(known[name].parameters)})"
    return f"{name}({', '.join('abcdefgh'[: ELEMENTWISE[name].arity])})"
