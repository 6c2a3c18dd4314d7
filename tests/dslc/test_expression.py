"""The target `expression` against an interpreter of trees in numpy, autograd's check and closed forms."""

import ast
import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.program.constants import constant_names, with_constants
from dslc.program.emit import LINE_LENGTH, PythonSource
from dslc.program.load import explain_exception, load_name
from dslc.program.targets import Built, get_target
from dslc.program.tree import Leaf, ParseTree
from dslc.space import Program, Space

Array = NDArray[Any]
GOLDEN = Path(__file__).parents[1] / "golden" / "expression"
TARGET = get_target("expression")
SPACES = {start: dslc.compile("expression", start=start) for start in ("start", "two_variables", "numbers", "fitted")}


# --- the oracle -------------------------------------------------------------------------------------------------------


def interpret(tree: ParseTree, x: Array, y: Array, constants: list[float], parts: list[Array] | None = None) -> Array:
    """The value of a tree, in the precision of x; takes the constants in the order in which the sentence names them.

    The values of all its parts are added to `parts`.
    """
    rest = list(constants)

    def value(node: ParseTree) -> Any:
        result = value_of(node)
        if parts is not None:
            parts.append(np.broadcast_to(result, x.shape))
        return result

    def value_of(node: ParseTree) -> Any:
        operands = [value(child) for child in node.children if isinstance(child, ParseTree)]
        match node.name, operands:
            case (("start" | "two_variables" | "numbers" | "fitted"), [only]):
                return only
            case "x", []:
                return x
            case "y", []:
                return y
            case "number", []:
                (leaf,) = node.children
                assert isinstance(leaf, Leaf)
                return x.dtype.type(leaf.text)
            case "fit", []:
                return x.dtype.type(rest.pop(0))
            case "add", [a, b]:
                return b + a
            case "sub", [a, b]:
                return -b + a
            case "mul", [a, b]:
                return b * a
            case "div", [a, b]:
                return np.divide(a, b)
            case "sin", [a]:
                return np.sin(a)
            case "cos", [a]:
                return np.cos(a)
            case "exp", [a]:
                return np.exp(a)
            case "log", [a]:
                return np.log(a)
        raise AssertionError(node.name)

    with np.errstate(all="ignore"):
        return np.broadcast_to(value(tree), x.shape)


def stable_values(tree: ParseTree, x: Array, y: Array, constants: list[float]) -> tuple[Array, Array]:
    """Values of a tree, and where rounding does not decide them: there double and extended precision agree."""
    rough = interpret(tree, x, y, constants)
    with np.errstate(all="ignore"):
        fine = interpret(tree, x.astype(np.longdouble), y.astype(np.longdouble), constants).astype(np.float64)
        is_stable = (rough == fine) | (np.isnan(rough) & np.isnan(fine)) | (np.abs(rough - fine) < 1e-9 * np.abs(fine))
    return rough, is_stable


def draw_programs(space: Space, count: int, lengths: Literal["uniform", "even"]) -> list[Program]:
    """Programs of a space; those with too many constants are drawn anew."""
    kept = []
    for program in space.samples(4 * count, seed=1, lengths=lengths):
        if program.text.split().count("c") <= 8:
            kept.append(program)
    assert len(kept) >= count
    return kept[:count]


def points(seed: int) -> tuple[Array, Array, list[float]]:
    generator = np.random.default_rng(seed)
    x, y = generator.uniform(-2, 2, (2, 13))
    x[0], y[1] = 0.0, 0.0
    return x, y, [float(c) for c in generator.uniform(-2, 2, 8).round(3)]


def call(program: Program, x: Any, y: Any, constants: Any) -> torch.Tensor:
    function: Any = program.build()
    given = {"x": x, "y": y}
    inputs = {str(node.attribute("name")): given[str(node.attribute("name"))] for node in program.graph.inputs}
    result = function(**inputs, **dict(zip(constant_names(program.graph), constants, strict=False)))
    assert isinstance(result, torch.Tensor)
    return result


