"""The task `fit`: points, reward, fitted constants, and what is said about files that cannot be used."""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.search import Context, Outcome, resume, search
from dslc.search.config import FAILURES_THAT_STOP
from dslc.search.evaluate import evaluate_program, run_test
from dslc.search.nguyen import NGUYEN, sample_nguyen
from dslc.search.read_points import read_points
from dslc.search.tasks import describe_task, get_task
from dslc.search.tasks.fit import FitTask, load_data, main, measure_reference, normalised_error
from dslc.space import Program, Space
from tests.bench.nguyen import TARGET_BY_NAME

START, TWO, NUMBERS, FITTED = (
    dslc.compile("expression", start=start) for start in ("start", "two_variables", "numbers", "fitted")
)
CUBIC = "add ( mul ( x , mul ( x , x ) ) , add ( mul ( x , x ) , x ) )"
"""nguyen_1."""


def evaluate(space: Space, text: str, **options: Any) -> Outcome:
    return evaluate_program(FitTask(), space.parse(text), Context(0, options=options))


def write_csv(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def curve(function: Any, count: int = 30, names: str = "x,y") -> str:
    rows = [f"{x!r},{float(function(x))!r}" for x in np.linspace(-2, 2, count).tolist()]
    return "\n".join([names, *rows, ""])


# --- points -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 13))
def test_the_nguyen_functions_are_those_of_the_benchmark(number: int) -> None:
    ours, oracle = NGUYEN[f"nguyen_{number}"], TARGET_BY_NAME[f"Nguyen-{number}"]
    assert (ours.low, ours.high, len(ours.names)) == (oracle.low, oracle.high, oracle.num_variables)
    training, test = sample_nguyen(f"nguyen_{number}")
    assert (training.inputs.shape, test.inputs.shape) == ((len(ours.names), 20), (len(ours.names), 1000))
    for points in (training, test):
        assert ours.low <= points.inputs.min() < points.inputs.max() <= ours.high
        np.testing.assert_allclose(points.outputs, oracle.function()(*points.inputs), rtol=1e-14)
        text = ours.formula.replace("^", "**")
        functions = {"sin": np.sin, "cos": np.cos, "log": np.log, "sqrt": np.sqrt}
        variables = dict(zip(points.names, points.inputs, strict=True))
        np.testing.assert_allclose(points.outputs, eval(text, {**functions, **variables}), rtol=1e-14)
    assert not set(training.inputs[0]) & set(test.inputs[0])
    np.testing.assert_array_equal(training.inputs, sample_nguyen(f"nguyen_{number}")[0].inputs)


def test_a_file_is_read_by_its_header_and_split(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", "\ufeff weight , height,price\r\n1,2,3\r\n\r\n-4.5,1e3,.5\r\n")
    points = read_points(Path(path))
    assert points.names == ("weight", "height")
    assert points.inputs.tolist() == [[1.0, -4.5], [2.0, 1000.0]]
    assert points.outputs.tolist() == [3.0, 0.5]
    assert load_data({"data": path, "target": "nguyen_1"}).test is None
    data = load_data({"data": write_csv(tmp_path / "b.csv", curve(math.sin)), "target": "nguyen_1"})
    assert data.test is not None
    assert (len(data.training.outputs), len(data.test.outputs)) == (24, 6)
    assert sorted([*data.training.inputs[0], *data.test.inputs[0]]) == np.linspace(-2, 2, 30).tolist()


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("", None, None, "is empty"),
        ("\n \n", None, None, "is empty"),
        ("x,y\n", 1, 1, "0 points"),
        ("x,y\n1,2\n", 1, 1, "1 points"),
        ("1,2\n3,4\n", 1, 1, "should name the columns"),
        ("y\n1\n2\n", 1, 1, "one column"),
        ("x;y\n1;2\n2;3\n", 1, 1, "one column"),
        ("x,x,y\n1,2,3\n2,3,4\n", 1, 1, "two columns are named `x`"),
        ("x,,y\n1,2,3\n2,3,4\n", 1, 1, "no name"),
        ("x,y\n1,2\n\n2,3,4\n", 4, 1, "line 4 has 3 fields, the header 2"),
        ("x,y\n1,2\n2,many\n", 3, 3, "`y` in line 3 is `many`"),
        ("x,y\n1,\n2,3\n", 2, 1, "`y` in line 2 is nothing"),
        ("x,y\n1,nan\n2,3\n", 2, 3, "is `nan`, not a finite number"),
        ("x,y\n1,5\n2,5\n", 1, 1, "all values of `y` are 5"),
    ],
)
def test_bad_files(text: str, line: int | None, column: int | None, part: str, tmp_path: Path) -> None:
    with pytest.raises(DslcError) as caught:
        read_points(Path(write_csv(tmp_path / "bad.csv", text)))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code is Code.BAD_DATA
    assert part in diagnostic.message
    assert diagnostic.help
    assert (diagnostic.span and tuple(diagnostic.span.location)) == (line and (line, column))


