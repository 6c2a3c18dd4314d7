"""Spaces that count nodes: what is faster elsewhere is exact here, and what cannot be tuned says so."""

from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.diagnostics import Code, DslcError

GRAMMAR = """
//! at_most 2 leaf
//! max_tokens 7
start: "(" start start ")" | leaf
leaf: "a" | "b" | "c"
"""


def test_batches_are_drawn_and_weighed_as_single_sentences_are() -> None:
    space = dslc.compile_text(GRAMMAR)
    assert space.lowering.automaton.registers is not None
    sentences = {space[i].tokens for i in range(space.count())}
    drawn = space.sample_tokens(400, seed=0)
    end = len(space.vocabulary)
    assert {tuple(int(t) for t in row if t != end) for row in drawn} == sentences
    found = space.next_log_probs(drawn[:20])
    for row, sequence in enumerate(drawn[:20].tolist()):
        tokens = [token for token in sequence if token != end]
        total = sum(found[row, place, token] for place, token in enumerate(tokens))
        assert total == pytest.approx(-np.log(space.count()))
        assert found[row, len(tokens), end] == 0.0
        for place in range(len(tokens) + 1):
            assert np.exp(found[row, place]).sum() == pytest.approx(1.0)


def test_a_table_that_counts_nothing_cannot_be_tuned() -> None:
    with pytest.raises(DslcError) as error:
        dslc.compile_text(GRAMMAR).starting_table(target_length=2)
    assert error.value.diagnostics[0].code is Code.STARTING_TARGET


@pytest.mark.parametrize("name", ["counted", "expression_constrained"])
def test_constraints_are_saved(name: str, tmp_path: Path) -> None:
    space = dslc.compile_text(GRAMMAR) if name == "counted" else dslc.compile(name, max_tokens=12)
    space.save(tmp_path / "space.dslc")
    loaded = dslc.load(tmp_path / "space.dslc")
    assert loaded.count() == space.count()
    for i in range(0, space.count(), max(1, space.count() // 50)):
        tokens = space[i].tokens
        assert loaded[i].tokens == tokens
        for place in range(len(tokens)):
            assert loaded.allowed(tokens[:place]) == space.allowed(tokens[:place])
        assert loaded.parse(space[i].text).tokens == tokens
    with pytest.raises(DslcError):
        loaded.parse("((aa)a)" if name == "counted" else "sin ( sin ( x ) )")
