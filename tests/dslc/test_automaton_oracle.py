"""The automaton against brute force: masks at every prefix, counts, the numbering, derivations, every runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Lark
from lark.exceptions import LarkError
from numpy.typing import NDArray

from dslc.automaton.batch import BatchRuntime
from dslc.automaton.count import Counts
from dslc.automaton.derive import derivation_to_tokens, tokens_to_derivation
from dslc.automaton.render import render_tokens
from dslc.automaton.scalar import ScalarRuntime, ScalarState, advance_state, allowed_tokens, start_state
from dslc.automaton.tables import TokenAutomaton
from dslc.controller.masking import TorchRuntime
from dslc.diagnostics import Code, DslcError
from tests.dslc.random_grammars import Compiled, compile_plain, random_grammar
from tests.oracle_derivations import Derivations, PlainGrammar, properties

MAX_BUDGET = 12
MAX_DERIVATIONS = 700
"""A run's budget is the largest, up to MAX_BUDGET, under which a grammar has no more derivations than this."""
KINDS = ("left-recursive", "ambiguous", "not LL(1)", "nullable", "unit-cyclic")


# --- runtimes: a new one is added by its name -------------------------------------------------------------------------


class Runtime(Protocol):
    """Sequences in step."""

    def mask(self) -> NDArray[np.bool_]: ...

    def advance(self, tokens: NDArray[np.int32]) -> None: ...


class ByValue:
    """The scalar functions for many sequences."""

    def __init__(self, automaton: TokenAutomaton, batch_size: int, budget: int) -> None:
        self.automaton = automaton
        self.states: list[ScalarState] = [start_state(automaton, budget)] * batch_size

    def mask(self) -> NDArray[np.bool_]:
        mask = np.zeros((len(self.states), self.automaton.num_tokens + 1), np.bool_)
        for row, state in zip(mask, self.states, strict=True):
            row[list(allowed_tokens(self.automaton, state)) or [self.automaton.pad_id]] = True
        return mask

    def advance(self, tokens: NDArray[np.int32]) -> None:
        self.states = [
            state if token == self.automaton.pad_id else advance_state(self.automaton, state, token)
            for state, token in zip(self.states, tokens.tolist(), strict=True)
        ]


class InPlace:
    """A scalar runtime for each of many sequences."""

    def __init__(self, automaton: TokenAutomaton, batch_size: int, budget: int) -> None:
        self.automaton = automaton
        self.runtimes = [ScalarRuntime(automaton, budget) for _ in range(batch_size)]
        self.allowed = [runtime.first for runtime in self.runtimes]

    def mask(self) -> NDArray[np.bool_]:
        mask = np.zeros((len(self.runtimes), self.automaton.num_tokens + 1), np.bool_)
        for row, allowed in zip(mask, self.allowed, strict=True):
            row[list(allowed) or [self.automaton.pad_id]] = True
        return mask

    def advance(self, tokens: NDArray[np.int32]) -> None:
        for i, token in enumerate(tokens.tolist()):
            if token != self.automaton.pad_id:
                self.allowed[i] = self.runtimes[i].step(token)


class OnTensors:
    """The torch runtime."""

    def __init__(self, automaton: TokenAutomaton, batch_size: int, budget: int) -> None:
        self.runtime = TorchRuntime(automaton, batch_size, budget)

    def mask(self) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = self.runtime.mask().numpy()
        return mask

    def advance(self, tokens: NDArray[np.int32]) -> None:
        self.runtime.advance(torch.from_numpy(tokens))


RUNTIMES: dict[str, Callable[[TokenAutomaton, int, int], Runtime]] = {
    "scalar": ByValue,
    "scalar in place": InPlace,
    "numpy": BatchRuntime,
    "numpy, counted step by step": partial(BatchRuntime, compose=False),
    "torch": OnTensors,
}


def check_masks(
    names: Sequence[str], automaton: TokenAutomaton, sequences: Sequence[tuple[int, ...]], budget: int
) -> int:
    """Holds the masks of runtimes against a set of sentences, at every prefix of each; number of prefixes compared."""
    width, pad = automaton.num_tokens + 1, automaton.pad_id
    follow: dict[tuple[int, ...], NDArray[np.bool_]] = {}
    for sequence in sequences:
        for length in range(len(sequence) + 1):
            row = follow.setdefault(sequence[:length], np.zeros(width, np.bool_))
            row[sequence[length] if length < len(sequence) else pad] = True
    padded = np.full((len(sequences), budget + 1), pad, np.int32)
    for row_id, sequence in enumerate(sequences):
        padded[row_id, : len(sequence)] = sequence
    runtimes = [RUNTIMES[name](automaton, len(sequences), budget) for name in names]
    for step in range(budget + 1):
        expected = np.array([follow[sequence[:step]] for sequence in sequences])
        for name, runtime in zip(names, runtimes, strict=True):
            assert np.array_equal(runtime.mask(), expected), (name, step)
            runtime.advance(padded[:, step])
    return len(follow)


# --- one grammar ------------------------------------------------------------------------------------------------------


def largest_budget(oracle: Derivations) -> int:
    """The largest budget with few enough derivations; at least that of the shortest sentence."""
    total = 0
    for budget in range(MAX_BUDGET + 1):
        total += oracle.count(budget)
        if total > MAX_DERIVATIONS:
            return max(budget - 1, oracle.least["start"])
    return max(MAX_BUDGET, oracle.least["start"])


