"""`dslc emit`."""

import subprocess
import sys
from pathlib import Path

from tests.dslc.command_line import run


def test_source_runs_without_dslc(tmp_path: Path) -> None:
    done = run("emit", "activation", "x x identity sigmoid mul")
    assert done.code == 0
    (tmp_path / "swish.py").write_text(done.out)
    script = (
        "import sys, torch, swish\n"
        "x = torch.linspace(-3, 3, 7).reshape(7, 1)\n"
        "assert torch.allclose(swish.Activation()(x), x * torch.sigmoid(x))\n"
        "assert not any(name.split('.')[0] == 'dslc' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_a_function() -> None:
    done = run("emit", "expression", "mul ( x , x )")
    assert done.out.splitlines()[-1] == "    return x * x"


def test_a_file_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    done = run("emit", "conv_net", "--sample", "--seed", "3", "-o", path, "--json")
    assert done.document["files"] == [str(path)]
    text = path.read_text()
    done = run("emit", "conv_net", "--sample", "-o", path)
    assert (done.code, "DSLC681" in done.err, path.read_text()) == (1, True, text)
    assert run("emit", "conv_net", "--sample", "-o", path, "--force").code == 0
    assert path.read_text() != text


def test_a_sample_says_its_sentence() -> None:
    done = run("emit", "conv_net", "--sample", "--seed", "3")
    sentence = done.err.removeprefix("seed 3: ").strip()
    assert run("emit", "conv_net", sentence).out == done.out
    assert run("emit", "conv_net", sentence, "--json").document["source"] == done.out


def test_no_target_no_source(tmp_path: Path) -> None:
    (tmp_path / "plain.lark").write_text('start: "a" | "b"\n')
    done = run("emit", tmp_path / "plain.lark", "--sample")
    assert done.code == 1
    assert "//! target" in done.err


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("emit", "activation", "--sample", "-o", tmp_path / "file" / "a.py")
    assert done.code == 1
    assert "DSLC583" in done.err
