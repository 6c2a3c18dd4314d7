"""Closed-form expressions of named variables, as symbolic regression searches them (Petersen et al. 2021).

A program is a function: its arguments are the variables, tensors of one shape, and its value has that shape. Functions
mean what PyTorch has under their names, outside their domain too (nan, or infinite at the edge).

Constants come in two ways. A number of the menu (`number`) is part of the program. A fitted one (`fit`) is a keyword
argument, c1, c2, … in reading order, 1 unless given; whoever scores a program fits them to data first. Found values can
be written into the graph (`dslc.program.constants.with_constants`), and the source then has them as defaults.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.constants import FITTED, constant_names, fitted_nodes
from dslc.program.elementwise import Apply, Constant, Form, Input
from dslc.program.emit import RESERVED, PythonSource, SourceWriter, check_class_name, shapes_text, write_imports
from dslc.program.graph import Graph, GraphBuilder, Node
from dslc.program.infix import write_infix, write_statements
from dslc.program.meaningless import not_a_number, place_text, unknown_name, wrong_children
from dslc.program.op_spec import Call
from dslc.program.op_tables.expression import ANY_SHAPE
from dslc.program.ops import OPS
from dslc.program.targets import AliasSpec, BuildArgument, Built
from dslc.program.tree import Leaf, ParseTree

MOST_CONSTANTS = 8
"""Fitted constants of one program: least squares over more is slow and finds little."""
LONGEST_FORMULA = 56
"""Formulas of more letters do not fit on the first line of the docstring; the code then reads better."""
PLOTTED = (-2.0, 2.0)
"""Interval of a drawing's curve: it covers the ranges of all but one of the benchmarks of petersen2021."""

UNARY: Mapping[str, str] = MappingProxyType(
    {name: name for name in ("sin", "cos", "exp", "log", "sqrt", "square", "tanh", "abs", "negate")}
)
"""Op of each function of one value, by alias."""
BINARY: Mapping[str, str] = MappingProxyType({"add": "add", "sub": "sub", "mul": "mul", "div": "divide"})
"""Op of each function of two values, by alias."""
FUNCTIONS: Mapping[str, str] = MappingProxyType({**UNARY, **BINARY})
VARIABLES = ("x", "y")
"""Variables that are aliases of their own."""

ALIASES: Mapping[str, AliasSpec] = MappingProxyType(
    {
        **{name: AliasSpec(OPS[op].formula.format("a"), ("a",)) for name, op in UNARY.items()},
        **{name: AliasSpec(OPS[op].formula.format("a", "b"), ("a", "b")) for name, op in BINARY.items()},
        **{name: AliasSpec(f"the variable {name}") for name in VARIABLES},
        "variable": AliasSpec("a variable of any name", ("its name",)),
        "number": AliasSpec("a number of the menu", ("the number",)),
        "fit": AliasSpec(f"a constant of its own that is fitted to data; at most {MOST_CONSTANTS} in a program"),
        "expression": AliasSpec("what it holds", ("an expression",)),
        "two_variables": AliasSpec("a function of x and y, also where one is not used", ("an expression",)),
    }
)