BY_START = {start: draw_programs(space, 50, "even") for start, space in SPACES.items()}
EVEN = [program for programs in BY_START.values() for program in programs]
# Uniform sentences have nearly the whole budget, and so many constants where there are any: a smaller budget there.
SHORT = {**SPACES, "fitted": dslc.compile("expression", start="fitted", max_tokens=16)}
UNIFORM = [program for space in SHORT.values() for program in draw_programs(space, 50, "uniform")]


@pytest.mark.parametrize(("programs", "least_finite"), [(EVEN, 0.3), (UNIFORM, 0.02)], ids=["even lengths", "uniform"])
def test_200_sentences_equal_their_trees(programs: list[Program], least_finite: float) -> None:
    num_checked = num_finite = num_points = 0
    for seed, program in enumerate(programs):
        x, y, constants = points(seed)
        expected, is_stable = stable_values(program.tree, x, y, constants)
        found = call(program, torch.from_numpy(x), torch.from_numpy(y), constants).numpy()
        assert found.shape == x.shape
        np.testing.assert_allclose(found[is_stable], expected[is_stable], rtol=1e-7, err_msg=program.text)
        num_checked += int(is_stable.sum())
        num_finite += int((is_stable & np.isfinite(expected)).sum())
        num_points += x.size
    assert num_checked > 0.9 * num_points
    assert num_finite > least_finite * num_points


def test_gradients_in_inputs_and_constants_equal_differences() -> None:
    num_checked = 0
    for seed, program in enumerate(p for p in EVEN if len(p.tokens) <= 30):
        x, y, constants = points(seed)
        is_tame = tame_points(program.tree, x, y, constants)
        if not is_tame.any():
            continue
        inputs = [torch.from_numpy(v[is_tame]).requires_grad_() for v in (x, y)]
        trained = [torch.tensor(c, dtype=torch.float64, requires_grad=True) for c in constants]

        def run(*values: torch.Tensor, program: Program = program) -> torch.Tensor:
            # A sum with every argument: gradcheck wants an output that depends on something.
            return call(program, values[0], values[1], values[2:]) + 0 * sum(v.sum() for v in values)

        assert torch.autograd.gradcheck(run, (*inputs, *trained)), program.text
        num_checked += 1
    assert num_checked > 40


def tame_points(tree: ParseTree, x: Array, y: Array, constants: list[float]) -> Array:
    """Where the function is finite and flat enough that a difference quotient is close to the derivative."""
    values, is_tame = stable_values(tree, x, y, constants)
    parts: list[Array] = []
    interpret(tree, x, y, constants, parts)
    with np.errstate(all="ignore"):
        # Where a part is infinite, so is its derivative, and the chain rule gives nan even if the whole is finite.
        is_tame = is_tame & np.all([np.abs(part) < 1e3 for part in parts], axis=0)
        for step in (-1e-3, 1e-3):
            shifted = [c + step for c in constants]
            for moved in (interpret(tree, x + step, y - step, constants), interpret(tree, x, y, shifted)):
                is_tame &= np.isfinite(moved) & (np.abs(moved - values) < 0.1)
    return np.asarray(is_tame)


# --- closed forms -----------------------------------------------------------------------------------------------------


def power(n: int) -> str:
    return "x" if n == 1 else f"mul ( x , {power(n - 1)} )"


def total(*terms: str) -> str:
    return terms[0] if len(terms) == 1 else f"add ( {terms[0]} , {total(*terms[1:])} )"


