"""Recursion that never ends by itself, against closed forms."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dslc.checks import check_file
from dslc.diagnostics import Code, Severity
from dslc.source import SourceFile


def growths(text: str) -> dict[str, str]:
    """Named rule and growth of what is found."""
    found = {}
    for diagnostic in check_file(SourceFile("a.lark", text)):
        if diagnostic.code is Code.SUPERCRITICAL:
            assert diagnostic.severity is Severity.NOTE
            assert diagnostic.span is not None
            found[diagnostic.span.text] = diagnostic.message.split("each leaves ")[1].split()[0]
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # One of two choices leaves n of its kind: n / 2.
        ('start: "x" | "(" start ")"\n', {}),
        ('start: "x" | "(" start start ")"\n', {"start": "1"}),
        ('start: "x" | "(" start start start ")"\n', {"start": "1.5"}),
        # A menu of leaves makes it end: 2 of 8 choices leave two each.
        ('start: N | "+" start start | "*" start start\nN: "1"|"2"|"3"|"4"|"5"|"6"\n', {}),
        # A stop is a choice: a list is left with probability 1/2 at each turn.
        ('start: item+\nitem: "x" | "y"\n', {}),
        # Two rules in turn: a leaves 3/2 of b, b leaves 1 of a; the root of the product.
        ('start: a\na: "x" | "y" b b b\nb: "p" a | "q" a\n', {"a": "1.22"}),
        # The rule inside is named, not the start that only holds it.
        ('start: "s" term | "t"\nterm: "x" | "f" term term term\n', {"term": "1.5"}),
        # Through the brackets of the rule.
        ('start: "x" | "(" (start start start) ")"\n', {"start": "1.5"}),
    ],
)
def test_growth_of_written_rules(text: str, found: dict[str, str]) -> None:
    assert growths("//! max_tokens 30\n" + text) == found


def test_growth_of_random_rules_is_the_radius_of_their_matrix() -> None:
    """Rules whose alternatives begin with different strings: each is one choice, so the matrix is known."""
    generator = random.Random(1)
    numbers = [0, 0]
    for _ in range(60):
        names = ["start", "b", "c"]
        matrix = np.zeros((3, 3))
        lines = []
        for i, name in enumerate(names):
            alternatives = [f'"{name[0]}{k}"' for k in range(generator.randint(1, 3))]
            inner = [[generator.choice(names) for _ in range(generator.randint(1, 3))] for _ in range(2)]
            for k, parts in enumerate(inner):
                alternatives.append(f'"{name[0]}_{k}" ' + " ".join(parts))
                for part in parts:
                    matrix[i, names.index(part)] += 1
            matrix[i] /= len(alternatives)
            lines.append(f"{name}: " + " | ".join(alternatives))
        reached = {0}
        for _ in names:
            reached |= {j for i in reached for j in range(3) if matrix[i, j]}
        rows = sorted(reached)
        radius = max(abs(np.linalg.eigvals(matrix[np.ix_(rows, rows)])))
        found = growths("//! max_tokens 40\n" + "\n".join(lines) + "\n")
        assert bool(found) == (radius > 1 - 1e-6)
        if found:
            assert max(map(float, found.values())) == pytest.approx(radius, rel=5e-3)
        numbers[bool(found)] += 1
    assert min(numbers) >= 10
