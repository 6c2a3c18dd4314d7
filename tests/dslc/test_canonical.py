"""Canonical forms and hashes: the numbering does not matter, everything that is computed does."""

import random
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dslc
from dslc.program import kept_text
from dslc.program.canonical import FORMAT, canonical_graph, graph_hash
from dslc.program.graph import Graph, GraphBuilder
from dslc.program.targets import get_target
from dslc.program.tensor_type import Symbol, TensorType
from dslc.program.tree import ParseTree
from tests.dslc.program_trees import BINARY, FILTERS, SIDES, STRIDES, UNARY, X, core, network, random_function

# `constant` hides what it is applied to, so that different trees mean the same.
NAMES = st.tuples(
    st.sampled_from([n for n in UNARY if n != "constant"]), st.sampled_from(UNARY[:24]), st.sampled_from(BINARY)
)
FUNCTIONS = st.recursive(
    st.builds(lambda names: core(X, X, *names), NAMES),
    lambda inner: st.builds(lambda a, b, names: core(a, b, *names), inner | st.just(X), inner | st.just(X), NAMES),
    max_leaves=5,
)
LAYERS = st.tuples(*(st.sampled_from(menu) for menu in (SIDES, SIDES, STRIDES, STRIDES, FILTERS)))
NETWORKS = st.lists(LAYERS, max_size=4).map(lambda layers: network(*layers))
GRAPHS = FUNCTIONS.map(get_target("activation").elaborate) | NETWORKS.map(get_target("conv_net").elaborate)


def renumber(graph: Graph, generator: random.Random) -> Graph:
    """The same graph, its nodes in a random order in which each follows its inputs."""
    order: list[int] = []
    waiting = {node.id for node in graph}
    while waiting:
        ready = sorted(i for i in waiting if not waiting & set(graph.nodes[i].inputs))
        order.append(generator.choice(ready))
        waiting.remove(order[-1])
    place = {old: new for new, old in enumerate(order)}
    nodes = [replace(graph.nodes[i], id=place[i], inputs=tuple(place[j] for j in graph.nodes[i].inputs)) for i in order]
    return Graph(tuple(nodes), tuple(place[i] for i in graph.outputs))


@given(GRAPHS, st.randoms(use_true_random=False))
def test_numbering_does_not_matter(graph: Graph, generator: random.Random) -> None:
    other = renumber(graph, generator)
    assert graph_hash(other) == graph_hash(graph)
    assert canonical_graph(other) == canonical_graph(graph)


def test_random_numberings_differ() -> None:
    leaf = core(X, X, "sin", "cos", "add")
    graph = get_target("activation").elaborate(core(leaf, leaf, "exp", "tanh", "max"))
    assert len({renumber(graph, random.Random(seed)) for seed in range(20)}) > 5


@given(GRAPHS)
def test_the_canonical_form_is_its_own(graph: Graph) -> None:
    canonical = canonical_graph(graph)
    assert canonical_graph(canonical) == canonical
    assert sorted(node.op for node in canonical) == sorted(node.op for node in graph)


@given(FUNCTIONS, FUNCTIONS)
def test_different_functions_have_different_hashes(one: ParseTree, other: ParseTree) -> None:
    elaborate = get_target("activation").elaborate
    assert (graph_hash(elaborate(one)) == graph_hash(elaborate(other))) == (one == other)


@given(NETWORKS, NETWORKS)
def test_different_networks_have_different_hashes(one: ParseTree, other: ParseTree) -> None:
    elaborate = get_target("conv_net").elaborate
    assert (graph_hash(elaborate(one)) == graph_hash(elaborate(other))) == (one == other)


def two_uses(*, is_shared: bool, swapped: bool = False) -> Graph:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((Symbol("batch"), 4)))
    one = builder.add("scale", x)
    other = one if is_shared else builder.add("scale", x)
    return builder.finish(
        builder.add("sub", builder.add("exp", one), other) if swapped else builder.add("sub", one, other)
    )


def plain_hash(graph: Graph) -> str:
    """The hash as its definition says: a line a node of the canonical form, written by Python's own `repr`."""
    lines = [FORMAT]
    for node in canonical_graph(graph):
        initial = [(parameter.name, parameter.initial) for parameter in node.parameters]
        type = node.type if node.op == "input" else ""
        lines.append(f"{node.op} {node.inputs!r} {node.attributes!r} {initial!r} {type}")
    lines.append(f"return {canonical_graph(graph).outputs!r}")
    return sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("name", ["optimizer", "conv_net", "activation", "expression"])
def test_the_hash_is_that_of_the_canonical_form(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_text, "KEPT_TEXTS", 5)  # so that texts are dropped, and made again, many times
    start = {"optimizer": "scheduled", "conv_net": "skips_6"}.get(name)
    for program in dslc.compile(name, start=start).samples(60, seed=8, lengths="even"):
        assert graph_hash(program.graph) == plain_hash(program.graph)


def test_numbers_that_are_equal_and_written_in_two_ways_are_two() -> None:
    def written(value: int | float) -> Graph:
        builder = GraphBuilder()
        return builder.finish(builder.add("number", attributes={"value": value}))

    for value in (1, 1.0, 1, 0.0, -0.0, 0):
        assert graph_hash(written(value)) == plain_hash(written(value))


def test_one_trained_value_used_twice_is_not_two_trained_values() -> None:
    assert graph_hash(two_uses(is_shared=True)) != graph_hash(two_uses(is_shared=False))


def test_order_of_inputs_and_input_types_matter() -> None:
    def difference(order: int, channels: int = 4) -> str:
        builder = GraphBuilder()
        type = TensorType((Symbol("batch"), channels))
        pair = builder.add_input("x", type), builder.add_input("y", type)
        return graph_hash(builder.finish(builder.add("sub", *pair[::order])))

    assert difference(1) != difference(-1)
    assert difference(1) != difference(1, channels=5)


def test_where_nodes_come_from_does_not_matter() -> None:
    graph = get_target("activation").elaborate(random_function(random.Random(0), 2))
    moved = Graph(tuple(replace(node, rule="other", tokens=(1, 2)) for node in graph), graph.outputs)
    assert graph_hash(moved) == graph_hash(graph)


def test_hashes_are_the_same_in_every_process() -> None:
    code = (
        "from tests.dslc.program_trees import swish; from dslc.program.targets import get_target;"
        "from dslc.program.canonical import graph_hash; print(graph_hash(get_target('activation').elaborate(swish())))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    # A stored run recognises its programs by this number: a change of it needs a new format.
    assert seen == {b"9c4ed15d17590e6c7f5ba4172cccb583e5e365d5872b8d8744904a46d523d5b5\n"}
