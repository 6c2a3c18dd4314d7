"""Skip connections of `conv_net`: the three repairs of zoph2017, section 3.3, against networks written by hand."""

from __future__ import annotations

import ast
import os
import random
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.program.emit import LINE_LENGTH, PythonSource
from dslc.program.graph import Graph
from dslc.program.interpret import interpret_graph
from dslc.program.load import explain_exception, load_module
from dslc.program.op_meanings import concat_padded
from dslc.program.targets import get_target
from dslc.program.tensor_type import Dim, Symbol, TypeMismatchError, ceil_div, largest_dim, size_of
from dslc.program.tree import Leaf, ParseTree
from dslc.space import Program
from tests.dslc.program_trees import layer
from tests.dslc.skip_networks import read_sentence, run_by_hand

GOLDEN = Path(__file__).parents[1] / "golden" / "conv_net_skips"
TARGET = get_target("conv_net")
SIX, FIFTEEN = (dslc.compile("conv_net", start=start) for start in ("skips_6", "skips_15"))

CHAIN = "3 3 1 1 24  1 5 5 1 1 36  0 1 3 3 1 1 48  0 0 1 7 7 1 1 24  0 0 0 1 3 1 1 1 36  0 0 0 0 1 1 3 1 1 48"
NOTHING = "3 3 1 1 24  0 5 5 1 1 36  0 0 3 3 2 2 48  0 0 0 7 7 1 3 24  0 0 0 0 3 1 1 1 36  0 0 0 0 0 1 3 3 1 48"
DENSE = "3 3 1 1 24  1 5 5 1 1 36  1 1 3 3 1 1 48  1 1 1 7 7 1 1 24  1 1 1 1 3 1 1 1 36  1 1 1 1 1 1 3 1 1 48"
SIZES = "3 3 1 1 24  1 5 5 2 1 36  1 1 3 3 1 3 48  0 1 0 7 7 2 2 24  1 0 0 1 3 1 1 1 36  0 1 0 0 1 1 3 3 2 48"
GOLDENS = {
    "a_chain": SIX.parse(CHAIN),
    "no_connection": SIX.parse(NOTHING),
    "all_connections": SIX.parse(DENSE),
    "other_sizes": SIX.parse(SIZES),
    "fifteen_layers": FIFTEEN.sample(seed=15),
}
SAMPLES = (*SIX.samples(40, seed=5), *FIFTEEN.samples(20, seed=5))
EMITTED = [program.source for program in (*SAMPLES, *GOLDENS.values())]

OTHER_STARTS = {
    "start": "4dd89d30fc976b21",
    "layers_3_stride_1": "85e4ebe937acd149",
    "layers_6": "2db5ebf30a4c1d68",
    "layers_6_stride_1": "1e4f91c90a1a0891",
    "layers_15": "aa8133f408835053",
    "layers_15_stride_1": "1aea3b7a70fc88b9",
}
"""Digests of vocabulary, count, budget and twenty programs with tokens, text and hash, from before there were skips."""


def build(program: Program, seed: int, in_channels: int = 2, num_classes: int = 3) -> torch.nn.Module:
    """In float64, with all trained tensors off their round initial values."""
    torch.manual_seed(seed)
    module = load_module(program.source, in_channels=in_channels, num_classes=num_classes).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return module


def random_images(seed: int) -> torch.Tensor:
    generator = random.Random(seed)
    height, width = generator.randint(1, 8), generator.randint(4, 8)
    return torch.randn(2, 2, height, width, dtype=torch.float64, requires_grad=True)


