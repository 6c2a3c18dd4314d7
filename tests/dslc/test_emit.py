"""Emitted source: as a person would have written it, clean, and the same from change to change."""

import ast
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslc.diagnostics import Code, DslcError
from dslc.program.emit import LINE_LENGTH, Namespace, PythonSource, SourceWriter
from dslc.program.op_spec import Call
from dslc.program.op_tables.activation import BINARY, UNARY
from dslc.program.targets import get_target
from dslc.program.tree import ParseTree
from tests.dslc.program_trees import X, core, network, random_function, random_network, sentence, swish

GOLDEN = Path(__file__).parents[1] / "golden"
CASES: dict[str, ParseTree] = {
    "conv_net/one_layer": network((3, 3, 1, 1, 24)),
    "conv_net/three_layers": network((3, 5, 1, 1, 24), (7, 7, 2, 2, 48), (3, 1, 1, 3, 64)),
    "conv_net/fifteen_layers": network(*((3, 5, 3, 2, 36) for _ in range(15))),
    "conv_net/wide_filters": network((1, 7, 1, 3, 24), (5, 1, 3, 1, 36), (1, 1, 1, 1, 64), (7, 3, 2, 3, 48)),
    "conv_net/only_a_classifier": ParseTree("start", ()),
    "activation/swish": swish(),
    "activation/without_training": ParseTree("start", (core(X, X, "cos", "identity", "sub"),)),
    "activation/only_arithmetic": ParseTree("start", (core(X, X, "negate", "cube", "add"),)),
    "activation/one_beta": ParseTree("start", (core(X, X, "sigmoid", "asinh", "rbf"),)),
    "activation/three_cores": ParseTree(
        "nested", (core(core(X, X, "sqrt", "sin", "mul"), core(X, X, "sin", "sin", "div"), "log_abs", "shift", "mix"),)
    ),
}


def emit(tree: ParseTree) -> PythonSource:
    is_network = tree.name != "nested" and all(getattr(child, "name", "") == "layer" for child in tree.children)
    target = get_target("conv_net" if is_network else "activation")
    return target.emit(target.elaborate(tree), None, sentence(tree))


def every_function() -> list[ParseTree]:
    """A tree for each function of the paper, and its neighbours."""
    unary = [core(X, X, spec.name, spec.name, "add") for spec in UNARY]
    return [*unary, *(core(X, core(X, X, "sin", "scale", spec.name), "exp", "abs", spec.name) for spec in BINARY)]


def samples() -> list[PythonSource]:
    trees = [random_function(random.Random(seed), 1 + seed % 5) for seed in range(60)]
    trees += [random_network(random.Random(seed), seed % 16) for seed in range(32)]
    trees += [ParseTree("nested", (tree,)) for tree in every_function()]
    return [emit(tree) for tree in [*trees, *CASES.values()]]


SAMPLES = samples()