ONE = "div ( x , x )"
SQUARE = "mul ( x , x )"
NGUYEN: dict[int, tuple[str, str, Callable[[Array, Array], Array]]] = {
    1: ("start", total(*map(power, (3, 2, 1))), lambda x, _: x**3 + x**2 + x),
    2: ("start", total(*map(power, (4, 3, 2, 1))), lambda x, _: x**4 + x**3 + x**2 + x),
    3: ("start", total(*map(power, (5, 4, 3, 2, 1))), lambda x, _: x**5 + x**4 + x**3 + x**2 + x),
    4: ("start", total(*map(power, (6, 5, 4, 3, 2, 1))), lambda x, _: x**6 + x**5 + x**4 + x**3 + x**2 + x),
    5: ("start", f"sub ( mul ( sin ( {SQUARE} ) , cos ( x ) ) , {ONE} )", lambda x, _: np.sin(x**2) * np.cos(x) - 1),
    6: ("start", f"add ( sin ( x ) , sin ( add ( x , {SQUARE} ) ) )", lambda x, _: np.sin(x) + np.sin(x + x**2)),
    7: (
        "start",
        f"add ( log ( add ( x , {ONE} ) ) , log ( add ( {SQUARE} , {ONE} ) ) )",
        lambda x, _: np.log1p(x) + np.log1p(x**2),
    ),
    # exp(log(x) x / (x + x)): half the logarithm, without the number 2.
    8: ("start", "exp ( mul ( log ( x ) , div ( x , add ( x , x ) ) ) )", lambda x, _: np.sqrt(x)),
    9: ("two_variables", "add ( sin ( x ) , sin ( mul ( y , y ) ) )", lambda x, y: np.sin(x) + np.sin(y**2)),
    10: (
        "two_variables",
        "add ( mul ( sin ( x ) , cos ( y ) ) , mul ( sin ( x ) , cos ( y ) ) )",
        lambda x, y: 2 * np.sin(x) * np.cos(y),
    ),
    11: ("two_variables", "exp ( mul ( y , log ( x ) ) )", lambda x, y: x**y),
    # y^2/2 - y is y (y - 2) / 2, where 2 is (x + x) / x.
    12: (
        "two_variables",
        f"add ( sub ( {power(4)} , {power(3)} ) , sub ( div ( mul ( y , y ) , div ( add ( x , x ) , x ) ) , y ) )",
        lambda x, y: x**4 - x**3 + y**2 / 2 - y,
    ),
}


@pytest.mark.parametrize("number", NGUYEN)
def test_the_twelve_nguyen_functions_are_sentences(number: int) -> None:
    start, text, function = NGUYEN[number]
    x, y = np.random.default_rng(number).uniform(0.01, 1, (2, 40))
    found = call(SPACES[start].parse(text), torch.from_numpy(x), torch.from_numpy(y), [])
    np.testing.assert_allclose(found.numpy(), function(x, y), rtol=1e-12, atol=1e-14)


def test_outside_its_domain_a_function_is_as_torch_has_it() -> None:
    x = torch.tensor([-1.0, 0.0, 2.0])
    logarithm, quotient = (SPACES["start"].parse(text).build() for text in ("log ( x )", "div ( x , x )"))
    assert callable(logarithm)
    assert callable(quotient)
    assert str(logarithm(x).tolist()) == "[nan, -inf, 0.6931471824645996]"
    assert str(quotient(x).tolist()) == "[1.0, nan, 1.0]"


# --- signatures and constants -----------------------------------------------------------------------------------------


def test_two_variables_are_two_arguments_even_if_one_is_not_used() -> None:
    for text in ("x", "y", "sin ( y )"):
        function = SPACES["two_variables"].parse(text).build()
        assert list(inspect.signature(function).parameters) == ["x", "y"]  # type: ignore[arg-type]
    assert list(inspect.signature(SPACES["start"].parse("x").build()).parameters) == ["x"]  # type: ignore[arg-type]


def test_constants_are_keyword_arguments_in_reading_order() -> None:
    program = SPACES["fitted"].parse("add ( mul ( c , sin ( mul ( c , x ) ) ) , c )")
    function: Any = program.build()
    assert str(inspect.signature(function)).startswith("(x: torch.Tensor, *, c1: float | torch.Tensor = 1.0, c2:")
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    torch.testing.assert_close(function(x, c1=2.0, c2=3.0, c3=-1.0), 2 * torch.sin(3 * x) - 1)
    torch.testing.assert_close(function(x), torch.sin(x) + 1)


