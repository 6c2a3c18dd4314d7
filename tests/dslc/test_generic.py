"""The target `generic` against an interpreter of the tree in numpy, which knows neither the table of ops nor graphs."""

import ast
import copy
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import dslc
from dslc.checks import check_file
from dslc.diagnostics import Code, DslcError, Severity
from dslc.program.canonical import graph_hash
from dslc.program.emit import LINE_LENGTH
from dslc.program.interpret import interpret_graph
from dslc.program.targets import Built, get_target
from dslc.program.targets.generic import Generic
from dslc.program.tree import Leaf, ParseTree
from dslc.search import search
from dslc.source import SourceFile

Array = NDArray[np.float64]
GOLDEN = Path(__file__).parents[1] / "golden" / "generic"

SCHEDULES = """\
//! target generic(t, T)
//! max_tokens 24
//! op pi() = 3.141592653589793
//! op half_cosine(x) = 0.5 * (1 + cos(pi() * x))
//! op warm(x, share) = min(x / share, 1)
//! op warm_cosine(x) = warm(x, 0.1) * half_cosine(x) ** 2
//! op second(a, b) = b
start: sum
?sum: product | sum "+" product -> add | sum "-" product -> sub
?product: factor | product "*" factor -> mul | product "/" factor -> divide
?factor: "-" factor -> negate
  | "(" sum ")"
  | "cos" "(" sum ")" -> cos
  | "exp" "(" sum ")" -> exp
  | "sigmoid" "(" sum ")" -> sigmoid
  | "cube" "(" sum ")" -> cube
  | "softplus" "(" sum ")" -> softplus
  | "half_cosine" "(" sum ")" -> half_cosine
  | "warm" "(" sum "," NUMBER ")" -> warm
  | "warm_cosine" "(" sum ")" -> warm_cosine
  | "second" "(" sum "," sum ")" -> second
  | "max" "(" sum "," sum ")" -> max
  | "min" "(" sum "," sum ")" -> min
  | "pow" "(" sum "," sum ")" -> pow
  | "gate" "(" sum "," sum ")" -> gate
  | "pi" -> pi
  | "total" -> t
  | VALUE
  | NUMBER
VALUE: "t" | "T"
NUMBER: "0.1" | "2" | "-0.5" | "1e-3"
%ignore " "
"""


# --- the oracle -------------------------------------------------------------------------------------------------------


def interpret(tree: ParseTree, t: Array, T: Array) -> Array:  # noqa: N803
    """The value of a tree of the language above."""

    def value(node: ParseTree | Leaf | None) -> Any:
        assert node is not None
        if isinstance(node, Leaf):
            return {"t": t, "T": T}[node.text] if node.text in "tT" else np.float64(node.text)
        values = [value(child) for child in node.children]
        match node.name, values:
            case "start", [a]:
                return a
            case "t", []:
                return t
            case "pi", []:
                return np.float64(np.pi)
            case "add", [a, b]:
                return a + b
            case "sub", [a, b]:
                return a - b
            case "mul", [a, b]:
                return a * b
            case "divide", [a, b]:
                return a / b
            case "negate", [a]:
                return np.negative(a)
            case "cos", [a]:
                return np.cos(a)
            case "exp", [a]:
                return np.exp(a)
            case "sigmoid", [a]:
                return 1 / (1 + np.exp(-a))
            case "cube", [a]:
                return a * a * a
            case "softplus", [a]:
                return np.where(a > 30, a, np.log1p(np.exp(np.minimum(a, 30))))
            case "half_cosine", [a]:
                return (1 + np.cos(np.pi * a)) / 2
            case "warm", [a, b]:
                return np.minimum(a / b, 1)
            case "warm_cosine", [a]:
                return np.minimum(a * 10, 1) * (0.5 + np.cos(np.pi * a) / 2) ** 2
            case "second", [_, b]:
                return b
            case "max", [a, b]:
                return np.maximum(a, b)
            case "min", [a, b]:
                return np.minimum(a, b)
            case "pow", [a, b]:
                return a**b
            case "gate", [a, b]:
                return b / (1 + np.exp(-a))
        raise AssertionError(node.name)

    with np.errstate(all="ignore"):
        return np.broadcast_to(value(tree), t.shape)


