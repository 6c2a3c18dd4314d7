"""A program as a typed graph: nodes are ops, edges are tensors with their shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from functools import lru_cache
from itertools import chain
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.meaningless import place_text
from dslc.program.op_rules import AttributeValue, Parameter
from dslc.program.op_spec import OpSpec
from dslc.program.ops import OPS
from dslc.program.tensor_type import TensorType, TypeMismatchError, size_of
from dslc.value import ARE_CHECKS_ON, value

if TYPE_CHECKING:
    import networkx

INPUT = "input"
"""Op of the nodes that stand for the program's arguments; their attribute `name` is the argument's."""


NO_ATTRIBUTES: Mapping[str, AttributeValue] = MappingProxyType({})


@value
class Node:
    """One value of a program.

    Where it comes from (`rule`, `tokens`) is not compared: two nodes that compute the same are equal.
    """

    id: int
    """Place in the graph, from 0."""
    op: str
    """Name of an op of the table, or `input`."""
    inputs: tuple[int, ...]
    """Ids of the nodes whose values it takes, in order; all smaller than its own."""
    type: TensorType
    attributes: tuple[tuple[str, AttributeValue], ...] = ()
    """Fixed numbers and names, sorted by name."""
    parameters: tuple[Parameter, ...] = ()
    """Trained tensors that belong to this node alone."""
    rule: str = field(default="", compare=False)
    """Name of the tree's node that it was made for: an alias or a rule of the grammar."""
    tokens: tuple[int, int] = field(default=(0, 0), compare=False)
    """First token of that node in the sentence, and the one after its last, from 0."""

    @property
    def spec(self) -> OpSpec:
        """The op; not for input nodes."""
        return OPS[self.op]

    def attribute(self, name: str) -> AttributeValue:
        """Value of an attribute; raises KeyError if there is none of that name."""
        return dict(self.attributes)[name]

    def __str__(self) -> str:
        inputs = ", ".join(f"%{i}" for i in self.inputs)
        attributes = ", ".join(f"{name}={value}" for name, value in self.attributes)
        parameters = ", ".join(f"{parameter.name} {parameter.shape}" for parameter in self.parameters)
        text = f"%{self.id} = {self.op}({inputs})"
        text += f" {{{attributes}}}" if attributes else ""
        text += f" trains {parameters}" if parameters else ""
        return f"{text} : {self.type}"


