"""Graphs: what they refuse, how they print, and their view for networkx."""

import dataclasses
import random

import networkx
import pytest

from dslc.diagnostics import Code, DslcError
from dslc.program.graph import INPUT, Graph, GraphBuilder, Node
from dslc.program.targets import get_target
from dslc.program.tensor_type import Symbol, TensorType
from tests.dslc.program_trees import network, random_function, random_network

VALUES = TensorType((Symbol("batch"), 8))


def small_graph() -> Graph:
    builder = GraphBuilder()
    x = builder.add_input("x", VALUES)
    gate = builder.add("sigmoid", x, rule="sigmoid", tokens=(1, 2))
    builder.add("exp", gate)
    return builder.finish(builder.add("mix", x, gate, rule="mix", tokens=(2, 3)))


def test_printing() -> None:
    assert str(small_graph()).splitlines() == [
        "%0 = input() {name=x} : [batch, 8]",
        "%1 = sigmoid(%0) : [batch, 8]",
        "%2 = mix(%0, %1) trains beta [8] : [batch, 8]",
        "return %2",
    ]
    text = str(get_target("conv_net").elaborate(network((3, 5, 2, 1, 24))))
    assert (
        "%1 = conv2d(%0) {kernel=(3, 5), num_filters=24, stride=(2, 1)} trains weight [24, in_channels, 3, 5]" in text
    )
    assert text.splitlines()[1].endswith(" : [batch, 24, ceil(height / 2), width]")


def test_unused_nodes_are_left_out_and_unused_inputs_kept() -> None:
    assert [node.op for node in small_graph()] == [INPUT, "sigmoid", "mix"]
    builder = GraphBuilder()
    builder.add_input("unused", VALUES)
    x = builder.add_input("x", VALUES)
    graph = builder.finish(builder.add("exp", x))
    assert [node.op for node in graph] == [INPUT, INPUT, "exp"]
    assert graph.nodes[2].inputs == (1,)


def test_where_a_node_comes_from_is_not_compared() -> None:
    node = small_graph().nodes[1]
    assert (node.rule, node.tokens) == ("sigmoid", (1, 2))
    assert dataclasses.replace(node, rule="other", tokens=(7, 9)) == node


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: dataclasses.replace(g, outputs=()), "returns something"),
        (lambda g: dataclasses.replace(g, outputs=(3,)), "outputs are nodes"),
        (lambda g: dataclasses.replace(g, outputs=(1,)), "every node is used"),
        (lambda g: Graph(g.nodes[::-1], (0,)), "ids are places"),
        (lambda g: Graph((g.nodes[0], dataclasses.replace(g.nodes[1], inputs=(2,)), g.nodes[2]), (2,)), "comes after"),
        (lambda g: Graph((*g.nodes[:2], dataclasses.replace(g.nodes[2], inputs=(0,))), (2,)), "takes 2 inputs"),
        (lambda g: Graph((*g.nodes[:2], dataclasses.replace(g.nodes[2], parameters=())), (2,)), "parameters follow"),
        (lambda g: Graph((*g.nodes[:2], dataclasses.replace(g.nodes[2], type=TensorType((8,)))), (2,)), "type of %2"),
    ],
)  # fmt: skip
def test_invariants_hold(change: object, message: str) -> None:
    assert callable(change)
    with pytest.raises(AssertionError, match=message):
        change(small_graph())


def test_shapes_that_do_not_fit_are_a_diagnostic() -> None:
    builder = GraphBuilder()
    x, y = builder.add_input("x", VALUES), builder.add_input("y", TensorType((Symbol("batch"), 9)))
    with pytest.raises(DslcError) as error:
        builder.add("add", x, y, rule="sum", tokens=(3, 6))
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code is Code.SHAPE_MISMATCH
    assert diagnostic.message == (
        "`add` cannot take [batch, 8] and [batch, 9]: [batch, 8] and [batch, 9] differ at axis 1: 8 and 9"
    )
    assert diagnostic.notes == ("in `sum`, tokens 4 to 6 of the sentence",)


def test_the_view_for_networkx_has_every_node_and_edge() -> None:
    for seed in range(20):
        generator = random.Random(seed)
        graphs = [
            get_target("activation").elaborate(random_function(generator, 3)),
            get_target("conv_net").elaborate(random_network(generator)),
        ]
        for graph in graphs:
            view = graph.to_networkx()
            assert isinstance(view, networkx.MultiDiGraph)
            assert networkx.is_directed_acyclic_graph(view)
            assert view.number_of_nodes() == len(graph)
            assert view.number_of_edges() == sum(len(node.inputs) for node in graph)
            for node in graph:
                data = view.nodes[node.id]
                assert (data["op"], data["shape"], data["rule"]) == (node.op, str(node.type), node.rule)
                sources = {key: source for source, _, key in view.in_edges(node.id, keys=True)}
                assert tuple(sources[place] for place in range(len(node.inputs))) == node.inputs


def test_both_inputs_of_one_value_are_two_edges() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", VALUES)
    view = builder.finish(builder.add("mul", x, x)).to_networkx()
    assert sorted(view.edges(keys=True)) == [(0, 1, 0), (0, 1, 1)]


def test_attributes_by_name() -> None:
    node = Node(0, INPUT, (), VALUES, (("name", "x"),))
    assert node.attribute("name") == "x"
    with pytest.raises(KeyError):
        node.attribute("stride")
