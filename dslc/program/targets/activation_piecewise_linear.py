"""Piecewise-linear activation functions: a rectifier and hinges, as in Agostinelli et al. (2014), equation 1.

h(x) = max(0, x) + sum over s of a_s max(0, -x + b_s). All slopes a_s and offsets b_s are constants, or all are trained
with one scope: one set for the whole layer, one a channel (a filter), or one a unit (a place of a sample), as in the
paper. Trained ones start at the numbers of the sentence, or with the word `random` as in the paper: slopes uniform in
-0.5 to 0.5, offsets normal with deviation 0.5.

Hinges are put in the order of their offsets, and constant ones with slope 0 left out: the sum is the same, and so equal
functions are one program. Channels are axis 1 of x; units are all axes but the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dslc.program.emit import PythonSource, SourceWriter, shapes_text
from dslc.program.emit_series import (
    BUILD_ARGUMENTS,
    SHARED,
    emit_class,
    scope_of,
    signed_sum,
    times,
    write_sum,
    write_trained_values,
)
from dslc.program.graph import Graph, GraphBuilder, Node
from dslc.program.meaningless import unknown_name, wrong_children
from dslc.program.op_rules import AttributeValue
from dslc.program.op_tables.series import initial_values
from dslc.program.read_values import VALUE_ALIASES, Value, check_one_kind, number_text, read_pair
from dslc.program.targets import AliasSpec, BuildArgument, Built
from dslc.program.targets.activation import VALUES
from dslc.program.tree import ParseTree

RANDOM = "random"
"""In place of a number: drawn as in the paper."""
MOST_HINGES_WRITTEN = 12
"""A formula with more hinges is not read."""

ALIASES: Mapping[str, AliasSpec] = MappingProxyType(
    {"hinge": AliasSpec("a max(0, -x + b) (agostinelli2014, equation 1)", ("slope a", "offset b")), **VALUE_ALIASES}
)


@dataclass(frozen=True)
class PiecewiseLinear:
    """The target `activation_piecewise_linear`."""

    name: str = "activation_piecewise_linear"
    class_name: str = "PiecewiseLinear"
    builds: Built = Built.MODULE

    @property
    def aliases(self) -> Mapping[str, AliasSpec]:
        """Hinges and their values."""
        return ALIASES

    @property
    def build_arguments(self) -> tuple[BuildArgument, ...]:
        """How many sets of values are trained."""
        return BUILD_ARGUMENTS

    @property
    def example_arguments(self) -> Mapping[str, int | tuple[int, ...]]:
        """One set for everything."""
        return {"num_channels": 1, "spatial_shape": ()}

    def elaborate(self, tree: ParseTree) -> Graph:
        """The function that a tree means: its children are the hinges, none for the rectifier alone.

        Raises:
            DslcError: DSLC403, DSLC404 or DSLC416 if a node is not of the target's form, DSLC417 if values are of
                several kinds.
        """
        return _elaborate_hinges(tree)

    def write_formula(self, graph: Graph) -> str | None:
        """h(x) = ..., with the numbers where they are constants."""
        return _write_formula(graph)

    def plot_inputs(self, graph: Graph) -> tuple[float, float] | None:
        """Around 0, where preactivations lie; None where the values before training are drawn at random."""
        node = _hinges_of(graph)
        return None if node is not None and "num_hinges" in dict(node.attributes) else (-3.0, 3.0)

    def emit(self, graph: Graph, class_name: str | None, sentence: str) -> PythonSource:
        """Source of a module with constructor `(num_channels=1, spatial_shape=())`.

        Raises:
            DslcError: DSLC502 if a class cannot have that name.
        """
        return _emit_hinges(graph, class_name or self.class_name, sentence)


TARGET = PiecewiseLinear()


def _elaborate_hinges(tree: ParseTree) -> Graph:
    values: list[Value] = []
    for child in tree.children:
        if not isinstance(child, ParseTree):
            raise wrong_children(TARGET.name, tree, ("any number of `hinge`",))
        if child.name != "hinge":
            raise unknown_name(TARGET.name, child, ("hinge",))
        values.extend(read_pair(TARGET.name, child, ALIASES["hinge"], RANDOM))
    check_one_kind(tree, values)
    builder = GraphBuilder()
    x = builder.add_input("x", VALUES)
    place = (tree.start_token, tree.end_token)
    rectified = builder.add("relu", x, rule=tree.name, tokens=place)
    attributes = _name_values(values)
    if attributes is None:
        return builder.finish(rectified)
    hinges = builder.add("hinges", x, attributes=attributes, rule="hinge", tokens=place)
    return builder.finish(builder.add("add", rectified, hinges, rule=tree.name, tokens=place))


def _name_values(values: list[Value]) -> dict[str, AttributeValue] | None:
    """Attributes of the hinges, given their slopes and offsets in turn; None if no hinge is left."""
    if not values:
        return None
    scope = values[0].scope
    if scope is not None and values[0].number is None:
        return {"scope": scope, "num_hinges": len(values) // 2}
    numbers = [value.number for value in values if value.number is not None]
    pairs = sorted(zip(numbers[1::2], numbers[::2], strict=True))
    if scope is None:
        pairs = [(offset, slope) for offset, slope in pairs if slope]
    if not pairs:
        return None
    offsets, slopes = zip(*pairs, strict=True)
    if scope is None:
        return {"slopes": slopes, "offsets": offsets}
    return {"scope": scope, "initial_slopes": slopes, "initial_offsets": offsets}


# --- source -----------------------------------------------------------------------------------------------------------


def _hinges_of(graph: Graph) -> Node | None:
    return next((node for node in graph if node.op == "hinges"), None)


def _num_hinges(node: Node | None) -> int:
    if node is None:
        return 0
    attributes = dict(node.attributes)
    if "num_hinges" in attributes:
        return int(str(attributes["num_hinges"]))
    return len(initial_values(attributes, "slopes" if "slopes" in attributes else "initial_slopes"))


def _constants(node: Node) -> list[tuple[float, float]]:
    """Slope and offset of each constant hinge."""
    attributes = dict(node.attributes)
    return list(zip(initial_values(attributes, "slopes"), initial_values(attributes, "offsets"), strict=True))


def _write_formula(graph: Graph) -> str | None:
    node = _hinges_of(graph)
    if node is None:
        return "h(x) = max(0, x)"
    if node.parameters:
        many = f"sum over s = 1 to {_num_hinges(node)} of a_s * max(0, -x + b_s)"
        return f"h(x) = max(0, x) + {many if _num_hinges(node) > 1 else 'a * max(0, -x + b)'}"
    if _num_hinges(node) > MOST_HINGES_WRITTEN:
        return None
    terms = [times(slope, f"max(0, {_shifted(offset)})") for slope, offset in _constants(node)]
    return f"h(x) = {signed_sum(['max(0, x)', *terms])}"


def _shifted(offset: float) -> str:
    if not offset:
        return "-x"
    return f"-x {'-' if offset < 0 else '+'} {number_text(abs(offset))}"


def _emit_hinges(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    node = _hinges_of(graph)
    returned = graph.nodes[graph.outputs[0]]

    def write_forward(writer: SourceWriter) -> None:
        if node is None:
            writer.write("return torch.relu(x)", returned)
        elif node.parameters:
            write_trained_values(writer, node)
            names = {parameter.name: parameter.name for parameter in node.parameters}
            writer.write(f"{node.spec.value_name} = {node.spec.expression.format('x', **names)}", node)
            writer.write(f"return torch.relu(x) + {node.spec.value_name}", returned)
        else:
            hinges = [times(slope, f"torch.relu({_difference(offset)})") for slope, offset in _constants(node)]
            write_sum(writer, [(f"hinge_{s}", text) for s, text in enumerate(hinges, start=1)], node, "torch.relu(x)")

    return emit_class(class_name, sentence, _docstring(graph, node, sentence), node, write_forward)


def _difference(offset: float) -> str:
    return f"{number_text(offset)} - x" if offset else "-x"


def _docstring(graph: Graph, node: Node | None, sentence: str) -> tuple[str, list[tuple[str, str]]]:
    count = _num_hinges(node)
    summary = f"A rectifier and {count} hinge{'s' if count != 1 else ''}, a piecewise-linear activation function."
    formula = _write_formula(graph)
    details = [("Formula", formula)] if formula else []
    details += [("Sentence", sentence), ("Shapes", shapes_text(graph))]
    scope = scope_of(node)
    if scope is not None:
        details.append(("Trained", f"slopes a and offsets b, {SHARED[scope]}."))
    details.append(("Source", "Agostinelli et al. 2014, arXiv 1412.6830, equation 1."))
    return summary if count else "The rectifier, a piecewise-linear activation function without hinges.", details
