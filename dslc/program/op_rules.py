"""Type rules of ops: types of the inputs and attributes to the type of the value and the trained parameters.

Every rule raises TypeMismatchError where the inputs do not fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import lru_cache

from dslc.program.tensor_type import (
    Dim,
    Symbol,
    TensorType,
    TypeMismatchError,
    Variable,
    add_dims,
    ceil_div,
    largest_dim,
    unify_types,
)
from dslc.value import value

AttributeValue = int | float | str | tuple[int, ...] | tuple[float, ...]
Attributes = Mapping[str, AttributeValue]
Types = Sequence[TensorType]

BATCH, CHANNELS, HEIGHT, WIDTH = (Variable(name) for name in ("batch", "channels", "height", "width"))
IMAGE = TensorType((BATCH, CHANNELS, HEIGHT, WIDTH))
FEATURES = TensorType((BATCH, CHANNELS))


class Scope(StrEnum):
    """How many values of its own a trained number of the sentence has."""

    LAYER = "layer"
    """One, wherever the program is applied."""
    CHANNEL = "channel"
    """One a channel, which is one a filter."""
    UNIT = "unit"
    """One for each place of a sample: channel, row, column."""


class Spread(Enum):
    """A distribution that initial values are drawn from, each by itself."""

    UNIFORM = "uniform"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Draw:
    """Initial values drawn at random around 0."""

    spread: Spread
    width: float
    """UNIFORM: half the interval, so from -width to width. NORMAL: the standard deviation."""


@value
class Parameter:
    """A trained tensor of a node."""

    name: str
    shape: TensorType
    initial: float | tuple[float, ...] | Draw | None = None
    """Before training: one value for all elements, or one for each index of the first axis, or drawn at random.

    None: what the PyTorch module initialises it to.
    """


def pair(attributes: Attributes, name: str) -> tuple[int, int]:
    """The attribute `name` as two integers, vertical and horizontal."""
    value = attributes[name]
    assert isinstance(value, tuple), f"`{name}` is a pair"
    first, second = value
    assert isinstance(first, int) and isinstance(second, int), f"`{name}` is a pair of integers"  # noqa: PT018
    return first, second


def number(attributes: Attributes, name: str) -> int:
    """The attribute `name` as an integer."""
    value = attributes[name]
    assert isinstance(value, int), f"`{name}` is an integer"
    return value


def size(attributes: Attributes, name: str) -> Dim:
    """The attribute `name` as a size: a number, or the name of a constructor argument."""
    value = attributes[name]
    assert isinstance(value, int | str), f"`{name}` is a number or a name"
    return Symbol(value) if isinstance(value, str) else value


def no_parameters(inputs: Types, attributes: Attributes) -> tuple[Parameter, ...]:  # noqa: ARG001
    """No parameters."""
    return ()


def same_type(inputs: Types, attributes: Attributes) -> TensorType:  # noqa: ARG001
    """The type that all inputs share."""
    first = inputs[0]
    for other in inputs:
        if other is not first:
            unify_types(first, other)
    return first


def channel_parameter(inputs: Types, attributes: Attributes) -> tuple[Parameter, ...]:  # noqa: ARG001
    """`beta`, one value a channel, 1 at the start (the paper names no value; schrodi2023's code starts at 1)."""
    return _beta(channels_of(inputs[0]))


@lru_cache
def _beta(channels: Dim) -> tuple[Parameter, ...]:
    return (Parameter("beta", TensorType((channels,)), initial=1.0),)


def channels_of(value: TensorType) -> Dim:
    """Size of axis 1, the channels."""
    if len(value.shape) < 2:
        raise TypeMismatchError(f"{value} has no axis of channels")
    return value.shape[1]


def axes_of_image(value: TensorType) -> tuple[Dim, Dim, Dim, Dim]:
    """Sizes of an image's axes: batch, channels, height, width."""
    if len(value.shape) != len(IMAGE.shape):
        unify_types(IMAGE, value)  # says how they differ
    batch, channels, height, width = value.shape
    return batch, channels, height, width


def conv2d_type(inputs: Types, attributes: Attributes) -> TensorType:
    """[batch, channels, height, width] to [batch, num_filters, ceil(height / stride), ceil(width / stride)]."""
    batch, _, height, width = axes_of_image(inputs[0])
    vertical, horizontal = pair(attributes, "stride")
    num_filters = size(attributes, "num_filters")
    return TensorType((batch, num_filters, ceil_div(height, vertical), ceil_div(width, horizontal)))


def conv2d_parameters(inputs: Types, attributes: Attributes) -> tuple[Parameter, ...]:
    """The filters; no bias, since the batch norm that follows subtracts it."""
    height, width = pair(attributes, "kernel")
    return filter_parameters(size(attributes, "num_filters"), channels_of(inputs[0]), height, width)


@lru_cache(maxsize=1024)
def filter_parameters(num_filters: Dim, channels: Dim, height: int, width: int) -> tuple[Parameter, ...]:
    """`weight`, the filters of a convolution."""
    return (Parameter("weight", TensorType((num_filters, channels, height, width))),)


def batch_norm_parameters(inputs: Types, attributes: Attributes) -> tuple[Parameter, ...]:  # noqa: ARG001
    """Scale (1 at the start) and offset (0) of every channel."""
    return scale_and_offset(channels_of(inputs[0]))


@lru_cache
def scale_and_offset(channels: Dim) -> tuple[Parameter, ...]:
    """`weight` and `bias`, one value of each a channel."""
    shape = TensorType((channels,))
    return (Parameter("weight", shape, initial=1.0), Parameter("bias", shape, initial=0.0))


def image_type(inputs: Types, attributes: Attributes) -> TensorType:  # noqa: ARG001
    """An image to an image of the same size."""
    axes_of_image(inputs[0])
    return inputs[0]


def pooled_type(inputs: Types, attributes: Attributes) -> TensorType:  # noqa: ARG001
    """[batch, channels, height, width] to [batch, channels]."""
    batch, channels, _, _ = axes_of_image(inputs[0])
    return TensorType((batch, channels))


def linear_type(inputs: Types, attributes: Attributes) -> TensorType:
    """[batch, features] to [batch, out_features]."""
    if len(inputs[0].shape) != len(FEATURES.shape):
        unify_types(FEATURES, inputs[0])  # says how they differ
    return TensorType((inputs[0].shape[0], out_features(attributes)))


def linear_parameters(inputs: Types, attributes: Attributes) -> tuple[Parameter, ...]:
    """Weight and bias."""
    outputs = out_features(attributes)
    return (
        Parameter("weight", TensorType((outputs, channels_of(inputs[0])))),
        Parameter("bias", TensorType((outputs,))),
    )


def out_features(attributes: Attributes) -> Dim:
    """The attribute `out_features`: a number, or the name of a constructor argument."""
    return size(attributes, "out_features")


def concat_channels_type(inputs: Types, attributes: Attributes) -> TensorType:  # noqa: ARG001
    """Images of one size to an image with all their channels."""
    found = unify_types(IMAGE, inputs[0])
    for other in inputs[1:]:
        without_channels = TensorType((BATCH, Variable("other"), HEIGHT, WIDTH))
        bound = {variable: dim for variable, dim in found.items() if variable != CHANNELS}
        unify_types(without_channels, other, bound)
    channels = add_dims([channels_of(value) for value in inputs])
    return TensorType((inputs[0].shape[0], channels, *inputs[0].shape[2:]))


def concat_padded_type(inputs: Types, attributes: Attributes) -> TensorType:  # noqa: ARG001
    """Images of any sizes to an image with all their channels and the largest height and width."""
    axes = [axes_of_image(value) for value in inputs]
    for batch, *_ in axes[1:]:
        unify_types(TensorType((axes[0][0],)), TensorType((batch,)))
    height, width = largest_dim([each[2] for each in axes]), largest_dim([each[3] for each in axes])
    return TensorType((axes[0][0], add_dims([each[1] for each in axes]), height, width))
