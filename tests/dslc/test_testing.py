"""The Hypothesis strategy over programs of a space."""

import pytest
from hypothesis import find, given, settings

import dslc
from dslc.testing import programs

SPACE = dslc.compile_text('start: "x" item*\nitem: A | "(" start ")"\nA: "a" | "b"\n', max_tokens=12)


@given(programs(SPACE))
def test_programs_are_programs_of_the_space(program: dslc.Program) -> None:
    assert SPACE.decode(program.tokens) == program
    assert SPACE[SPACE.index(program.tokens)] == program


def test_failures_shrink_to_short_sentences() -> None:
    found = find(programs(SPACE), lambda program: "b" in program.text, settings=settings(database=None))
    assert len(found.tokens) == min(len(SPACE[i].tokens) for i in range(200) if "b" in SPACE[i].text)


@pytest.mark.parametrize("name", ["activation", "conv_net"])
def test_every_program_of_a_shipped_space_has_a_meaning(name: str) -> None:
    space = dslc.compile(name, start="nested" if name == "activation" else None)

    @given(programs(space))
    def check(program: dslc.Program) -> None:
        assert program.source.sentence == program.text
        assert len(program.hash) == 64

    check()
