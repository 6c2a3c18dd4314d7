"""Programs by the batch: the same programs, texts and errors as one by one."""

import pytest

import dslc
from dslc.automaton.render import _render_steps
from dslc.grammars import grammar_names
from dslc.space import FEWEST_IN_STEP

SPACES = [(name, start) for name in grammar_names() for start in dslc.compile(name).compilation.grammar.pragmas.starts]


@pytest.mark.parametrize(("name", "start"), SPACES)
def test_equal_to_one_by_one(name: str, start: str) -> None:
    space = dslc.compile(name, start=start)
    sequences = [program.tokens for program in space.samples(12, seed=1, lengths="even")]
    programs = space.decode_all(sequences)
    assert programs == [space.decode(tokens) for tokens in sequences]
    # `_render_steps` goes through the derivation; it is compared with lark elsewhere.
    assert [program.text for program in programs] == [_render_steps(space.lowering, tokens) for tokens in sequences]


@pytest.mark.parametrize("fault", ["unfinished", "too long", "other token", "no token", "negative"])
@pytest.mark.parametrize("place", [0, FEWEST_IN_STEP + 1])
def test_a_fault_is_the_one_that_decode_tells(fault: str, place: int) -> None:
    space = dslc.compile("conv_net", start="layers_6_stride_1")
    sequences = [program.tokens for program in space.samples(FEWEST_IN_STEP + 2, seed=0)]
    good = sequences[place]
    number = len(space.vocabulary)
    wrong = {
        "unfinished": good[:-1],
        "too long": (*good, good[0]),
        "other token": (*good[:3], good[1], *good[4:]),
        "no token": (*good[:3], number, *good[4:]),
        "negative": (*good[:3], -1, *good[4:]),
    }[fault]
    sequences[place] = wrong
    with pytest.raises(dslc.DslcError) as alone:
        space.decode(wrong)
    with pytest.raises(dslc.DslcError) as together:
        space.decode_all(sequences)
    assert together.value.diagnostics == alone.value.diagnostics


def test_nothing_is_nothing() -> None:
    assert dslc.compile("conv_net").decode_all([]) == []


def test_an_empty_sentence_among_others() -> None:
    space = dslc.compile_text('//! max_tokens 4\nstart: "a"*\n')
    sequences = [space[i].tokens for i in range(space.count())]
    assert [program.text for program in space.decode_all(sequences)] == ["", "a", "aa", "aaa"][: space.count()]