def test_found_values_are_written_into_the_source() -> None:
    program = SPACES["fitted"].parse("sub ( mul ( c , x ) , c )")
    values = {"c1": 0.1 + 0.2, "c2": -1e-30}
    graph = with_constants(program.graph, values)
    source = TARGET.emit(graph, None, program.text)
    assert "c1: float | Tensor = 0.30000000000000004, c2: float | Tensor = -1e-30" in " ".join(source.text.split())
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    torch.testing.assert_close(load_name(source)(x), values["c1"] * x - values["c2"], rtol=0, atol=0)
    assert with_constants(program.graph, {"nrmse": 0.1}) == program.graph


@pytest.mark.parametrize(
    ("start", "text", "wanted"),
    [
        ("numbers", "2", 2.0),
        ("numbers", "div ( 1 , 2 )", 0.5),
        ("numbers", "sin ( 0.5 )", float(np.sin(0.5))),
        ("numbers", "exp ( add ( 1 , sub ( 2 , 3 ) ) )", 1.0),
        ("fitted", "c", 1.0),
        ("fitted", "div ( c , c )", 1.0),
    ],
)
def test_a_program_of_constants_has_the_shape_of_x(start: str, text: str, wanted: float) -> None:
    function: Any = SPACES[start].parse(text).build()
    for shape in [(), (3,), (2, 4)]:
        found = function(torch.zeros(shape, dtype=torch.float64))
        assert found.shape == shape
        assert found.dtype == torch.float64
        np.testing.assert_allclose(found.numpy(), np.full(shape, wanted))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_dtype_of_the_inputs_is_kept(dtype: torch.dtype) -> None:
    for start in ("numbers", "fitted"):
        for program in BY_START[start][:10]:
            x = torch.rand(3, generator=torch.Generator().manual_seed(0)).to(dtype)
            assert call(program, x, x, []).dtype == dtype


def test_an_expression_is_compiled_by_torch_as_it_stands() -> None:
    function: Any = SPACES["fitted"].parse("mul ( c , sin ( add ( x , c ) ) )").build()
    compiled: Any = torch.compile(function, backend="eager", fullgraph=True)
    x = torch.linspace(-1, 1, 5)
    torch.testing.assert_close(compiled(x, c1=2.0, c2=0.5), function(x, c1=2.0, c2=0.5))


# --- source -----------------------------------------------------------------------------------------------------------

CASES = {
    "one_variable": ("start", "x"),
    "nguyen_1": NGUYEN[1][:2],
    "nguyen_7": NGUYEN[7][:2],
    "x_to_the_y": NGUYEN[11][:2],
    "brackets": ("start", "sub ( x , sub ( div ( x , add ( x , x ) ) , div ( x , mul ( x , cos ( x ) ) ) ) )"),
    "numbers": ("numbers", "add ( mul ( 2 , sin ( mul ( 3 , x ) ) ) , exp ( div ( 1 , 2 ) ) )"),
    "wave": ("fitted", "add ( mul ( c , sin ( add ( mul ( c , x ) , c ) ) ) , c )"),
    "one_constant": ("fitted", "c"),
    "long": ("two_variables", SPACES["two_variables"].samples(1, seed=3)[0].text),
}
"""Start and sentence of each golden file."""


def source_of(name: str) -> PythonSource:
    start, text = CASES[name]
    return SPACES[start].parse(text).source


SOURCES = [*(source_of(name) for name in CASES), *(p.source for p in EVEN)]


@pytest.mark.parametrize("name", CASES)
def test_golden_files(name: str) -> None:
    path = GOLDEN / f"{name}.py"
    text = source_of(name).text
    if os.environ.get("DSLC_REFRESH_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.py")} == set(CASES)


