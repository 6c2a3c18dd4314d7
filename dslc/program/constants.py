"""Fitted constants of a graph: their names, and the graph with values found for them.

A fitted constant is a node of the op `fitted`, whose value before fitting is the attribute `initial`. A graph with
found values written there is emitted with them as defaults, so nothing else needs to know about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dslc.program.emit import Namespace
from dslc.program.graph import Graph, Node

FITTED = "fitted"
"""Op of the constants that are fitted to data."""


def fitted_nodes(graph: Graph) -> tuple[Node, ...]:
    """The fitted constants, in the order in which the sentence names them."""
    return tuple(node for node in graph.nodes if node.op == FITTED)


def constant_names(graph: Graph) -> tuple[str, ...]:
    """Names of the fitted constants, in the order of `fitted_nodes`: c1, c2, …, what no input is called."""
    names = Namespace(str(node.attribute("name")) for node in graph.inputs)
    return tuple(names.create(f"c{number}") for number, _ in enumerate(fitted_nodes(graph), start=1))


def with_constants(graph: Graph, values: Mapping[str, float]) -> Graph:
    """The graph with the given values as those of its fitted constants.

    Args:
        graph: of any target; one without fitted constants comes back as it is.
        values: by name of the constant; other names are passed over, so the metrics of an outcome will do.
    """
    named = zip(fitted_nodes(graph), constant_names(graph), strict=True)
    value_by_id = {node.id: values.get(name) for node, name in named}
    return replace(graph, nodes=tuple(_with_value(node, value_by_id.get(node.id)) for node in graph.nodes))


def _with_value(node: Node, value: float | None) -> Node:
    if value is None:
        return node
    attributes = {"initial": value}
    parameters = node.spec.parameter_rule((), attributes)
    return replace(node, attributes=tuple(attributes.items()), parameters=parameters)
