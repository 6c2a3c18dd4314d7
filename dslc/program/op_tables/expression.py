"""What closed-form expressions need beside the plain functions of the family `activation`: / , log, and constants.

Every function is the one that PyTorch and numpy have, without protection: the logarithm of a negative number is nan, of
0 minus infinity; a number divided by 0 is infinite, 0 / 0 is nan. So an expression means what it says wherever it is
defined, and the benchmarks of petersen2021 that need the edge of a domain (log(x) at 0) keep their meaning.
"""

from __future__ import annotations

import numpy as np

from dslc.program.op_meanings import Array
from dslc.program.op_rules import Attributes, Parameter, Types
from dslc.program.op_spec import OpSpec
from dslc.program.tensor_type import REST, TensorType

ANY_SHAPE = TensorType((REST,))
"""Of every value of an expression; a number takes the shape of what it meets."""


def _any_shape(inputs: Types, attributes: Attributes) -> TensorType:  # noqa: ARG001
    return ANY_SHAPE


def _fitted_value(inputs: Types, attributes: Attributes) -> tuple[Parameter, ...]:  # noqa: ARG001
    initial = attributes["initial"]
    assert isinstance(initial, int | float), "`initial` is a number"
    return (Parameter("value", TensorType(()), float(initial)),)


def _number_meaning(*, value: float) -> Array:
    return np.asarray(float(value))


def _fitted_meaning(*, value: Array, initial: float) -> Array:  # noqa: ARG001
    return value


TABLE: tuple[OpSpec, ...] = (
    OpSpec("divide", 2, "{0} / {1}", "{0} / {1}", np.divide, "quotient", "petersen2021"),
    OpSpec("log", 1, "log({0})", "torch.log({0})", np.log, "logarithm", "petersen2021"),
    OpSpec("number", 0, "{value}", "{value}", _number_meaning, "number", "", _any_shape),
    OpSpec("fitted", 0, "{value}", "{value}", _fitted_meaning, "constant", "", _any_shape, _fitted_value),
)
"""All of them; `fitted` is one number that is adjusted to data before the program is scored."""
