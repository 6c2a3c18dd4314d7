"""Targets of other packages: found without importing, loaded when named, refused in the words of a diagnostic."""

import doctest
import re
import shlex
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

import dslc
from dslc.checks import check_file
from dslc.diagnostics import Code, Diagnostic, DslcError
from dslc.program.ops import OPS, SHIPPED_OPS, register_ops
from dslc.program.targets import get_target, target_names
from dslc.source import SourceFile
from tests.dslc.command_line import ROOT, run_process

PAGE = ROOT / "docs" / "howto_target_plugin.md"
BLOCK = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def forget_targets() -> None:
    get_target.cache_clear()


def install(folder: Path, package: str, entry_points: dict[str, str], **modules: str) -> None:
    """Put a package on a path as an installer does: its modules, and what it is and offers beside them."""
    info = folder / f"{package.replace('-', '_')}-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    lines = [f"{name} = {value}" for name, value in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[dslc.targets]", *lines, ""]))
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))


def check_grammar(target: str) -> tuple[Diagnostic, ...]:
    return check_file(SourceFile("a.lark", f'//! target {target}\nstart: "x" -> x | "y" -> y\n'))


def refusal(target: str) -> Diagnostic:
    (found,) = check_grammar(target)
    assert found.span is not None
    assert found.span.text == f"target {target}"
    assert found.help
    return found


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_is_true(tmp_path: Path) -> None:
    """Its files are written, its package is put on the path, its commands print what it says."""
    blocks = BLOCK.findall(PAGE.read_text())
    for _, title, body in blocks:
        if title.startswith("file="):
            (tmp_path / title.removeprefix("file=")).write_text(body)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["py-modules"] == ["dslc_mlp"]
    points = project["project"]["entry-points"]["dslc.targets"]
    install(tmp_path / "site", project["project"]["name"], points, dslc_mlp=(tmp_path / "dslc_mlp.py").read_text())
    num_commands = 0
    for part in re.split(r"^\$ ", "".join(body for kind, _, body in blocks if kind == "console"), flags=re.MULTILINE):
        command, _, expected = part.partition("\n")
        if not command.startswith("dslc "):
            continue
        done = run_process(
            *shlex.split(command)[1:], folder=tmp_path, PYTHONPATH=f"{ROOT}:{tmp_path / 'site'}", NO_COLOR="1"
        )
        assert doctest.OutputChecker().check_output(expected, done.out + done.err, doctest.NORMALIZE_WHITESPACE), done
        num_commands += 1
    assert num_commands == 3


def test_the_plugin_of_the_page_means_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    import torch

    files = {title: body for _, title, body in BLOCK.findall(PAGE.read_text())}
    install(tmp_path, "dslc-mlp", {"mlp": "dslc_mlp:TARGET"}, dslc_mlp=files["file=dslc_mlp.py"])
    monkeypatch.syspath_prepend(str(tmp_path))
    space = dslc.compile_text(files["file=layers.lark"], name="layers.lark")
    assert dslc.checks.check_file(space.file) == ()
    assert OPS["mlp_gelu"].value_name == "activated"
    assert "mlp_gelu" not in SHIPPED_OPS
    for program in space.samples(20, seed=0):
        module = program.build(in_features=5, out_features=2)
        assert isinstance(module, torch.nn.Module)
        x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
        value = x.numpy().astype(np.float64)
        weights = [parameter.detach().numpy() for parameter in module.double().parameters()]
        for number, word in enumerate(["linear", *program.text.split()[1::2]]):
            activated: dict[str, Any] = {"relu": lambda v: np.maximum(v, 0), "tanh": np.tanh, "linear": np.asarray}
            activated["gelu"] = lambda v: torch.nn.functional.gelu(torch.from_numpy(v)).numpy()
            value = activated[word](value) @ weights[2 * number].T + weights[2 * number + 1]
        np.testing.assert_allclose(module(x.double()).detach().numpy(), value, rtol=1e-9)
    del sys.modules["dslc_mlp"]


# --- finding and refusing ---------------------------------------------------------------------------------------------

SILENT = """
    class Silent:
        name = "{name}"
        builds = class_name = build_arguments = elaborate = write_formula = plot_inputs = emit = None
        example_arguments = None
        aliases = {{"x": None, "y": None}}
    TARGET = Silent()
"""


