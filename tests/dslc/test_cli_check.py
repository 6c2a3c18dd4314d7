"""`dslc check`."""

import json
from pathlib import Path

from dslc.grammars import grammar_names
from tests.dslc.command_line import run

GOOD = 'start: A B\nA: "1" | "2"\nB: "x" | "y"\n'
BAD = "start: missing\n"
AMBIGUOUS = 'start: start start | "a"\n'


def test_shipped_grammars_have_no_errors() -> None:
    done = run("check", *grammar_names(), "--json")
    assert done.code == 0
    assert done.document["counts"]["error"] == 0
    assert len(done.document["files"]) == len(grammar_names())


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "good.lark"
    path.write_text(GOOD)
    done = run("check", path)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{path}: nothing to complain about\n"
    assert run("check", path, "--quiet").out == ""


def test_several_files_are_all_checked(tmp_path: Path) -> None:
    good, bad, ambiguous = tmp_path / "good.lark", tmp_path / "bad.lark", tmp_path / "ambiguous.lark"
    good.write_text(GOOD)
    bad.write_text(BAD)
    ambiguous.write_text(AMBIGUOUS)
    done = run("check", good, bad, tmp_path / "absent.lark", ambiguous)
    assert done.code == 1
    for words in (f"{bad}:1:8", "absent.lark", f"{ambiguous}:1:1", "two trees"):
        assert words in done.out
    assert "4 files: 2 errors, 1 warning" in done.err
    document = run("check", good, bad, tmp_path / "absent.lark", ambiguous, "--format", "json").document
    assert document["counts"]["error"] == 2
    assert document["files"] == [str(good), str(bad), str(tmp_path / "absent.lark"), str(ambiguous)]


def test_warnings_alone_leave_with_0(tmp_path: Path) -> None:
    path = tmp_path / "ambiguous.lark"
    path.write_text(AMBIGUOUS)
    assert run("check", path).code == 0
    assert run("check", path, "--quiet").out == ""


def test_json_says_where(tmp_path: Path) -> None:
    path = tmp_path / "bad.lark"
    path.write_text(BAD)
    (diagnostic,) = run("check", path, "--json").document["diagnostics"]
    assert {
        "code",
        "severity",
        "message",
        "file",
        "line",
        "column",
        "end_line",
        "end_column",
        "excerpt",
        "help",
        "labels",
    } <= set(diagnostic)
    assert (diagnostic["line"], diagnostic["column"], diagnostic["end_column"]) == (1, 8, 15)


def test_github_annotations(tmp_path: Path) -> None:
    path = tmp_path / "bad.lark"
    path.write_text(BAD)
    done = run("check", path, "--format", "github")
    assert done.code == 1
    assert done.out.startswith(f"::error file={path},line=1,col=8,")
    assert done.err == ""


def test_nothing_in_a_file_moves_the_cursor(tmp_path: Path) -> None:
    path = tmp_path / "evil.lark"
    path.write_text('start: "\x1b[31m" missing\n')
    done = run("check", path)
    assert "\x1b" not in done.out
    json.loads(run("check", path, "--json").out)
