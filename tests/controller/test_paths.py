"""Which sequences are at one node: those with the same tokens so far, and all that have ended."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dslc.controller.paths import FEWEST_SHARING, Paths, find_paths

PAD = 3
TIME = 5
SEQUENCES = st.lists(st.lists(st.integers(0, PAD - 1), max_size=TIME), max_size=9)


def make_tokens(sequences: list[list[int]]) -> NDArray[np.int32]:
    columns = [[*sequence, *[PAD] * (TIME - len(sequence))] for sequence in sequences]
    return np.array(columns, np.int32).reshape(len(columns), TIME).T


def beginning(tokens: NDArray[np.int32], position: int, row: int) -> tuple[int, ...] | str:
    """What makes a node: the tokens before a position, or that the sequence has ended before the last of them."""
    before = tuple(tokens[:position, row].tolist())
    return "ended" if PAD in before else before


def number_within(paths: Paths) -> list[list[int]]:
    """Nodes numbered within their step."""
    starts = [0, *accumulate(paths.counts)]
    return [[node - start for node in row] for row, start in zip(paths.nodes.tolist(), starts, strict=False)]


@given(SEQUENCES)
def test_a_node_is_a_beginning(sequences: list[list[int]]) -> None:
    tokens = make_tokens(sequences)
    paths = find_paths(tokens, PAD, fewest=1)
    within = number_within(paths)
    for position in range(TIME):
        node_of: dict[tuple[int, ...] | str, set[int]] = {}
        for row in range(len(sequences)):
            node_of.setdefault(beginning(tokens, position, row), set()).add(within[position][row])
        assert sorted(node for nodes in node_of.values() for node in nodes) == list(range(paths.counts[position]))


@given(SEQUENCES)
def test_a_parent_is_where_a_sequence_of_the_node_was(sequences: list[list[int]]) -> None:
    tokens = make_tokens(sequences)
    paths = find_paths(tokens, PAD, fewest=1)
    within = number_within(paths)
    assert paths.parents[0] is None
    for position in range(1, TIME):
        parents = paths.parents[position]
        for row, node in enumerate(within[position]):
            parent = node if parents is None else int(parents[node])
            came_from = {within[position - 1][other] for other, its in enumerate(within[position]) if its == node}
            assert parent in came_from
            assert len(came_from) == 1 or beginning(tokens, position, row) == "ended"


@given(SEQUENCES)
def test_each_node_has_picked_a_step_of_its_own(sequences: list[list[int]]) -> None:
    tokens = make_tokens(sequences)
    paths = find_paths(tokens, PAD, fewest=1)
    assert paths.nodes.reshape(-1)[paths.picked].tolist() == list(range(sum(paths.counts)))
    assert len(paths.picked) == sum(paths.counts)


def test_of_few_sequences_each_has_nodes_of_its_own() -> None:
    tokens = np.zeros((TIME, FEWEST_SHARING), np.int32)
    assert find_paths(tokens, PAD).counts == [1] * TIME
    few = find_paths(tokens[:, 1:], PAD)
    assert few.counts == [FEWEST_SHARING - 1] * TIME
    assert few.parents == [None] * TIME
    assert few.picked.tolist() == few.nodes.reshape(-1).tolist() == list(range(TIME * (FEWEST_SHARING - 1)))