def test_names_are_found_without_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "dslc-loud", {"loud": "dslc_loud:TARGET"}, dslc_loud="raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "loud" in target_names()
    assert list(target_names()) == sorted(target_names())
    assert check_grammar("generic(x, y)") == ()
    assert dslc.check("conv_net") == ()
    assert "dslc_loud" not in sys.modules
    assert "did you mean `loud`?" in (refusal("lout").help or "")


def test_a_plugin_is_loaded_when_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "dslc-one", {"one": "dslc_one:TARGET"}, dslc_one=SILENT.format(name="one"))
    install(tmp_path / "again", "dslc-one", {"one": "dslc_one:TARGET"})  # a checkout beside its installation
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / "again"))
    assert check_grammar("one") == ()
    assert get_target("one") is sys.modules["dslc_one"].TARGET


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("import missing_module_of_a_plugin", "ModuleNotFoundError: No module named 'missing_module_of_a_plugin'"),
        ("TARGET = 1 / 0", "ZeroDivisionError: division by zero"),
        ("TARGIT = 1", "AttributeError: "),
        ("TARGET = 1", "is no target: `dslc_bad:TARGET` has no `name`, `builds`"),
        (SILENT.format(name="good"), "calls itself `good`"),
    ],
)
def test_what_cannot_be_loaded(text: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "dslc-bad", {"bad": "dslc_bad:TARGET"}, dslc_bad=text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "dslc_bad", raising=False)
    found = refusal("bad")
    assert found.code is Code.PLUGIN_FAILED
    assert found.message.startswith("the target plug-in `bad` of the package `dslc-bad 0.1`")
    assert part in found.message
    monkeypatch.delitem(sys.modules, "dslc_bad", raising=False)


def test_the_frames_of_the_plugin_are_shown(tmp_path: Path) -> None:
    install(tmp_path, "dslc-bad", {"bad": "dslc_bad:TARGET"}, dslc_bad="TARGET = 1 / 0\n")
    (tmp_path / "a.lark").write_text('//! target bad\nstart: "x" -> x | "y" -> y\n')
    done = run_process("emit", "a.lark", "x", folder=tmp_path, PYTHONPATH=f"{ROOT}:{tmp_path}")
    assert done.code == 1
    assert "error[DSLC413]: the target plug-in `bad` of the package `dslc-bad 0.1` cannot be loaded" in done.err
    assert re.search(r"note: .*dslc_bad\.py:1 in <module>: TARGET = 1 / 0", done.err)
    assert "Traceback" not in done.err


def test_names_that_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "dslc-two", {"conv_net": "dslc_two:TARGET", "both": "dslc_two:TARGET"})
    install(tmp_path, "dslc-three", {"both": "dslc_three:TARGET"})
    monkeypatch.syspath_prepend(str(tmp_path))
    found = refusal("conv_net")
    assert found.code is Code.NAME_CLASH
    assert "`conv_net` of `dslc-two 0.1` has the name of one that comes with dslc" in found.message
    found = refusal("both")
    assert found.code is Code.NAME_CLASH
    assert "`dslc-two 0.1`" in found.message
    assert "`dslc-three 0.1`" in found.message
    assert check_grammar("generic(x, y)") == ()


def test_ops_whose_names_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = """
        import dataclasses
        from dslc.program.ops import OPS
        fine = dataclasses.replace(OPS["sin"], name="of_four_fine")
        operations_of_four = (fine, dataclasses.replace(OPS["cos"], name="sin"))
    """
    text = (
        textwrap.dedent(module) + textwrap.dedent(SILENT.format(name="four")) + "Silent.operations = operations_of_four"
    )
    install(tmp_path, "dslc-four", {"four": "dslc_four:TARGET"}, dslc_four=text)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = refusal("four")
    assert found.code is Code.NAME_CLASH
    assert "`dslc-four 0.1` brings ops whose names are taken: `sin`" in found.message
    assert "of_four_fine" not in OPS, "all or none"
    assert OPS["sin"] is SHIPPED_OPS["sin"]


def test_the_same_ops_can_be_registered_again() -> None:
    register_ops((SHIPPED_OPS["sin"], SHIPPED_OPS["cos"]), "a package")
    with pytest.raises(TypeError):
        OPS["new"] = SHIPPED_OPS["sin"]  # type: ignore[index]
    with pytest.raises(DslcError):
        register_ops((OPS["sin"], OPS["sin"]), "a package")
