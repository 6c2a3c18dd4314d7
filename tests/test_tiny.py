"""The whole line on a 6-line grammar: the first test to read. Each step is explained in docs/architecture.md."""

from itertools import product
from pathlib import Path

import torch

import dslc
from dslc.search import Context, search

GRAMMAR = """\
//! target activation
start: "x" "x" unary unary binary -> core
unary: "identity" -> identity | "sigmoid" -> sigmoid | "scale" -> scale
binary: "mul" -> mul | "max" -> max
%ignore " "
"""


def test_a_grammar_becomes_a_searched_module(tmp_path: Path) -> None:
    space = dslc.compile_text(GRAMMAR, name="tiny.lark")

    # exact counts, and every sentence by its index
    assert space.count() == 3 * 3 * 2
    names = ("identity", "sigmoid", "scale")
    expected = {f"x x {one} {two} {binary}" for one, two, binary in product(names, names, ("mul", "max"))}
    assert {space[i].text for i in range(space.count())} == expected

    # tokens and text are two forms of one thing, and the mask follows every prefix
    program = space.parse("x x identity sigmoid mul")
    assert space.index(program.tokens) == space.index(program.text)
    for place, token in enumerate(program.tokens):
        assert token in space.allowed(program.tokens[:place])
    assert space.allowed(program.tokens) == ()

    # code that runs without dslc
    assert "dslc" not in program.source.text.split('"""')[2]
    module = program.build()
    assert isinstance(module, torch.nn.Module)
    values = torch.linspace(-3, 3, 7).reshape(7, 1)
    assert torch.allclose(module(values), values * torch.sigmoid(values))

    # a search with a reward of one's own
    def reward(program: dslc.Program, context: Context) -> float:  # noqa: ARG001
        return program.text.split().count("sigmoid") + 0.5 * program.text.endswith("max")

    result = search(space, task=reward, evaluations=60, seed=0, run_dir=tmp_path / "run")
    assert result.best is not None
    assert result.best.program.text == "x x sigmoid sigmoid max"
    assert result.best.reward == 2.5
