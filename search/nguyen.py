"""The twelve Nguyen functions: the benchmark of symbolic regression, with the ranges of petersen2021.

Training points are 20 a function, each variable drawn uniformly from the function's range with seed 0; test points are
1,000 further ones with seed 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dslc.search.read_points import Points

Array = NDArray[np.float64]
NUM_TRAINING = 20
NUM_TEST = 1000
TRAINING_SEED, TEST_SEED = 0, 1


@dataclass(frozen=True, slots=True)
class NguyenFunction:
    """One function and where it is sampled."""

    formula: str
    low: float
    high: float
    """Range of every variable."""
    function: Callable[[Array, Array], Array]
    """Of x and y."""
    names: tuple[str, ...] = ("x",)
    """Variables that it has."""


def _powers(highest: int) -> Callable[[Array, Array], Array]:
    return lambda x, _: np.asarray(sum(x**n for n in range(1, highest + 1)))


_BOTH = ("x", "y")
NGUYEN: Mapping[str, NguyenFunction] = MappingProxyType(
    {
        "nguyen_1": NguyenFunction("x^3 + x^2 + x", -1, 1, _powers(3)),
        "nguyen_2": NguyenFunction("x^4 + x^3 + x^2 + x", -1, 1, _powers(4)),
        "nguyen_3": NguyenFunction("x^5 + x^4 + x^3 + x^2 + x", -1, 1, _powers(5)),
        "nguyen_4": NguyenFunction("x^6 + x^5 + x^4 + x^3 + x^2 + x", -1, 1, _powers(6)),
        "nguyen_5": NguyenFunction("sin(x^2) * cos(x) - 1", -1, 1, lambda x, _: np.sin(x**2) * np.cos(x) - 1),
        "nguyen_6": NguyenFunction("sin(x) + sin(x + x^2)", -1, 1, lambda x, _: np.sin(x) + np.sin(x + x**2)),
        "nguyen_7": NguyenFunction("log(x + 1) + log(x^2 + 1)", 0, 2, lambda x, _: np.log(x + 1) + np.log(x**2 + 1)),
        "nguyen_8": NguyenFunction("sqrt(x)", 0, 4, lambda x, _: np.sqrt(x)),
        "nguyen_9": NguyenFunction("sin(x) + sin(y^2)", 0, 1, lambda x, y: np.sin(x) + np.sin(y**2), _BOTH),
        "nguyen_10": NguyenFunction("2 * sin(x) * cos(y)", 0, 1, lambda x, y: 2 * np.sin(x) * np.cos(y), _BOTH),
        "nguyen_11": NguyenFunction("x^y", 0, 1, lambda x, y: x**y, _BOTH),
        "nguyen_12": NguyenFunction("x^4 - x^3 + y^2 / 2 - y", 0, 1, lambda x, y: x**4 - x**3 + y**2 / 2 - y, _BOTH),
    }
)
"""By name, in the order of the paper's table."""


def sample_nguyen(name: str) -> tuple[Points, Points]:
    """Training and test points of a function, always the same."""
    target = NGUYEN[name]
    training, test = (
        np.random.default_rng(seed).uniform(target.low, target.high, (2, count))
        for seed, count in ((TRAINING_SEED, NUM_TRAINING), (TEST_SEED, NUM_TEST))
    )
    digest = sha256(b"".join(values.astype("<f8").tobytes() for values in (training, test))).hexdigest()
    return _points(target, training, digest), _points(target, test, digest)


def _points(target: NguyenFunction, inputs: Array, digest: str) -> Points:
    return Points(target.names, inputs[: len(target.names)], target.function(inputs[0], inputs[1]), digest)