def test_ruff_and_its_formatter_find_nothing(tmp_path: Path) -> None:
    for number, source in enumerate(SOURCES):
        (tmp_path / f"sample_{number}.py").write_text(source.text)
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if ruff is None:
        pytest.skip("ruff is not installed")
    rules = "E,W,F,I,UP,B,A,C4,SIM,RUF,N,ARG,PIE,RET,PERF,D1,D2,D3,D4,ANN,PL"
    # PLR0913: every constant is an argument.
    ignored = "D203,D213,D100,D413,PLR2004,PLR0913"
    flags = ("--isolated", "--no-cache", "--line-length", "88")
    commands = [["check", *flags, "--select", rules, "--ignore", ignored]]
    commands += [["format", "--check", *flags[:-1], length] for length in ("88", "100", "120")]
    for command in commands:
        done = subprocess.run([ruff, *command, str(tmp_path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("source", SOURCES)
def test_one_function_with_every_value_used(source: PythonSource) -> None:
    *imports, function = ast.parse(source.text).body
    assert isinstance(function, ast.FunctionDef)
    assert function.name == source.class_name == "expression"
    assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in imports)
    nodes = list(ast.walk(function))
    assert not [node for node in nodes if isinstance(node, ast.For | ast.While | ast.comprehension | ast.Lambda)]
    stored = [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    loaded = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert len(stored) == len(set(stored))
    assert set(stored) <= loaded
    assert {argument.arg for argument in function.args.kwonlyargs} <= loaded
    assert max(len(line) for line in source.text.splitlines()) <= LINE_LENGTH
    text = " ".join((ast.get_docstring(function) or "").split())
    assert f"Sentence: {source.sentence} Shapes: x [...]" in text


def test_short_ones_are_one_expression_and_long_ones_have_names() -> None:
    assert source_of("nguyen_1").text.splitlines()[-1] == "    return x * (x * x) + (x * x + x)"
    body = [line.strip() for line in source_of("long").text.split('"""\n')[1].splitlines()]
    assert len(body) > 3
    assert all(" = " in line for line in body[:-1])
    assert body[-1].startswith("return ")


def test_the_line_of_an_exception_names_its_part_of_the_sentence() -> None:
    program = SPACES["start"].parse("sin ( exp ( x ) )")
    try:
        program.build()("no tensor")  # type: ignore[operator]
    except TypeError as error:
        diagnostic = explain_exception(program.source, error)
    assert diagnostic.message.startswith("`sin` failed with TypeError")
    assert "`sin`, tokens 1 to 3" in diagnostic.notes[0]


def test_very_deep_sentences() -> None:
    tree = ParseTree("x", ())
    for _ in range(3000):
        tree = ParseTree("add", (ParseTree("sin", (tree,)), ParseTree("x", ())))
    graph = TARGET.elaborate(ParseTree("start", (tree,)))
    assert len(graph) == 1 + 2 * 3000
    source = TARGET.emit(graph, None, "")
    x = torch.tensor([0.3], dtype=torch.float64)
    value = x
    for _ in range(3000):
        value = torch.sin(value) + x
    torch.testing.assert_close(load_name(source)(x), value)


# --- what a drawing shows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "text", "formula"),
    [
        ("start", "x", "f(x) = x"),
        (*NGUYEN[1][:2], "f(x) = x * x * x + x * x + x"),
        ("start", "sub ( x , sub ( x , add ( x , x ) ) )", "f(x) = x - (x - (x + x))"),
        ("start", "div ( x , mul ( x , x ) )", "f(x) = x / (x * x)"),
        ("two_variables", "sin ( x )", "f(x, y) = sin(x)"),
        ("numbers", "div ( log ( x ) , 0.5 )", "f(x) = log(x) / 0.5"),
        ("fitted", "exp ( mul ( c , x ) )", "f(x) = exp(c1 * x)"),
        ("fitted", "c", "f(x) = c1"),
    ],
)
def test_formulas(start: str, text: str, formula: str) -> None:
    assert TARGET.write_formula(SPACES[start].parse(text).graph) == formula


def test_what_is_too_long_to_read_has_no_formula() -> None:
    assert TARGET.write_formula(SPACES["start"].samples(1, seed=0)[0].graph) is None


def test_a_curve_needs_one_variable() -> None:
    assert TARGET.plot_inputs(SPACES["start"].parse("x").graph) == (-2.0, 2.0)
    assert TARGET.plot_inputs(SPACES["two_variables"].parse("x").graph) is None
    assert TARGET.builds is Built.FUNCTION


# --- a grammar of one's own, and what means nothing -------------------------------------------------------------------

OWN = """
//! target expression
start: sum
sum: "(" sum "+" sum ")" -> add | "sqrt" "(" sum ")" -> sqrt | "-" sum -> negate | COLUMN -> variable | NUMBER -> number
   | "?" -> fit
COLUMN: "height" | "weight" | "c1"
NUMBER: "-2" | "1e3"
%ignore " "
"""


def test_any_names_of_variables() -> None:
    space = dslc.compile_text(OWN, max_tokens=20)
    program = space.parse("((weight + sqrt(height)) + (-2 + (? + -c1)))")
    function: Any = program.build()
    assert list(inspect.signature(function).parameters) == ["weight", "height", "c1", "c1_2"]
    weight, height, c1 = torch.tensor([[1.0, 2.0], [9.0, 16.0], [0.5, 0.25]])
    torch.testing.assert_close(
        function(weight=weight, height=height, c1=c1, c1_2=7.0), weight + height.sqrt() + (-2 + (7 - c1))
    )
    assert TARGET.write_formula(program.graph) == "f(weight, height, c1) = weight + sqrt(height) + -2 + c1_2 + -c1"


def x_node() -> ParseTree:
    return ParseTree("x", ())


@pytest.mark.parametrize(
    ("tree", "code", "part"),
    [
        (ParseTree("sinus", (x_node(),)), Code.UNKNOWN_NAME, "`sinus`"),
        (ParseTree("expression", (x_node(), x_node())), Code.WRONG_CHILDREN, "`expression`"),
        (ParseTree("add", (x_node(),)), Code.WRONG_CHILDREN, "`add`"),
        (ParseTree("sin", (x_node(), x_node())), Code.WRONG_CHILDREN, "`sin`"),
        (ParseTree("sin", (Leaf("A", "a"),)), Code.WRONG_CHILDREN, "A `a`"),
        (ParseTree("x", (x_node(),)), Code.WRONG_CHILDREN, "`x`"),
        (ParseTree("number", ()), Code.WRONG_CHILDREN, "`number`"),
        (ParseTree("number", (Leaf("N", "many"),)), Code.NOT_A_NUMBER, "`many`"),
        (ParseTree("number", (Leaf("N", "1e999"),)), Code.NOT_A_NUMBER, "`1e999`"),
        (ParseTree("number", (Leaf("N", "nan"),)), Code.NOT_A_NUMBER, "`nan`"),
        (ParseTree("variable", (Leaf("V", "lambda"),)), Code.BAD_VARIABLE, "`lambda`"),
        (ParseTree("variable", (Leaf("V", "torch"),)), Code.BAD_VARIABLE, "`torch`"),
        (ParseTree("variable", (Leaf("V", "a-b"),)), Code.BAD_VARIABLE, "`a-b`"),
    ],
)
def test_a_tree_without_meaning_is_a_diagnostic(tree: ParseTree, code: Code, part: str) -> None:
    with pytest.raises(DslcError) as error:
        TARGET.elaborate(ParseTree("start", (tree,)))
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code is code
    assert part in diagnostic.message
    assert diagnostic.help


def test_nine_constants_are_too_many() -> None:
    eight = SPACES["fitted"].parse(total(*["c"] * 8))
    assert len(constant_names(eight.graph)) == 8
    with pytest.raises(DslcError) as error:
        _ = SPACES["fitted"].parse(total(*["c"] * 9)).graph
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code is Code.TOO_MANY_CONSTANTS
    assert "9" in diagnostic.message


def test_a_space_is_what_its_grammar_says() -> None:
    space: Space = SPACES["fitted"]
    assert space.target == "expression"
    assert space.parse("c").num_parameters is None