SPACE = dslc.compile_text(SCHEDULES, name="schedules.lark")
SAMPLES = [*SPACE.samples(120, seed=0, lengths="even"), *SPACE.samples(80, seed=100)]
T_STEPS, TOTAL = np.array([0.05, 0.2, 0.7, 1.3, 2.1, 3.9]), np.array([1.7, 0.4, 2.3, 0.9, 1.1, 3.1])


def tensors(requires_grad: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(T_STEPS).requires_grad_(requires_grad), torch.from_numpy(TOTAL).requires_grad_(
        requires_grad
    )


def run(program: dslc.Program, *values: torch.Tensor) -> torch.Tensor:
    function: Any = program.build()
    result = function(*values)
    assert isinstance(result, torch.Tensor)
    return result


def test_the_samples_hold_everything() -> None:
    text = " ".join(program.text for program in SAMPLES)
    functions = set(re.findall(r'"([a-z_]+)" "\("', SCHEDULES))
    assert len(functions) == 13
    assert all(f" {name} (" in f" {text}" for name in functions)
    assert {"total", "pi", "t", "T", "0.1", "2", "-0.5", "1e-3", "/"} <= set(text.split())
    assert max(len(program.tokens) for program in SAMPLES) == 24


@pytest.mark.parametrize("program", SAMPLES)
def test_forward_equals_the_tree(program: dslc.Program) -> None:
    expected = interpret(program.tree, T_STEPS, TOTAL)
    found = run(program, *tensors())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-12, err_msg=program.text)
    with np.errstate(all="ignore"):
        (by_graph,) = interpret_graph(program.graph, {"t": T_STEPS, "T": TOTAL})
        np.testing.assert_allclose(np.broadcast_to(by_graph, T_STEPS.shape), expected, rtol=1e-9, atol=1e-12)


def test_backward_equals_the_tree() -> None:
    num_checked = 0
    for program in SAMPLES:
        inputs = tensors(requires_grad=True)
        found = run(program, *inputs)
        if not found.requires_grad:
            continue
        slopes = torch.autograd.grad(found.sum(), inputs, allow_unused=True)
        for place, slope in enumerate(slopes):
            numeric, is_smooth = derivative(program.tree, place)
            slope_found = np.zeros_like(T_STEPS) if slope is None else slope.numpy()
            is_smooth &= np.isfinite(slope_found)
            np.testing.assert_allclose(
                slope_found[is_smooth], numeric[is_smooth], rtol=2e-4, atol=2e-5, err_msg=program.text
            )
            num_checked += int(is_smooth.sum())
    assert num_checked > 1000


def derivative(tree: ParseTree, place: int, step: float = 1e-6) -> tuple[Array, NDArray[np.bool_]]:
    """Central differences by one input, and where they can be trusted: finite, no kink, not steep, no digits lost."""

    def moved(by: float) -> Array:
        values = [T_STEPS, TOTAL]
        values[place] = values[place] + by
        return interpret(tree, values[0], values[1])

    with np.errstate(all="ignore"):
        below, here, above = moved(-step), moved(0.0), moved(step)
        slope, left, right = (above - below) / (2 * step), (here - below) / step, (above - here) / step
        is_smooth = np.isfinite(slope) & (np.abs(left - right) <= 1e-3 * (np.abs(slope) + 0.01))
        is_smooth &= (np.abs(here) < 1e3) & (np.abs(slope) < 1e3)
        wider = (moved(10 * step) - moved(-10 * step)) / (20 * step)
        is_smooth &= np.abs(wider - slope) <= 1e-4 * np.abs(slope) + 1e-5
    return slope, is_smooth


