"""The table of ops: what each node of a program can be, in types, in PyTorch, in numpy and in the papers' notation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from dslc.program import op_meanings, op_rules
from dslc.program.op_rules import Attributes, Parameter, Types
from dslc.program.tensor_type import TensorType


@dataclass(frozen=True, slots=True)
class Call:
    """A call in Python source."""

    function: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.function}({', '.join(self.arguments)})"


@dataclass(frozen=True, slots=True)
class OpSpec:
    """One op.

    Templates name inputs `{0}`, `{1}`, all inputs `{inputs}`, and parameters by their names.
    """

    name: str
    arity: int | None
    """Number of inputs; None: one or more."""
    formula: str
    """In the notation of the paper."""
    expression: str
    """In PyTorch, for `forward`; `{module}` is the submodule that `constructor` makes."""
    meaning: Callable[..., Any]
    """In numpy: values of the inputs, then attributes and parameters by name."""
    value_name: str
    """What emitted code calls the value."""
    source: str
    """Where the definition is from, a key of docs/references.md; empty for what needs none."""
    type_rule: Callable[[Types, Attributes], TensorType] = op_rules.same_type
    parameter_rule: Callable[[Types, Attributes], tuple[Parameter, ...]] = op_rules.no_parameters
    constructor: Callable[[Types, Attributes], Call] | None = None
    """The PyTorch module that holds the parameters, for ops that have one."""


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


def _relu_module(inputs: Types, attributes: Attributes) -> Call:  # noqa: ARG001
    return Call("nn.ReLU")


def _linear_module(inputs: Types, attributes: Attributes) -> Call:
    return Call("nn.Linear", (str(op_rules.channels_of(inputs[0])), str(op_rules.out_features(attributes))))


def _unary(name: str, formula: str, expression: str, meaning: Callable[..., Any], value_name: str) -> OpSpec:
    parameters = op_rules.channel_parameter if "{beta}" in expression else op_rules.no_parameters
    constructor = _relu_module if name == "relu" else None
    return OpSpec(
        name,
        1,
        formula,
        expression,
        meaning,
        value_name,
        "ramachandran2017",
        parameter_rule=parameters,
        constructor=constructor,
    )


def _binary(name: str, formula: str, expression: str, meaning: Callable[..., Any], value_name: str) -> OpSpec:
    parameters = op_rules.channel_parameter if "{beta}" in expression else op_rules.no_parameters
    return OpSpec(name, 2, formula, expression, meaning, value_name, "ramachandran2017", parameter_rule=parameters)


UNARY: tuple[OpSpec, ...] = (
    _unary("identity", "{0}", "{0}", np.asarray, "same"),
    _unary("negate", "-{0}", "-{0}", np.negative, "negated"),
    _unary("abs", "abs({0})", "torch.abs({0})", np.abs, "absolute"),
    _unary("square", "{0}^2", "torch.square({0})", np.square, "squared"),
    _unary("cube", "{0}^3", "{0}**3", lambda x: x**3, "cubed"),
    # nan below 0 and an infinite slope at 0, as in the paper: a search is to see what such a function costs.
    _unary("sqrt", "sqrt({0})", "torch.sqrt({0})", np.sqrt, "root"),
    _unary("scale", "{beta} * {0}", "{beta} * {0}", op_meanings.scale, "scaled"),
    _unary("shift", "{0} + {beta}", "{0} + {beta}", op_meanings.shift, "shifted"),
    _unary("log_abs", "log(abs({0}) + eps)", "torch.log(torch.abs({0}) + 1e-6)", op_meanings.log_abs, "log_abs"),
    _unary("exp", "exp({0})", "torch.exp({0})", np.exp, "exponential"),
    _unary("sin", "sin({0})", "torch.sin({0})", np.sin, "sine"),
    _unary("cos", "cos({0})", "torch.cos({0})", np.cos, "cosine"),
    _unary("sinh", "sinh({0})", "torch.sinh({0})", np.sinh, "sinh"),
    _unary("cosh", "cosh({0})", "torch.cosh({0})", np.cosh, "cosh"),
    _unary("tanh", "tanh({0})", "torch.tanh({0})", np.tanh, "tanh"),
    _unary("asinh", "asinh({0})", "torch.asinh({0})", np.arcsinh, "asinh"),
    _unary("atan", "atan({0})", "torch.atan({0})", np.arctan, "arctangent"),
    # sin(pi x) / (pi x): the paper does not say which of the two it means; schrodi2023's code takes this one.
    _unary("sinc", "sinc({0})", "torch.sinc({0})", np.sinc, "sinc"),
    _unary("relu", "max({0}, 0)", "torch.relu({0})", lambda x: np.maximum(x, 0), "positive"),
    _unary("min_zero", "min({0}, 0)", "torch.clamp({0}, max=0)", lambda x: np.minimum(x, 0), "negative"),
    _unary("sigmoid", "sigmoid({0})", "torch.sigmoid({0})", op_meanings.sigmoid, "sigmoid"),
    # PyTorch's softplus is x itself above 20, where the two differ by less than 2.1e-9.
    _unary("softplus", "log(1 + exp({0}))", "nn.functional.softplus({0})", op_meanings.softplus, "softplus"),
    _unary("gaussian", "exp(-{0}^2)", "torch.exp(-torch.square({0}))", op_meanings.gaussian, "gaussian"),
    _unary("erf", "erf({0})", "torch.erf({0})", op_meanings.erf, "erf"),
    _unary("constant", "{beta}", "{beta}.expand_as({0})", op_meanings.constant, "constant"),
)
"""The 25 functions of one value, in the paper's order; `constant` takes a value only for its shape."""

BINARY: tuple[OpSpec, ...] = (
    _binary("add", "{0} + {1}", "{0} + {1}", np.add, "total"),
    _binary("mul", "{0} * {1}", "{0} * {1}", np.multiply, "product"),
    _binary("sub", "{0} - {1}", "{0} - {1}", np.subtract, "difference"),
    _binary("div", "{0} / ({1} + eps)", "{0} / ({1} + 1e-6)", op_meanings.div, "quotient"),
    _binary("max", "max({0}, {1})", "torch.maximum({0}, {1})", np.maximum, "larger"),
    _binary("min", "min({0}, {1})", "torch.minimum({0}, {1})", np.minimum, "smaller"),
    _binary("gate", "sigmoid({0}) * {1}", "torch.sigmoid({0}) * {1}", op_meanings.gate, "gated"),
    _binary(
        "rbf",
        "exp(-{beta} * ({0} - {1})^2)",
        "torch.exp(-{beta} * torch.square({0} - {1}))",
        op_meanings.rbf,
        "radial",
    ),
    _binary(
        "laplace",
        "exp(-{beta} * abs({0} - {1}))",
        "torch.exp(-{beta} * torch.abs({0} - {1}))",
        op_meanings.laplace,
        "laplacian",
    ),
    _binary(
        "mix",
        "{beta} * {0} + (1 - {beta}) * {1}",
        "{beta} * {0} + (1 - {beta}) * {1}",
        op_meanings.mix,
        "mixture",
    ),
)
"""The 10 functions of two values, in the paper's order."""

NETWORK: tuple[OpSpec, ...] = (
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
)
"""Parts of networks on images [batch, channels, height, width]."""

OPS: Mapping[str, OpSpec] = MappingProxyType({spec.name: spec for spec in (*UNARY, *BINARY, *NETWORK)})
"""Every op by name."""
