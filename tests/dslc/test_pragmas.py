"""The `//!` lines."""

import pytest

from dslc.diagnostics import Code, Severity
from dslc.language.anchors import Anchor
from dslc.language.pragmas import Pragmas, SizeClaim, read_pragmas
from dslc.source import SourceFile


def _read(text: str) -> Pragmas:
    pragmas, diagnostics = read_pragmas(SourceFile("x", text))
    assert diagnostics == ()
    return pragmas


def test_defaults() -> None:
    assert _read("// target x\nstart: a\n  // ! size 3\n") == Pragmas()
    assert Pragmas().starts == ("start",)


@pytest.mark.parametrize(
    "line", ["//! max_tokens 40", "  //!max_tokens: 40  ", "\t//!   max_tokens :40", "//! max_tokens 40\r"]
)
def test_ways_to_write_a_line(line: str) -> None:
    assert _read(f"a: b\n{line}\n").max_tokens == 40


def test_everything() -> None:
    text = (
        "//! target: generic(t, T)\n//! start start base_2, _x\n//! max_tokens 12\n"
        "//! size 6.3e16\n//! size 36864 of base_2\n//! size 1e3 of _x at 5 tokens\n"
    )
    pragmas = _read(text)
    assert (pragmas.target, pragmas.target_parameters) == ("generic", ("t", "T"))
    assert pragmas.starts == ("start", "base_2", "_x")
    assert pragmas.max_tokens == 12
    assert pragmas.sizes == (
        SizeClaim("6.3e16", None, None),
        SizeClaim("36864", "base_2", None),
        SizeClaim("1e3", "_x", 5),
    )
    assert {word: span.text for word, span in pragmas.spans.items()} == {
        "target": "target: generic(t, T)",
        "start": "start start base_2, _x",
        "start start": "start",
        "start base_2": "base_2",
        "start _x": "_x",
        "max_tokens": "max_tokens 12",
        "size base_2": "base_2",
        "size _x": "_x",
    }


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("//!\n", Code.BAD_PRAGMA, 1, 1),
        ("a: b\n  //! target\n", Code.BAD_PRAGMA, 2, 7),
        ("//! target 3x\n", Code.BAD_PRAGMA, 1, 12),
        ("//! target a b\n", Code.BAD_PRAGMA, 1, 12),
        ("//! target g(t, t)\n", Code.BAD_PRAGMA, 1, 12),
        ("//! target g(t, 2)\n", Code.BAD_PRAGMA, 1, 12),
        ("//! max_tokens 0\n", Code.BAD_PRAGMA, 1, 16),
        ("//! max_tokens -3\n", Code.BAD_PRAGMA, 1, 16),
        ("//! max_tokens 3.5\n", Code.BAD_PRAGMA, 1, 16),
        ("//! max_tokens 99999999999999\n", Code.BAD_PRAGMA, 1, 16),
        ("//! start a B\n", Code.BAD_PRAGMA, 1, 13),
        ("//! start a b a\n", Code.BAD_PRAGMA, 1, 15),
        ("//! size many\n", Code.BAD_PRAGMA, 1, 10),
        ("//! size 3 of A\n", Code.BAD_PRAGMA, 1, 15),
        ("//! size 3 at ten tokens\n", Code.BAD_PRAGMA, 1, 10),
        ("//! max_token 3\n", Code.UNKNOWN_PRAGMA, 1, 5),
        ("//! Target x\n", Code.UNKNOWN_PRAGMA, 1, 5),
        ("//! 3\n", Code.UNKNOWN_PRAGMA, 1, 5),
        ("//! anchor A\n", Code.BAD_PRAGMA, 1, 12),
        ("//! anchor a: b\n", Code.BAD_PRAGMA, 1, 12),
        ("//! anchor A: B\n", Code.BAD_PRAGMA, 1, 12),
        ("//! anchor A: b after 2\n", Code.BAD_PRAGMA, 1, 12),
        ("//! anchor A: b\n//! anchor A: c\n", Code.DUPLICATE_PRAGMA, 2, 5),
        ("//! forbid a\n", Code.BAD_PRAGMA, 1, 12),
        ("//! forbid a above b\n", Code.BAD_PRAGMA, 1, 12),
        ("//! forbid a inside B\n", Code.BAD_PRAGMA, 1, 12),
        ("//! forbid a.x inside b\n", Code.BAD_PRAGMA, 1, 12),
        ("//! at_least A 3\n", Code.BAD_PRAGMA, 1, 14),
        ("//! max_depth a 3\n", Code.BAD_PRAGMA, 1, 15),
        ("//! max_depth 3 A\n", Code.BAD_PRAGMA, 1, 15),
        ("//! forbid a under b\n//! forbid a under b\n", Code.DUPLICATE_PRAGMA, 2, 5),
        ("//! target a\n//! target a\n", Code.DUPLICATE_PRAGMA, 2, 5),
        ("//! max_tokens 3\n//! max_tokens 4\n", Code.DUPLICATE_PRAGMA, 2, 5),
        ("//! start a\n//! start b\n", Code.DUPLICATE_PRAGMA, 2, 5),
        ("//! size 3\n//! size 4\n", Code.DUPLICATE_PRAGMA, 2, 5),
        ("//! size 3 of a\n//! size 4 of a\n", Code.DUPLICATE_PRAGMA, 2, 5),
    ],
)
def test_errors(text: str, code: Code, line: int, column: int) -> None:
    _, diagnostics = read_pragmas(SourceFile("x", text))
    assert [d.code for d in diagnostics] == [code]
    assert diagnostics[0].severity is Severity.ERROR
    assert diagnostics[0].span is not None
    assert diagnostics[0].span.location == (line, column)
    assert diagnostics[0].help


def test_constraints() -> None:
    text = '//! forbid K."3" under _b\n//! max_depth: 2 e\n//! forbid A.x inside b\n'
    pragmas = _read(text)
    assert [str(constraint) for constraint in pragmas.constraints] == [
        'forbid K."3" under _b',
        "max_depth 2 e",
        "forbid A.x inside b",
    ]
    assert pragmas.constraints[0].subject.literal == "3"
    assert pragmas.constraints[0].subject.span is not None
    assert pragmas.constraints[0].subject.span.text == 'K."3"'


def test_anchors() -> None:
    pragmas = _read("//! anchor SKIP:layer\n  //! anchor: _K2 : block_1\n")
    assert pragmas.anchors == (Anchor("SKIP", "layer"), Anchor("_K2", "block_1"))
    assert [str(anchor) for anchor in pragmas.anchors] == ["anchor SKIP: layer", "anchor _K2: block_1"]
    last = pragmas.anchors[1]
    assert [span.text for span in (last.span, last.terminal_span, last.rule_span) if span is not None] == [
        "anchor: _K2 : block_1",
        "_K2",
        "block_1",
    ]


def test_nearest_name_is_offered() -> None:
    for wrong, right in (("max-tokens", "max_tokens"), ("targt", "target"), ("forbidd", "forbid")):
        _, diagnostics = read_pragmas(SourceFile("x", f"//! {wrong} 3\n"))
        assert f"did you mean `{right}`?" in (diagnostics[0].help or "")


def test_a_line_inside_a_statement_is_a_comment() -> None:
    text = "start: a\n//! max_tokens 3\n| b\n//! max_tokens 4\n"
    pragmas, diagnostics = read_pragmas(SourceFile("x", text), [(0, text.index("| b") + 3)])
    assert pragmas.max_tokens == 4
    assert [(d.code, d.severity) for d in diagnostics] == [(Code.PRAGMA_IN_RULE, Severity.WARNING)]
