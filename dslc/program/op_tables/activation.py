"""Functions of one and of two values (ramachandran2017, section 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dslc.program import op_meanings, op_rules
from dslc.program.op_rules import Attributes, Types
from dslc.program.op_spec import Call, OpSpec


def _relu_module(inputs: Types, attributes: Attributes) -> Call:  # noqa: ARG001
    return Call("nn.ReLU")


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

TABLE = (*UNARY, *BINARY)
"""All of them."""