def test_many_bad_lines_are_told_in_one_go_but_not_all(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "bad.csv", "x,y\n" + "1,a\n" * 30)
    with pytest.raises(DslcError) as caught:
        read_points(Path(path))
    assert len(caught.value.diagnostics) == 11
    assert "20 more" in caught.value.diagnostics[-1].message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("x,größe\n1,2\n".encode("latin-1"))
    for path in (tmp_path / "missing.csv", tmp_path, tmp_path / "latin.csv"):
        with pytest.raises(DslcError) as caught:
            read_points(path)
        assert caught.value.diagnostics[0].code is Code.DATA_UNREADABLE
        assert str(path) in caught.value.diagnostics[0].message


# --- reward -----------------------------------------------------------------------------------------------------------


def test_the_reward_is_one_over_one_plus_the_normalised_error() -> None:
    assert evaluate(START, CUBIC).reward == pytest.approx(1, abs=1e-12)
    data = sample_nguyen("nguyen_1")[0]
    by_hand = np.sqrt(np.mean((data.outputs - np.sin(data.inputs[0])) ** 2)) / np.std(data.outputs)
    outcome = evaluate(START, "sin ( x )")
    assert outcome.reward == pytest.approx(1 / (1 + by_hand), rel=1e-12)
    assert outcome.metrics == {"NRMSE": pytest.approx(by_hand, rel=1e-12)}
    # The mean of the values is one constant, and no better than 0.5.
    assert evaluate(FITTED, "c").reward == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("name", NGUYEN)
def test_every_target_can_be_searched(name: str) -> None:
    outcome = evaluate(TWO if len(NGUYEN[name].names) == 2 else START, "x", target=name)
    assert outcome.reward is not None
    assert 0 < outcome.reward < 1


def test_errors_past_the_largest_square_are_no_overflow() -> None:
    outputs = np.array([0.0, 1.0])
    assert normalised_error(np.array([1e300, -1e300]), outputs) == pytest.approx(2e300)
    assert normalised_error(outputs, outputs) == 0
    outcome = evaluate(NUMBERS, "exp ( exp ( mul ( 3 , mul ( 2 , add ( 0.5 , div ( x , x ) ) ) ) ) )")
    assert outcome.diagnostic is not None  # exp(exp(9)): infinite
    huge = evaluate(NUMBERS, "exp ( exp ( mul ( 2 , add ( 3 , div ( x , mul ( 3 , x ) ) ) ) ) )")  # exp(786)
    assert huge.reward is None or huge.reward < 1e-100


def test_values_that_are_not_finite_are_a_failure() -> None:
    for text, place in [("log ( x )", "nan"), ("div ( x , sub ( x , x ) )", "inf")]:
        outcome = evaluate(START, text)
        assert outcome.reward is None
        assert outcome.diagnostic is not None
        assert outcome.diagnostic.code is Code.VALUES_NOT_FINITE
        assert "of 20 points, first at x = " in outcome.diagnostic.message
        assert place in outcome.diagnostic.message


def test_the_test_looks_at_fresh_points() -> None:
    task, context = FitTask(), Context(0)
    exact, sine = (run_test(task, START.parse(text), context) for text in (CUBIC, "sin ( x )"))
    assert exact is not None
    assert exact.reward == pytest.approx(1, abs=1e-12)
    data = sample_nguyen("nguyen_1")[1]
    assert sine is not None
    assert sine.reward == pytest.approx(1 / (1 + normalised_error(np.sin(data.inputs[0]), data.outputs)), rel=1e-12)
    # A formula can be right on the training points and undefined between them.
    outside = run_test(task, START.parse("sin ( x )"), Context(0, options={"target": "nguyen_8"}))
    assert outside is not None
    assert outside.reward is not None


