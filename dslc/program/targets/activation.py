"""Activation functions: core units b(u1(x1), u2(x2)), nested, as in Ramachandran et al. (2017), section 2.

An input of a core is the value x that is activated, or another core. Every `beta` of a sentence is a trained tensor of
its own with one value a channel, 1 at the start; the paper names no start value.

Channels are axis 1 of x, as in [batch, channels, height, width] (of an x with one axis, that axis); `num_channels=1`
trains one value for all, and fits any shape with at least one axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dslc.program.elementwise import Apply, Form, Input
from dslc.program.emit import Namespace, PythonSource, SourceWriter, check_class_name, shapes_text, write_imports
from dslc.program.graph import INPUT, Graph, GraphBuilder, Node
from dslc.program.meaningless import Child, unknown_name, wrong_children
from dslc.program.op_tables.activation import BINARY, UNARY
from dslc.program.targets import AliasSpec, BuildArgument, Built
from dslc.program.tensor_type import REST, Symbol, TensorType
from dslc.program.tree import ParseTree

VALUES = TensorType((Symbol("batch"), Symbol("num_channels"), REST))
PARTS = ("input 1", "input 2", "unary of input 1", "unary of input 2", "binary")
"""Children of a core, in the paper's order; without inputs where the grammar writes x for both as plain text."""
LONGEST_FORMULA = 48
"""Formulas of more letters do not fit on the first line of the docstring, and are left out: the code reads better."""

ALIASES: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "core": AliasSpec("b(u1(x1), u2(x2)) (ramachandran2017, section 2)", PARTS),
        "input": AliasSpec("a core or x, whose value it is", ("core or x",)),
        "x": AliasSpec("the value that is activated"),
        **{spec.name: AliasSpec(spec.formula.format("x", beta="beta")) for spec in UNARY},
        **{spec.name: AliasSpec(spec.formula.format("x1", "x2", beta="beta")) for spec in BINARY},
    }
)
UNARY_NAMES = {spec.name: spec for spec in UNARY}
BINARY_NAMES = {spec.name: spec for spec in BINARY}


@dataclass(frozen=True)
class Activation:
    """The target `activation`."""

    name: str = "activation"
    class_name: str = "Activation"
    builds: Built = Built.MODULE

    @property
    def aliases(self) -> Mapping[str, AliasSpec]:
        """Cores, their inputs and the functions."""
        return ALIASES

    @property
    def build_arguments(self) -> tuple[BuildArgument, ...]:
        """How many values each `beta` has."""
        return (BuildArgument("num_channels", "channels of x, or 1 for one value of each beta in all channels", 1),)

    @property
    def example_arguments(self) -> Mapping[str, int]:
        """One value for all channels."""
        return {"num_channels": 1}

    def elaborate(self, tree: ParseTree) -> Graph:
        """The function that a tree means.

        The root is a core, or a node of any name around one.

        Raises:
            DslcError: DSLC403 or DSLC404 if a node is not of the target's form.
        """
        return _elaborate_cores(tree)

    def node_form(self, name: str, rule: str, num_children: int, *, is_root: bool) -> Form | None:  # noqa: ARG002
        """What a node computes; None for functions that train a value."""
        spec = UNARY_NAMES.get(name) or BINARY_NAMES.get(name)
        if spec is not None:
            return (Apply(name),) if num_children == 0 and "{beta}" not in spec.expression else None
        match name, num_children:
            case "x", 0:
                return (Input("x"),)
            case "core", 3:
                return (Input("x"), 0, Input("x"), 1, 2)
            case "core", 5:
                return (0, 2, 1, 3, 4)
            case "input", 1:
                return (0,)
        return (0,) if is_root and num_children == 1 and name not in ALIASES else None

    def leaf_form(self, text: str) -> Form | None:  # noqa: ARG002
        """None: no literal is a value."""
        return None

    def write_formula(self, graph: Graph) -> str | None:
        """f(x) = ..., where it is short enough to be read."""
        text = write_formula(graph, _name_betas(graph)) if len(graph) <= LONGEST_FORMULA else ""
        return f"f(x) = {text}" if 0 < len(text) <= LONGEST_FORMULA else None

    def plot_inputs(self, graph: Graph) -> tuple[float, float] | None:  # noqa: ARG002
        """Around 0, where preactivations lie."""
        return (-5.0, 5.0)

    def emit(self, graph: Graph, class_name: str | None, sentence: str) -> PythonSource:
        """Source of a module with constructor `(num_channels=1)`.

        Raises:
            DslcError: DSLC502 if a class cannot have that name.
        """
        return _emit_function(graph, class_name or self.class_name, sentence)


