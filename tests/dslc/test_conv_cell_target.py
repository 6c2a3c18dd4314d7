"""The target `conv_cell` against cells computed by hand, in numpy and as source."""

from __future__ import annotations

import ast
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.program.canonical import canonical_graph, graph_hash
from dslc.program.draw import draw_graph
from dslc.program.emit import LINE_LENGTH, PythonSource
from dslc.program.graph import Graph
from dslc.program.interpret import interpret_graph
from dslc.program.load import explain_exception, load_module
from dslc.program.targets import get_target
from dslc.program.tensor_type import size_of
from dslc.program.tree import Leaf, ParseTree
from tests.dslc.conv_cells import GOLDENS, OPERATIONS, random_sentence, run_by_hand, tree_of

GOLDEN = Path(__file__).parents[1] / "golden" / "conv_cell"
TARGET = get_target("conv_cell")
SPACES = {start: dslc.compile("dag_cell", start=start) for start in ("start", "blocks_3")}
TEXTS = [random_sentence(random.Random(seed), 1 + seed % 5) for seed in range(200)]


def emit(text: str) -> PythonSource:
    return TARGET.emit(TARGET.elaborate(tree_of(text)), None, text)


EMITTED = [emit(text) for text in (*GOLDENS.values(), *TEXTS[:60])]


def build(text: str, seed: int, channels: int = 2) -> torch.nn.Module:
    """In float64, with all trained tensors off their round initial values."""
    torch.manual_seed(seed)
    module = load_module(emit(text), channels=channels).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return module


def random_images(seed: int, channels: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = random.Random(seed)
    shape = (2, channels, generator.randint(1, 5), generator.randint(2, 5))
    torch.manual_seed(seed)
    return tuple(torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))  # type: ignore[return-value]


# --- against cells computed by hand -----------------------------------------------------------------------------------


def test_200_uniform_cells_equal_those_by_hand_forward_and_backward() -> None:
    uniform = [*SPACES["start"].samples(150, seed=0), *SPACES["blocks_3"].samples(50, seed=0)]
    for seed, text in enumerate([program.text for program in uniform] + [*GOLDENS.values()]):
        module, images = build(text, seed), random_images(seed)
        parameters = list(module.parameters())
        found, expected = module(*images), run_by_hand(text, *images, parameters)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6, msg=text)
        weights = torch.randn(found.shape, dtype=torch.float64)
        slopes = torch.autograd.grad((found * weights).sum(), (*images, *parameters), allow_unused=True)
        by_hand = torch.autograd.grad((expected * weights).sum(), (*images, *parameters), allow_unused=True)
        for slope, other in zip(slopes, by_hand, strict=True):
            torch.testing.assert_close(slope, other, rtol=1e-6, atol=1e-6, msg=text)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_slopes_are_those_of_finite_differences(operation: str) -> None:
    module, images = build(f"0 {operation} 1 {operation}", 3), random_images(3)
    assert torch.autograd.gradcheck(module, images)


def test_numpy_gives_every_value_its_shape_and_the_output_of_the_module() -> None:
    for seed, text in enumerate((*TEXTS[:60], *GOLDENS.values())):
        module, images = build(text, seed), random_images(seed)
        graph = TARGET.elaborate(tree_of(text))
        trained = [tensor.detach().numpy() for tensor in module.parameters()]
        parameters = {
            node.id: {parameter.name: trained.pop(0) for parameter in node.parameters}
            for node in graph
            if node.parameters
        }
        inputs = {f"input_{i}": image.detach().numpy() for i, image in enumerate(images)}
        values = interpret_graph(Graph(graph.nodes, tuple(range(len(graph)))), inputs, parameters)
        sizes = {"batch": 2, "channels": 2, "height": images[0].shape[2], "width": images[0].shape[3]}
        for node, value in zip(graph, values, strict=True):
            assert value.shape == tuple(size_of(dim, sizes) for dim in node.type.shape), str(node)
        np.testing.assert_allclose(values[-1], module(*images).detach().numpy(), rtol=1e-6, atol=1e-6, err_msg=text)
        assert graph.num_parameters(sizes) == sum(parameter.numel() for parameter in module.parameters())


