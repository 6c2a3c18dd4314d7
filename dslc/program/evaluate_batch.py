"""Values of whole populations in numpy: tokens [batch, time] to values [batch, point], without an object a program.

What to compute is found first (`dslc.program.schedule_batch`), each part of a program once in whatever row it stands.
Then all values of one height have their operands gathered together, and each op of the height is one call of numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.program.elementwise import Apply, Constant, ElementwiseTables, Input, instruction_meaning
from dslc.program.schedule_batch import Schedule, Scheduler

Array = NDArray[np.float64]


class BatchEvaluator:
    """Evaluates populations of one space at given points."""

    def __init__(self, tables: ElementwiseTables, inputs: Mapping[str, Array]) -> None:
        """Takes the value [point] of each input; raises KeyError if one is missing that the space uses."""
        self.tables = tables
        self.num_points = len(next(iter(inputs.values())))
        self._scheduler = Scheduler(tables)
        self._leaves = np.empty((self._scheduler.num_leaves, self.num_points))
        for number, instruction in enumerate(tables.instructions):
            row = self._scheduler.leaf_of_code[number]
            match instruction:
                case Input(name):
                    self._leaves[row] = inputs[name]
                case Constant(value):
                    self._leaves[row] = value
                case Apply() if instruction.arity == 0:
                    self._leaves[row] = instruction_meaning(instruction)()
        self._meanings = {n: instruction_meaning(i) for n, i in enumerate(tables.instructions) if isinstance(i, Apply)}
        """By code."""
        self._ufuncs = {n: meaning if isinstance(meaning, np.ufunc) else None for n, meaning in self._meanings.items()}
        """The same, where they can write where they are told to."""
        self._arity = tables.arity.tolist()
        self._values = np.empty((0, self.num_points))
        self._gathered = [np.empty((0, self.num_points)) for _ in range(max(self._arity))]
        """Of one height the first operands, the second ones, and so on."""
        self._arguments = [self._gathered[:arity] for arity in self._arity]
        """By code those that it has."""

    @property
    def num_leaves(self) -> int:
        """Values that are known before anything is computed; they are numbered first."""
        return len(self._leaves)

    def evaluate(self, tokens: NDArray[np.integer[Any]]) -> Array:
        """Values [batch, point] of sentences [batch, time], filled up with V behind their ends.

        They need not be finite. They are those of `interpret_graph` of each program's graph.
        """
        schedule = self._scheduler.schedule(tokens)
        return self.compute(schedule).take(schedule.roots, 0)

    def schedule(self, tokens: NDArray[np.integer[Any]]) -> Schedule:
        """What `evaluate` computes, and in which order."""
        return self._scheduler.schedule(tokens)

    def compute(self, schedule: Schedule) -> Array:
        """All values of a schedule [number, point]; reused by the next call."""
        values = self._make_room(schedule)
        computed = values[len(self._leaves) :]
        bounds = schedule.bounds.tolist()
        codes = schedule.codes.take(schedule.bounds[:-1]).tolist()
        groups = zip(schedule.heights.tolist(), codes, bounds, bounds[1:], strict=False)
        with np.errstate(all="ignore"):
            for _, level in groupby(groups, key=itemgetter(0)):
                ops = list(level)
                self._gather(schedule, values, ops)
                low = ops[0][2]
                for _, code, begin, end in ops:
                    here = slice(begin - low, end - low)
                    arguments = [each[here] for each in self._arguments[code]]
                    ufunc = self._ufuncs[code]
                    if ufunc is not None:
                        ufunc(*arguments, out=computed[begin:end])
                    else:
                        computed[begin:end] = self._meanings[code](*arguments)
        return values

    def _gather(self, schedule: Schedule, values: Array, ops: list[tuple[int, int, int, int]]) -> None:
        """The operands of all values of one height; those with most operands stand first."""
        low = high = ops[0][2]
        end_by_arity = {self._arity[code]: end for _, code, _, end in ops}
        for place in range(len(self._gathered) - 1, -1, -1):
            high = end_by_arity.get(place + 1, high)
            if high > low:
                values.take(schedule.operands[place, low:high], 0, self._gathered[place][: high - low], "clip")

    def _make_room(self, schedule: Schedule) -> Array:
        first, computed = len(self._leaves), len(schedule.codes)
        if len(self._values) < first + computed:
            rows = first + computed + computed // 4
            self._values = np.empty((rows, self.num_points))
            self._values[:first] = self._leaves
            self._gathered = [np.empty((rows, self.num_points)) for _ in self._gathered]
            self._arguments = [self._gathered[:arity] for arity in self._arity]
        return self._values
