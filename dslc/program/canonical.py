"""Canonical form of a graph, and the hash by which equal programs are evaluated once."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from dslc.program.graph import INPUT, Graph

FORMAT = "dslc.graph/1"
"""First line of what is hashed; a new number whenever the text of equal graphs changes."""


def canonical_graph(graph: Graph) -> Graph:
    """The same graph with its nodes in the order in which a walk from the outputs finishes them.

    Inputs of a node are ordered, so this order is unique: two graphs that differ only in the numbers of their nodes
    have equal canonical forms, and two that have equal canonical forms compute the same.
    """
    place = _place_nodes(graph)
    nodes = [replace(graph.nodes[i], id=place[i], inputs=tuple(place[j] for j in graph.nodes[i].inputs)) for i in place]
    return Graph(tuple(nodes), tuple(place[i] for i in graph.outputs))


def graph_hash(graph: Graph) -> str:
    """Hex sha256 of the canonical form; rules, tokens and numbering do not enter it.

    Two values that are computed twice and one that is computed once are different graphs, since each has its own
    trained parameters.
    """
    place, nodes = _place_nodes(graph), graph.nodes
    lines = [FORMAT]
    for i in place:
        node = nodes[i]
        inputs = tuple([place[j] for j in node.inputs])
        # A parameter's type follows from the inputs, its name from the op; where it starts is part of what is trained.
        initial = [(parameter.name, parameter.initial) for parameter in node.parameters] if node.parameters else "[]"
        type = node.type if node.op == INPUT else ""
        lines.append(f"{node.op} {inputs} {node.attributes or '()'} {initial} {type}")
    lines.append(f"return {tuple([place[i] for i in graph.outputs])}")
    return sha256("\n".join(lines).encode()).hexdigest()


def _place_nodes(graph: Graph) -> dict[int, int]:
    """Place of each node in the canonical form, in order of the places."""
    nodes = graph.nodes
    roots = sorted(graph.inputs, key=lambda node: str(node.attribute("name")))
    # What to visit, the next one last; -1 - i: node i is finished.
    pending = [*graph.outputs[::-1], *[node.id for node in reversed(roots)]]
    place: dict[int, int] = {}
    is_open = [True] * len(nodes)
    while pending:
        i = pending.pop()
        if i < 0:
            place[-1 - i] = len(place)
        elif is_open[i]:
            is_open[i] = False
            inputs = nodes[i].inputs
            if inputs:
                pending.append(-1 - i)
                pending += inputs[::-1]
            else:
                place[i] = len(place)
    return place