# --- fitted constants -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("c", [0.7]),
        ("mul ( c , x )", [-3.25]),
        ("add ( mul ( c , x ) , c )", [2.0, -0.5]),
        ("mul ( c , sin ( add ( x , c ) ) )", [2.0, 0.3]),
        ("add ( c , mul ( c , exp ( mul ( c , x ) ) ) )", [1.0, 0.5, 0.8]),
        ("div ( c , add ( c , mul ( x , x ) ) )", [1.5, 2.5]),
    ],
)
def test_constants_are_found_again(text: str, wanted: list[float], tmp_path: Path) -> None:
    program = FITTED.parse(text)
    names = [f"c{number}" for number in range(1, len(wanted) + 1)]
    function: Any = program.build()

    def known(x: float) -> float:
        value = function(torch.tensor(x, dtype=torch.float64), **dict(zip(names, wanted, strict=True)))
        return float(value) + (1e-3 if text == "c" and x > 0 else 0)  # a constant alone has no spread

    path = write_csv(tmp_path / "a.csv", curve(known))
    outcome = evaluate(FITTED, text, data=path)
    assert outcome.diagnostic is None
    found = [outcome.metrics[name] for name in names]
    if text != "c":
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        assert outcome.reward == pytest.approx(1, abs=1e-6)
    again = evaluate(FITTED, text, data=path)
    assert again == outcome
    emitted = program.source_with(outcome.metrics)
    assert all(repr(value) in emitted.text for value in found)


def test_constants_that_give_no_finite_value_are_a_failure() -> None:
    outcome = evaluate(FITTED, "log ( mul ( c , log ( mul ( c , x ) ) ) )")
    assert outcome.reward is None
    assert outcome.diagnostic is not None
    assert outcome.diagnostic.code is Code.FIT_FAILED


def test_a_start_that_is_not_finite_is_replaced() -> None:
    # log(x + c) at c = 1 is -inf or nan on points of nguyen_1's range shifted by 3; it needs c > 3.
    outcome = evaluate(FITTED, "log ( sub ( c , mul ( x , c ) ) )")
    assert outcome.reward is not None


def test_any_sentence_has_an_outcome() -> None:
    codes = set()
    for space in (START, TWO, NUMBERS, FITTED):
        target = "nguyen_9" if space is TWO else "nguyen_1"
        for program in space.samples(60, seed=3, lengths="even"):
            outcome = evaluate_program(FitTask(), program, Context(0, options={"target": target}))
            if outcome.diagnostic is None:
                assert outcome.reward is not None
                assert 0 <= outcome.reward <= 1
            else:
                codes.add(outcome.diagnostic.code)
    assert codes <= {Code.VALUES_NOT_FINITE, Code.FIT_FAILED, Code.TOO_MANY_CONSTANTS}
    assert Code.VALUES_NOT_FINITE in codes


