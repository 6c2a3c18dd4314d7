"""Parts of recurrent cells on vectors [batch, features]."""

from __future__ import annotations

from dslc.program import op_rules
from dslc.program.op_meanings import Array
from dslc.program.op_rules import Attributes, Parameter, Types
from dslc.program.op_spec import OpSpec
from dslc.program.tensor_type import TensorType


def project_parameters(inputs: Types, attributes: Attributes) -> tuple[Parameter, ...]:
    """The weight; no bias, as in the paper."""
    shape = (op_rules.out_features(attributes), op_rules.channels_of(inputs[0]))
    return (Parameter("weight", TensorType(shape)),)


def project(x: Array, weight: Array, *, out_features: int | str) -> Array:  # noqa: ARG001
    """x W^T."""
    result: Array = x @ weight.T
    return result


TABLE: tuple[OpSpec, ...] = (
    OpSpec(
        "project",
        1,
        "W {0}",
        "nn.functional.linear({0}, {weight})",
        project,
        "projected",
        "zoph2017",
        op_rules.linear_type,
        project_parameters,
    ),
)
"""All of them."""
