"""`dslc parse`."""

from pathlib import Path
from typing import Any

from tests.dslc.command_line import run


def test_a_tree_and_its_tokens() -> None:
    done = run("parse", "activation", "x x identity sigmoid mul")
    assert done.code == 0
    assert done.out.splitlines()[:2] == ["start", "  core (core_once)"]
    document = run("parse", "activation", "x x identity sigmoid mul", "--json").document
    assert document["ambiguous"] is False
    assert len(document["tokens"]) == 3
    core = document["tree"]["children"][0]
    assert core["rule"] == "core"
    assert [child["rule"] for child in core["children"]] == ["x", "x", "identity", "sigmoid", "mul"]


def test_columns_point_into_the_rendered_sentence() -> None:
    document = run("parse", "conv_net", "3 5 1 1 24  7 7 2 2 48  3 3 1 1 64", "--json").document
    leaves: list[dict[str, Any]] = []
    stack = [document["tree"]]
    while stack:
        node = stack.pop()
        stack.extend(child for child in node.get("children", ()) if child)
        if "terminal" in node:
            leaves.append(node)
    assert len(leaves) == 15
    for leaf in leaves:
        assert document["text"][leaf["column"] - 1 :].startswith(leaf["text"])
        assert leaf["token"] in document["tokens"]


def test_the_first_wrong_place_gets_a_caret() -> None:
    done = run("parse", "activation", "x x identity sigmid mul")
    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    caret = next(i for i, line in enumerate(lines) if "^" in line)
    assert lines[caret - 1].index("sigmid") == lines[caret].index("^")
    assert "expected" in done.err


def test_an_ambiguous_sentence_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.lark"
    path.write_text('start: start start | "a"\n')
    done = run("parse", path, "aaa")
    assert "more than one tree" in done.err
    document = run("parse", path, "aaa", "--json").document
    assert document["ambiguous"] is True


def test_a_long_sentence_nests_deep(tmp_path: Path) -> None:
    path = tmp_path / "a.lark"
    path.write_text('start: start A | A\nA: "a" | "b"\n')
    done = run("parse", path, "ab" * 1500, "--max-tokens", "9000", "--json")
    assert done.code == 0
    assert done.out.count('"terminal"') == 3000
    done = run("parse", path, "ab" * 1500, "--max-tokens", "9000")
    assert done.code == 0


def test_over_the_budget(tmp_path: Path) -> None:
    path = tmp_path / "a.lark"
    path.write_text('start: start A | A\nA: "a" | "b"\n')
    done = run("parse", path, "ab" * 10, "--max-tokens", "5")
    assert done.code == 1
    assert "--max-tokens" in done.err
