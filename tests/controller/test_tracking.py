"""The numbers of finished nodes before each token, against the trees of the brute force."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dslc.automaton.mark_nodes import mark_nodes
from dslc.controller.tracking import NumpyNodeTracker, TorchNodeTracker, count_rows
from tests.dslc.random_grammars import compile_plain, random_grammar
from tests.oracle_derivations import Derivations, Label, PlainGrammar, Tree

MAX_TREES = 300


class FinishedNodes(Derivations):
    """Walks trees as `labels` does, and notes after how many tokens each node of some rules is finished.

    A node is finished when all in it is decided; one before a first literal that still has to be decided, with that. A
    step of a left list is finished before the next decision to go on, the nodes of a right list are with the stop.
    """

    ends: list[tuple[str, int]]

    def count_before(self, tree: Tree, rules: list[str]) -> tuple[tuple[Label, ...], list[list[int]]]:
        """The tokens, and before each of them (and behind the last) the number of finished nodes of each rule."""
        self.ends = []
        labels = self.labels(tree)
        numbers = [
            [sum(name == rule and end <= used for name, end in self.ends) for rule in rules]
            for used in range(len(labels) + 1)
        ]
        return labels, numbers

    def _walk(self, tree: Tree, labels: list[Label], *, is_first: bool) -> bool:
        is_first = super()._walk(tree, labels, is_first=is_first)
        if len(tree) == 3 and tree[0] not in self.decisions.lists:
            self.ends.append((tree[0], len(labels) + is_first))
        return is_first

    def _walk_list(self, tree: Tree, labels: list[Label], *, is_first: bool) -> bool:
        name, begin = tree[0], len(self.ends)
        is_first = super()._walk_list(tree, labels, is_first=is_first)
        if self.decisions.is_right_list(name):
            # What was noted of the list's own nodes while its tail was announced is too early.
            own = _nodes_on_spine(tree)
            noted = [end for end in self.ends[begin:] if end[0] != f"{name}:step"]
            self.ends[begin:] = noted + [(name, len(labels))] * own
        else:
            self.ends[begin:] = [(name if n == f"{name}:step" else n, end) for n, end in self.ends[begin:]]
        return is_first

    def _announce(self, unit: str, way: int, labels: list[Label], *, is_first: bool) -> bool:
        if unit.endswith(":more"):
            self.ends.append((unit.replace(":more", ":step"), len(labels)))
        return super()._announce(unit, way, labels, is_first=is_first)


def _nodes_on_spine(tree: Tree) -> int:
    number, name = 1, tree[0]
    while len(tree) == 3 and tree[2] and len(tree[2][-1]) == 3 and tree[2][-1][0] == name:
        tree, number = tree[2][-1], number + 1
    return number


def check_tracker(grammar: PlainGrammar, budget: int) -> int:
    """Compares the tracker with all trees up to a budget; how many there were."""
    derivations = FinishedNodes(grammar)
    cost, number = 0, 0
    while cost < budget and number + derivations.count(cost) <= MAX_TREES:
        number += derivations.count(cost)
        cost += 1
    trees = [tree for each in range(cost) for tree in derivations.trees(each)]
    if not trees:
        return 0
    compiled = compile_plain(grammar, max(cost - 1, derivations.least["start"]))
    automaton = compiled.lowering.automaton
    token_of = {compiled.label(token): token.id for token in automaton.vocabulary}
    names = {own: other for own, other in compiled.rule_names.items() if other in grammar.rules}
    rules = sorted(names)
    marks = mark_nodes(compiled.lowering, rules)
    found = [derivations.count_before(tree, [names[rule] for rule in rules]) for tree in trees]
    time = max(len(labels) for labels, _ in found)
    size = (marks, len(trees), max(time, 1))
    trackers = (TorchNodeTracker(*size), NumpyNodeTracker(*size))
    for step in range(time + 1):
        expected = [numbers[min(step, len(labels))] for labels, numbers in found]
        for tracker in trackers:
            np.testing.assert_array_equal(tracker.finished.numpy(), expected, err_msg=f"{grammar.text()}\nstep {step}")
        tokens = [token_of[labels[step]] if step < len(labels) else automaton.pad_id for labels, _ in found]
        for tracker in trackers:
            tracker.advance(torch.tensor(tokens, dtype=torch.int32))
    return len(trees)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), operators=st.booleans())
def test_random_grammars(seed: int, operators: bool) -> None:
    grammar = random_grammar(seed, operators=operators)
    check_tracker(grammar, 8)


def test_the_grammars_are_not_trivial() -> None:
    generator = random.Random(3)
    numbers = []
    for _ in range(40):
        numbers.append(check_tracker(random_grammar(generator.randrange(2**32), operators=True), 8))
    assert sum(number > 20 for number in numbers) > 10


@pytest.mark.parametrize(
    ("rules", "terminals"),
    [
        ({"start": [["start", "A", "p"], ["p"]], "p": [["A"], ['"x"']]}, {"A": ["a", "b"]}),  # a left list
        ({"start": [["p", "A", "start"], ["p"]], "p": [["A"], ['"x"', "p"]]}, {"A": ["a", "b"]}),  # a right list
        ({"start": [["p", "p", "q", "A", "p"]], "p": [[], ["A"]], "q": [['"x"']]}, {"A": ["a", "b"]}),
        ({"start": [["q", "A"], ["B", "q", "q"]], "q": [[]]}, {"A": ["a", "b"], "B": ["c", "d"]}),  # before a head
        ({"start": [["q"]], "q": [["r", "r"]], "r": [['"x"']]}, {"A": ["a"]}),  # no token at all
        ({"start": [["p"], ["p", "start", "p"]], "p": [["A", "A"]]}, {"A": ["a", "b"]}),  # nested
    ],
)
def test_written_grammars(rules: dict[str, list[list[object]]], terminals: dict[str, list[str]]) -> None:
    assert check_tracker(PlainGrammar(rules, terminals), 9) > 0


def test_a_row_begins_behind_each_finished_node() -> None:
    yes, no, other = 1, 2, 3
    previous = torch.tensor([[9, yes, no, other, yes, other, no]], dtype=torch.int32)
    finished = torch.tensor([[0, 0, 0, 0, 1, 1, 3]], dtype=torch.int32)
    assert count_rows(previous, finished, yes, no).tolist() == [[0, 1, 2, 2, 0, 0, 0]]
