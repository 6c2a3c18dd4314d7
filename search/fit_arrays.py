"""The task `fit` for populations: rewards of thousands of expressions at once, from their tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.program.elementwise import compile_elementwise
from dslc.program.evaluate_batch import BatchEvaluator, Schedule
from dslc.search.read_points import Points
from dslc.space import Space

Array = NDArray[np.float64]


class FitArrays:
    """1 / (1 + NRMSE) of each sentence at the points; 0, the task's floor, where a value is not finite.

    The same rewards as `score_program` gives one by one, for expressions without fitted constants.
    """

    def __init__(self, space: Space, points: Points) -> None:
        """Raises NotElementwiseError for a space that cannot be evaluated so, KeyError for one with other variables."""
        columns = dict(zip(points.names, np.ascontiguousarray(points.inputs), strict=True))
        self.evaluator = BatchEvaluator(compile_elementwise(space.lowering, space.meaning()), columns)
        self.outputs = points.outputs
        self._spread = float(np.std(points.outputs))
        self.schedule: Schedule | None = None
        """Of the last population."""
        self.values = np.empty((0, len(points.outputs)))
        """All values of the last population, by the numbers of its schedule; reused by the next."""

    def __call__(self, tokens: NDArray[np.integer[Any]]) -> Array:
        """As `score`, but NaN where a value is not finite: such a program has failed."""
        values, places = self._compute(tokens)
        return np.where(np.isfinite(values).all(1), self._rewards(values), np.nan)[places]

    def score(self, tokens: NDArray[np.integer[Any]]) -> Array:
        """Rewards [sentence] of sentences [sentence, time], filled up with V behind their ends."""
        values, places = self._compute(tokens)
        return self._rewards(values)[places]

    def _compute(self, tokens: NDArray[np.integer[Any]]) -> tuple[Array, NDArray[np.intp]]:
        """Each value once, since programs that mean the same share it, and which is that of each sentence."""
        used = int((tokens != self.evaluator.tables.lowering.automaton.pad_id).sum(1).max(initial=0))
        self.schedule = self.evaluator.schedule(tokens[:, :used])
        self.values = self.evaluator.compute(self.schedule)
        numbers, places = np.unique(self.schedule.roots, return_inverse=True)
        return self.values.take(numbers, 0), places

    def _rewards(self, values: Array) -> Array:
        with np.errstate(all="ignore"):
            residuals = np.abs(values - self.outputs)
            largest = residuals.max(1)
            # Scaled, since the square of a large residual may be past the largest float.
            residuals /= np.where(largest > 0, largest, 1.0)[:, None]
            errors = largest * np.sqrt(np.einsum("ij,ij->i", residuals, residuals) / values.shape[1]) / self._spread
            return np.where(np.isfinite(values).all(1), 1 / (1 + errors), 0.0)
