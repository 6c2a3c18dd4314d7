"""Fitted constants of an expression: nonlinear least squares on the training points, always with the same result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.constants import constant_names, fitted_nodes
from dslc.program.graph import Graph
from dslc.program.interpret import interpret_graph
from dslc.search.missing_extra import missing_extra

Array = NDArray[Any]

START_SEED = 0
NUM_STARTS = 8
"""Places to start from: all 1, as in dso, then standard normal draws; the first that gives finite values is used."""
MOST_EVALUATIONS = 200
"""Most evaluations of the residuals in one fit, without those for the derivative."""


def fit_constants(graph: Graph, inputs: Mapping[str, Array], outputs: Array) -> dict[str, float]:
    """Values of the fitted constants, by name, at a local minimum of the squared error.

    By scipy's trust-region reflective method with derivatives from differences. A graph without constants gives {}.

    Raises:
        DslcError: DSLC606 without scipy, DSLC618 if the function is finite at none of the starts.
    """
    nodes = fitted_nodes(graph)
    if not nodes:
        return {}
    try:
        from scipy.optimize import least_squares
    except ImportError:
        message = "constants are fitted with scipy, which is not installed"
        raise missing_extra(message, "tasks", ", or search a start without fitted constants") from None

    def residuals(values: Array) -> Array:
        given = {node.id: {"value": value} for node, value in zip(nodes, values, strict=True)}
        return compute_values(graph, inputs, outputs.shape, given) - outputs

    start = _find_start(residuals, len(nodes))
    if start is None:
        raise DslcError(
            Diagnostic(
                Code.FIT_FAILED,
                Severity.ERROR,
                f"the function is not finite on all points for any of {NUM_STARTS} choices of its constants",
                help="the search counts it as failed; constants under `log` or in a divisor are the usual cause",
            )
        )
    with np.errstate(all="ignore"):
        try:
            found = least_squares(residuals, start, method="trf", max_nfev=MOST_EVALUATIONS).x
        except (ValueError, np.linalg.LinAlgError):  # a derivative that is not finite: the start is what there is
            found = start
    return {name: float(value) for name, value in zip(constant_names(graph), found, strict=True)}


def compute_values(
    graph: Graph,
    inputs: Mapping[str, Array],
    shape: tuple[int, ...],
    parameters: Mapping[int, Mapping[str, Array]] | None = None,
) -> Array:
    """The function's values, in the shape of the points also where they are constant; not all need to be finite."""
    with np.errstate(all="ignore"):
        (values,) = interpret_graph(graph, inputs, parameters or {})
    return np.broadcast_to(values, shape)


def _find_start(residuals: Any, count: int) -> Array | None:
    generator = np.random.default_rng(START_SEED)
    for start in (np.ones(count), *generator.normal(size=(NUM_STARTS - 1, count))):
        if np.all(np.isfinite(residuals(start))):
            return np.asarray(start)
    return None
