"""The source of recurrent cells: clean, readable, the same from change to change, and mapped to the sentence."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dslc.diagnostics import Code, DslcError
from dslc.program.emit import LINE_LENGTH, PythonSource
from dslc.program.load import explain_exception, load_module, load_name
from dslc.program.targets import get_target
from tests.dslc.cell_programs import GOLDENS, SAMPLES, build

TARGET = get_target("rnn_cell")
GOLDEN = Path(__file__).parents[1] / "golden" / "rnn_cell"
EMITTED = [program.source for program in (*SAMPLES, *GOLDENS.values())]


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_files(name: str) -> None:
    path = GOLDEN / f"{name}.py"
    text = GOLDENS[name].source.text
    if os.environ.get("DSLC_REFRESH_GOLDEN"):
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
    # A002: `input` is what torch calls the argument. PLR0913: the constructor has torch's arguments.
    ignored = "D203,D213,D100,D102,D107,D413,PLR2004,A002,PLR0913"
    run_ruff(folder, "check", "--isolated", "--no-cache", "--line-length", "88", "--select", rules, "--ignore", ignored)


@pytest.mark.parametrize("length", [88, 100, 120])
def test_ruff_would_format_nothing(folder: Path, length: int) -> None:
    run_ruff(folder, "format", "--check", "--isolated", "--no-cache", "--line-length", str(length))


@pytest.mark.parametrize("source", EMITTED, ids=lambda source: source.sentence)
def test_two_classes_without_dead_code_and_every_step_mapped(source: PythonSource) -> None:
    module = ast.parse(source.text)
    classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
    assert [node.name for node in classes] == ["RecurrentCell", "RecurrentLayer"]
    text = " ".join((ast.get_docstring(classes[0]) or "").split())
    for part in (f"Sentence: {source.sentence} ", "Shapes: ", "arXiv"):
        assert part in text
    assert max(len(line) for line in source.text.splitlines()) <= LINE_LENGTH
    (step,) = [node for node in classes[0].body if isinstance(node, ast.FunctionDef) and node.name == "step"]
    names = [node for node in ast.walk(step) if isinstance(node, ast.Name)]
    stored = [node.id for node in names if isinstance(node.ctx, ast.Store)]
    assert len(stored) == len(set(stored)), "every value has a name of its own"
    assert set(stored) <= {node.id for node in names if isinstance(node.ctx, ast.Load)}, "every value is used"
    plain = ("h, c = state", "x_part = ", "h_part = ", '"""')
    for statement in step.body:
        line = source.text.splitlines()[statement.lineno - 1].strip()
        origin = source.origin(statement.lineno)
        assert (origin is None) == line.startswith(plain), line
        assert origin is None or origin.rule in ("leaf", "node", "inject")


def test_emitted_source_runs_where_dslc_is_not(tmp_path: Path) -> None:
    (tmp_path / "nascell.py").write_text(GOLDENS["nascell"].source.text)
    code = (
        "import sys; sys.modules['dslc'] = None; sys.path.insert(0, sys.argv[1]); import torch\n"
        "from nascell import RecurrentCell, RecurrentLayer\n"
        "outputs, (h, c) = RecurrentLayer(3, 5)(torch.ones(4, 2, 3))\n"
        "print(tuple(outputs.shape), tuple(RecurrentCell(3, 5)(torch.ones(3))[1].shape))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "(4, 2, 5) (5,)\n", done.stderr


def test_an_exception_names_the_rule_and_the_sentence() -> None:
    program = GOLDENS["nascell"]
    cell = build(program, 3, 5)
    for state, where in (
        ((torch.ones(2, 5), torch.ones(2, 4)), "`inject`, tokens 31 to 32 of the sentence"),
        ((torch.ones(2, 4), torch.ones(2, 5)), "`leaf`, tokens 1 to 16 of the sentence"),
    ):
        with pytest.raises(RuntimeError) as error:
            cell(torch.ones(2, 3), state)
        diagnostic = explain_exception(program.source, error.value)
        assert diagnostic.notes[:2] == (f"it comes from {where}", f"the sentence is `{program.text}`")
    with pytest.raises(DslcError) as failed:
        build(program, 3, -5)
    (diagnostic,) = failed.value.diagnostics
    assert diagnostic.code is Code.EMITTED_CODE_FAILED
    assert diagnostic.notes[0] == "it comes from `leaf`, tokens 1 to 16 of the sentence"


def test_a_class_of_another_name_and_its_layer() -> None:
    source = TARGET.emit(GOLDENS["worked_example"].graph, "Best", "")
    assert load_module(source, input_size=2, hidden_size=2)(torch.ones(2))[0].shape == (2,)
    assert load_name(source, "BestLayer")(2, 2)(torch.ones(4, 2))[0].shape == (4, 2)
