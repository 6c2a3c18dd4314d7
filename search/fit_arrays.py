"""The task `fit` for populations: rewards of thousands of expressions at once, from their tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.program.elementwise import ElementwiseTables, NotElementwiseError
from dslc.program.evaluate_batch import BatchEvaluator
from dslc.program.schedule_batch import Schedule
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
        self.evaluator = BatchEvaluator(need_elementwise(space), columns)
        self.outputs = points.outputs
        self._spread = float(np.std(points.outputs))
        self.schedule: Schedule | None = None
        """Of the last population."""
        self.values = np.empty((0, len(points.outputs)))
        """All values of the last population, by the numbers of its schedule; reused by the next."""

    def __call__(self, tokens: NDArray[np.integer[Any]]) -> Array:
        """As `score`, but NaN where a value is not finite: such a program has failed."""
        return self._rewards(tokens, np.nan)

    def score(self, tokens: NDArray[np.integer[Any]]) -> Array:
        """Rewards [sentence] of sentences [sentence, time], filled up with V behind their ends."""
        return self._rewards(tokens, 0.0)

    def _rewards(self, tokens: NDArray[np.integer[Any]], failed: float) -> Array:
        self.schedule = self.evaluator.schedule(tokens)
        self.values = self.evaluator.compute(self.schedule)
        # Points are the first axis here, so that what is summed over them are few long rows.
        residuals = self.values.take(self.schedule.roots, 0).T.copy()
        with np.errstate(all="ignore"):
            residuals -= self.outputs[:, None]
            np.abs(residuals, out=residuals)
            largest = residuals.max(0)
            # Scaled, since the square of a large residual may be past the largest float.
            residuals /= np.where(largest > 0, largest, 1.0)
            np.square(residuals, out=residuals)
            errors = largest * np.sqrt(residuals.sum(0) / len(residuals)) / self._spread
            # A value that is not finite has a residual that is not, and that is the largest one.
            return np.where(np.isfinite(largest), 1 / (1 + errors), failed)


def need_elementwise(space: Space) -> ElementwiseTables:
    """The tables by which populations of the space are evaluated, made once a space.

    Raises:
        NotElementwiseError: with the reason, where there are none.
    """
    if isinstance(space.elementwise, str):
        raise NotElementwiseError(space.elementwise)
    return space.elementwise