def test_parameters_counted_by_hand() -> None:
    text = "0 sep_conv_3x3 1 sep_conv_5x5 1 max_pool_3x3 0 identity"
    count = sum(parameter.numel() for parameter in build(text, 0, channels=7).parameters())
    separable = {size: 2 * (7 * size * size + 7 * 7 + 2 * 7) for size in (3, 5)}
    assert count == separable[3] + separable[5] + 2 * 7 * 7 + 2 * 7


def test_an_average_is_over_the_places_inside() -> None:
    ones = torch.ones(1, 2, 3, 4, dtype=torch.float64)
    module = load_module(emit("0 avg_pool_3x3 1 avg_pool_3x3"), channels=2).double()
    module.get_submodule("output").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    seen: list[torch.Tensor] = []
    module(ones, ones)
    torch.testing.assert_close(seen[0], 2 * ones)


def test_what_no_block_takes_is_joined_inputs_too() -> None:
    graphs = {name: TARGET.elaborate(tree_of(text)) for name, text in GOLDENS.items()}
    loose = {name: [node.inputs for node in graph if node.op == "concat_channels"] for name, graph in graphs.items()}
    assert loose["only_identities"] == loose["a_chain"] == []
    assert [len(inputs) for inputs in loose["many_loose_ends"]] == [4]
    (inputs,) = loose["an_unused_input"]
    assert graphs["an_unused_input"].nodes[inputs[0]].attribute("name") == "input_1"


def test_a_block_alone_and_no_block() -> None:
    text = "0 identity 1 max_pool_3x3"
    block = tree_of(text).children[0]
    assert isinstance(block, ParseTree)
    assert TARGET.elaborate(block).nodes[:3] == TARGET.elaborate(tree_of(text)).nodes[:3]
    nothing = TARGET.elaborate(ParseTree("start", ()))
    assert [node.op for node in nothing] == ["input", "input", "concat_channels", "relu", "conv2d", "batch_norm"]


def test_different_cells_have_different_hashes() -> None:
    graphs = [TARGET.elaborate(tree_of(text)) for text in TEXTS]
    hashes = {graph_hash(graph) for graph in graphs}
    assert len(hashes) == len(set(TEXTS))
    assert {graph_hash(canonical_graph(graph)) for graph in graphs} == hashes


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes_saved_states_and_compiled_cells(dtype: torch.dtype) -> None:
    module, twin = (load_module(EMITTED[4], channels=3).to(dtype).eval() for _ in range(2))
    images = torch.randn(2, 2, 3, 5, 5).to(dtype)
    assert not torch.equal(twin(*images), module(*images))
    twin.load_state_dict(module.state_dict())
    assert torch.equal(twin(*images), module(*images))
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.equal(compiled(*images), module(*images))


# --- the grammar ------------------------------------------------------------------------------------------------------


def test_the_grammar_has_exactly_the_cells_that_can_be_built() -> None:
    """Sentences drawn by hand have a place in it, and what it has builds: no number names a later block."""
    for text in TEXTS:
        if len(text.split()) == 4 * 5:
            assert SPACES["start"].parse(text).hash == graph_hash(TARGET.elaborate(tree_of(text)))
    for program in SPACES["start"].samples(500, seed=1):
        assert program.graph.outputs


def test_a_number_of_a_later_block_is_refused_at_its_place() -> None:
    with pytest.raises(DslcError) as error:
        SPACES["blocks_3"].parse("0 identity 1 identity 3 identity 2 identity 0 identity 0 identity")
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.span is not None
    assert diagnostic.span.start == len("0 identity 1 identity ")


# --- sentences without meaning ----------------------------------------------------------------------------------------


def block(*parts: str) -> ParseTree:
    """A block of numbers and names of operations."""
    children = [Leaf("INPUT", part) if part.isdigit() or part == "x" else ParseTree(part, ()) for part in parts]
    return ParseTree("block", tuple(children), 0, "block", 0, 4)


