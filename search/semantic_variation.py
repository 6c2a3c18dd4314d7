"""Children that are aimed: a part is replaced by the known part whose values are nearest to what is wanted there.

What a program should be at each point is known in regression. So what a part of it should be follows by inverting the
ops above it (semantic backpropagation), and among the parts of all living programs, whose values are known, the nearest
to that takes its place (random desired operator).

Source:
    pawlak2015 (Pawlak, Wieloch, Krawiec: Semantic backpropagation for designing search operators in genetic
    programming).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.cuttings import Indices
from dslc.automaton.variation_batch import BatchVariation, Sentences, join_sentences
from dslc.program.elementwise import Apply
from dslc.program.evaluate_batch import BatchEvaluator
from dslc.program.inverses import INVERSES, Inverse
from dslc.program.schedule_batch import Schedule
from dslc.search.known_parts import LARGEST, KnownParts

Array = NDArray[np.float64]
NEAREST = 2
"""Children of each place: with so many of the nearest parts."""
MOST_PAIRS = 4
"""Children of each place that is completed: the shortest."""


class _Goals(NamedTuple):
    """One place of each of some parents."""

    parents: Sentences
    begins: Indices
    """[parent] column of the place."""
    ends: Indices
    """[parent] column behind the part there."""
    slots: Indices
    """[parent] slot that the part fills."""
    wanted: Array
    """[parent, point] what the part would have to be for its program to have the wanted values."""

    def take(self, rows: Indices) -> _Goals:
        """Some of them."""
        parents, begins, ends, slots, wanted = self
        return _Goals(parents.take(rows), begins[rows], ends[rows], slots[rows], wanted[rows])


class SemanticVariation:
    """Aims at the outputs of a regression, with parts of the programs that were evaluated before."""

    def __init__(
        self,
        variation: BatchVariation,
        evaluator: BatchEvaluator,
        outputs: Array,
        generator: np.random.Generator,
        *,
        most_parts: int = 4000,
        longest: int = 15,
    ) -> None:
        """For programs of a space in prefix order.

        Args:
            variation: Of the space.
            evaluator: At the points.
            outputs: [point] what a program should be there.
            generator: All randomness comes from it.
            most_parts: Parts that are remembered: half the simplest, half the youngest.
            longest: Tokens of the longest part that is.
        """
        codes = evaluator.tables.code_by_token
        assert codes is not None, "programs are in prefix order"
        self._variation, self._evaluator, self._outputs, self._generator = variation, evaluator, outputs, generator
        self._inverses: dict[int, Inverse] = {}
        """By code * 2 + which operand is looked for."""
        ops: dict[int, str] = {}
        for code, instruction in enumerate(evaluator.tables.instructions):
            if isinstance(instruction, Apply) and instruction.operation is None:
                ops[code] = instruction.op
                for side in range(instruction.arity):
                    if (instruction.op, side) in INVERSES:
                        self._inverses[code * 2 + side] = INVERSES[instruction.op, side]
        self.parts = KnownParts(variation.automaton, len(outputs), most_parts, longest)
        """What is known."""
        for slot in range(variation.automaton.num_slots):
            for token in variation.pair_tokens(slot):
                self.parts.add_op(slot, token, ops.get(int(codes[token]), ""))

    def remember(self, sentences: Sentences, schedule: Schedule, values: Array) -> None:
        """Takes the short parts of programs that were just evaluated, one for each slot and value."""
        self.parts.remember(sentences, schedule, values[: len(schedule.codes) + self._evaluator.num_leaves])

    def breed(self, completed: Sentences, aimed: Sentences) -> tuple[Sentences, Sentences]:
        """Children of the first parents by `_complete`, of the second by `_approach`."""
        lengths = aimed.lengths()
        aimed = aimed.take(lengths > 1)
        number = len(completed.tokens)
        parents = join_sentences(completed, aimed)
        lengths = parents.lengths()
        begins = (self._generator.random(len(lengths)) * (lengths - (np.arange(len(lengths)) >= number))).astype(
            np.intp
        )
        # Of those that are completed the whole of the first, of the others any part but the whole.
        begins[:1] = 0
        begins[number:] += 1
        goals = self._find_goals(parents, begins)
        with np.errstate(all="ignore"):
            is_usable = np.abs(goals.wanted).max(1) <= LARGEST
        usable = is_usable.nonzero()[0]
        first = int(is_usable[:number].sum())
        return self._complete(goals.take(usable[:first])), self._approach(goals.take(usable[first:]))

    def _approach(self, goals: _Goals) -> Sentences:
        """NEAREST children of each parent: the part is replaced by one of those nearest to what is wanted, the nearest
        ones of all first."""
        parts = self.parts
        count = len(goals.begins)
        donors = np.zeros((NEAREST, count), np.intp)
        has = np.zeros(count, bool)
        for slot, stretch in parts.stretches.items():
            mine = (goals.slots == slot).nonzero()[0]
            if not len(mine):
                continue
            distances = parts.distances(goals.wanted[mine], stretch)
            rows = np.arange(len(mine))
            for rank in range(NEAREST):
                found = distances.argmin(1)
                donors[rank, mine] = found + stretch.start
                distances[rows, found] = np.inf
            has[mine] = True
        given = parts.sentences.take(donors.ravel())
        whole = goals.parents.take(np.tile(np.arange(count), NEAREST))
        begins, ends = np.tile(goals.begins, NEAREST), np.tile(goals.ends, NEAREST)
        zero = np.zeros_like(begins)
        stretches = ((0, zero, begins), (1, zero, given.lengths()), (0, ends, whole.lengths()))
        return self._variation.join(whole, given, np.tile(has, NEAREST), *stretches)[0]

    def _complete(self, goals: _Goals) -> Sentences:
        """Children whose new part is an op of two known parts that is exactly what is wanted there: few or none.

        For every known part and op it follows what the other operand would have to be, and that is looked for among the
        known ones by a number of its values.
        """
        parts, lengths = self.parts, goals.parents.lengths()
        room = self._variation.budget - lengths + goals.ends - goals.begins - 1
        pairs = [np.empty((0, 4), np.intp)]
        for slot in parts.stretches:
            mine = (goals.slots == slot).nonzero()[0]
            if len(mine):
                found = parts.find_pairs(goals.wanted[mine], slot)
                found[:, 0] = mine[found[:, 0]]
                pairs.append(found)
        of, tokens, lefts, rights = np.concatenate(pairs).T
        total = parts.lengths[lefts] + parts.lengths[rights]
        order = np.lexsort((total, of))
        order = order[total[order] <= room[of[order]]]
        # The shortest of each parent: no more than MOST_PAIRS places behind its first.
        is_first = np.ones(len(order), bool)
        np.not_equal(of[order][1:], of[order][:-1], out=is_first[1:])
        first = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
        order = order[np.arange(len(order)) - first < MOST_PAIRS]
        of, tokens, lefts, rights = of[order], tokens[order], lefts[order], rights[order]
        own = tokens.astype(np.int16)[:, None]
        left, right = parts.sentences.take(lefts), parts.sentences.take(rights)
        given = Sentences(
            np.concatenate((own, left.tokens, right.tokens), 1),
            np.concatenate((goals.slots[of].astype(np.int16)[:, None], left.slots, right.slots), 1),
        )
        zero, one = np.zeros(len(of), np.intp), np.ones(len(of), np.intp)
        second = one + left.tokens.shape[1]
        return self._variation.join(
            goals.parents.take(of),
            given,
            np.ones(len(of), bool),
            (0, zero, goals.begins[of]),
            (1, zero, one),
            (1, one, one + left.lengths()),
            (1, second, second + right.lengths()),
            (0, goals.ends[of], lengths[of]),
        )[0]

    def _find_goals(self, parents: Sentences, begins: Indices) -> _Goals:
        """What is wanted at these columns of the parents."""
        schedule = self._evaluator.schedule(parents.tokens)
        values = self._evaluator.compute(schedule)
        places = schedule.places(np.arange(len(begins)), begins)
        ends = begins + schedule.sizes().take(places)
        slots = parents.slots[np.arange(len(begins)), begins].astype(np.intp)
        return _Goals(parents, begins, ends, slots, self._pull_back(schedule, values, places))

    def _pull_back(self, schedule: Schedule, values: Array, places: Indices) -> Array:
        """[place, point] what the part at each place would have to be for its program to have the wanted values."""
        codes = schedule.instructions
        arity = self._evaluator.tables.arity.take(codes)
        ops = (arity > 0).nonzero()[0]
        # Of each place the op above it, the way down from that (its code and which operand it is), and the place of the
        # other operand.
        above, way, other = (np.full(len(codes), empty, np.intp) for empty in (-1, -1, 0))
        is_binary = arity.take(ops) == 2
        firsts = ops + 1
        lasts = np.where(is_binary, schedule.afters.take(firsts), firsts)
        above[lasts], above[firsts] = ops, ops
        way[firsts] = codes.take(ops) * 2
        way[lasts[is_binary]] = codes.take(ops[is_binary]) * 2 + 1
        other[firsts[is_binary]], other[lasts[is_binary]] = lasts[is_binary], firsts[is_binary]
        steps = _find_steps(above, way, places)
        wanted = np.tile(self._outputs, (len(places), 1))
        with np.errstate(all="ignore"):
            # From the root down; where a path is shorter it begins later.
            for owners, below, groups in steps:
                now, beside = wanted.take(owners, 0), values.take(schedule.numbers.take(other.take(below)), 0)
                for number, begin, end in groups:
                    inverse = self._inverses.get(number)
                    here = slice(begin, end)
                    now[here] = np.nan if inverse is None else inverse(now[here], beside[here])
                wanted[owners] = now
        return wanted


def _find_steps(
    above: Indices, way: Indices, places: Indices
) -> Iterator[tuple[Indices, Indices, list[tuple[int, int, int]]]]:
    """The steps from the roots down to some places, a step of all of them at once.

    Of each which of the places they lead to in the end, where they lead in this step, and where the ways of one kind
    begin and end.
    """
    paths, owners = [places], [np.arange(len(places))]
    while True:
        following = above.take(paths[-1])
        goes_on = (following >= 0).nonzero()[0]
        if not len(goes_on):
            break
        paths.append(following[goes_on])
        owners.append(owners[-1][goes_on])
    for below, owner in zip(paths[::-1], owners[::-1], strict=True):
        ways = way.take(below)
        is_step = (ways >= 0).nonzero()[0]  # no way leads to a root
        order = is_step[ways[is_step].argsort(kind="stable")]
        ways = ways[order].tolist()
        begins = [place for place, each in enumerate(ways) if not place or each != ways[place - 1]]
        groups = [(ways[begin], begin, end) for begin, end in pairwise([*begins, len(ways)])]
        yield owner[order], below[order], groups