@dataclass(frozen=True)
class Expression:
    """The target `expression`."""

    name: str = "expression"
    class_name: str = "expression"
    builds: Built = Built.FUNCTION

    @property
    def aliases(self) -> Mapping[str, AliasSpec]:
        """Functions, variables and constants."""
        return ALIASES

    @property
    def build_arguments(self) -> tuple[BuildArgument, ...]:
        """None: the function is what is built."""
        return ()

    @property
    def example_arguments(self) -> Mapping[str, int]:
        """None are needed."""
        return {}

    def elaborate(self, tree: ParseTree) -> Graph:
        """The function that a tree means.

        The root may have any name. The arguments are x and y under a root `two_variables`, else the variables that
        occur, in reading order, and x where none does.

        Raises:
            DslcError: DSLC403 or DSLC404 if a node is not of the target's form, DSLC416, DSLC418 or DSLC419 for a
                number, a count of constants or a variable that cannot be.
        """
        return _elaborate_expression(tree)

    def node_form(self, name: str, rule: str, num_children: int, *, is_root: bool) -> Form | None:  # noqa: ARG002
        """What a node computes; None for a constant that is fitted, one program at a time."""
        if name in FUNCTIONS:
            op = Apply(FUNCTIONS[name])
            return (*range(num_children), op) if op.arity == num_children else None
        if name in VARIABLES and num_children == 0:
            return (Input(name),)
        holds_value = name in ("expression", "two_variables", "number", "variable") or (is_root and name not in ALIASES)
        return (0,) if holds_value and num_children == 1 else None

    def leaf_form(self, text: str) -> Form | None:
        """A number, or else a variable."""
        try:
            return (Constant(float(text)),)
        except ValueError:
            return (Input(text),) if text.isidentifier() else None

    def write_formula(self, graph: Graph) -> str | None:
        """f(x) = ..., where it is short enough to be read."""
        # Every node adds a letter at least, so a large graph need not be tried.
        text = write_infix(graph, _constants(graph)) if len(graph) <= LONGEST_FORMULA else ""
        inputs = ", ".join(str(node.attribute("name")) for node in graph.inputs)
        return f"f({inputs}) = {text}" if 0 < len(text) <= LONGEST_FORMULA else None

    def plot_inputs(self, graph: Graph) -> tuple[float, float] | None:
        """From -2 to 2 for a function of one variable."""
        return PLOTTED if len(graph.inputs) == 1 else None

    def emit(self, graph: Graph, class_name: str | None, sentence: str) -> PythonSource:
        """Source of a function of the variables, with the fitted constants as keyword arguments.

        Raises:
            DslcError: DSLC502 if a function cannot have that name.
        """
        return _emit_function(graph, class_name or self.class_name, sentence)


TARGET = Expression()


# --- graph ------------------------------------------------------------------------------------------------------------


def _elaborate_expression(tree: ParseTree) -> Graph:
    root = tree if tree.name in ALIASES else _only_child(tree)
    builder = GraphBuilder()
    variables = {name: builder.add_input(name, ANY_SHAPE) for name in _variable_names(tree)}
    values: list[Node] = []
    stack = [(root, False)]
    while stack:
        node, has_operands = stack.pop()
        span = (node.start_token, node.end_token)
        if has_operands:
            operands = [values.pop() for _ in node.children][::-1]
            values.append(builder.add(FUNCTIONS[node.name], *operands, rule=node.name, tokens=span))
            continue
        match node.name:
            case name if name in FUNCTIONS:
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(_operands(node)))
            case "expression" | "two_variables":
                stack.append((_only_child(node), False))
            case "number":
                attributes = {"value": _read_number(node)}
                values.append(builder.add("number", attributes=attributes, rule=node.name, tokens=span))
            case "fit":
                _expect_nothing(node)
                values.append(builder.add(FITTED, attributes={"initial": 1.0}, rule=node.name, tokens=span))
            case name if name == "variable" or name in VARIABLES:
                values.append(variables[_variable_name(node)])
            case _:
                raise unknown_name(TARGET.name, node, ALIASES)
    (value,) = values
    graph = builder.finish(value)
    _check_constants(graph)
    return graph


def _variable_names(tree: ParseTree) -> tuple[str, ...]:
    """The arguments of the function, in order."""
    if tree.name == "two_variables":
        return VARIABLES
    found: dict[str, None] = {}
    stack = [tree]
    while stack:
        node = stack.pop()
        if node.name == "variable" or node.name in VARIABLES:
            found[_variable_name(node)] = None
        else:
            stack.extend(child for child in reversed(node.children) if isinstance(child, ParseTree))
    return tuple(found) or VARIABLES[:1]


def _variable_name(node: ParseTree) -> str:
    if node.name in VARIABLES:
        _expect_nothing(node)
        return node.name
    name = _only_leaf(node).text
    if not name.isidentifier() or keyword.iskeyword(name) or name in RESERVED:
        raise _error(
            Code.BAD_VARIABLE,
            f"an argument of a function cannot be named `{name}`",
            node,
            "use letters, digits and `_`, and none of Python's or the source's own words",
        )
    return name


def _read_number(node: ParseTree) -> int | float:
    text = _only_leaf(node).text
    for read in (int, float):
        try:
            value = read(text)
            if math.isfinite(value):
                return value
        except (ValueError, OverflowError):
            continue
    raise not_a_number(node, _only_leaf(node), "a finite number")