@value
class Graph:
    """An acyclic graph of typed nodes, in an order in which they can be computed.

    `str()` writes one node a line: value, op, inputs, attributes, trained tensors, shape.

    Example:
        >>> from dslc.program.tensor_type import Symbol
        >>> builder = GraphBuilder()
        >>> x = builder.add_input("x", TensorType((Symbol("batch"), 8)))
        >>> print(builder.finish(builder.add("mul", x, builder.add("sigmoid", x))))
        %0 = input() {name=x} : [batch, 8]
        %1 = sigmoid(%0) : [batch, 8]
        %2 = mul(%0, %1) : [batch, 8]
        return %2
    """

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    """Ids of the nodes whose values the program returns."""

    def __post_init__(self) -> None:
        # A builder makes only graphs that pass, and deriving every type twice would take as long as the rest.
        if ARE_CHECKS_ON:
            check_graph(self)

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The input nodes."""
        return tuple([node for node in self.nodes if node.op == INPUT])

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __str__(self) -> str:
        returned = ", ".join(f"%{i}" for i in self.outputs)
        return "\n".join([*(str(node) for node in self.nodes), f"return {returned}"])

    def num_parameters(self, sizes: Mapping[str, int]) -> int:
        """Number of trained numbers when the symbols have the given sizes; raises KeyError for a symbol without."""
        shapes = [parameter.shape.shape for node in self.nodes for parameter in node.parameters]
        return sum(prod(size_of(dim, sizes) for dim in shape) for shape in shapes)

    def to_networkx(self) -> networkx.MultiDiGraph:
        """The graph for networkx.

        Nodes are ids with `op`, `shape` (text), `rule`, `tokens`, `attributes` and `parameters` (name to shape);
        edges go from a value to its user, with the place among the user's inputs as key and the `shape` of the value.
        """
        import networkx  # an optional view: nothing else here needs it

        result = networkx.MultiDiGraph(outputs=self.outputs)
        for node in self.nodes:
            result.add_node(
                node.id,
                op=node.op,
                shape=str(node.type),
                rule=node.rule,
                tokens=node.tokens,
                attributes=dict(node.attributes),
                parameters={parameter.name: str(parameter.shape) for parameter in node.parameters},
            )
            for place, source in enumerate(node.inputs):
                result.add_edge(source, node.id, key=place, shape=str(self.nodes[source].type))
        return result


def check_graph(graph: Graph) -> None:
    """Nothing, if the graph is one that a builder can make; for graphs made by hand, and for every one in tests.

    Raises:
        AssertionError: with the invariant that does not hold.
    """
    used = set(graph.outputs)
    for place, node in enumerate(graph.nodes):
        assert node.id == place, "ids are places"
        assert all(0 <= i < place for i in node.inputs), "a node comes after its inputs"
        assert list(node.attributes) == sorted(node.attributes), "attributes are sorted by name"
        used.update(node.inputs)
        if node.op == INPUT:
            assert not node.inputs, "an input has no inputs"
            continue
        types = [graph.nodes[i].type for i in node.inputs]
        attributes = dict(node.attributes)
        assert node.spec.arity in (None, len(types)), f"`{node.op}` takes {node.spec.arity} inputs"
        assert node.type == node.spec.type_rule(types, attributes), f"the type of %{node.id} follows from its op"
        assert node.parameters == node.spec.parameter_rule(types, attributes), "parameters follow from the op"
    assert graph.outputs, "a program returns something"
    assert all(0 <= i < len(graph.nodes) for i in graph.outputs), "outputs are nodes"
    assert all(node.id in used for node in graph.nodes if node.op != INPUT), "every node is used"


class GraphBuilder:
    """Collects the nodes of a graph; types and parameters follow from the ops.

    A target whose types are all known can make nodes itself, in less time: see `_RuleBuilder` of the optimizers.
    """

    def __init__(self) -> None:
        self._nodes: list[Node] = []

    def add_input(self, name: str, type: TensorType) -> Node:
        """A new argument of the program."""
        node = _make_input(len(self._nodes), name, type)
        self._nodes.append(node)
        return node

    def add(
        self,
        op: str,
        *inputs: Node,
        attributes: Mapping[str, AttributeValue] | None = None,
        rule: str = "",
        tokens: tuple[int, int] = (0, 0),
    ) -> Node:
        """A new node of the op named `op`.

        Raises:
            DslcError: DSLC407 if the shapes of the inputs do not fit the op.
        """
        spec = OPS[op]
        assert spec.arity is None or spec.arity == len(inputs), f"`{op}` takes {spec.arity} inputs"
        if len(inputs) == 1:  # for speed: most nodes of networks
            (source,) = inputs
            types: list[TensorType] = [source.type]
            ids: tuple[int, ...] = (source.id,)
        else:
            types = [node.type for node in inputs]
            ids = tuple([node.id for node in inputs])
        known = NO_ATTRIBUTES if attributes is None else attributes
        try:
            type = spec.type_rule(types, known)
            parameters = spec.parameter_rule(types, known)
        except TypeMismatchError as error:
            raise DslcError(
                Diagnostic(
                    Code.SHAPE_MISMATCH,
                    Severity.ERROR,
                    f"`{op}` cannot take {' and '.join(str(type) for type in types)}: {error}",
                    notes=(f"in {place_text(rule, *tokens)}",),
                )
            ) from error
        in_order = tuple(sorted(known.items())) if known else ()
        node = Node(len(self._nodes), op, ids, type, in_order, parameters, rule, tokens)
        self._nodes.append(node)
        return node

    def finish(self, *outputs: Node) -> Graph:
        """The graph that returns `outputs`; nodes that none of them needs are left out, inputs are kept."""
        nodes, returned = self._nodes, tuple([node.id for node in outputs])
        used = set(chain.from_iterable([node.inputs for node in nodes]))
        used.update(returned)
        # A node that is not needed is not used, or only by such nodes, of which one is not used.
        if len(used) == len(nodes) or all(node.op == INPUT or node.id in used for node in nodes):
            return Graph(tuple(nodes), returned)
        is_needed = [node.op == INPUT for node in nodes]
        for i in returned:
            is_needed[i] = True
        for node in reversed(nodes):
            if is_needed[node.id]:
                for i in node.inputs:
                    is_needed[i] = True
        kept = [node for node in nodes if is_needed[node.id]]
        place = {node.id: i for i, node in enumerate(kept)}
        renumbered = [replace(node, id=place[node.id], inputs=tuple(place[i] for i in node.inputs)) for node in kept]
        return Graph(tuple(renumbered), tuple([place[i] for i in returned]))


@lru_cache(maxsize=1024)
def _make_input(place: int, name: str, type: TensorType) -> Node:
    """The node of an input, which graphs share: what is written of it for a hash is then kept."""
    return Node(place, INPUT, (), type, (("name", name),), rule=name)