TARGET = Activation()


def _elaborate_cores(tree: ParseTree) -> Graph:
    builder = GraphBuilder()
    x = builder.add_input("x", VALUES)
    values: list[Node] = []
    root = tree if tree.name in ALIASES else _only_child(tree)
    stack = [(root, False)]
    while stack:
        node, has_inputs = stack.pop()
        match node.name:
            case "input":
                stack.append((_only_child(node), False))
            case "x":
                values.append(x)
            case "core" if has_inputs:
                second, first = (values.pop(), values.pop()) if _inputs(node) else (x, x)
                values.append(_add_core(builder, x, node, first, second))
            case "core":
                stack.append((node, True))
                stack.extend((_subtree(node, child), False) for child in reversed(_inputs(node)))
            case _:
                raise unknown_name(TARGET.name, node, ("core", "x", "input"))
    (value,) = values
    return builder.finish(value)


def _add_core(builder: GraphBuilder, x: Node, core: ParseTree, first: Node, second: Node) -> Node:
    functions = core.children[-3:]
    results = []
    for child, value in zip(functions[:2], (first, second), strict=True):
        tree = _subtree(core, child)
        if tree.name not in UNARY_NAMES:
            raise unknown_name(TARGET.name, tree, UNARY_NAMES)
        # A constant needs a value for its shape alone, which is that of x: what it is applied to is not computed.
        value = x if tree.name == "constant" else value
        results.append(builder.add(tree.name, value, rule=tree.name, tokens=(tree.start_token, tree.end_token)))
    binary = _subtree(core, functions[2])
    if binary.name not in BINARY_NAMES:
        raise unknown_name(TARGET.name, binary, BINARY_NAMES)
    return builder.add(binary.name, *results, rule=binary.name, tokens=(binary.start_token, binary.end_token))


def _inputs(core: ParseTree) -> tuple[Child, ...]:
    if len(core.children) not in (3, len(PARTS)):
        raise wrong_children(TARGET.name, core, PARTS)
    return core.children[:-3]


def _only_child(tree: ParseTree) -> ParseTree:
    if len(tree.children) != 1:
        raise wrong_children(TARGET.name, tree, ("one core",))
    return _subtree(tree, tree.children[0])


def _subtree(parent: ParseTree, child: Child) -> ParseTree:
    if not isinstance(child, ParseTree):
        raise wrong_children(
            TARGET.name, parent, ALIASES[parent.name].children if parent.name in ALIASES else ("core",)
        )
    return child


# --- source -----------------------------------------------------------------------------------------------------------


