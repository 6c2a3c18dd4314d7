"""The numpy interpreter of graphs, against emitted modules."""

import numpy as np
import torch
from hypothesis import given

import dslc
from dslc.program.interpret import interpret_graph
from dslc.space import Program
from dslc.testing import programs


@given(programs(dslc.compile("activation", start="nested", max_tokens=10)))
def test_a_graph_means_what_its_module_computes(program: Program) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(7, 3))
    with np.errstate(all="ignore"):
        (expected,) = interpret_graph(program.graph, {"x": x})
    module = program.build(num_channels=3)
    assert isinstance(module, torch.nn.Module)
    found = module.double()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=3e-9)


def test_given_parameters_take_the_place_of_initial_ones() -> None:
    program = dslc.compile("activation").parse("x x scale identity add")
    (node,) = (node for node in program.graph.nodes if node.parameters)
    x = np.ones((2, 3))
    (found,) = interpret_graph(program.graph, {"x": x}, {node.id: {"beta": np.array([0.0, 1.0, 2.0])}})
    np.testing.assert_array_equal(found, [[1.0, 2.0, 3.0]] * 2)
