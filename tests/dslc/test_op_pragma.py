"""`//! op`: formulas are read as data, looked up, and written out; Python itself says what they mean."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dslc
from dslc.checks import check_file
from dslc.diagnostics import Code, Diagnostic, DslcError
from dslc.language.operations import (
    NESTING_LIMIT,
    PARTS_LIMIT,
    Called,
    Name,
    Operated,
    OperationDefinition,
    Operator,
    read_number,
    read_operation,
)
from dslc.program.graph import GraphBuilder
from dslc.program.interpret import interpret_graph
from dslc.program.op_tables.expression import ANY_SHAPE
from dslc.program.operations import ELEMENTWISE, STEP_LIMIT, add_operation, define_operations
from dslc.source import SourceFile

GRAMMAR = '//! target generic(x)\n{lines}\nstart: X\nX: "x" | "1"\n'


def read(text: str) -> OperationDefinition:
    found = read_operation(SourceFile("x", text), 0, text)
    assert isinstance(found, OperationDefinition), found
    return found


def refused(text: str) -> Diagnostic:
    found = read_operation(SourceFile("x", text), 0, text)
    assert isinstance(found, Diagnostic), found
    return found


def problems(*lines: str) -> list[Diagnostic]:
    return list(check_file(SourceFile("a.lark", GRAMMAR.format(lines="\n".join(f"//! op {line}" for line in lines)))))


def evaluate(lines: list[str], name: str, *arguments: float) -> float:
    """The value of a definition by its graph."""
    operations = define_operations(map(read, lines))
    builder = GraphBuilder()
    inputs = [builder.add_input(f"v{i}", ANY_SHAPE) for i, _ in enumerate(arguments)]
    graph = builder.finish(add_operation(builder, operations[name], tuple(inputs), name, (0, 1)))
    with np.errstate(all="ignore"):
        (value,) = interpret_graph(graph, {f"v{i}": np.asarray(v, dtype=float) for i, v in enumerate(arguments)})
    return float(value)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_definition_is_data() -> None:
    found = read("gauss(x, s) = exp(-x * x / s)")
    x = Name("x")
    product = Operated(Operator.MULTIPLY, (Operated(Operator.NEGATE, (x,)), x))
    body = Called("exp", (Operated(Operator.DIVIDE, (product, Name("s"))),))
    assert found == OperationDefinition("gauss", ("x", "s"), body, "gauss(x, s) = exp(-x * x / s)")
    assert found.span is not None
    assert found.span.text == "gauss"


def test_the_pragma_keeps_them_in_order() -> None:
    space = dslc.compile_text(GRAMMAR.format(lines="//! op one() = 1\n//! op: two(x)=x+x"))
    operations = space.compilation.grammar.pragmas.operations
    assert [(operation.name, operation.parameters) for operation in operations] == [("one", ()), ("two", ("x",))]


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("2", 2), ("2.0", 2), ("1e3", 1000), (".5", 0.5), ("5.", 5), ("-0.25", -0.25), ("+1e-3", 1e-3)],
)
def test_numbers(text: str, value: float) -> None:
    assert read_number(text) == value
    assert isinstance(read_number(text), int) == float(value).is_integer()


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "1e999", "0x10", "1_000", "1 2", "--1", "1e", "٣"])
def test_no_numbers(text: str) -> None:
    assert read_number(text) is None


def formulas() -> st.SearchStrategy[str]:
    """Text of formulas of a, b and c, with spaces and brackets where they need not be."""
    leaves = st.sampled_from(["a", "b", "c", "2", "0.5", "3"])

    def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return (
            st.tuples(inner, st.sampled_from([" + ", "-", "*", " / ", "**", " ** "]), inner).map("".join)
            | inner.map("-{}".format)
            | inner.map("( {} )".format)
            | inner.map("cos({})".format)
            | st.tuples(inner, inner).map(lambda pair: f"max({pair[0]},{pair[1]})")
        )

    return st.recursive(leaves, extend, max_leaves=12)


@given(formulas(), st.tuples(*[st.floats(0.1, 2)] * 3))
@settings(max_examples=120, deadline=None)
def test_formulas_mean_what_python_says(text: str, arguments: tuple[float, float, float]) -> None:
    names = dict(zip("abc", map(np.float64, arguments), strict=True))
    numbers = re.sub(r"(?<![\w.])\d+\.?\d*", r"np.float64(\g<0>)", text)
    with np.errstate(all="ignore"):
        expected = eval(numbers, {"np": np, "cos": np.cos, "max": np.maximum, **names})
    found = evaluate([f"f(a, b, c) = {text}"], "f", *arguments)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    ("text", "column", "part"),
    [
        ("", 1, "the name of the op"),
        ("f", 2, "`(` belongs there"),
        ("f(x", 4, "`)` belongs there"),
        ("f(x) x", 6, "`=` belongs there"),
        ("f(x) =", 7, "a number, a name, a call"),
        ("f(x,) = x", 5, "the name of an argument"),
        ("f(x, x) = x", 6, "`x` twice"),
        ("f(2) = x", 3, "the name of an argument"),
        ("f(x) = 2x", 9, "the formula ends before it"),
        ("f(x) = (x", 10, "`)` belongs there"),
        ("f(x) = x)", 9, "the formula ends before it"),
        ("f(x) = x // 2", 11, "a number, a name, a call"),
        ("f(x) = x * * x", 12, "a number, a name, a call"),
        ("f(x) = x % 2", 10, "the formula ends before it"),
        ("f(x) = x.y", 9, "the formula ends before it"),
        ("f(x) = x[0]", 9, "the formula ends before it"),
        ("f(x) = 'x'", 8, "a number, a name, a call"),
        ("f(x) = exp(x,)", 14, "a number, a name, a call"),
        ("f(x) = x = x", 10, "the formula ends before it"),
        ("f(x) = 1e999 + x", 8, "too large"),
        ("f(x) = +x", 8, "a number, a name, a call"),
        ("f(x) = lambda: x", 14, "the formula ends before it"),
    ],
)
def test_what_is_no_formula(text: str, column: int, part: str) -> None:
    problem = refused(text)
    assert problem.code is Code.BAD_PRAGMA
    assert problem.span is not None
    assert problem.span.location == (1, column)
    assert part in problem.message
    assert problem.help


@pytest.mark.parametrize("opening", ["(", "cos(", "-", "x ** "])
def test_nesting_is_limited(opening: str) -> None:
    closing = ")" if "(" in opening else ""
    deep = NESTING_LIMIT - 1
    read(f"f(x) = {opening * deep}x{closing * deep}")
    assert "nests deeper" in refused(f"f(x) = {opening * 3000}x").message


def test_length_is_limited() -> None:
    read("f(x) = " + "+".join(["x"] * (PARTS_LIMIT // 2)))
    assert "parts" in refused("f(x) = " + "+".join(["x"] * 3000)).message


# --- looking up -------------------------------------------------------------------------------------------------------


def test_calls_are_written_out() -> None:
    lines = ["half(x) = x / 2", "both(x, y) = half(x + y) - half(x) * half(y)", "same(x) = x", "pi() = 3.14159"]
    assert evaluate(lines, "both", 3.0, 5.0) == 4.0 - 1.5 * 2.5
    assert evaluate(lines, "same", 7.0) == 7.0
    assert evaluate(lines, "pi") == 3.14159
    assert define_operations(map(read, lines))["both"].calls == ("half",)


def test_arguments_of_a_call_are_computed_once() -> None:
    operations = define_operations(map(read, ["square2(x) = x * x", "f(x) = square2(square2(square2(x)))"]))
    assert len(operations["f"].steps) == 3
    assert evaluate(["square2(x) = x * x", "f(x) = square2(square2(square2(x)))"], "f", 1.5) == 1.5**8


def test_what_a_formula_can_call() -> None:
    assert {"exp", "cos", "max", "add", "log", "divide", "pow", "tanh", "sigmoid"} <= set(ELEMENTWISE)
    # they train, make or change shapes
    assert not {"scale", "shift", "constant", "rbf", "mix", "conv2d", "linear", "fitted", "number"} & set(ELEMENTWISE)
    rng = np.random.default_rng(0)
    for spec in ELEMENTWISE.values():
        values = [rng.uniform(0.5, 1.5, (3, 4)) for _ in range(spec.arity or 0)]
        whole = spec.meaning(*values)
        assert whole.shape == (3, 4)
        names = {f"v{i}": torch.from_numpy(value) for i, value in enumerate(values)}
        in_torch = eval(spec.expression.format(*names), {"torch": torch, "nn": torch.nn, **names})
        np.testing.assert_allclose(in_torch.numpy(), whole, rtol=1e-9)
        part = spec.meaning(*(value[1:2, 2:3] for value in values))
        np.testing.assert_allclose(part, whole[1:2, 2:3])


@pytest.mark.parametrize(
    ("lines", "code", "place", "part", "help"),
    [
        (["f(x) = tanhh(x)"], Code.UNKNOWN_OPERATION, (2, 15), "no op `tanhh`", "did you mean `tanh`?"),
        (["f(x) = y"], Code.UNKNOWN_OPERATION, (2, 15), "no argument `y`", "it can use its arguments: x"),
        (["f(value) = valeu"], Code.UNKNOWN_OPERATION, (2, 19), "no argument `valeu`", "did you mean `value`?"),
        (["f() = x"], Code.UNKNOWN_OPERATION, (2, 14), "no argument `x`", "it has no arguments"),
        (["f(x) = exp"], Code.UNKNOWN_OPERATION, (2, 15), "no argument `exp`", "`exp(a)`"),
        (["k() = 1", "f(x) = x + k"], Code.UNKNOWN_OPERATION, (3, 19), "no argument `k`", "`k()`"),
        (["f(x) = x + f(x)"], Code.UNKNOWN_OPERATION, (2, 19), "`f` calls itself", "without itself"),
        (["f(x) = g(x)", "g(x) = x"], Code.UNKNOWN_OPERATION, (2, 15), "defined below it", "move the line of `g`"),
        (["f(x) = scale(x)"], Code.UNKNOWN_OPERATION, (2, 15), "cannot call `scale`", "element by itself"),
        (["f(x) = max(x)"], Code.WRONG_ARGUMENTS, (2, 15), "takes 2 values, not 1", "`max(a, b)`"),
        (["f(x) = exp(x, 2)"], Code.WRONG_ARGUMENTS, (2, 15), "takes 1 value, not 2", "`exp(a)`"),
        (["g(p, q) = p", "f(x) = g(x)"], Code.WRONG_ARGUMENTS, (3, 15), "takes 2 values, not 1", "`g(p, q)`"),
        (["exp(x) = x"], Code.OPERATION_EXISTS, (2, 8), "`exp`", "another name"),
        (["conv2d(x) = x"], Code.OPERATION_EXISTS, (2, 8), "`conv2d`", "another name"),
        (["x() = 1"], Code.OPERATION_EXISTS, (1, 5), "`x` is an input and an op", "rename"),
        (["f(x) = x", "f(y) = y"], Code.DUPLICATE_PRAGMA, (3, 5), "`op f` is stated twice", "keep one"),
        (["f(x) = 2x"], Code.BAD_PRAGMA, (2, 16), "`x` cannot stand there", "write `//! op"),
    ],
)
def test_errors_have_a_place_and_a_help(
    lines: list[str], code: Code, place: tuple[int, int], part: str, help: str
) -> None:
    (problem,) = problems(*lines)
    assert problem.code is code
    assert problem.span is not None
    assert problem.span.location == place
    assert part in problem.message
    assert help in (problem.help or "")


def test_all_errors_are_told_at_once_and_each_once() -> None:
    found = problems("f(x) = foo(x) + y", "g(x) = f(x) + f(x, x)", "exp(x) = bar(x)")
    assert [(d.code, d.span.location.line if d.span else 0) for d in found] == [
        (Code.UNKNOWN_OPERATION, 2),
        (Code.UNKNOWN_OPERATION, 2),
        (Code.WRONG_ARGUMENTS, 3),
        (Code.OPERATION_EXISTS, 4),
        (Code.UNKNOWN_OPERATION, 4),
    ]


def test_definitions_that_double_are_refused_before_they_are_large() -> None:
    lines = ["f0(x) = x + x", *(f"f{i + 1}(x) = f{i}(f{i}(x))" for i in range(200))]
    (problem,) = problems(*lines)
    assert problem.code is Code.OPERATION_TOO_LARGE
    assert f"{STEP_LIMIT:,}" in problem.message
    assert problem.span is not None
    assert problem.span.text == f"f{math.ceil(math.log2(STEP_LIMIT))}"


def test_a_chain_of_ops_is_written_out() -> None:
    lines = ["f0(x) = x", *(f"f{i + 1}(x) = f{i}(x) + 1" for i in range(200))]
    assert evaluate(lines, f"f{200}", 0.5) == 0.5 + 200


def test_ops_are_checked_without_a_target_too() -> None:
    (problem,) = check_file(SourceFile("a.lark", '//! op f(x) = y\nstart: A\nA: "1" | "2"\n'))
    assert problem.code is Code.UNKNOWN_OPERATION


def test_other_targets_refuse_them_by_name() -> None:
    text = '//! target activation(x)\n//! op f(x) = x\nstart: "x" "x" u u b -> core\nu: "sin" -> sin\nb: "+" -> add\n'
    found = check_file(SourceFile("a.lark", text))
    assert [d.code for d in found] == [Code.TARGET_ARGUMENTS] * 2
    assert "`activation` takes no names in brackets" in found[0].message
    assert "knows no `//! op`, and so not `f`" in found[1].message
    with pytest.raises(DslcError) as error:
        _ = dslc.compile_text(text, name="a.lark")[0].graph
    assert error.value.diagnostics == found


def test_nothing_of_a_file_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("executed")

    monkeypatch.setattr("builtins.eval", refuse)
    monkeypatch.setattr("builtins.exec", refuse)
    assert problems("f(x) = __import__(x)", "g(x) = open(x)")[0].code is Code.UNKNOWN_OPERATION


def test_the_examples_of_the_page_cause_their_codes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "diagnostics.md").read_text()
    for code in (Code.UNKNOWN_OPERATION, Code.WRONG_ARGUMENTS, Code.OPERATION_EXISTS, Code.TARGET_ARGUMENTS):
        section = page.split(f"## {code.value}\n")[1].split("\n## ")[0]
        (example,) = re.findall(r"^```lark\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        assert code in {problem.code for problem in check_file(SourceFile("example.lark", example))}