@pytest.mark.parametrize("name", CASES)
def test_golden_files(name: str) -> None:
    path = GOLDEN / f"{name}.py"
    text = emit(CASES[name]).text
    if os.environ.get("DSLC_REFRESH_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


def test_no_golden_file_is_left_over() -> None:
    found = {str(path.relative_to(GOLDEN).with_suffix("")) for path in GOLDEN.glob("*/*.py")}
    assert {name for name in found if name.split("/")[0] in ("conv_net", "activation")} == set(CASES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("emitted")
    for number, source in enumerate(SAMPLES):
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
    # D203 and D213 contradict D211 and D212; D107 wants a docstring in every constructor, D413 a blank line after it.
    ignored = "D203,D213,D100,D102,D107,D413,PLR2004"
    run_ruff(folder, "check", "--isolated", "--no-cache", "--line-length", "88", "--select", rules, "--ignore", ignored)


@pytest.mark.parametrize("length", [88, 100, 120])
def test_ruff_would_format_nothing(folder: Path, length: int) -> None:
    run_ruff(folder, "format", "--check", "--isolated", "--no-cache", "--line-length", str(length))


@pytest.mark.parametrize("source", SAMPLES)
def test_one_class_torch_only_no_loop_no_dead_code(source: PythonSource) -> None:
    assert source.text.startswith("# dslc.python/1\n")
    module = ast.parse(source.text)
    *imports, definition = module.body
    assert isinstance(definition, ast.ClassDef)
    assert definition.name == source.class_name
    names = [alias.name for node in imports for alias in getattr(node, "names", [])]
    modules = {getattr(node, "module", None) or "torch" for node in imports}
    assert (modules, set(names) - {"torch"}) == ({"torch"}, {"Tensor", "nn"})
    nodes = list(ast.walk(module))
    assert not [node for node in nodes if isinstance(node, ast.For | ast.While | ast.comprehension | ast.Lambda)]
    (forward,) = [node for node in definition.body if isinstance(node, ast.FunctionDef) and node.name == "forward"]
    stored = [node.id for node in ast.walk(forward) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    loaded = [node.id for node in ast.walk(forward) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    assert len(stored) == len(set(stored)), "every value has a name of its own"
    assert set(stored) <= set(loaded), "every value is used"
    assert "x" not in stored
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    read = {node.attr for node in ast.walk(forward) if isinstance(node, ast.Attribute)}
    assert attributes <= read, "everything that is made is used"


@pytest.mark.parametrize("source", SAMPLES)
def test_the_docstring_has_sentence_shapes_and_source(source: PythonSource) -> None:
    text = ast.get_docstring(ast.parse(source.text).body[-1], clean=True)  # type: ignore[arg-type]
    assert text is not None
    words = " ".join(text.split())
    assert f"Sentence: {source.sentence} ".replace("  ", " ") in words
    assert "Shapes: " in words
    assert "arXiv" in words
    assert max(len(line) for line in source.text.splitlines()) <= LINE_LENGTH


@pytest.mark.parametrize("source", SAMPLES)
def test_every_computing_line_is_mapped(source: PythonSource) -> None:
    lines = source.text.splitlines()
    assert sorted(origin.line for origin in source.line_map) == [origin.line for origin in source.line_map]
    forward = next(number for number, line in enumerate(lines, start=1) if "def forward" in line)
    for number, line in enumerate(lines[forward:], start=forward + 1):
        if line.strip() and not line.strip().startswith(("#", "per_channel")):
            origin = source.origin(number)
            assert origin is not None, line
            assert origin.rule
    assert source.origin(1) is None


def test_formulas_are_the_papers() -> None:
    def formula(tree: ParseTree) -> str:
        return emit(ParseTree("nested", (tree,))).text.split('"""')[1].split("\n")[0]

    assert formula(core(X, X, "identity", "sigmoid", "mul")) == "The activation function f(x) = x * sigmoid(x)."
    assert formula(core(X, X, "scale", "square", "sub")) == "The activation function f(x) = (beta * x) - (x^2)."
    inner = core(X, X, "sin", "shift", "div")
    assert formula(core(inner, X, "exp", "identity", "max")) == (
        "The activation function f(x) = max(exp(sin(x) / ((x + beta) + eps)), x)."
    )


def test_emitted_source_runs_where_dslc_is_not(tmp_path: Path) -> None:
    for name in ("conv_net/three_layers", "activation/three_cores"):
        (tmp_path / f"{name.replace('/', '_')}.py").write_text(emit(CASES[name]).text)
    code = (
        "import sys; sys.modules['dslc'] = None; sys.path.insert(0, sys.argv[1]); import torch\n"
        "from conv_net_three_layers import ConvNet; from activation_three_cores import Activation\n"
        "print(tuple(ConvNet(3, 10)(torch.ones(2, 3, 9, 9)).shape), tuple(Activation(3)(torch.ones(2, 3)).shape))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "(2, 10) (2, 3)\n", done.stderr


# --- the parts --------------------------------------------------------------------------------------------------------


def test_class_names() -> None:
    target = get_target("conv_net")
    graph = target.elaborate(CASES["conv_net/one_layer"])
    assert "\nclass Best(nn.Module):\n" in target.emit(graph, "Best", "").text
    for name in ("", "2d", "a b", "class", "nn", "Tensor", "x\nimport os"):
        with pytest.raises(DslcError) as error:
            target.emit(graph, name or "\n", "")
        assert error.value.diagnostics[0].code is Code.BAD_CLASS_NAME


@given(st.text(max_size=200) | st.text(alphabet="ab \"'\\\n{}#", max_size=40))
def test_any_sentence_is_safe_in_the_docstring(text: str) -> None:
    target = get_target("activation")
    graph = target.elaborate(CASES["activation/swish"])
    quiet = target.emit(graph, None, "")
    loud = target.emit(graph, None, text)
    one, other = (ast.parse(source.text).body[-1] for source in (quiet, loud))
    assert isinstance(one, ast.ClassDef)
    assert isinstance(other, ast.ClassDef)
    assert [ast.dump(node) for node in one.body[1:]] == [ast.dump(node) for node in other.body[1:]]
    assert loud.text.isprintable() or set(loud.text) - {"\n"} <= {c for c in loud.text if c.isprintable()}


@given(st.lists(st.sampled_from(["x", "sine", "sine_2", "for", "torch", "total"]), max_size=30))
def test_names_never_collide(wanted: list[str]) -> None:
    names = Namespace(["x"])
    created = [names.create(name) for name in wanted]
    assert len(set(created)) == len(created)
    assert not {"x", "for", "torch"} & set(created)
    assert all(name.isidentifier() for name in created)


def test_long_calls_have_one_argument_a_line() -> None:
    writer = SourceWriter()
    short, long = Call("f", ("a", "b=1")), Call("nn.Conv2d", tuple(f"argument_{i}=1" for i in range(8)))
    node = get_target("conv_net").elaborate(CASES["conv_net/one_layer"]).nodes[1]
    with writer.indented():
        writer.write_call("y = ", short, node=node)
        writer.write_call("y = ", long, ",", node=node)
    source = writer.finish("C", "")
    lines = source.text.splitlines()
    assert lines[:3] == ["    y = f(a, b=1)", "    y = nn.Conv2d(", "        argument_0=1,"]
    assert lines[-1] == "    ),"
    assert [origin.line for origin in source.line_map] == list(range(1, len(lines)))