@pytest.mark.parametrize(
    ("child", "code", "part"),
    [
        (block("0", "identity", "2", "identity"), Code.NO_SUCH_NODE, "`2` is no node: there are 2"),
        (block("x", "identity", "0", "identity"), Code.NO_SUCH_NODE, "`x`"),
        (block("0", "identity", "1"), Code.WRONG_CHILDREN, "`block`"),
        (block("identity", "0", "identity", "1"), Code.WRONG_CHILDREN, "`identity`"),
        (block("0", "sep_conv_7x7", "1", "identity"), Code.UNKNOWN_NAME, "`sep_conv_7x7`"),
        (ParseTree("blok", ()), Code.UNKNOWN_NAME, "`blok`"),
        (Leaf("INPUT", "0"), Code.WRONG_CHILDREN, "`start`"),
        (
            ParseTree(
                "block", (Leaf("N", "0"), ParseTree("identity", (Leaf("N", "1"),)), *block("1", "identity").children)
            ),
            Code.WRONG_CHILDREN,
            "`identity`",
        ),
    ],
)
def test_a_tree_without_meaning_is_a_diagnostic(child: ParseTree | Leaf, code: Code, part: str) -> None:
    with pytest.raises(DslcError) as error:
        TARGET.elaborate(ParseTree("start", (None, child)))
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code is code
    assert part in diagnostic.message
    assert diagnostic.help


# --- source and drawing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_files(name: str) -> None:
    path = GOLDEN / f"{name}.py"
    text = emit(GOLDENS[name]).text
    if os.environ.get("DSLC_REFRESH_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.py")} == set(GOLDENS)


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
def test_every_step_is_mapped_and_nothing_is_made_in_vain(source: PythonSource) -> None:
    module = ast.parse(source.text)
    *helpers, cell = [node for node in module.body if isinstance(node, ast.ClassDef)]
    assert [node.name for node in helpers] == (["SeparableConv"] if "sep_conv" in source.sentence else [])
    text = " ".join((ast.get_docstring(cell) or "").split())
    for part in (f"Sentence: {source.sentence} ", "Shapes: ", "arXiv"):
        assert part in text
    assert max(map(len, source.text.splitlines())) <= LINE_LENGTH
    assert not [node for node in ast.walk(module) if isinstance(node, ast.For | ast.comprehension)]
    forward = next(node for node in cell.body if isinstance(node, ast.FunctionDef) and node.name == "forward")
    for statement in forward.body:
        origin = source.origin(statement.lineno)
        assert origin is not None
        assert origin.rule in ("block", "start")
    attributes = [node for node in ast.walk(cell) if isinstance(node, ast.Attribute)]
    made = {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    assert made <= {node.attr for node in attributes if isinstance(node.ctx, ast.Load)}


def test_emitted_source_runs_where_dslc_is_not(tmp_path: Path) -> None:
    (tmp_path / "cell.py").write_text(emit(GOLDENS["five_blocks"]).text)
    code = (
        "import sys; sys.modules['dslc'] = None; sys.path.insert(0, sys.argv[1]); import torch\n"
        "from cell import ConvCell\nx = torch.ones(2, 4, 5, 3)\nprint(tuple(ConvCell(4)(x, x).shape))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "(2, 4, 5, 3)\n", done.stderr


def test_an_exception_names_the_block_or_the_operation() -> None:
    source = emit(GOLDENS["five_blocks"])
    module = load_module(source, channels=4)
    with pytest.raises(RuntimeError) as error:
        module(torch.ones(2, 4, 5, 5), torch.ones(2, 3, 5, 5))
    assert explain_exception(source, error.value).notes[0] == "it comes from `block`, tokens 1 to 4 of the sentence"
    with pytest.raises(DslcError) as failed:
        load_module(source, channels=-1)
    assert failed.value.diagnostics[0].notes[0] == "it comes from `sep_conv_3x3`, token 2 of the sentence"


def test_a_drawing_shows_each_operation_once() -> None:
    text = GOLDENS["five_blocks"]
    figure = draw_graph(TARGET.elaborate(tree_of(text)), text, TARGET).figure
    names = [box.name for box in figure.boxes]
    assert names.count("sep_conv") == text.count("sep_conv")
    assert names.count("add") == 5
    assert figure.note == "every other arrow carries batch × channels × height × width"
    assert {arrow.text for arrow in figure.arrows} == {"a", "b", "", "batch × 2·channels × height × width"}