# --- against networks written by hand ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "count"), [("skips_6", 150), ("skips_15", 15)])
def test_random_networks_equal_those_by_hand_forward_and_backward(start: str, count: int) -> None:
    for seed, program in enumerate(dslc.compile("conv_net", start=start).samples(count, seed=1)):
        module, images = build(program, seed), random_images(seed)
        parameters = list(module.parameters())
        found, expected = module(images), run_by_hand(program.text, images, parameters)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6, msg=program.text)
        weights = torch.randn(found.shape, dtype=torch.float64)
        slopes = torch.autograd.grad((found * weights).sum(), (images, *parameters), allow_unused=True)
        by_hand = torch.autograd.grad((expected * weights).sum(), (images, *parameters), allow_unused=True)
        for slope, other in zip(slopes, by_hand, strict=True):
            torch.testing.assert_close(slope, other, rtol=1e-6, atol=1e-6, msg=program.text)


@pytest.mark.parametrize("name", GOLDENS)
def test_the_golden_networks_equal_those_by_hand(name: str) -> None:
    module, images = build(GOLDENS[name], 0), random_images(7)
    expected = run_by_hand(GOLDENS[name].text, images, list(module.parameters()))
    torch.testing.assert_close(module(images), expected, rtol=1e-9, atol=1e-9)


def test_numpy_gives_every_value_the_shape_that_the_graph_states_and_the_scores_of_the_module() -> None:
    for seed, program in enumerate((*SIX.samples(25, seed=2), *FIFTEEN.samples(5, seed=2))):
        module, images = build(program, seed), random_images(seed)
        graph = program.graph
        trained = [tensor.detach().numpy() for tensor in module.parameters()]
        parameters = {
            node.id: {parameter.name: trained.pop(0) for parameter in node.parameters}
            for node in graph
            if node.parameters
        }
        values = interpret_graph(
            Graph(graph.nodes, tuple(range(len(graph)))), {"images": images.detach().numpy()}, parameters
        )
        sizes = {"batch": 2, "in_channels": 2, "num_classes": 3, "height": images.shape[2], "width": images.shape[3]}
        for node, value in zip(graph, values, strict=True):
            assert value.shape == tuple(size_of(dim, sizes) for dim in node.type.shape), str(node)
        np.testing.assert_allclose(values[graph.outputs[0]], module(images).detach().numpy(), rtol=1e-6, atol=1e-6)
        assert graph.num_parameters(sizes) == sum(parameter.numel() for parameter in module.parameters())


# --- each repair by itself --------------------------------------------------------------------------------------------


def joined(program: Program) -> list[tuple[str, list[str]]]:
    """Op and shapes of the inputs of every node that joins several."""
    graph = program.graph
    nodes = [node for node in graph if node.op.startswith("concat")]
    return [(node.op, [str(graph.nodes[i].type) for i in node.inputs]) for node in nodes]


def test_a_layer_without_input_takes_the_image_and_what_nobody_takes_goes_to_the_classifier() -> None:
    graph = GOLDENS["no_connection"].graph
    assert [node.inputs for node in graph if node.op == "conv2d"] == [(0,)] * 6
    (last,) = [node for node in graph if node.op.startswith("concat")]
    assert [graph.nodes[i].op for i in last.inputs] == ["relu"] * 6
    assert str(last.type) == "[batch, 216, height, width]"


def test_several_inputs_are_concatenated_in_depth_in_the_order_of_the_layers() -> None:
    found = joined(GOLDENS["all_connections"])
    assert [op for op, _ in found] == ["concat_channels"] * 4
    assert [shape.split(", ")[1] for shape in found[-1][1]] == ["24", "36", "48", "24", "36"]


def test_other_sizes_are_padded_to_the_largest_height_and_width_each() -> None:
    graph = GOLDENS["other_sizes"].graph
    nodes = [node for node in graph if node.op == "concat_padded"]
    assert [str(node.type) for node in nodes] == [
        "[batch, 60, height, width]",
        "[batch, 48, height, width]",
        "[batch, 72, height, width]",
        "[batch, 96, height, ceil(width / 2)]",
    ]
    assert len(joined(GOLDENS["other_sizes"])) == len(nodes)
    small, wide = np.ones((1, 1, 2, 1)), np.full((1, 2, 1, 3), 2.0)
    expected = np.array([[[1, 0, 0], [1, 0, 0]], [[2, 2, 2], [0, 0, 0]], [[2, 2, 2], [0, 0, 0]]])
    np.testing.assert_array_equal(concat_padded(small, wide)[0], expected)


