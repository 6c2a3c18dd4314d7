"""The unrolled automaton against the batch runtime, on random sentences."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from dslc.automaton.batch import BatchRuntime
from dslc.automaton.unroll import unroll_automaton
from dslc.space import Space
from tests.controller.small_spaces import FORCED, LISTS, MENUS, TREES, make_space

SPACES = {
    "menus": lambda: make_space(MENUS),
    "trees": lambda: make_space(TREES, 9),
    "lists": lambda: make_space(LISTS, 8),
    "nested": lambda: dslc.compile("expression", max_tokens=5),
    "layers": lambda: dslc.compile("conv_net", start="layers_6_stride_1"),
}


@pytest.mark.parametrize("name", sorted(SPACES))
def test_all_that_a_policy_sees_is_the_same(name: str) -> None:
    space: Space = SPACES[name]()
    automaton, budget, batch = space.lowering.automaton, space.max_tokens, 200
    unrolled = unroll_automaton(automaton, budget, most_choices=100_000)
    assert unrolled is not None
    assert unroll_automaton(automaton, budget, most_choices=100_000) is unrolled, "it is kept"
    runtime = BatchRuntime(automaton, batch, budget, track=True)
    state, previous = np.ones(batch, np.int64), np.full(batch, automaton.pad_id)
    generator = np.random.default_rng(0)
    for position in range(budget):
        mask, live = runtime.mask(), ~runtime.is_done()
        assert (mask == (unrolled.next[state] >= 0)).all()
        assert (live == (state > 0)).all()
        assert (unrolled.features[state] == runtime.features(previous))[live].all()
        assert (unrolled.rows[state] == runtime.rows()).all()
        assert (unrolled.positions[state[live]] == position).all()
        previous = (generator.random(mask.shape) * mask).argmax(1)
        runtime.advance(previous)
        state = unrolled.next[state, previous].astype(np.int64)
    assert runtime.is_done().all()
    assert not state.any()


def test_what_is_too_large_or_counts_is_not_unrolled() -> None:
    large = dslc.compile("expression", max_tokens=30)
    assert unroll_automaton(large.lowering.automaton, 30) is None
    counting = make_space("//! at_most 2 LEAF.x\n" + TREES, 9)
    assert unroll_automaton(counting.lowering.automaton, 9) is None
    forced = make_space(FORCED)
    assert unroll_automaton(forced.lowering.automaton, forced.max_tokens) is None