@pytest.mark.parametrize(
    "text",
    [
        "warm_cosine ( t / T )",
        "gate ( t , T ) * sigmoid ( t - T )",
        "pow ( exp ( t ) , T )",
        "softplus ( cube ( t ) ) / T",
    ],
)
def test_gradcheck(text: str) -> None:
    assert torch.autograd.gradcheck(lambda *values: run(SPACE.parse(text), *values), tensors(requires_grad=True))


# --- the function -----------------------------------------------------------------------------------------------------


def test_it_is_a_function() -> None:
    target = SPACE.meaning()
    assert target.builds is Built.FUNCTION
    program = SPACE.parse("t * T")
    function: Any = program.build()
    assert function.__name__ == "compute"
    assert function.__annotations__ == {"t": torch.Tensor, "T": torch.Tensor, "return": torch.Tensor}
    assert program.num_parameters is None
    with pytest.raises(DslcError):
        program.build(num_channels=3)


def test_inputs_broadcast() -> None:
    t, total = torch.arange(12.0).reshape(3, 4), torch.tensor(8.0)
    torch.testing.assert_close(run(SPACE.parse("t / T"), t, total), t / 8)
    assert run(SPACE.parse("2"), t, total).shape == (3, 4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_dtypes_are_kept(dtype: torch.dtype) -> None:
    values = [value.to(dtype) for value in tensors()]
    for program in SAMPLES[:60]:
        assert run(program, *values).dtype == dtype, program.source.text


def test_compiles_to_one_graph() -> None:
    for text in ("warm_cosine ( t / T ) + 2", "max ( t , 2 ) * pow ( -0.5 , 0.1 )"):
        function: Any = SPACE.parse(text).build()
        compiled: Any = torch.compile(function, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(*tensors()), function(*tensors()), equal_nan=True)


def test_equal_functions_are_one_program() -> None:
    renamed = SCHEDULES.replace("half_cosine(x)", "bump(x)").replace("-> half_cosine", "-> bump")
    other = dslc.compile_text(renamed.replace("warm_cosine(x) = warm(x, 0.1) * bump(x)", "warm_cosine(x) = x"))
    text = "half_cosine ( t ) * 2"
    assert SPACE.parse(text).hash == other.parse(text).hash
    assert SPACE.parse(text).hash != SPACE.parse("half_cosine ( T ) * 2").hash
    assert SPACE.parse("second ( T , t )").hash == SPACE.parse("t").hash == SPACE.parse("total").hash


def test_what_is_written_twice_is_computed_once() -> None:
    program = SPACE.parse("cos ( t / T ) * exp ( t / T )")
    assert len(program.graph) == 6
    assert program.source.text.count("= t / T\n") == 1


def test_very_deep_sentences() -> None:
    target = Generic().configure(("x",), {})
    tree = ParseTree("start", (Leaf("X", "x"),), rule="start")
    for _ in range(3000):
        tree = ParseTree("add", (ParseTree("sin", (tree,), rule="e"), Leaf("N", "1")), rule="e")
    graph = target.elaborate(tree)
    assert len(graph) == 2 + 2 * 3000
    assert len(graph_hash(graph)) == 64
    assert target.write_formula(graph) is None
    assert target.emit(graph, None, "").text.count("torch.sin(") == 3000


def test_formulas_and_curves() -> None:
    target = SPACE.meaning()

    def formula(text: str) -> str | None:
        return target.write_formula(SPACE.parse(text).graph)

    assert formula("( t + T ) * - t") == "f(t, T) = (t + T) * -t"
    assert formula("pow ( t / T , 2 )") == "f(t, T) = (t / T)^2"
    assert formula("cube ( - t ) - ( t - T )") == "f(t, T) = (-t)^3 - (t - T)"
    assert formula("gate ( t , T + 2 )") == "f(t, T) = sigmoid(t) * (T + 2)"
    assert formula("warm_cosine ( warm_cosine ( t ) )") is None
    assert target.plot_inputs(SPACE.parse("t").graph) is None
    one = dslc.compile_text('//! target generic(x)\nstart: "s" X -> sin | "c" X -> cos\nX: "x" | "2"\n')
    assert one.meaning().plot_inputs(one[0].graph) == (-5.0, 5.0)


# --- the source -------------------------------------------------------------------------------------------------------

CASES = {
    "one_op": "warm_cosine ( t / T )",
    "named_values": "max ( cos ( t / T ) , 0.1 ) - exp ( t )",
    "long_formula": "warm_cosine ( half_cosine ( t * T ) ) - pow ( t , 2 )",
    "only_numbers": "max ( pow ( -0.5 , 0.1 ) , 2 ) - pi",
    "with_a_module": "softplus ( second ( T , t ) ) + -0.5",
}


@pytest.mark.parametrize("name", CASES)
def test_golden_files(name: str) -> None:
    path = GOLDEN / f"{name}.py"
    text = SPACE.parse(CASES[name]).source.text
    if os.environ.get("DSLC_REFRESH_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text
    assert {found.stem for found in GOLDEN.glob("*.py")} == set(CASES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("emitted")
    for number, program in enumerate(SAMPLES):
        (path / f"sample_{number}.py").write_text(program.source.text)
    return path


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")])
def test_ruff_is_content(folder: Path, arguments: tuple[str, ...]) -> None:
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if ruff is None:
        pytest.skip("ruff is not installed")
    # N803: the names of the arguments are the grammar's.
    rules = ("--select", "E,W,F,I,UP,B,A,C4,SIM,RUF,N,ARG,PIE,RET,PERF,D1,D2,D3,D4,ANN,PL")
    ignored = ("--ignore", "D203,D213,D100,D413,PLR2004,N803")
    options = (*rules, *ignored) if arguments == ("check",) else ()
    command = [ruff, *arguments, "--isolated", "--no-cache", "--line-length", str(LINE_LENGTH), *options, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("program", SAMPLES)
def test_one_function_with_nothing_in_vain(program: dslc.Program) -> None:
    source = program.source
    module = ast.parse(source.text)
    *imports, definition = module.body
    assert isinstance(definition, ast.FunctionDef)
    assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in imports)
    nodes = list(ast.walk(definition))
    assert not [node for node in nodes if isinstance(node, ast.For | ast.While | ast.comprehension | ast.Lambda)]
    stored = [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    loaded = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert len(stored) == len(set(stored)), "every value has a name of its own"
    assert set(stored) <= loaded, "every value is used"
    assert ("torch" in loaded) == ("import torch\n" in source.text)
    docstring = " ".join((ast.get_docstring(definition) or "").split())
    assert f"Sentence: {program.text} Shapes: t [...], T [...] to [...]; inputs broadcast." in docstring
    for number, line in enumerate(source.text.splitlines()[definition.body[0].end_lineno or 0 :], start=1):
        if line.strip() and not line.strip().startswith("del "):
            origin = source.origin((definition.body[0].end_lineno or 0) + number)
            assert origin is not None
            assert origin.rule


def test_it_runs_where_dslc_is_not(tmp_path: Path) -> None:
    (tmp_path / "schedule.py").write_text(SPACE.parse(CASES["one_op"]).source.text)
    code = (
        "import sys; sys.modules['dslc'] = None; sys.path.insert(0, sys.argv[1]); import torch\n"
        "from schedule import compute; print(compute(torch.tensor(1.0), torch.tensor(2.0)).item())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert float(done.stdout) == pytest.approx(0.25), done.stderr


def test_programs_of_a_grammar_survive_copying() -> None:
    program = SPACE.parse(CASES["one_op"])
    assert copy.deepcopy(program.graph) == program.graph == pickle.loads(pickle.dumps(program.graph))


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_failure_names_the_rule_and_the_sentence(tmp_path: Path) -> None:
    def reward(program: dslc.Program, context: object) -> float:  # noqa: ARG001
        function: Any = program.build()
        return float(function(torch.ones(3), torch.ones(4)).sum())

    space = dslc.compile_text(
        '//! target generic(t, T)\n//! op both(a, b) = exp(a) * cos(b)\nstart: VALUE VALUE -> both\nVALUE: "t" | "T"\n'
        '%ignore " "\n'
    )
    result = search(space, task=reward, strategy="random", evaluations=20, control=0, seed=0, run_dir=tmp_path / "run")
    failed = {r.program.text: r.diagnostic for r in result.records() if r.diagnostic is not None}
    assert set(failed) == {"t T", "T t"}
    diagnostic = failed["t T"]
    assert diagnostic is not None
    assert diagnostic.code is Code.EMITTED_CODE_FAILED
    assert "size of tensor a (3) must match" in diagnostic.message
    assert diagnostic.notes[0] == "it comes from `both`, tokens 1 to 2 of the sentence"
    assert diagnostic.notes[1] == "the sentence is `t T`"
    assert "return torch.exp(t) * torch.cos(T)" in diagnostic.notes[2]


# --- what grammars get wrong ------------------------------------------------------------------------------------------


def check_text(text: str) -> list[tuple[Code, int, str, str]]:
    found = [d for d in check_file(SourceFile("a.lark", text)) if d.severity is Severity.ERROR]
    return [(d.code, d.span.location.line if d.span else 0, d.message, d.help or "") for d in found]


@pytest.mark.parametrize(
    ("rules", "code", "line", "part", "help"),
    [
        ('start: x -> sinn\nx: "x"', Code.UNKNOWN_NAME, 3, "knows no `sinn`", "did you mean `sin`?"),
        ('start: x -> bumb\nx: "x"', Code.UNKNOWN_NAME, 3, "knows no `bumb`", "did you mean `bump`?"),
        ('start: x -> scale\nx: "x"', Code.UNKNOWN_NAME, 3, "knows no `scale`", "an op: "),
        (
            'start: x -> max\nx: "x"',
            Code.WRONG_CHILDREN,
            3,
            "`max` of the target `generic` holds 1 value, not 2",
            "a, b",
        ),
        ('start: x x -> bump | x\nx: "x"', Code.WRONG_CHILDREN, 3, "holds 2 values, not 1", "give it v"),
        ('start: A -> x\nA: "x" | "1"', Code.WRONG_CHILDREN, 3, "holds 1 value, not 0", "text in quotes"),
        ('start: A\nA: "x" | "y" | "1"', Code.UNKNOWN_NAME, 3, "`y` of A is neither", "the inputs are: x"),
        ('start: A\nA: "x" | "one" | "oone"', Code.UNKNOWN_NAME, 3, "`oone` of A", "did you mean `one`?"),
        ('start: x x | x\nx: "x"', Code.UNKNOWN_NAME, 3, "holds 2 values and has no alias that says", "`-> add`"),
        ('start: "y" | x\nx: "x"', Code.UNKNOWN_NAME, 3, "holds nothing and has no alias that says", "`-> x`"),
        (
            'start: exp\nexp: x | x "+" x -> add\nx: "x"',
            Code.UNKNOWN_NAME,
            4,
            "rule `exp` has the name of an op",
            "rename the rule",
        ),
        (
            'start: exp\nexp: x -> exp | x x -> add\nx: "x"',
            Code.UNKNOWN_NAME,
            4,
            "rule `exp` has the name of an op",
            "rename",
        ),
        ('start: x [x] -> add\nx: "x"', Code.WRONG_CHILDREN, 3, "absent `[...]`", "one without"),
        ('start: a -> sin\na: "x" | "one"', Code.EQUAL_TREES, 4, "cannot be told apart", "add aliases"),
    ],
)
def test_check_finds_what_has_no_meaning(rules: str, code: Code, line: int, part: str, help: str) -> None:
    header = "//! target generic(x)\n//! op bump(v) = exp(-v * v)\n"
    found = check_text(f"{header}{rules}\n//! op one() = 1\n")
    assert found, "something is found"
    assert (code, line) in [(c, at) for c, at, _, _ in found]
    assert any(part in message and help in advice for _, _, message, advice in found), found


@pytest.mark.parametrize(
    "rules",
    [
        'start: x | x "+" x -> add\nx: "x" | "sin" "(" x ")" -> sin',
        'start: A | "one" -> one | "x" -> x\nA: "x" | "-2e-3" | "one"',
        '?start: exp\n?exp: x | exp "*" x -> mul\nx: "x"',
        'start: _pair -> max\n_pair: x "," x\nx: "x" -> x | "1" -> one',
        '!start: "x" | "one" | "1"',
        'start: x\n?x: "x" -> x | "bump" x -> bump',
        'start: max\nmax: x | "max" x x -> max\nx: "x"',
        'start: max\nmax: x x\nx: "x" -> x | "1" -> one',
    ],
)
def test_check_is_content_with_what_has_meaning(rules: str) -> None:
    header = "//! target generic(x)\n//! op bump(v) = exp(-v * v)\n//! op one() = 1\n//! max_tokens 6\n"
    text = f'{header}{rules}\n%ignore " "\n'
    assert check_text(text) == []
    for program in dslc.compile_text(text).samples(20, seed=0):
        assert torch.isfinite(run(program, torch.tensor([0.5, 1.0]))).all()


@pytest.mark.parametrize(
    ("line", "code", "part"),
    [
        ("generic", Code.TARGET_ARGUMENTS, "needs the names"),
        ("generic()", Code.TARGET_ARGUMENTS, "needs the names"),
        ("generic(lambda)", Code.TARGET_ARGUMENTS, "`lambda`"),
        ("generic(torch)", Code.TARGET_ARGUMENTS, "`torch`"),
        ("generic(compute)", Code.TARGET_ARGUMENTS, "`compute`"),
        ("generc(x)", Code.UNKNOWN_TARGET, "`generc`"),
    ],
)
def test_the_target_line(line: str, code: Code, part: str) -> None:
    ((found, at, message, help),) = check_text(f'//! target {line}\nstart: X\nX: "1" | "2"\n')
    assert (found, at) == (code, 1)
    assert part in message
    assert help


@pytest.mark.parametrize(
    ("tree", "code"),
    [
        (ParseTree("sinn", (Leaf("X", "x"),), rule="e"), Code.UNKNOWN_NAME),
        (ParseTree("sin", (Leaf("X", "y"),), rule="e"), Code.UNKNOWN_NAME),
        (ParseTree("sin", (Leaf("X", "x"), Leaf("X", "x")), rule="e"), Code.WRONG_CHILDREN),
        (ParseTree("add", (Leaf("X", "x"), None), rule="e"), Code.WRONG_CHILDREN),
        (ParseTree("e", (Leaf("X", "x"), Leaf("X", "x")), rule="e"), Code.WRONG_CHILDREN),
        (ParseTree("e", (None,), rule="e"), Code.WRONG_CHILDREN),
        (ParseTree("e", (), rule="e"), Code.WRONG_CHILDREN),
        (ParseTree("sin", (Leaf("X", "x"),), rule="sin"), Code.UNKNOWN_NAME),
    ],
)
def test_a_tree_without_meaning_is_a_diagnostic(tree: ParseTree, code: Code) -> None:
    with pytest.raises(DslcError) as error:
        Generic().configure(("x",), {}).elaborate(tree)
    assert [d.code for d in error.value.diagnostics] == [code]
    assert error.value.diagnostics[0].help


def test_the_target_is_found_by_name() -> None:
    assert get_target("generic") == Generic()