def test_the_largest_of_sizes() -> None:
    height, width = Symbol("height"), Symbol("width")
    assert largest_dim([3, 7, 5]) == 7
    assert largest_dim([ceil_div(height, 6), ceil_div(height, 4), ceil_div(height, 9)]) == ceil_div(height, 4)
    assert largest_dim([ceil_div(height, 2), height]) == height
    unknown: list[list[Dim]] = [[height, width], [height, 3]]
    for sizes in unknown:
        with pytest.raises(TypeMismatchError, match="is the larger"):
            largest_dim(sizes)


def test_a_chain_by_decisions_is_the_chain_of_the_other_starts() -> None:
    plain = dslc.compile("conv_net", start="layers_6")
    words = " ".join(" ".join(map(str, sizes)) for _, sizes in read_sentence(CHAIN))
    assert GOLDENS["a_chain"].hash == plain.parse(words).hash
    assert GOLDENS["a_chain"].source.text.split('"""')[2] == plain.parse(words).source.text.split('"""')[2]


# --- the space --------------------------------------------------------------------------------------------------------


def digest(start: str) -> str:
    space = dslc.compile("conv_net", start=start)
    rows = [(program.tokens, program.text, program.hash) for program in space.samples(20, seed=3)]
    vocabulary = [(token.terminal, token.text) for token in space.vocabulary]
    return sha256(repr((vocabulary, rows, space.count(), space.max_tokens)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("start", OTHER_STARTS)
def test_the_other_starts_are_as_before(start: str) -> None:
    assert digest(start) == OTHER_STARTS[start]


@pytest.mark.parametrize(("space", "depth"), [(SIX, 6), (FIFTEEN, 15)], ids=["6", "15"])
def test_one_decision_for_each_earlier_layer(space: dslc.Space, depth: int) -> None:
    plain = dslc.compile("conv_net", start=f"layers_{depth}")
    pairs = depth * (depth - 1) // 2
    assert space.count() == plain.count() * 2**pairs
    assert space.min_tokens == space.max_tokens == 5 * depth + pairs
    skips = [leaf for leaf in space.sample(seed=0).tree.children if isinstance(leaf, Leaf)]
    assert [leaf.terminal for leaf in skips] == ["SKIP"] * pairs


def test_decisions_are_even_and_each_has_its_layer() -> None:
    taken = np.zeros((6, 6))
    for program in SIX.samples(400, seed=0):
        for number, (earlier, _) in enumerate(read_sentence(program.text)):
            taken[number, earlier] += 1
    shares = taken[np.tril_indices(6, -1)] / 400
    assert np.abs(shares - 0.5).max() < 4 * 0.5 / 400**0.5, "four standard deviations of a mean of 400"


# --- sentences without meaning ----------------------------------------------------------------------------------------


def decisions(*texts: str) -> tuple[Leaf, ...]:
    return tuple(Leaf("SKIP", text) for text in texts)


ONE = layer(3, 3, 1, 1, 24)


@pytest.mark.parametrize(
    ("children", "code", "part"),
    [
        ((*decisions("1"), ONE), Code.WRONG_CHILDREN, "SKIP `1`"),
        ((ONE, ONE, *decisions("1"), ONE), Code.WRONG_CHILDREN, "`layer`"),
        ((ONE, *decisions("1"), ONE, *decisions("1"), ONE), Code.WRONG_CHILDREN, "`layer`"),
        ((ONE, *decisions("1"), ONE, *decisions("0", "1")), Code.WRONG_CHILDREN, "SKIP `0`"),
        ((ONE, *decisions("yes"), ONE), Code.UNKNOWN_NAME, "`yes`"),
    ],
)
def test_a_tree_without_meaning_is_a_diagnostic(children: tuple[ParseTree | Leaf, ...], code: Code, part: str) -> None:
    with pytest.raises(DslcError) as error:
        TARGET.elaborate(ParseTree("skips_6", children))
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code is code
    assert part in diagnostic.message
    assert "`0` or `1`" in (diagnostic.help or "") or "0, 1" in (diagnostic.help or "")


# --- source -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_files(name: str) -> None:
    path = GOLDEN / f"{name}.py"
    text = GOLDENS[name].source.text
    if os.environ.get("DSLC_REFRESH_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text
    assert {found.stem for found in path.parent.glob("*.py")} == set(GOLDENS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("emitted")
    for number, source in enumerate(EMITTED):
        (path / f"sample_{number}.py").write_text(source.text)
    return path


def run_ruff(folder: Path, *arguments: str) -> None:
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if ruff is None:
        pytest.skip("ruff is not installed")
    done = subprocess.run([ruff, *arguments, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing(folder: Path) -> None:
    rules = "E,W,F,I,UP,B,A,C4,SIM,RUF,N,ARG,PIE,RET,PERF,D1,D2,D3,D4,ANN,PL"
    ignored = "D203,D213,D100,D102,D107,D413,PLR2004"
    run_ruff(folder, "check", "--isolated", "--no-cache", "--line-length", "88", "--select", rules, "--ignore", ignored)


@pytest.mark.parametrize("length", [88, 100, 120])
def test_ruff_would_format_nothing(folder: Path, length: int) -> None:
    run_ruff(folder, "format", "--check", "--isolated", "--no-cache", "--line-length", str(length))


@pytest.mark.parametrize("source", EMITTED, ids=range(len(EMITTED)))
def test_one_class_every_step_mapped_and_the_helper_only_where_it_is_called(source: PythonSource) -> None:
    module = ast.parse(source.text)
    functions = [node.name for node in module.body if isinstance(node, ast.FunctionDef)]
    assert functions == (["concat_padded"] if source.text.count("concat_padded(") > 1 else [])
    (network,) = [node for node in module.body if isinstance(node, ast.ClassDef)]
    text = " ".join((ast.get_docstring(network) or "").split())
    for part in (f"Sentence: {source.sentence} ", "Shapes: ", "arXiv"):
        assert part in text
    lines = source.text.splitlines()
    assert max(map(len, lines)) <= LINE_LENGTH
    (forward,) = [node for node in network.body if isinstance(node, ast.FunctionDef) and node.name == "forward"]
    assert not [node for node in ast.walk(network) if isinstance(node, ast.For | ast.comprehension)]
    for statement in forward.body:
        origin = source.origin(statement.lineno)
        assert origin is not None, lines[statement.lineno - 1]
        assert origin.rule in ("layer", "SKIP", "skips_6", "skips_15")


def test_an_exception_in_the_helper_leads_back_to_the_decisions() -> None:
    program = GOLDENS["other_sizes"]
    module = build(program, 0)
    other = torch.ones(3, 36, 4, 4, dtype=torch.float64)
    module.get_submodule("layer_2").register_forward_hook(lambda *_: other)
    with pytest.raises(RuntimeError) as error:
        module(random_images(0))
    diagnostic = explain_exception(program.source, error.value)
    assert "concat" in diagnostic.message
    assert diagnostic.notes[0] == "it comes from `SKIP`, tokens 12 to 13 of the sentence"


@pytest.mark.parametrize("name", ["other_sizes", "all_connections"])
def test_loaded_networks_compile(name: str) -> None:
    module = build(GOLDENS[name], 0).eval()
    images = torch.randn(2, 2, 6, 5, dtype=torch.float64)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images), module(images))


def test_emitted_source_runs_where_dslc_is_not(tmp_path: Path) -> None:
    (tmp_path / "network.py").write_text(GOLDENS["other_sizes"].source.text)
    code = (
        "import sys; sys.modules['dslc'] = None; sys.path.insert(0, sys.argv[1]); import torch\n"
        "from network import ConvNet\nprint(tuple(ConvNet(3, 10)(torch.ones(2, 3, 9, 7)).shape))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "(2, 10)\n", done.stderr
