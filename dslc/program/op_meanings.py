"""Reference meanings of ops in numpy: what a node computes, without torch and without regard to speed.

Every function takes the values of the inputs in order, then attributes and parameters by name. Where a formula is not
defined (the square root of a negative number) the value is nan, as the papers' formulas leave it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EPSILON = 1e-6
"""eps of `log_abs` and `div`. Ramachandran et al. name no value; this one is from the code of schrodi2023."""


def per_channel(values: Array, like: Array) -> Array:
    """One value a channel [channels], shaped to act on axis 1 of `like`, or on its last axis if it has but one."""
    return np.reshape(values, (-1, *[1] * (like.ndim - 2)))


def scale(x: Array, beta: Array) -> Array:
    """beta * x."""
    return np.asarray(per_channel(beta, x) * x)


def shift(x: Array, beta: Array) -> Array:
    """x + beta."""
    return np.asarray(x + per_channel(beta, x))


def log_abs(x: Array) -> Array:
    """log(|x| + eps)."""
    return np.log(np.abs(x) + EPSILON)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow for large negative x."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow for large x."""
    return np.logaddexp(0.0, x)


def gaussian(x: Array) -> Array:
    """exp(-x^2)."""
    return np.asarray(np.exp(-np.square(x)))


def erf(x: Array) -> Array:
    """The error function."""
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x), dtype=x.dtype)


def constant(x: Array, beta: Array) -> Array:
    """beta, in the shape of x."""
    return np.broadcast_to(per_channel(beta, x), x.shape)


def div(x: Array, y: Array) -> Array:
    """x / (y + eps)."""
    return np.asarray(x / (y + EPSILON))


def gate(x: Array, y: Array) -> Array:
    """sigmoid(x) * y."""
    return np.asarray(sigmoid(x) * y)


def rbf(x: Array, y: Array, beta: Array) -> Array:
    """exp(-beta (x - y)^2)."""
    return np.asarray(np.exp(-per_channel(beta, x) * np.square(x - y)))


def laplace(x: Array, y: Array, beta: Array) -> Array:
    """exp(-beta |x - y|)."""
    return np.asarray(np.exp(-per_channel(beta, x) * np.abs(x - y)))


def mix(x: Array, y: Array, beta: Array) -> Array:
    """beta x + (1 - beta) y."""
    share = per_channel(beta, x)
    return np.asarray(share * x + (1 - share) * y)


def conv2d(
    x: Array, weight: Array, *, kernel: tuple[int, int], stride: tuple[int, int], num_filters: int | str
) -> Array:
    """Cross-correlation of images [batch, channels, height, width] with `weight` [num_filters, channels, *kernel].

    Zeros around the image, half a filter on each side, so that a side of n becomes ceil(n / stride).
    """
    assert weight.shape[1:] == (x.shape[1], *kernel), "the filters fit the image"
    assert isinstance(num_filters, str) or len(weight) == num_filters, "there are as many filters as are stated"
    rows, columns = (size // 2 for size in kernel)
    padded = np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))
    kept = windows[:, :, :: stride[0], :: stride[1]]
    return np.asarray(np.einsum("bchwij,fcij->bfhw", kept, weight))


def batch_norm(x: Array, weight: Array, bias: Array) -> Array:
    """Channels brought to mean 0 and variance 1 over batch and places, then scaled and shifted: what training computes.

    Outside training the module uses running averages of mean and variance in place of the batch's own.
    """
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    variance = x.var(axis=(0, 2, 3), keepdims=True)
    normal = (x - mean) / np.sqrt(variance + 1e-5)
    return np.asarray(normal * per_channel(weight, x) + per_channel(bias, x))


def global_average_pool(x: Array) -> Array:
    """Mean over the places of each channel."""
    return np.asarray(x.mean(axis=(2, 3)))


def linear(x: Array, weight: Array, bias: Array, *, out_features: int | str) -> Array:  # noqa: ARG001
    """x W^T + b."""
    return np.asarray(x @ weight.T + bias)


def concat_channels(*inputs: Array) -> Array:
    """All channels of all inputs, in order."""
    return np.concatenate(inputs, axis=1)


def concat_padded(*inputs: Array) -> Array:
    """All channels of all inputs, in order; zeros below and to the right bring each to the largest size."""
    height, width = (max(image.shape[axis] for image in inputs) for axis in (2, 3))
    padded = [
        np.pad(image, ((0, 0), (0, 0), (0, height - image.shape[2]), (0, width - image.shape[3]))) for image in inputs
    ]
    return np.concatenate(padded, axis=1)
