"""Canonical form of a graph, and the hash by which equal programs are evaluated once."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from dslc.program.graph import INPUT, Graph, Node

FORMAT = "dslc.graph/1"
"""First line of what is hashed; a new number whenever the text of equal graphs changes."""


def canonical_graph(graph: Graph) -> Graph:
    """The same graph with its nodes in the order in which a walk from the outputs finishes them.

    Inputs of a node are ordered, so this order is unique: two graphs that differ only in the numbers of their nodes
    have equal canonical forms, and two that have equal canonical forms compute the same.
    """
    nodes, outputs = _renumber_nodes(graph)
    return Graph(tuple(nodes), outputs)


def graph_hash(graph: Graph) -> str:
    """Hex sha256 of the canonical form; rules, tokens and numbering do not enter it.

    Two values that are computed twice and one that is computed once are different graphs, since each has its own
    trained parameters.
    """
    nodes, outputs = _renumber_nodes(graph)
    lines = [FORMAT, *(_line(node) for node in nodes), f"return {outputs}"]
    return sha256("\n".join(lines).encode()).hexdigest()


def _renumber_nodes(graph: Graph) -> tuple[list[Node], tuple[int, ...]]:
    order: list[int] = []
    seen: set[int] = set()
    arguments = [node.id for node in sorted(graph.inputs, key=lambda node: str(node.attribute("name")))]
    for root in (*arguments, *graph.outputs):
        stack = [(root, False)]
        while stack:
            node_id, is_finished = stack.pop()
            if is_finished:
                order.append(node_id)
            elif node_id not in seen:
                seen.add(node_id)
                stack.append((node_id, True))
                stack.extend((i, False) for i in reversed(graph.nodes[node_id].inputs))
    place = {node_id: i for i, node_id in enumerate(order)}
    nodes = [replace(graph.nodes[i], id=place[i], inputs=tuple(place[j] for j in graph.nodes[i].inputs)) for i in order]
    return nodes, tuple(place[i] for i in graph.outputs)


def _line(node: Node) -> str:
    # A parameter's type follows from the inputs and its name from the op; its start value is part of what is trained.
    initial = [(parameter.name, parameter.initial) for parameter in node.parameters]
    type = str(node.type) if node.op == INPUT else ""
    return f"{node.op} {node.inputs} {node.attributes!r} {initial!r} {type}"
