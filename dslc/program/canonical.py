"""Canonical form of a graph, and the hash by which equal programs are evaluated once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from operator import attrgetter

from dslc.program.graph import INPUT, Graph, Node
from dslc.program.kept_text import kept_text
from dslc.program.op_rules import Parameter

FORMAT = "dslc.graph/1"
"""First line of what is hashed; a new number whenever the text of equal graphs changes."""
_BEGUN = sha256(f"{FORMAT}\n".encode())
"""That line hashed: going on from a copy takes half the time of beginning anew."""


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
    # The walk of `_order_nodes`, which writes on the way: a search hashes every sample.
    nodes = graph.nodes
    place = [-1] * len(nodes)
    lines: list[str] = []
    for node in _sort_inputs(graph):
        place[node.id] = len(lines)
        lines.append(kept_text(node, _write_input))
    for i in graph.outputs:
        _write_nodes(nodes, i, place, lines)
    lines.append(f"return {tuple([place[i] for i in graph.outputs])}")
    digest = _BEGUN.copy()
    digest.update("\n".join(lines).encode())
    return digest.hexdigest()


def _write_nodes(nodes: Sequence[Node], i: int, place: list[int], lines: list[str]) -> None:
    """Write the node of id `i` behind all that it needs, as far as they are not written.

    Args:
        nodes: of the graph.
        i: the node.
        place: [node] the number of its line, -1 if it is not written.
        lines: what is written.
    """
    waiting: list[int] = []  # nodes of which an input is to be written first, each an input of the one before
    while True:
        while place[i] < 0:
            waiting.append(i)
            inputs = nodes[i].inputs
            if not inputs:
                break
            i = inputs[0]
        # What is written last is the first input of the last that waits, or one of its further inputs.
        while waiting:
            node = nodes[waiting[-1]]
            inputs = node.inputs
            # As Python writes a tuple; one and two are written here for speed.
            if len(inputs) == 1:
                places = f"({place[inputs[0]]},)"
            elif len(inputs) == 2:
                first, second = inputs
                if place[second] < 0:
                    i = second
                    break
                places = f"({place[first]}, {place[second]})"
            else:
                numbers = tuple([place[j] for j in inputs])
                if -1 in numbers:
                    i = inputs[numbers.index(-1)]
                    break
                places = str(numbers)
            place[waiting.pop()] = len(lines)
            attributes = node.attributes
            written = kept_text(attributes) if attributes else "()"
            initial = kept_text(node.parameters, _write_initial) if node.parameters else "[]"
            lines.append(f"{node.op} {places} {written} {initial} ")
        else:
            return


def _write_initial(parameters: tuple[Parameter, ...]) -> str:
    # A type follows from the inputs, a parameter's name from the op; where it starts is what is trained.
    return str([(parameter.name, parameter.initial) for parameter in parameters])


def _write_input(node: Node) -> str:
    ((_, name),) = node.attributes
    return f"{INPUT} () (('name', {name!r}),) [] {node.type}"


def _sort_inputs(graph: Graph) -> list[Node]:
    """Inputs by name, which is their only attribute."""
    inputs = [node for node in graph.nodes if node.op == INPUT]
    return sorted(inputs, key=attrgetter("attributes")) if len(inputs) > 1 else inputs


def _order_nodes(graph: Graph) -> list[int]:
    """The ids of the nodes in the order of the canonical form: inputs by name, then as a walk finishes the others."""
    nodes = graph.nodes
    order = [node.id for node in _sort_inputs(graph)]
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
