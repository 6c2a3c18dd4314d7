"""Canonical form of a graph, and the hash by which equal programs are evaluated once."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from operator import attrgetter

from dslc.program.graph import INPUT, Graph

FORMAT = "dslc.graph/1"
"""First line of what is hashed; a new number whenever the text of equal graphs changes."""


def canonical_graph(graph: Graph) -> Graph:
    """The same graph with its nodes in the order in which a walk from the outputs finishes them.

    Inputs of a node are ordered, so this order is unique: two graphs that differ only in the numbers of their nodes
    have equal canonical forms, and two that have equal canonical forms compute the same.
    """
    order = _order_nodes(graph)
    place = {id: i for i, id in enumerate(order)}
    nodes = [replace(graph.nodes[i], id=place[i], inputs=tuple(place[j] for j in graph.nodes[i].inputs)) for i in order]
    return Graph(tuple(nodes), tuple(place[i] for i in graph.outputs))


def graph_hash(graph: Graph) -> str:
    """Hex sha256 of the canonical form; rules, tokens and numbering do not enter it.

    Two values that are computed twice and one that is computed once are different graphs, since each has its own
    trained parameters.
    """
    nodes = graph.nodes
    place = [0] * len(nodes)
    lines = [FORMAT]
    for number, i in enumerate(_order_nodes(graph)):
        place[i] = number
        node = nodes[i]
        inputs, attributes, parameters = node.inputs, node.attributes, node.parameters
        # As Python writes a tuple; one and two are written here for speed.
        if len(inputs) == 1:
            places = f"({place[inputs[0]]},)"
        elif len(inputs) == 2:
            places = f"({place[inputs[0]]}, {place[inputs[1]]})"
        else:
            places = str(tuple([place[j] for j in inputs]))
        if node.op == INPUT:
            ((_, name),) = attributes
            lines.append(f"{INPUT} () (('name', {name!r}),) [] {node.type}")
        elif parameters:
            # A type follows from the inputs, a parameter's name from the op; where it starts is what is trained.
            initial = [(parameter.name, parameter.initial) for parameter in parameters]
            lines.append(f"{node.op} {places} {attributes or '()'} {initial} ")
        else:
            lines.append(f"{node.op} {places} {attributes} [] " if attributes else f"{node.op} {places} () [] ")
    lines.append(f"return {tuple([place[i] for i in graph.outputs])}")
    return sha256("\n".join(lines).encode()).hexdigest()


def _order_nodes(graph: Graph) -> list[int]:
    """The ids of the nodes in the order of the canonical form: inputs by name, then as a walk finishes the others."""
    nodes = graph.nodes
    # The only attribute of an input is its name.
    order = [node.id for node in sorted(graph.inputs, key=attrgetter("attributes"))]
    is_open = [True] * len(nodes)
    for i in order:
        is_open[i] = False
    pending = [*graph.outputs[::-1]]  # what to visit, the next one last; -1 - i: node i is finished
    while pending:
        i = pending.pop()
        if i < 0:
            order.append(-1 - i)
        elif is_open[i]:
            is_open[i] = False
            inputs = nodes[i].inputs
            if inputs:
                pending.append(-1 - i)
                pending += inputs[::-1]
            else:
                order.append(i)
    return order
