"""Functions of named inputs, for languages of one's own: `//! target generic(t, T)`.

What a sentence means is said by the grammar alone. An alternative whose alias is an op (of the table, or of an `//! op`
line) is that op of its children; one without an alias that holds one child is that child; a literal is an input or a
number. A program is a function of tensors that broadcast; its value has the shape of the inputs that it uses.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.operations import read_number
from dslc.program.elementwise import Apply, Constant, Form, Input
from dslc.program.emit import RESERVED, PythonSource, shapes_text
from dslc.program.emit_function import emit_function, write_formula
from dslc.program.graph import Graph, GraphBuilder, Node
from dslc.program.meaningless import unknown_name, unknown_word, wrong_children
from dslc.program.op_rules import AttributeValue
from dslc.program.op_tables.expression import ANY_SHAPE
from dslc.program.operations import ELEMENTWISE, NO_OPERATIONS, Operations, add_operation
from dslc.program.targets import AliasSpec, AlternativeForm, BuildArgument, Built
from dslc.program.tree import Leaf, ParseTree

PLOTTED = (-5.0, 5.0)
"""Interval of a drawing's curve: most functions of the table have their bends there."""
LETTERS = "abcdefgh"
"""What the operands of an op are called in messages."""


@dataclass(frozen=True)
class Generic:
    """The target `generic`, with the inputs and ops that a grammar gives it."""

    inputs: tuple[str, ...] = ()
    """Names of the function's arguments, in order."""
    operations: Operations = field(default_factory=lambda: NO_OPERATIONS, compare=False)
    """Ops that the grammar defines."""
    name: str = "generic"
    class_name: str = "compute"
    builds: Built = Built.FUNCTION

    def configure(self, arguments: tuple[str, ...], operations: Operations) -> Generic:
        """The target for a grammar's inputs and ops.

        Raises:
            DslcError: DSLC410 or DSLC412 if there are no inputs, or one has a name that it cannot have.
        """
        if not arguments:
            raise _error(
                Code.TARGET_ARGUMENTS,
                "the target `generic` needs the names of the function's inputs",
                "write them in brackets, as in `//! target generic(x)`",
            )
        for name in arguments:
            if name in operations:
                raise _error(
                    Code.OPERATION_EXISTS, f"`{name}` is an input and an op of this file", "rename one of them"
                )
            if keyword.iskeyword(name) or name in RESERVED or name == self.class_name:
                raise _error(
                    Code.TARGET_ARGUMENTS,
                    f"an input cannot be called `{name}`, which is a word of the emitted source",
                    "choose another name",
                )
        return Generic(arguments, operations)

    @property
    def aliases(self) -> Mapping[str, AliasSpec]:
        """Inputs, ops of the grammar, ops of the table."""
        inputs = {name: AliasSpec(f"the input {name}") for name in self.inputs}
        own = {name: AliasSpec(op.text, op.parameters) for name, op in self.operations.items()}
        return {**self._table_aliases(), **own, **inputs}

    @staticmethod
    def _table_aliases() -> dict[str, AliasSpec]:
        return {
            name: AliasSpec(spec.formula.format(*LETTERS), tuple(LETTERS[: spec.arity]))
            for name, spec in ELEMENTWISE.items()
        }

    @property
    def build_arguments(self) -> tuple[BuildArgument, ...]:
        """None: the function is what is built."""
        return ()

    @property
    def example_arguments(self) -> Mapping[str, int]:
        """None are needed."""
        return {}

    def check_alternative(self, form: AlternativeForm) -> Iterable[Diagnostic]:
        """What is wrong with an alternative, whatever sentence it stands in."""
        for terminal, text in form.literals:
            if not self._is_value(text):
                known = (*self.inputs, *self._constants())
                near = get_close_matches(text, known, n=1)
                yield _diagnostic(
                    Code.UNKNOWN_NAME,
                    f"the literal `{text}` of {terminal} is neither an input nor a number",
                    (f"did you mean `{near[0]}`? " if near else "") + f"the inputs are: {', '.join(self.inputs)}",
                )
        if form.has_placeholders:
            yield _diagnostic(
                Code.WRONG_CHILDREN,
                f"an absent `[...]` of `{form.rule}` is no value",
                "write an alternative with it and one without, each with its alias",
            )
        if form.is_replaced:
            return
        name, count = form.alias or form.rule, form.num_children
        arity = self._arity(name)
        if form.alias in (None, form.rule):
            if arity == 1:
                yield self._rule_named_as_op(name)
            elif count in (None, 1) or (count == 0 and self._is_value(name)):
                return
            elif not arity:
                inputs = ", ".join((*self.inputs, *self._constants()))
                holds, help = "nothing", f"add the value that it is: {inputs}, such as `-> {self.inputs[0]}`"
                if count:
                    holds, help = (
                        f"{count} values",
                        f"add the op that it is of them, such as `-> add`: {self._ops_text()}",
                    )
                message = f"an alternative of `{name}` holds {holds} and has no alias that says what it is of them"
                yield _diagnostic(Code.UNKNOWN_NAME, message, help)
            elif count != arity:
                yield self._wrong_count(name, count, arity)
        elif arity is None:
            near = get_close_matches(name, (*self._ops(), *self.inputs), n=1)
            yield _diagnostic(
                Code.UNKNOWN_NAME,
                f"the target `generic` knows no `{name}`",
                (f"did you mean `{near[0]}`? " if near else "")
                + f"it can be an input ({', '.join(self.inputs)}) or an op: {self._ops_text()}",
            )
        elif count is not None and count != arity:
            yield self._wrong_count(name, count, arity)

    def elaborate(self, tree: ParseTree) -> Graph:
        """The function that a tree means.

        Raises:
            DslcError: DSLC403 or DSLC404 if a node is no op of its children, or a literal no input and no number.
        """
        builder = _SharingBuilder()
        inputs = {name: builder.add_input(name, ANY_SHAPE) for name in self.inputs}
        values: list[Node] = []
        stack: list[tuple[ParseTree | Leaf, ParseTree, bool]] = [(tree, tree, False)]
        while stack:
            item, parent, has_operands = stack.pop()
            if isinstance(item, Leaf):
                if not self._is_value(item.text):
                    raise unknown_word(self.name, parent, item, (*self.inputs, *self._constants(), "a number"))
                values.append(self._add_value(builder, inputs, item.text, parent))
            elif has_operands:
                operands = [values.pop() for _ in item.children][::-1]
                values.append(self._add_op(builder, item, operands))
            elif not item.children and self._is_value(item.name):
                values.append(self._add_value(builder, inputs, item.name, item))
            else:
                if self._is_op(item):
                    stack.append((item, item, True))
                stack.extend((child, item, False) for child in reversed(item.children) if child is not None)
        (value,) = values
        return builder.finish(value)

    def node_form(self, name: str, rule: str, num_children: int, *, is_root: bool) -> Form | None:  # noqa: ARG002
        """What a node computes, as `elaborate` reads it."""
        if num_children == 0 and self._is_value(name):
            return self.leaf_form(name)
        arity = self._arity(name)
        if name == rule and arity != 1 and num_children == 1:
            return (0,)
        if not arity or arity != num_children or (name == rule and arity == 1):
            return None
        return (*range(arity), Apply(name, self.operations.get(name)))

    def leaf_form(self, text: str) -> Form | None:
        """An input, a number, or an op of the grammar without arguments."""
        if text in self.inputs:
            return (Input(text),)
        number = read_number(text)
        if number is not None:
            return (Constant(float(number)),)
        return (Apply(text, self.operations[text]),) if text in self._constants() else None

    def write_formula(self, graph: Graph) -> str | None:
        """f(t, T) = ..., where it is short enough to be read."""
        text = write_formula(graph)
        return None if text is None else f"f({', '.join(self.inputs)}) = {text}"

    def plot_inputs(self, graph: Graph) -> tuple[float, float] | None:
        """From -5 to 5 for a function of one input."""
        return PLOTTED if len(graph.inputs) == 1 else None

    def emit(self, graph: Graph, class_name: str | None, sentence: str) -> PythonSource:
        """Source of a function of the inputs.

        Raises:
            DslcError: DSLC502 if a function cannot have that name.
        """
        details = [("Sentence", sentence), ("Shapes", f"{shapes_text(graph)}; inputs broadcast.")]
        used = self._used_operations(graph)
        if used:
            details.append(("Ops", "; ".join(self.operations[name].text for name in used)))
        return emit_function(graph, class_name or self.class_name, sentence, details, frozenset(self.operations))

    def _used_operations(self, graph: Graph) -> list[str]:
        """Names of the grammar's ops that a graph was made of, in order of writing."""
        used = {node.rule for node in graph.nodes} & set(self.operations)
        used.update(call for name in tuple(used) for call in self.operations[name].calls)
        return [name for name in self.operations if name in used]

    def _constants(self) -> list[str]:
        return [name for name, operation in self.operations.items() if not operation.parameters]

    def _ops(self) -> list[str]:
        return [*self.operations, *ELEMENTWISE]

    def _ops_text(self) -> str:
        return ", ".join(self._ops())

    def _is_value(self, text: str) -> bool:
        """True for an input, a number and an op without arguments."""
        return text in self.inputs or read_number(text) is not None or text in self._constants()

    def _arity(self, name: str) -> int | None:
        """How many values a name is an op of; None for a name that means nothing."""
        if name in self.inputs:
            return 0
        if name in self.operations:
            return len(self.operations[name].parameters)
        return ELEMENTWISE[name].arity if name in ELEMENTWISE else None

    def _is_op(self, node: ParseTree) -> bool:
        """True if a node is an op of its children, False if it is its only child.

        Raises:
            DslcError: if it is neither.
        """
        arity = self._arity(node.name)
        if node.name == node.rule:
            # Without an alias, or with one that is the rule's own name: the tree does not tell.
            if arity == 1:
                raise DslcError(self._rule_named_as_op(node.name))
            if len(node.children) == 1 and node.children[0] is not None:
                return False
            if not arity:
                raise wrong_children(self.name, node, ("one value, or an alias that is an op of several",))
        elif arity is None:
            raise unknown_name(self.name, node, (*self.inputs, *self._ops()))
        if len(node.children) != arity or None in node.children:
            raise wrong_children(self.name, node, self.aliases[node.name].children or ("nothing",))
        return True

    def _rule_named_as_op(self, name: str) -> Diagnostic:
        return _diagnostic(
            Code.UNKNOWN_NAME,
            f"the rule `{name}` has the name of an op of one value: it could be that op of its child, or the child",
            "rename the rule",
        )

    def _wrong_count(self, name: str, count: int, arity: int) -> Diagnostic:
        values = f"{count} value" + ("s" if count != 1 else "")
        wanted = ", ".join(self.aliases[name].children) or "none"
        return _diagnostic(
            Code.WRONG_CHILDREN,
            f"`{name}` of the target `generic` holds {values}, not {arity}",
            f"give it {wanted}; text in quotes does not count",
        )

    def _add_value(self, builder: GraphBuilder, inputs: Mapping[str, Node], text: str, node: ParseTree) -> Node:
        tokens = (node.start_token, node.end_token)
        if text in inputs:
            return inputs[text]
        number = read_number(text)
        if number is not None:
            return builder.add("number", attributes={"value": number}, rule=node.name, tokens=tokens)
        return add_operation(builder, self.operations[text], (), text, tokens)

    def _add_op(self, builder: GraphBuilder, node: ParseTree, operands: list[Node]) -> Node:
        tokens = (node.start_token, node.end_token)
        if node.name in self.operations:
            return add_operation(builder, self.operations[node.name], tuple(operands), node.name, tokens)
        return builder.add(node.name, *operands, rule=node.name, tokens=tokens)


TARGET = Generic()


class _SharingBuilder(GraphBuilder):
    """Computes a value that is written twice once: nothing is trained, so both are the same."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[object, ...], Node] = {}

    def add(
        self,
        op: str,
        *inputs: Node,
        attributes: Mapping[str, AttributeValue] | None = None,
        rule: str = "",
        tokens: tuple[int, int] = (0, 0),
    ) -> Node:
        """The node of that value, a new one if there is none."""
        key = (op, *(value.id for value in inputs), *(attributes or {}).items())
        if key not in self._known:
            self._known[key] = super().add(op, *inputs, attributes=attributes, rule=rule, tokens=tokens)
        return self._known[key]


def _diagnostic(code: Code, message: str, help: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, help=help)


def _error(code: Code, message: str, help: str) -> DslcError:
    return DslcError(_diagnostic(code, message, help))