def test_without_scipy_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_scipy(
        name: str,
        variables: Mapping[str, object] | None = None,
        local: Mapping[str, object] | None = None,
        names: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        if name.split(".")[0] == "scipy":
            raise ImportError(name)
        return real(name, variables, local, names, level)

    monkeypatch.setattr(builtins, "__import__", no_scipy)
    assert evaluate(START, "x").reward is not None
    diagnostic = evaluate(FITTED, "mul ( c , x )").diagnostic
    assert diagnostic is not None
    assert diagnostic.code is Code.MISSING_EXTRA
    assert 'pip install "dslc[tasks]"' in (diagnostic.help or "")


# --- searches ---------------------------------------------------------------------------------------------------------


def test_what_is_wrong_is_said_before_the_first_sample(tmp_path: Path) -> None:
    two_columns = write_csv(tmp_path / "a.csv", curve(math.sin, names="t,y"))
    cases: list[tuple[Space, dict[str, str], Code, str]] = [
        (START, {"target": "nguyen_13"}, Code.BAD_SETTING, "nguyen_1"),
        (START, {"data": str(tmp_path / "b.csv")}, Code.DATA_UNREADABLE, "CSV"),
        (START, {"data": write_csv(tmp_path / "c.csv", "x,y\n1,a\n")}, Code.BAD_DATA, "1.5"),
        (START, {"data": two_columns}, Code.MISSING_COLUMN, "start"),
        (TWO, {"target": "nguyen_1"}, Code.MISSING_COLUMN, "start"),
        (START, {"data": two_columns, "target": "nguyen_2"}, Code.BAD_SETTING, "one of them"),
    ]
    for space, options, code, part in cases:
        with pytest.raises(DslcError) as caught:
            search(space, task="fit", options=options, run_dir=tmp_path / "run")
        assert caught.value.diagnostics[0].code is code
        assert part in (caught.value.diagnostics[0].help or "")
        assert not (tmp_path / "run").exists()


def test_a_search_records_constants_and_shows_them_in_the_source(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", curve(lambda x: 2.5 * math.exp(-x)))
    result = search(
        dslc.compile("expression", start="fitted", max_tokens=8),
        task="fit",
        evaluations=40,
        control=5,
        options={"data": path},
        run_dir=tmp_path / "run",
    )
    assert result.status == "finished"
    best = result.to_json()["best"]
    assert best["test"]["metric"] == "test fit"
    assert best["metrics"] == dict(result.best.metrics)
    assert best["source"] == result.best.program.source_with(result.best.metrics).text
    assert "c1: float | Tensor = " in best["source"]
    name, value, command = result.info["task"]["reference"].values()
    data = load_data({"data": path, "target": "nguyen_1"})
    assert (name, value, command) == (
        "a straight line by least squares",
        measure_reference(data)[0],
        f"python -m dslc.search.tasks.fit {path}",
    )
    assert result.info["environment"]["data_sha256"] == data.training.sha256


def test_ten_failures_at_the_start_are_usual(tmp_path: Path) -> None:
    # No sentence is finite at a negative x, which the search cannot know.
    text = """
        //! target expression
        start: "log" "(" inside ")" -> log
        inside: "mul" "(" x "," even ")" -> mul
        even: "exp" "(" even ")" -> exp | "cos" "(" even ")" -> exp | "x" -> x
        x: "x" -> x
    """
    space = dslc.compile_text(text, max_tokens=20)
    points = write_csv(tmp_path / "a.csv", "x,y\n-1,1\n0,2\n")
    result = search(space, task="fit", evaluations=60, control=0, options={"data": points}, run_dir=tmp_path / "run")
    assert result.status == "finished"
    codes = {record.diagnostic and record.diagnostic.code for record in result.records()}
    assert codes == {Code.VALUES_NOT_FINITE}
    assert len({record.program.tokens for record in result.records()}) > FAILURES_THAT_STOP


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", curve(math.sin))

    class Interrupted(FitTask):
        num_calls = 0

        def evaluate(self, program: Program, context: Context) -> Outcome:
            self.num_calls += 1
            if self.num_calls == 10:
                raise KeyboardInterrupt
            return super().evaluate(program, context)

    result = search(
        START, task=Interrupted(), evaluations=40, options={"data": path}, run_dir=tmp_path / "run", populations=False
    )
    assert result.status == "interrupted"
    write_csv(Path(path), curve(math.cos))
    with pytest.raises(DslcError) as caught:
        resume(tmp_path / "run")
    assert caught.value.diagnostics[0].code is Code.HISTORY_DIFFERS
    write_csv(Path(path), curve(math.sin))
    assert resume(tmp_path / "run").status == "finished"


def test_the_stated_reference_is_what_the_command_gives(capsys: pytest.CaptureFixture[str]) -> None:
    assert FitTask.reference is not None
    assert measure_reference(load_data(FitTask.options))[0] == pytest.approx(FitTask.reference[1], abs=1e-9)
    main(["nguyen_1"])
    assert f"training fit {FitTask.reference[1]:.4f}, test fit" in capsys.readouterr().out
    x, y = sample_nguyen("nguyen_1")[0].inputs[0], sample_nguyen("nguyen_1")[0].outputs
    slope, offset = np.polyfit(x, y, 1)
    assert measure_reference(load_data(FitTask.options))[0] == pytest.approx(
        1 / (1 + np.sqrt(np.mean((slope * x + offset - y) ** 2)) / np.std(y))
    )


def test_the_task_describes_itself() -> None:
    described = describe_task(get_task("fit"))
    assert described["accepts"] == ["expression"]
    assert described["options"] == {"data": "", "target": "nguyen_1"}
