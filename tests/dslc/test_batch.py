"""The numpy runtime: padding, independence of the sequences, parent and sibling features."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from dslc.automaton.batch import BatchRuntime
from dslc.automaton.count import Counts
from dslc.automaton.scalar import start_state
from dslc.automaton.tables import TokenAutomaton
from dslc.automaton.uniform import sample_uniform
from dslc.diagnostics import Code, DslcError
from tests.dslc.random_grammars import lower_text
from tests.dslc.scalar_rows import take_random_tokens

GRAMMARS = Path(__file__).parents[1] / "bench" / "grammars"
ARITHMETIC = 'start: start OP atom | atom\natom: N | F "(" start "," start ")"\nOP: "+"\nN: "1" | "2"\nF: "f"\n'


@pytest.mark.parametrize("name", ["arith", "optim", "conv", "lstm", "arith300"])
@pytest.mark.parametrize("budget", [40, 101])
def test_masks_equal_the_scalar_runtime(name: str, budget: int) -> None:
    automaton = lower_text((GRAMMARS / f"{name}.lark").read_text(encoding="utf-8"), 128)[1].automaton
    if budget < automaton.min_tokens:
        budget = automaton.min_tokens
    generator = random.Random(1)
    batch = BatchRuntime(automaton, 50, budget)
    states = [start_state(automaton, budget)] * 50
    for _ in range(budget):
        mask = batch.mask()
        tokens = take_random_tokens(automaton, states, mask, generator)
        batch.advance(tokens)
        assert batch.top.tolist() == [state.top for state in states]
    assert batch.is_done().all()
    batch.reset()
    assert not batch.is_done().any()


def test_arrays_are_reused_and_finished_sequences_take_padding_forever() -> None:
    automaton = lower_text('start: A | A B\nA: "a" | "b"\nB: "c" | "d"\n', 8)[1].automaton
    runtime = BatchRuntime(automaton, 2, 3)
    assert runtime.mask() is runtime.mask()
    assert runtime.rows() is runtime.rows()
    labels = [token.label for token in automaton.vocabulary]
    for step in (["<start#0>", "<start#1>"], ["A.a", "A.b"], [None, "B.c"], [None, None], [None, None]):
        runtime.advance(
            np.array([automaton.pad_id if label is None else labels.index(label) for label in step], np.int32)
        )
    assert runtime.is_done().all()
    assert runtime.mask().tolist() == [automaton.mask[0].tolist()] * 2


def test_a_language_without_decisions_is_done_at_once() -> None:
    automaton = lower_text('start: "a"\n', 4)[1].automaton
    runtime = BatchRuntime(automaton, 3, 0, track=True)
    assert runtime.is_done().all()
    assert runtime.mask().tolist() == [[True]] * 3
    runtime.advance(np.zeros(3, np.int32))
    assert runtime.is_done().all()


def test_the_budget_is_checked() -> None:
    automaton = lower_text(ARITHMETIC, 8)[1].automaton
    with pytest.raises(DslcError) as caught:
        BatchRuntime(automaton, 1, 1)
    assert caught.value.diagnostics[0].code is Code.BUDGET_TOO_SMALL


def test_parent_and_sibling_of_one_sentence() -> None:
    # f(1 + 2, 1) + 2, by hand: (token, its parent, its sibling). The base of a list and its tail are siblings; what a
    # tail leaves has the tail's token as its parent.
    automaton = lower_text(ARITHMETIC, 20)[1].automaton
    stop = "<stop start>"
    expected = [
        ("F.f", None, None),
        ("N.1", "F.f", None),
        ("OP.+", "F.f", "N.1"),
        ("N.2", "OP.+", None),
        (stop, "OP.+", "N.2"),
        ("N.1", "F.f", "OP.+"),
        (stop, "F.f", "N.1"),
        ("OP.+", None, "F.f"),
        ("N.2", "OP.+", None),
        (stop, "OP.+", "N.2"),
    ]
    labels = [token.label for token in automaton.vocabulary]
    id_of = {label: i for i, label in enumerate(labels)} | {None: automaton.pad_id}
    runtime = BatchRuntime(automaton, 2, 20, track=True)
    for token, parent, sibling in expected:
        assert runtime.mask()[0, id_of[token]]
        assert runtime.parent.tolist() == [id_of[parent]] * 2, token
        assert runtime.sibling.tolist() == [id_of[sibling]] * 2, token
        assert runtime.slot.tolist() == automaton.slot[runtime.top].tolist()
        runtime.advance(np.full(2, id_of[token], np.int32))
    assert runtime.is_done().all()
    assert runtime.parent.tolist() == runtime.sibling.tolist() == [automaton.pad_id] * 2


def test_features_equal_a_walk_with_a_stack_of_its_own() -> None:
    automaton = lower_text((GRAMMARS / "arith.lark").read_text(encoding="utf-8"), 60)[1].automaton
    counts = Counts(automaton, 60)
    generator = random.Random(0)
    sequences = [sample_uniform(counts, generator, "even") for _ in range(40)]
    pad = automaton.pad_id
    tokens = np.full((61, 40), pad, np.int32)
    for column, sequence in enumerate(sequences):
        tokens[: len(sequence), column] = sequence
    tracked, plain = BatchRuntime(automaton, 40, 60, track=True), BatchRuntime(automaton, 40, 60)
    expected = [_features(automaton.next.tolist(), automaton, sequence) for sequence in sequences]
    for step in range(61):
        assert np.array_equal(tracked.mask(), plain.mask())
        for column, features in enumerate(expected):
            wanted = features[step] if step < len(features) else (pad, pad)
            assert (tracked.parent[column], tracked.sibling[column]) == wanted
        tracked.advance(tokens[step])
        plain.advance(tokens[step])


def _features(following: list[int], automaton: TokenAutomaton, sequence: tuple[int, ...]) -> list[tuple[int, int]]:
    """(parent, sibling) before each token, with one explicit frame for each open run."""

    pad = automaton.pad_id
    frames = [(automaton.start_position, pad, pad)]  # (position, parent, sibling)
    features = []
    for token in sequence:
        position, parent, sibling = frames.pop()
        features.append((parent, sibling))
        if following[position]:
            frames.append((following[position], parent, token))
        run = int(automaton.run[automaton.slot_base[position] + token])
        if run:
            frames.append((run, token, pad))
    return features
