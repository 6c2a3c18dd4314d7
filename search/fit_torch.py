"""The task `fit` for populations on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dslc.search.evaluate_torch import TorchBatchEvaluator
from dslc.search.fit_arrays import need_elementwise
from dslc.search.read_points import Points
from dslc.space import Space


class TorchFitArrays:
    """The rewards of `FitArrays` on any device of torch, up to rounding."""

    def __init__(self, space: Space, points: Points, device: str) -> None:
        """See `FitArrays`."""
        columns = {
            name: torch.tensor(column, dtype=torch.float64, device=device)
            for name, column in zip(points.names, points.inputs, strict=True)
        }
        self._evaluator = TorchBatchEvaluator(need_elementwise(space), columns)
        self._outputs = torch.tensor(points.outputs, dtype=torch.float64, device=device)
        self._spread = float(np.std(points.outputs))

    def __call__(self, tokens: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Rewards [sentence], NaN where a value is not finite."""
        values = self._evaluator.evaluate(tokens)
        residuals = (values - self._outputs).abs()
        # Scaled, since the square of a large residual may be past the largest float.
        largest = residuals.amax(1, keepdim=True)
        scaled = residuals / torch.where(largest > 0, largest, 1.0)
        errors = largest[:, 0] * scaled.square().mean(1).sqrt() / self._spread
        rewards = torch.where(values.isfinite().all(1), 1 / (1 + errors), torch.nan)
        return rewards.cpu().numpy()
