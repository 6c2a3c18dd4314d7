"""`dslc draw`."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.dslc.command_line import run

PLAIN = """start: direction
direction: "left" -> left | "right" -> right
"""
"""A grammar without a target."""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_graph_by_default() -> None:
    done = run("draw", "activation", "x x identity sigmoid mul")
    assert done.code == 0
    texts = "".join(ElementTree.fromstring(Path("activation.svg").read_text()).itertext())
    assert "sigmoid" in texts
    assert "output" in texts


def test_a_tree_where_there_is_no_target() -> None:
    Path("plain.lark").write_text(PLAIN)
    assert run("draw", "plain.lark", "left", "-o", "a.svg").code == 0
    assert "direction" in Path("a.svg").read_text()


def test_a_tree_on_request() -> None:
    assert run("draw", "conv_net", "--what", "tree", "-o", "a.dot", "--json").document["files"] == ["a.dot"]
    text = Path("a.dot").read_text()
    assert text.startswith("digraph ")
    assert "FILTER_HEIGHT" in text


def test_to_stdout() -> None:
    done = run("draw", "activation", "-o", "-")
    assert done.out.startswith("<svg ")
    assert list(Path().iterdir()) == []


def test_nothing_is_overwritten() -> None:
    Path("activation.svg").write_text("mine")
    assert run("draw", "activation").code == 1
    assert Path("activation.svg").read_text() == "mine"
    assert run("draw", "activation", "--force").code == 0


def test_unknown_suffix() -> None:
    done = run("draw", "activation", "-o", "a.jpg")
    assert done.code == 1
    assert "DSLC581" in done.err
    assert list(Path().iterdir()) == []


def test_a_graph_needs_a_target() -> None:
    Path("plain.lark").write_text(PLAIN)
    done = run("draw", "plain.lark", "--what", "graph")
    assert done.code == 1
    assert "DSLC401" in done.err


def test_a_picture_of_pixels() -> None:
    assert run("draw", "activation", "x x identity sigmoid mul", "-o", "a.png", "--json").document["files"] == ["a.png"]
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("what", ["automaton", "railroad"])
@pytest.mark.parametrize("suffix", ["svg", "png", "dot"])
def test_a_grammar_in_every_format(what: str, suffix: str) -> None:
    assert run("draw", "rnn_cell", "--start", "base_2", "--what", what, "-o", f"a.{suffix}").code == 0
    content = Path(f"a.{suffix}").read_bytes()
    assert content.startswith({"svg": b"<svg ", "png": b"\x89PNG", "dot": b"digraph "}[suffix])


def test_a_grammar_has_no_sentence() -> None:
    done = run("draw", "activation", "x x identity sigmoid mul", "--what", "railroad")
    assert done.code == 2
    assert "leave the sentence out" in done.err


def test_best_brings_its_own_grammar() -> None:
    assert run("draw", "conv_net", "--best", "runs/a").code == 2
    assert "DSLC623" in run("draw", "--best", "runs/a").err
