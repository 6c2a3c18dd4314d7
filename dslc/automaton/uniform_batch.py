"""Next-token log-probabilities of the uniform distribution for a batch of sentences or prefixes, in numpy.

What follows the run on top is a *continuation*: the position to go on with, and the continuation after that. It has a
vector: by the number of tokens used so far, the log of the weight of all ways to finish. Sequences of a batch share
their continuations, so each vector is made once. Counts enter as logarithms of the exact integers; `uniform_next` gives
one prefix's probabilities as fractions.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.count import Counts, no_sentence
from dslc.automaton.count_totals import TotalCounts
from dslc.automaton.uniform import Lengths, sentence_weights, uniform_next

MAX_VECTOR_CELLS = 16_777_216
"""Most numbers in the vectors of the continuations at once; a batch that could need more is taken in parts."""

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


def uniform_next_log_probs(counts: Counts, tokens: NDArray[np.integer], lengths: Lengths = "uniform") -> FloatArray:
    """Log-probabilities in nats of what can follow each prefix of each sequence.

    Args:
        counts: The space and budget.
        tokens: Ids [batch, time]: sentences, filled up with V behind their ends, or prefixes of one length.
        lengths: Which distribution; see `sample_uniform`.

    Returns:
        float64 [batch, time + 1, V + 1]: entry t stands before token t. -inf where no sentence goes on so; behind the
        end of a sentence V has 0.

    Raises:
        DslcError: DSLC303 if a row is no sentence, nor the beginning of one, within the budget.

    Example:
        >>> import dslc
        >>> space = dslc.compile_text('start: A A\\nA: "x" | "y"')
        >>> uniform_next_log_probs(space.exact_counts(), np.array([[0, 1]])).shape
        (1, 3, 3)
    """
    batch, time = tokens.shape
    result = np.full((batch, time + 1, counts.automaton.num_tokens + 1), -np.inf)
    size = max(1, MAX_VECTOR_CELLS // ((counts.budget + 1) * max(1, time)))
    if isinstance(counts, TotalCounts):
        _fill_rows_exactly(counts, tokens, result, lengths)
        return result
    tables = _LogCounts(counts, lengths)
    for begin in range(0, batch, size):
        rows = slice(begin, begin + size)
        _fill_rows(tables, tokens[rows], result[rows], begin)
    return result


def _fill_rows_exactly(counts: Counts, tokens: NDArray[np.integer], result: FloatArray, lengths: Lengths) -> None:
    """One prefix after the other, as fractions: vectors by tokens alone say nothing where nodes are counted."""
    end = counts.automaton.num_tokens
    for row, sequence in enumerate(tokens.tolist()):
        prefix: list[int] = []
        for place, token in enumerate([*sequence, end]):
            following = uniform_next(counts, prefix, lengths)
            if not following:
                result[row, place:, end] = 0.0
                break
            for each, share in following.items():
                result[row, place, each] = math.log(share.numerator) - math.log(share.denominator)
            prefix.append(token)
            if token == end:
                break


class _LogCounts:
    """Logarithms of the counts, and the tokens of each slot by the run that they open."""

    def __init__(self, counts: Counts, lengths: Lengths) -> None:
        self.counts = counts
        self.automaton = counts.automaton
        self.positions = np.array([_logs(row) for row in counts.position_counts])
        self.sentences = np.array(_logs(sentence_weights(counts, lengths)))
        self.runs: list[list[tuple[int, list[int]]]] = []
        for choices in counts.choices:
            by_run: dict[int, list[int]] = {}
            for token, run in choices:
                by_run.setdefault(run, []).append(token)
            self.runs.append(list(by_run.items()))


def _logs(numbers: list[int]) -> list[float]:
    return [math.log(number) if number else -math.inf for number in numbers]


class _Continuations:
    """The continuations met so far; 0 is the end of the sentence."""

    def __init__(self, tables: _LogCounts) -> None:
        self._tables = tables
        self._ids: dict[tuple[int, int], int] = {}
        self.position, self.outer = np.zeros(64, np.intp), np.zeros(64, np.intp)
        self.vectors = np.zeros((64, len(tables.sentences)))
        self.vectors[0] = tables.sentences

    def __len__(self) -> int:
        return len(self._ids) + 1

    def push(self, positions: IndexArray, outer: IndexArray) -> IndexArray:
        """The continuation of each pair; where the position is 0, the outer one itself."""
        result = outer.copy()
        new: dict[int, list[tuple[int, int]]] = {}
        for row in positions.nonzero()[0].tolist():
            key = (int(positions[row]), int(outer[row]))
            found = self._ids.get(key)
            if found is None:
                found = self._ids[key] = len(self)
                new.setdefault(key[0], []).append((found, key[1]))
            result[row] = found
        while len(self) > len(self.vectors):
            self.position, self.outer = (
                np.concatenate((old, np.zeros_like(old))) for old in (self.position, self.outer)
            )
            self.vectors = np.concatenate((self.vectors, np.zeros_like(self.vectors)))
        for position, pairs in new.items():
            ids, outers = np.array(pairs, np.intp).T
            self.position[ids], self.outer[ids] = position, outers
            self.vectors[ids] = _weigh_before(self._tables.positions[position], self.vectors[outers])
        return result


def _weigh_before(ways: FloatArray, after: FloatArray) -> FloatArray:
    """Vectors [rows, used] that stand before a position is filled, from those after it."""
    width = after.shape[1]
    lengths = np.isfinite(ways).nonzero()[0].tolist()
    most = np.full_like(after, -np.inf)
    for length in lengths:
        np.maximum(most[:, : width - length], after[:, length:] + ways[length], out=most[:, : width - length])
    shift = np.where(np.isfinite(most), most, 0.0)
    total = np.zeros_like(after)
    for length in lengths:
        total[:, : width - length] += np.exp(after[:, length:] + (ways[length] - shift[:, : width - length]))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total) + shift)


def _log_sum(logs: FloatArray) -> FloatArray:
    """log(sum(exp(logs))) over the last axis, -inf where all are."""
    most = logs.max(-1, initial=-np.inf)
    shift = np.where(np.isfinite(most), most, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(logs - shift[..., None]).sum(-1)) + shift)


def _fill_rows(tables: _LogCounts, tokens: NDArray[np.integer], result: FloatArray, first_row: int) -> None:
    automaton = tables.automaton
    wide, pad_id = automaton.wide, automaton.pad_id
    continuations = _Continuations(tables)
    top = np.full(len(tokens), automaton.start_position, np.intp)
    below = np.zeros(len(tokens), np.intp)
    for time in range(result.shape[1]):
        is_open = top > 0
        result[~is_open, time, pad_id] = 0.0
        rows = is_open.nonzero()[0]
        keys, inverse = np.unique(top[rows] * len(continuations) + below[rows], return_inverse=True)
        tops, belows = np.divmod(keys, len(continuations))
        afters = continuations.push(wide.next[tops], belows)
        result[rows, time] = _next_tokens(tables, wide.slot[tops], continuations.vectors, afters, time)[inverse]
        if time == tokens.shape[1]:
            return
        chosen = tokens[:, time].astype(np.intp)
        _check_tokens(result[:, time], chosen, time, first_row)
        run = wide.position[wide.run[wide.slot_base[top] + chosen]]
        run[~is_open] = 0
        following = wide.next[top]
        after = np.zeros(len(tokens), np.intp)
        after[rows] = afters[inverse]
        # A run opens; or the position's own run goes on; or it is finished, and so the continuation's turn.
        goes_on = (run == 0) & (following > 0)
        ends = (run == 0) & (following == 0)
        top = np.where(run > 0, run, np.where(goes_on, following, continuations.position[below]))
        below = np.where(ends, continuations.outer[below], np.where(run > 0, after, below))


def _next_tokens(
    tables: _LogCounts, slots: IndexArray, vectors: FloatArray, afters: IndexArray, used: int
) -> FloatArray:
    """Log-probabilities [rows, V + 1] of filling these slots after `used` tokens, before these continuations."""
    result = np.full((len(slots), tables.automaton.num_tokens + 1), -np.inf)
    for slot in np.unique(slots).tolist():
        rows = (slots == slot).nonzero()[0]
        runs = tables.runs[slot]
        # A run of n tokens after the token itself ends at used + 1 + n.
        after = vectors[afters[rows], used + 1 :]
        logs = np.stack([_log_sum(tables.positions[run, : after.shape[1]] + after) for run, _ in runs], -1)
        logs -= _log_sum(logs + np.log([len(members) for _, members in runs]))[:, None]
        for column, (_, members) in enumerate(runs):
            result[np.ix_(rows, members)] = logs[:, column, None]
    return result


def _check_tokens(log_probs: FloatArray, chosen: IndexArray, time: int, first_row: int) -> None:
    is_known = (chosen >= 0) & (chosen < log_probs.shape[1])
    is_allowed = is_known & np.isfinite(log_probs[np.arange(len(chosen)), np.where(is_known, chosen, 0)])
    if not is_allowed.all():
        row = int(is_allowed.argmin())
        raise no_sentence(f"token {time + 1} of row {first_row + row + 1} is not allowed there")