def _emit_function(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    check_class_name(class_name)
    betas = _name_betas(graph)
    computed = [node for node in graph.nodes if node.op not in (INPUT, "identity")]
    uses_torch = bool(betas) or any("torch." in node.spec.expression for node in computed)
    writer = SourceWriter()
    write_imports(writer, uses_torch=uses_torch)
    writer.write(f"class {class_name}(nn.Module):")
    with writer.indented():
        _write_docstring(writer, graph, betas, sentence)
        writer.write()
        _write_constructor(writer, graph, betas)
        writer.write()
        _write_forward(writer, graph, betas)
    return writer.finish(class_name, sentence)


def _name_betas(graph: Graph) -> dict[int, str]:
    """Name of its beta for each node that trains one: `beta` if there is one, else `beta_1`, `beta_2`, …"""
    nodes = [node.id for node in graph.nodes if node.parameters]
    return {node: "beta" if len(nodes) == 1 else f"beta_{i}" for i, node in enumerate(nodes, start=1)}


def _write_docstring(writer: SourceWriter, graph: Graph, betas: Mapping[int, str], sentence: str) -> None:
    # Every node adds a letter at least, so a large graph need not be tried.
    formula = write_formula(graph, betas) if len(graph) <= LONGEST_FORMULA else ""
    is_short = 0 < len(formula) <= LONGEST_FORMULA
    cores = sum(node.op in BINARY_NAMES for node in graph.nodes)
    count = f"{cores} core unit" + ("s" if cores != 1 else "")
    summary = f"The activation function f(x) = {formula}." if is_short else f"An activation function of {count}."
    details = [("Sentence", sentence), ("Shapes", shapes_text(graph))]
    if betas:
        names = ", ".join(betas.values())
        details.append(("Trained", f"{names}: one value a channel, 1 at the start; num_channels=1 fits any shape."))
    if any("eps" in node.spec.formula for node in graph.nodes if node.op != INPUT):
        details.append(("Constants", "eps = 1e-6."))
    details.append(("Source", "Ramachandran et al. 2017, arXiv 1710.05941, section 2."))
    writer.write_docstring(summary, details)


def write_formula(graph: Graph, betas: Mapping[int, str]) -> str:
    """The function in the paper's notation, with the given names of trained values."""
    texts: dict[int, tuple[str, bool]] = {}
    for node in graph.nodes:
        if node.op == INPUT:
            texts[node.id] = ("x", False)
            continue
        template = node.spec.formula
        operands = [texts[i] for i in node.inputs]
        if template == "{0}":
            texts[node.id] = operands[0]
            continue
        # An operand that stands alone between the brackets of a call needs no brackets of its own.
        is_call = template in (f"{node.op}({{0}})", f"{node.op}({{0}}, {{1}})")
        written = [f"({text})" if is_infix and not is_call else text for text, is_infix in operands]
        text = template.format(*written, beta=betas.get(node.id, ""))
        texts[node.id] = (text, not (template.endswith(")") and template[0].isalpha()) and template != "{beta}")
    return texts[graph.outputs[0]][0]


def _write_constructor(writer: SourceWriter, graph: Graph, betas: Mapping[int, str]) -> None:
    writer.write("def __init__(self, num_channels: int = 1) -> None:")
    with writer.indented():
        writer.write("super().__init__()")
        if not betas:
            writer.write("del num_channels  # nothing is trained: the same function in every channel")
        for node_id, name in betas.items():
            writer.write(f"self.{name} = nn.Parameter(torch.ones(num_channels))", graph.nodes[node_id])


def _write_forward(writer: SourceWriter, graph: Graph, betas: Mapping[int, str]) -> None:
    names = Namespace(["x", "per_channel", *betas.values()])
    value: dict[int, str] = {}
    writer.write("def forward(self, x: Tensor) -> Tensor:")
    with writer.indented():
        if betas:
            writer.write("per_channel = (-1, *[1] * (x.dim() - 2))  # channels are axis 1")
        for node in graph.nodes:
            if node.op == INPUT:
                value[node.id] = "x"
                continue
            if node.op == "identity":
                value[node.id] = value[node.inputs[0]]
            else:
                beta = betas.get(node.id, "")
                if beta:
                    writer.write(f"{beta} = self.{beta}.view(per_channel)", node)
                text = node.spec.expression.format(*(value[i] for i in node.inputs), beta=beta)
                if node.id in graph.outputs:
                    writer.write(f"return {text}", node)
                    continue
                value[node.id] = names.create(node.spec.value_name)
                writer.write(f"{value[node.id]} = {text}", node)
            if node.id in graph.outputs:
                writer.write(f"return {value[node.id]}", node)
