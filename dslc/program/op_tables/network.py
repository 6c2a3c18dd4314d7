"""Parts of networks on images [batch, channels, height, width]."""

from __future__ import annotations

from dslc.program import op_meanings, op_rules
from dslc.program.op_rules import Attributes, Types
from dslc.program.op_spec import Call, OpSpec


def _conv2d_module(inputs: Types, attributes: Attributes) -> Call:
    kernel, stride = op_rules.pair(attributes, "kernel"), op_rules.pair(attributes, "stride")
    padding = (kernel[0] // 2, kernel[1] // 2)
    arguments = [str(op_rules.channels_of(inputs[0])), str(attributes["num_filters"]), _side(kernel)]
    if stride != (1, 1):
        arguments.append(_side(stride))
    if padding != (0, 0):
        arguments.append(f"padding={_side(padding)}")
    return Call("nn.Conv2d", (*arguments, "bias=False"))


def _side(sizes: tuple[int, int]) -> str:
    """Equal sizes as one number, as PyTorch's users write them."""
    return str(sizes[0]) if sizes[0] == sizes[1] else str(sizes)


def _batch_norm_module(inputs: Types, attributes: Attributes) -> Call:  # noqa: ARG001
    return Call("nn.BatchNorm2d", (str(op_rules.channels_of(inputs[0])),))


def _linear_module(inputs: Types, attributes: Attributes) -> Call:
    return Call("nn.Linear", (str(op_rules.channels_of(inputs[0])), str(op_rules.out_features(attributes))))


TABLE: tuple[OpSpec, ...] = (
    OpSpec(
        "conv2d",
        1,
        "conv2d({0})",
        "{module}({0})",
        op_meanings.conv2d,
        "features",
        "zoph2017",
        op_rules.conv2d_type,
        op_rules.conv2d_parameters,
        _conv2d_module,
    ),
    OpSpec(
        "batch_norm",
        1,
        "batch_norm({0})",
        "{module}({0})",
        op_meanings.batch_norm,
        "normal",
        "ioffe2015",
        op_rules.image_type,
        op_rules.batch_norm_parameters,
        _batch_norm_module,
    ),
    OpSpec(
        "global_average_pool",
        1,
        "mean({0})",
        "{0}.mean(dim=(2, 3))",
        op_meanings.global_average_pool,
        "pooled",
        "lin2014",
        op_rules.pooled_type,
    ),
    OpSpec(
        "linear",
        1,
        "linear({0})",
        "{module}({0})",
        op_meanings.linear,
        "scores",
        "",
        op_rules.linear_type,
        op_rules.linear_parameters,
        _linear_module,
    ),
    OpSpec(
        "concat_channels",
        None,
        "concat({inputs})",
        "torch.cat(({inputs}), dim=1)",
        op_meanings.concat_channels,
        "joined",
        "zoph2017",
        op_rules.concat_channels_type,
    ),
    OpSpec(
        "concat_padded",
        None,
        "concat(pad({inputs}))",
        "concat_padded({inputs})",
        op_meanings.concat_padded,
        "joined",
        "zoph2017",
        op_rules.concat_padded_type,
    ),
)
"""All of them."""
