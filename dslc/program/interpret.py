"""A graph's values in numpy, from the reference meanings of its ops: without torch, the same for any target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.program.graph import INPUT, Graph

Array = NDArray[Any]
NO_PARAMETERS: Mapping[int, Mapping[str, Array]] = {}


def interpret_graph(
    graph: Graph,
    inputs: Mapping[str, Array],
    parameters: Mapping[int, Mapping[str, Array]] = NO_PARAMETERS,
) -> tuple[Array, ...]:
    """Values of the graph's outputs.

    Args:
        graph: of any target.
        inputs: value of each input node by its name.
        parameters: trained tensors by node id and name; one that is missing is its initial value, if that
            is fixed.
    """
    values: list[Any] = []
    for node in graph.nodes:
        if node.op == INPUT:
            values.append(inputs[str(node.attribute("name"))])
            continue
        given = parameters.get(node.id, {})
        trained = {}
        for parameter in node.parameters:
            if parameter.name in given:
                trained[parameter.name] = given[parameter.name]
            else:
                is_fixed = isinstance(parameter.initial, int | float | tuple)
                assert is_fixed, f"`{parameter.name}` of %{node.id} needs a value"
                trained[parameter.name] = np.atleast_1d(np.array(parameter.initial))
        values.append(node.spec.meaning(*(values[i] for i in node.inputs), **dict(node.attributes), **trained))
    return tuple(values[i] for i in graph.outputs)