def check_grammar(grammar: PlainGrammar, found: Counter[str], *, accepted_every: int = 4) -> None:
    """Everything about one grammar; what it is and how much was compared is added to `found`.

    Lark is slow, so only one grammar in `accepted_every` is held against it.
    """
    oracle = Derivations(grammar)
    budget = largest_budget(oracle)
    trees = [tree for cost in range(budget + 1) for tree in oracle.trees(cost)]
    if len(trees) > 5 * MAX_DERIVATIONS:  # one length alone is too much
        return
    compiled = compile_plain(grammar, budget)
    lowering, automaton = compiled.lowering, compiled.lowering.automaton
    id_of_label = {compiled.label(token): token.id for token in automaton.vocabulary}
    assert len(id_of_label) == automaton.num_tokens
    sequences = [tuple(id_of_label[label] for label in oracle.labels(tree)) for tree in trees]
    assert len(set(sequences)) == len(sequences)
    by_length = sorted(zip(sequences, trees, strict=True), key=lambda pair: len(pair[0]))

    # Masks, at the largest budget in every runtime, at every smaller one in numpy.
    found["prefixes"] += check_masks(tuple(RUNTIMES), automaton, sequences, budget)
    assert automaton.min_tokens == len(by_length[0][0])
    for smaller in range(budget):
        within = [sequence for sequence, _ in by_length if len(sequence) <= smaller]
        if within:
            found["prefixes"] += check_masks(("numpy",), automaton, within, smaller)
            if smaller % 3 == 0:
                check_masks(("scalar",), compile_plain(grammar, smaller).lowering.automaton, within, smaller)
        else:
            check_refusal(compiled, grammar, smaller)

    # Counts and the numbering.
    counts = Counts(automaton, budget)
    histogram = Counter(map(len, sequences))
    assert counts.by_tokens == tuple(histogram[n] for n in range(budget + 1))
    assert counts.by_tokens == tuple(oracle.count(n) for n in range(budget + 1))
    unranked = [counts.unrank(i) for i in range(counts.total)]
    assert set(unranked) == set(sequences)
    assert [counts.rank(tokens) for tokens in unranked] == list(range(counts.total))
    assert [len(tokens) for tokens in unranked] == sorted(map(len, unranked))

    # Derivations and texts.
    joiner = " " if grammar.ignores_blank else ""
    texts = Counter[tuple[str, ...]]()
    for tokens, tree in by_length:
        derivation = tokens_to_derivation(lowering, tokens)
        assert compiled.tree(derivation) == tree
        assert derivation_to_tokens(lowering, derivation) == tokens
        texts[oracle.leaves(tree)] += 1
    for tokens, tree in by_length[:: 1 + len(by_length) // 50]:
        assert render_tokens(lowering, tokens) == joiner.join(oracle.sentence(tree))
    found.update(properties(grammar))
    found["ambiguous"] += max(texts.values()) > 1
    found["grammars"] += 1
    found["derivations"] += len(trees)
    if found["grammars"] % accepted_every == 0:
        found["accepted"] += check_accepted(grammar, [render_tokens(lowering, tokens) for tokens, _ in by_length[:5]])


def check_refusal(compiled: Compiled, grammar: PlainGrammar, budget: int) -> None:
    """A budget that no sentence fits is refused with the smallest that works, by every way to run under it."""
    automaton = compiled.lowering.automaton
    for attempt in (
        lambda: compile_plain(grammar, budget),
        lambda: start_state(automaton, budget),
        lambda: BatchRuntime(automaton, 2, budget),
        lambda: Counts(automaton, budget),
    ):
        with pytest.raises(DslcError) as caught:
            attempt()
        (diagnostic,) = caught.value.diagnostics
        assert diagnostic.code is Code.BUDGET_TOO_SMALL
        assert diagnostic.help == f"the smallest budget that works is {automaton.min_tokens}"


def check_accepted(grammar: PlainGrammar, texts: Sequence[str]) -> int:
    """Lark takes the sentences; number of them."""
    try:
        # Lark's own BNF refuses some optionals ("Rules defined twice") that the grammar as written does not.
        lark = Lark(grammar.text(), parser="earley", lexer="dynamic_complete", maybe_placeholders=True)
    except LarkError:
        return 0
    for text in texts:
        if text:  # lark does not parse the empty text with this lexer
            lark.parse(text)
    return sum(map(bool, texts))


# --- many grammars ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("operators", "num_examples"), [(False, 170), (True, 110)])
def test_random_grammars(operators: bool, num_examples: int) -> None:
    found = Counter[str]()

    @settings(max_examples=num_examples)
    @given(st.integers(0, 2**32).map(lambda seed: random_grammar(seed, operators=operators)))
    def check(grammar: PlainGrammar) -> None:
        check_grammar(grammar, found)

    check()
    # At least 240 grammars over both runs, and in the first alone 40 of each kind.
    assert found["grammars"] >= (150 if not operators else 90), found
    assert found["accepted"] >= 40, found
    if not operators:
        assert all(found[kind] >= 40 for kind in KINDS), found
