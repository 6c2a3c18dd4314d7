"""Program graph to figure: one box a value, coloured by what computes it, with shapes on the arrows."""

from __future__ import annotations

import re
from collections import Counter

from dslc.program.draw.drawing import Drawing
from dslc.program.draw.figure import Arrow, Box, Cell, Figure
from dslc.program.draw.palette import Kind
from dslc.program.graph import INPUT, Graph, Node
from dslc.program.op_rules import AttributeValue, same_type
from dslc.program.tensor_type import TensorType

_OPERANDS = ("a", "b")


def draw_graph(graph: Graph, title: str = "") -> Drawing:
    """A drawing of a graph under `title`, normally the sentence; values flow downwards.

    Modules that follow one another on one shape (a convolution, its normalisation, its activation) share a box. A
    formula calls the inputs of its op `a` and `b`, and so do the arrows into it.

    Example:
        >>> from dslc.program.graph import GraphBuilder
        >>> from dslc.program.tensor_type import Symbol
        >>> builder = GraphBuilder()
        >>> x = builder.add_input("x", TensorType((Symbol("batch"), 8)))
        >>> figure = draw_graph(builder.finish(builder.add("sin", x))).figure
        >>> [box.name for box in figure.boxes], figure.arrows[0]
        (['x', 'sin', 'output'], Arrow(tail=0, head=1, text='batch × 8'))
    """
    hosts = _find_hosts(graph)
    guests: dict[int, list[Node]] = {}
    for node in graph:
        if hosts[node.id] != node.id:
            guests.setdefault(hosts[node.id], []).append(node)
    boxes: list[Box] = []
    place: dict[int, int] = {}
    arrows: list[Arrow] = []
    for node in graph:
        if hosts[node.id] != node.id:
            place[node.id] = place[hosts[node.id]]
            continue
        place[node.id] = len(boxes)
        boxes.append(_node_box(node, guests.get(node.id, [])))
        for operand, source in zip(_operand_names(node), node.inputs, strict=True):
            text = shape_text(graph.nodes[source].type)
            arrows.append(Arrow(place[source], place[node.id], f"{operand}: {text}" if operand else text))
    for number, output in enumerate(graph.outputs):
        name = "output" if len(graph.outputs) == 1 else f"output {number}"
        arrows.append(Arrow(place[output], len(boxes), shape_text(graph.nodes[output].type)))
        boxes.append(Box(Kind.ENDPOINT, name))
    return Drawing(Figure(title, tuple(boxes), tuple(arrows), is_tree=False, top_down=True))


def shape_text(type: TensorType) -> str:
    """A shape as people write it.

    Example:
        >>> from dslc.program.tensor_type import Symbol, ceil_div
        >>> shape_text(TensorType((Symbol("batch"), 24, ceil_div(Symbol("height"), 2))))
        'batch × 24 × ⌈height/2⌉'
    """
    texts = [re.sub(r"ceil\((.*)\)", r"⌈\1⌉", str(dim)).replace(" / ", "/").replace("...", "…") for dim in type.shape]
    return " × ".join(texts) or "scalar"


def _find_hosts(graph: Graph) -> list[int]:
    """For every node the node whose box it stands in, itself unless it continues a chain of modules on one shape."""
    uses = Counter(source for node in graph for source in node.inputs)
    uses.update(graph.outputs)
    hosts: list[int] = []
    for node in graph:
        source = graph.nodes[node.inputs[0]] if len(node.inputs) == 1 else None
        continues = (
            source is not None
            and _is_module(node)
            and _is_module(source)
            and uses[source.id] == 1
            and source.type == node.type
            and not node.attributes  # a guest's box shows only its name: one with settings has a box of its own
        )
        hosts.append(hosts[source.id] if continues and source is not None else node.id)
    return hosts


def _is_module(node: Node) -> bool:
    return node.op != INPUT and node.spec.constructor is not None


def _node_box(node: Node, guests: list[Node]) -> Box:
    if node.op == INPUT:
        return Box(Kind.ENDPOINT, str(node.attribute("name")), note="input")
    lines = [_formula(node)] if _formula(node) else []
    if guests:
        lines.append(f"then {', '.join(guest.op for guest in guests)}")
    cells = [Cell(name, _value_text(value)) for name, value in node.attributes]
    lines += [f"trains {parameter.name}: {shape_text(parameter.shape)}" for parameter in node.parameters]
    # The rule is worth its place only where the grammar calls the op something else.
    note = node.rule if node.rule not in ("", node.op) else ""
    tooltip = f"{node.rule or node.op}, tokens {node.tokens[0] + 1} to {node.tokens[1]}" if node.tokens[1] else node.op
    return Box(_kind(node), node.op, note=note, lines=tuple(lines), cells=tuple(cells), tooltip=tooltip)


def _kind(node: Node) -> Kind:
    if node.op == "constant":
        return Kind.CONSTANT
    if node.parameters:
        return Kind.TRAINED
    if node.spec.arity is None or not _is_elementwise(node):
        return Kind.SHAPE
    return Kind.BINARY if node.spec.arity == 2 else Kind.UNARY


def _is_elementwise(node: Node) -> bool:
    return node.spec.type_rule is same_type


def _formula(node: Node) -> str:
    """What the op computes, where its name does not say it all."""
    formula = node.spec.formula
    if node.spec.arity is None or formula == f"{node.op}({{0}})" or not _is_elementwise(node):
        return ""
    names = ("x",) if node.spec.arity == 1 else _OPERANDS
    return formula.format(*names, beta="β").replace("eps", "ε")


def _operand_names(node: Node) -> tuple[str, ...]:
    is_binary = node.op != INPUT and node.spec.arity == 2
    return _OPERANDS if is_binary else ("",) * len(node.inputs)


def _value_text(value: AttributeValue) -> str:
    return " × ".join(map(str, value)) if isinstance(value, tuple) else str(value)
