"""The search loop for populations: arrays from the strategy to the rewards and back, repeats answered from memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dslc.search.fit_arrays import FitArrays
from dslc.search.key_set import KeyNumbers
from dslc.search.outcome import ORIGINS, Strategy
from dslc.search.row_hash import RowHash
from dslc.search.rows import pad_rows
from dslc.space import Space

Array = NDArray[np.float64]
Tokens = NDArray[np.integer[Any]]


class ArrayTask(Protocol):
    """What scores populations."""

    def score(self, tokens: Tokens) -> Array:
        """Rewards [sentence] of sentences [sentence, time], filled up with V behind their ends."""


@runtime_checkable
class ArrayStrategy(Protocol):
    """A strategy that proposes arrays."""

    def ask_tokens(self, count: int) -> Tokens:
        """The next sentences [count, time], filled up with V behind their ends."""

    def tell_rewards(self, rewards: Array) -> dict[str, float]:
        """Their rewards, in order."""

    def origins(self) -> NDArray[np.uint8]:
        """Where they come from, as places in `dslc.search.outcome.ORIGINS`."""


@runtime_checkable
class AimedStrategy(Protocol):
    """An `ArrayStrategy` that can look at how its sentences were scored."""

    def aim_at(self, arrays: FitArrays) -> None:
        """From now on; every batch of its own, repeats too, has to be the last that these scored."""


class Recorder(Protocol):
    """What keeps a search."""

    def record(self, tokens: Tokens, rewards: Array, origins: NDArray[np.uint8]) -> None:
        """One batch."""


@dataclass(frozen=True, slots=True)
class ArrayResult:
    """How an array search ended."""

    evaluations: int
    """Sentences that were scored, repeats counted."""
    distinct: int
    """Sentences that were really evaluated."""
    best_reward: float
    best: tuple[int, ...]
    """Tokens of the first sentence with that reward, or of the one that ended the search."""
    is_solved: bool


def search_arrays(
    space: Space,
    strategy: Strategy,
    task: ArrayTask,
    *,
    evaluations: int,
    batch: int,
    is_solution: Callable[[tuple[int, ...]], bool] = lambda tokens: False,  # noqa: ARG005
    solution_reward: float = np.inf,
    recorder: Recorder | None = None,
) -> ArrayResult:
    """Search until a solution is found or the evaluations are spent.

    Args:
        space: The space.
        strategy: Over it; asked for arrays where it can give them.
        task: Scores sentences.
        evaluations: Most sentences that are scored; a repeat counts.
        batch: Sentences at a time. The search ends after a batch only, and all of it counts.
        is_solution: Asked of each sentence that reaches `solution_reward`, once.
        solution_reward: Least reward of a solution.
        recorder: Keeps every batch.
    """
    memory = _Memory(space, task)
    told, best_reward = 0, -np.inf
    best: tuple[int, ...] = ()
    pad = len(space.vocabulary)
    asked_before: set[tuple[int, ...]] = set()
    while told < evaluations:
        count = min(batch, evaluations - told)
        if isinstance(strategy, ArrayStrategy):
            tokens = strategy.ask_tokens(count)
            rewards = memory.score_all(tokens) if isinstance(strategy, AimedStrategy) else memory.score(tokens)
            origins = strategy.origins()
            strategy.tell_rewards(rewards)
        else:
            candidates = strategy.ask(count)
            tokens = pad_rows([candidate.tokens for candidate in candidates], pad)
            rewards = memory.score(tokens)
            origins = np.array([ORIGINS.index(candidate.origin) for candidate in candidates], np.uint8)
            strategy.tell(list(zip(candidates, rewards.tolist(), strict=True)))
        told += len(tokens)
        if recorder is not None:
            recorder.record(tokens, rewards, origins)
        top = int(rewards.argmax())
        if rewards[top] > best_reward:
            best_reward, best = float(rewards[top]), _sentence(tokens[top], pad)
        for row in (rewards >= solution_reward).nonzero()[0].tolist():
            sentence = _sentence(tokens[row], pad)
            if sentence not in asked_before:
                asked_before.add(sentence)
                if is_solution(sentence):
                    return ArrayResult(told, memory.distinct, float(rewards[row]), sentence, True)
    return ArrayResult(told, memory.distinct, best_reward, best, False)


def _sentence(row: Tokens, pad: int) -> tuple[int, ...]:
    return tuple(token for token in row.tolist() if token != pad)


class _Memory:
    """Rewards of all sentences so far."""

    def __init__(self, space: Space, task: ArrayTask) -> None:
        self._hash = RowHash(len(space.vocabulary), space.max_tokens)
        self._task = task
        self._numbers = KeyNumbers()
        self._rewards = np.empty(0)
        """[number], and room for more."""
        self.distinct = 0

    def score_all(self, tokens: Tokens) -> Array:
        """Of a strategy that proposes nothing twice as long as it finds something new."""
        self.distinct += len(tokens)
        return self._task.score(tokens)

    def score(self, tokens: Tokens) -> Array:
        numbers, new = self._numbers.find(self._hash.keys(tokens))
        if len(new):
            end = len(self._numbers)
            if end > len(self._rewards):
                self._rewards = np.concatenate((self._rewards, np.empty(end)))
            self._rewards[end - len(new) : end] = self._task.score(tokens[new])
            self.distinct += len(new)
        return self._rewards.take(numbers)
