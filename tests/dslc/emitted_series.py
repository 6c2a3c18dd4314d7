"""What holds for the source of every piecewise-linear and Fourier activation; used by the tests of both targets."""

from __future__ import annotations

import ast
import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from dslc.program.emit import LINE_LENGTH, PythonSource
from dslc.program.load import load_module
from dslc.space import Program

GOLDEN = Path(__file__).parents[1] / "golden"
# As for the other targets: D203 and D213 contradict D211 and D212, D107 and D413 are matters of taste.
RULES = "E,W,F,I,UP,B,A,C4,SIM,RUF,N,ARG,PIE,RET,PERF,D1,D2,D3,D4,ANN,PL"
IGNORED = "D203,D213,D100,D102,D107,D413,PLR2004"


def check_golden(name: str, text: str) -> None:
    """The text is that of the golden file; `DSLC_REFRESH_GOLDEN=1` writes it anew."""
    path = GOLDEN / f"{name}.py"
    if os.environ.get("DSLC_REFRESH_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


def check_ruff(folder: Path, sources: Sequence[PythonSource]) -> None:
    """Ruff has nothing to say and nothing to format, at three line lengths."""
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if ruff is None:
        pytest.skip("ruff is not installed")
    for number, source in enumerate(sources):
        (folder / f"sample_{number}.py").write_text(source.text)
    lint = ["check", "--line-length", "88", "--select", RULES, "--ignore", IGNORED]
    for arguments in [lint, *(["format", "--check", "--line-length", length] for length in ("88", "100", "120"))]:
        command = [ruff, *arguments, "--isolated", "--no-cache", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def check_source(source: PythonSource, citation: str) -> None:
    """One class, torch only, no loop, no dead value, every line of `forward` mapped, a full docstring."""
    assert source.text.startswith("# dslc.python/1\n")
    assert max(len(line) for line in source.text.splitlines()) <= LINE_LENGTH
    *imports, definition = ast.parse(source.text).body
    assert isinstance(definition, ast.ClassDef)
    assert {getattr(node, "module", None) or "torch" for node in imports} == {"torch"}
    nodes = list(ast.walk(definition))
    assert not [node for node in nodes if isinstance(node, ast.For | ast.While | ast.comprehension | ast.Lambda)]
    for method in (node for node in definition.body if isinstance(node, ast.FunctionDef)):
        names = [node for node in ast.walk(method) if isinstance(node, ast.Name)]
        stored = [node.id for node in names if isinstance(node.ctx, ast.Store)]
        assert len(stored) == len(set(stored)), "every value has a name of its own"
        assert set(stored) <= {node.id for node in names if isinstance(node.ctx, ast.Load)}, "every value is used"
    lines = source.text.splitlines()
    forward = next(number for number, line in enumerate(lines, start=1) if "def forward" in line)
    for number, line in enumerate(lines[forward:], start=forward + 1):
        if line.strip() and not line.strip().startswith("#"):
            origin = source.origin(number)
            assert origin is not None, line
            assert origin.rule
    words = " ".join((ast.get_docstring(definition) or "").split())
    assert f"Sentence: {source.sentence} " in f"{words} "
    assert "Shapes: x [batch, num_channels, ...]" in words
    assert citation in words


def build(program: Program, **arguments: object) -> nn.Module:
    """The module of a program."""
    return load_module(program.source, **arguments)


def draw_parameters(module: nn.Module, seed: int) -> None:
    """Trained values at random, some of them large."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(1.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))


def check_gradients(module: nn.Module, x: torch.Tensor) -> None:
    """Gradients of x and of every trained value are those of central differences, in float64."""
    named = dict(module.named_parameters())

    def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        result = torch.func.functional_call(module, dict(zip(named, values, strict=True)), (x,))
        assert isinstance(result, torch.Tensor)
        return result

    assert torch.autograd.gradcheck(run, (x.clone().requires_grad_(), *named.values()), fast_mode=True)


def check_module(program: Program, x: torch.Tensor, arguments: Mapping[str, object]) -> None:
    """Dtypes, copies, saved states and torch.compile keep the function."""
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        module, twin = (build(program, **arguments).to(dtype) for _ in range(2))
        draw_parameters(module, 0)
        result = module(x.to(dtype))
        assert (result.dtype, result.shape) == (dtype, x.shape)
        assert torch.equal(copy.deepcopy(module)(x.to(dtype)), result)
        twin.load_state_dict(module.state_dict())
        assert torch.equal(twin(x.to(dtype)), result)
    module = build(program, **arguments)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x.float()), module(x.float()))
