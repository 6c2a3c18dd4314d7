"""Parts of update rules (bello2017) that no other family has: decays, noise and functions of values of any shape.

Rules also use `add`, `sub`, `mul`, `exp`, `negate`, `abs`, `sqrt`, `square` and `cube` of the activations, `log` and
`number` of the expressions, and `pow`. Every value has the shape of the weights, or is one number that stands for all
of them. Expressions act on single tensors; how an emitted rule writes them for lists of tensors is said in
`dslc.program.emit_update_rule`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dslc.program import op_rules
from dslc.program.op_meanings import Array
from dslc.program.op_rules import Attributes, Types
from dslc.program.op_spec import OpSpec
from dslc.program.op_tables.expression import ANY_SHAPE
from dslc.program.tensor_type import TensorType

DIVISOR_EPSILON = 1e-8
"""d of x / (y + d)."""
ANNEALING_POWER = 0.55
"""Exponent of annealed noise, whose deviation is 1 / (1 + t)^0.55."""


def any_shape(inputs: Types, attributes: Attributes) -> TensorType:  # noqa: ARG001
    """The shape of the weights, which the value takes on where it is one number."""
    return ANY_SHAPE


def linear_decay(done: Array, total: Array) -> Array:
    """1 - t/T, 0 from T on."""
    return np.asarray(1 - np.minimum(done, total) / total)


def cosine_decay(done: Array, total: Array) -> Array:
    """(1 + cos(pi t/T)) / 2: half a cosine, from 1 to 0, 0 from T on."""
    return np.asarray(0.5 * (1 + np.cos(np.pi * np.minimum(done, total) / total)))


def restart_decay(done: Array, total: Array, *, restarts: int) -> Array:
    """(1 + cos(pi (n t mod T) / T)) / 2: from 1 to 0, n times; from T on as at T, which is a restart."""
    phase = np.mod(restarts * np.minimum(done, total), total)
    return np.asarray(0.5 * (1 + np.cos(np.pi * phase / total)))


def gaussian_noise(like: Array, *, deviation: float) -> Array:
    """Normal noise in the shape of `like`, drawn anew by numpy's global generator."""
    return np.random.normal(0.0, deviation, np.shape(like))


def annealed_noise(like: Array, done: Array) -> Array:
    """Normal noise in the shape of `like`, whose deviation falls with the number of steps done."""
    return np.random.normal(0.0, 1.0, np.shape(like)) / (1 + done) ** ANNEALING_POWER


def fill(x: Array, like: Array) -> Array:
    """The number x in every element of the shape of `like`."""
    return np.broadcast_to(x, np.shape(like))


def clip(x: Array, *, bound: float) -> Array:
    """x, but not beyond ± bound."""
    return np.clip(x, -bound, bound)


def drop(x: Array, *, probability: float) -> Array:
    """Zero with the given probability, element by element, and the rest scaled to keep the mean."""
    kept = np.random.random(np.shape(x)) >= probability
    return np.where(kept, x / (1 - probability), 0.0 * x)


def guarded_div(x: Array, y: Array) -> Array:
    """x / (y + 1e-8)."""
    return np.asarray(x / (y + DIVISOR_EPSILON))


def _spec(
    name: str,
    arity: int,
    formula: str,
    expression: str,
    meaning: Callable[..., Any],
    value_name: str,
    type_rule: Callable[[Types, Attributes], TensorType] = op_rules.same_type,
) -> OpSpec:
    return OpSpec(name, arity, formula, expression, meaning, value_name, "bello2017", type_rule)


DECAYS: tuple[OpSpec, ...] = (
    _spec("linear_decay", 2, "1 - {0} / {1}", "1 - {0} / {1}", linear_decay, "linear_decay", any_shape),
    _spec(
        "cosine_decay",
        2,
        "(1 + cos(pi {0} / {1})) / 2",
        "0.5 * (1 + math.cos(math.pi * {0} / {1}))",
        cosine_decay,
        "cosine_decay",
        any_shape,
    ),
    _spec(
        "restart_decay",
        2,
        "(1 + cos(pi (n {0} mod {1}) / {1})) / 2",
        "0.5 * (1 + math.cos(math.pi * ({restarts} * {0} % {1}) / {1}))",
        restart_decay,
        "restart_decay",
        any_shape,
    ),
)
"""One number for all weights, another at each step."""

NOISE: tuple[OpSpec, ...] = (
    _spec("gaussian_noise", 1, "N(0, deviation)", "{deviation} * torch.randn_like({0})", gaussian_noise, "noise"),
    _spec(
        "annealed_noise",
        2,
        "N(0, (1 + {1})^-0.55)",
        "torch.randn_like({0}) / (1 + {1}) ** 0.55",
        annealed_noise,
        "annealed_noise",
        any_shape,
    ),
    _spec("drop", 1, "drop({0}, p)", "functional.dropout({0}, {probability})", drop, "dropped"),
)
"""What is drawn anew wherever it stands; the first input of noise gives the shape alone."""

FUNCTIONS: tuple[OpSpec, ...] = (
    _spec("fill", 2, "{0}", "torch.full_like({1}, {0})", fill, "filled"),
    _spec("sign", 1, "sign({0})", "torch.sign({0})", np.sign, "sign"),
    _spec("clip", 1, "clip({0}, bound)", "torch.clamp({0}, -{bound}, {bound})", clip, "clipped"),
    _spec("guarded_div", 2, "{0} / ({1} + 1e-8)", "{0} / ({1} + 1e-8)", guarded_div, "quotient"),
)
"""Functions of values; the second input of `fill` gives the shape alone."""

TABLE = (*DECAYS, *NOISE, *FUNCTIONS)
"""All of them."""