def _check_constants(graph: Graph) -> None:
    constants = fitted_nodes(graph)
    if len(constants) > MOST_CONSTANTS:
        raise DslcError(
            Diagnostic(
                Code.TOO_MANY_CONSTANTS,
                Severity.ERROR,
                f"the expression has {len(constants)} constants to be fitted, more than {MOST_CONSTANTS}",
                help="lower the budget (--max-tokens), or leave fewer places for `fit` in the grammar",
                notes=(f"the first too many is {place_text('fit', *constants[MOST_CONSTANTS].tokens)}",),
            )
        )


def _operands(node: ParseTree) -> list[ParseTree]:
    operands = [child for child in node.children if isinstance(child, ParseTree)]
    expected = ALIASES[node.name].children
    if len(operands) != len(expected) or len(node.children) != len(expected):
        raise wrong_children(TARGET.name, node, ["an expression"] * len(expected))
    return operands


def _only_child(node: ParseTree) -> ParseTree:
    if len(node.children) != 1 or not isinstance(node.children[0], ParseTree):
        raise wrong_children(TARGET.name, node, ("one expression",))
    return node.children[0]


def _only_leaf(node: ParseTree) -> Leaf:
    if len(node.children) != 1 or not isinstance(node.children[0], Leaf):
        raise wrong_children(TARGET.name, node, ("one terminal",))
    return node.children[0]


def _expect_nothing(node: ParseTree) -> None:
    if node.children:
        raise wrong_children(TARGET.name, node, ("nothing",))


def _error(code: Code, message: str, node: ParseTree, help: str) -> DslcError:
    place = place_text(node.name, node.start_token, node.end_token)
    return DslcError(Diagnostic(code, Severity.ERROR, message, help=help, notes=(f"in {place}",)))


# --- source -----------------------------------------------------------------------------------------------------------


def _emit_function(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    check_class_name(class_name)
    statements = tuple(write_statements(graph, _constants(graph)))
    writer = SourceWriter()
    write_imports(writer, uses_torch=any("torch." in text for text, _ in statements), uses_nn=False)
    writer.write_call("def ", Call(class_name, _arguments(graph)), " -> Tensor:")
    with writer.indented():
        _write_docstring(writer, graph, sentence)
        used = {i for node in graph.nodes for i in node.inputs} | set(graph.outputs)
        for node in graph.inputs:
            # Constants that stand alone take their shape from the first input.
            gives_shape = node.id == 0 and any("_like(" in text for text, _ in statements)
            if node.id not in used and not gives_shape:
                writer.write(f"del {node.attribute('name')}  # no part of the sentence")
        for text, node in statements:
            writer.write(text, node)
    return writer.finish(class_name, sentence)


def _constants(graph: Graph) -> dict[int, str]:
    return {node.id: name for node, name in zip(fitted_nodes(graph), constant_names(graph), strict=True)}


def _arguments(graph: Graph) -> tuple[str, ...]:
    variables = [f"{node.attribute('name')}: Tensor" for node in graph.inputs]
    constants = [
        f"{name}: float | Tensor = {node.attribute('initial')!r}"
        for node, name in zip(fitted_nodes(graph), constant_names(graph), strict=True)
    ]
    return (*variables, *(["*", *constants] if constants else []))


def _write_docstring(writer: SourceWriter, graph: Graph, sentence: str) -> None:
    formula = TARGET.write_formula(graph)
    computed = [node for node in graph.nodes if node.inputs]
    variables = " and ".join(str(node.attribute("name")) for node in graph.inputs)
    summary = f"Compute {formula}." if formula else f"Compute a function of {variables} in {len(computed)} operations."
    details = [("Sentence", sentence), ("Shapes", shapes_text(graph))]
    constants = fitted_nodes(graph)
    if constants:
        is_fitted = any(node.attribute("initial") != 1.0 for node in constants)
        details.append(
            ("Constants", ", ".join(constant_names(graph)) + (", fitted to data." if is_fitted else ", to be fitted."))
        )
    limits = {
        "log": "nan at the logarithm of a negative number",
        "sqrt": "nan at the root of a negative number",
        "divide": "inf or nan at a division by 0",
    }
    outside = [text for op, text in limits.items() if any(node.op == op for node in computed)]
    if outside:
        details.append(("Domain", f"{', '.join(outside)}."))
    details.append(("Source", "functions as in Petersen et al. 2021, arXiv 1912.04871."))
    writer.write_docstring(summary, details)
