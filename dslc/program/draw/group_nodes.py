"""Which values of a graph share a box."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from string import ascii_lowercase

from dslc.program.graph import INPUT, Graph, Node


@dataclass(frozen=True)
class Group:
    """The values of one box: one whose op names it, those made for it alone, and those made of it alone."""

    host: Node
    before: tuple[Node, ...] = ()
    """Products of the program's inputs that only the host takes: the weights of a cell's leaf."""
    after: tuple[Node, ...] = ()
    """What follows on the host's value: the activation of a layer or of a cell's node."""
    sources: tuple[int, ...] = ()
    """Values that the box takes, operand by operand."""


def group_nodes(graph: Graph) -> tuple[Group, ...]:
    """The boxes of a graph, in an order in which they can be computed.

    Two values share a box where nothing else takes the first, and either both are PyTorch modules on one shape, or both
    come from the same part of the sentence.
    """
    uses = Counter(source for node in graph for source in node.inputs)
    uses.update(graph.outputs)
    hosts = list(range(len(graph)))
    before: dict[int, list[Node]] = {}
    after: dict[int, list[Node]] = {}
    for node in graph:
        values = [graph.nodes[source] for source in node.inputs]
        if len(values) == 1 and _continues(node, values[0]) and uses[values[0].id] == 1:
            hosts[node.id] = hosts[values[0].id]
            after.setdefault(hosts[node.id], []).append(node)
        for value in values if len(values) > 1 else ():
            is_product = len(value.inputs) == 1 and graph.nodes[value.inputs[0]].op == INPUT and value.parameters
            if is_product and uses[value.id] == 1 and _has_one_origin(node, value):
                hosts[value.id] = node.id
                before.setdefault(node.id, []).append(value)
    groups = []
    for node in graph:
        if hosts[node.id] == node.id:
            inside = {value.id: value for value in before.get(node.id, ())}
            sources = tuple(inside[i].inputs[0] if i in inside else i for i in node.inputs)
            groups.append(Group(node, tuple(inside.values()), tuple(after.get(node.id, ())), sources))
    return tuple(groups)


def operand_names(node: Node) -> tuple[str, ...]:
    """`a`, `b` and so on where the op takes a fixed number of values above one, else empty texts."""
    has_names = node.op != INPUT and node.spec.arity not in (None, 1)
    return tuple(ascii_lowercase[: len(node.inputs)]) if has_names else ("",) * len(node.inputs)


def _continues(node: Node, value: Node) -> bool:
    """A box shows of a value that continues it only the name: one with settings has a box of its own."""
    is_same = _has_one_origin(node, value) or (_is_module(node) and _is_module(value))
    return value.op != INPUT and is_same and node.type == value.type and not node.attributes


def _has_one_origin(node: Node, other: Node) -> bool:
    return node.tokens[1] > 0 and (node.rule, node.tokens) == (other.rule, other.tokens)


def _is_module(node: Node) -> bool:
    return node.op != INPUT and node.spec.constructor is not None
