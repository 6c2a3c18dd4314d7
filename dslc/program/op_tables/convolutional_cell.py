"""Operations of convolutional cells (pham2018): an image to an image of the same size and depth.

What the paper leaves open is taken from its authors' code (repository melodyguan/enas, commit 00787a5,
src/cifar10/micro_child.py): a separable convolution is applied twice, each time after a ReLU and before a batch norm;
an average is over the places inside the image.
"""

from __future__ import annotations

from dslc.program import op_meanings_cell, op_rules
from dslc.program.op_rules import Attributes, Parameter, Types
from dslc.program.op_spec import Call, OpSpec
from dslc.program.tensor_type import TensorType


def _sep_conv_parameters(inputs: Types, attributes: Attributes) -> tuple[Parameter, ...]:
    channels = op_rules.channels_of(inputs[0])
    filters, matrix = (channels, 1, *op_rules.pair(attributes, "kernel")), (channels, channels, 1, 1)
    parameters: list[Parameter] = []
    for stage in (1, 2):
        parameters += [
            Parameter(f"depthwise_{stage}", TensorType(filters)),
            Parameter(f"pointwise_{stage}", TensorType(matrix)),
            Parameter(f"scale_{stage}", TensorType((channels,)), initial=1.0),
            Parameter(f"offset_{stage}", TensorType((channels,)), initial=0.0),
        ]
    return tuple(parameters)


def _sep_conv_module(inputs: Types, attributes: Attributes) -> Call:
    return Call("SeparableConv", (str(op_rules.channels_of(inputs[0])), _side(attributes)))


def _avg_pool_module(inputs: Types, attributes: Attributes) -> Call:  # noqa: ARG001
    return Call("nn.AvgPool2d", (_side(attributes), "stride=1", _padding(attributes), "count_include_pad=False"))


def _max_pool_module(inputs: Types, attributes: Attributes) -> Call:  # noqa: ARG001
    return Call("nn.MaxPool2d", (_side(attributes), "stride=1", _padding(attributes)))


def _side(attributes: Attributes) -> str:
    return str(op_rules.pair(attributes, "kernel")[0])


def _padding(attributes: Attributes) -> str:
    return f"padding={op_rules.pair(attributes, 'kernel')[0] // 2}"


TABLE: tuple[OpSpec, ...] = (
    OpSpec(
        "sep_conv",
        1,
        "sep_conv({0})",
        "{module}({0})",
        op_meanings_cell.sep_conv,
        "separated",
        "pham2018",
        op_rules.image_type,
        _sep_conv_parameters,
        _sep_conv_module,
    ),
    OpSpec(
        "avg_pool",
        1,
        "avg_pool({0})",
        "{module}({0})",
        op_meanings_cell.avg_pool,
        "average",
        "pham2018",
        op_rules.image_type,
        constructor=_avg_pool_module,
    ),
    OpSpec(
        "max_pool",
        1,
        "max_pool({0})",
        "{module}({0})",
        op_meanings_cell.max_pool,
        "largest",
        "pham2018",
        op_rules.image_type,
        constructor=_max_pool_module,
    ),
)
"""All of them; `kernel` is square and odd."""
