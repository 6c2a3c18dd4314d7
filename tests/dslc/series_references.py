"""Hinges and Fourier series by hand: the papers' formulas in PyTorch, and in numpy over the tree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dslc.program.tree import Leaf, ParseTree

Array = NDArray[np.float64]


class AdaptivePiecewiseLinear(nn.Module):
    """Agostinelli et al. 2014, equation 1, with a loop over the sum; `slopes` and `offsets` are [S, *rest of x]."""

    def __init__(self, slopes: Tensor, offsets: Tensor) -> None:
        super().__init__()
        self.slopes, self.offsets = nn.Parameter(slopes), nn.Parameter(offsets)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.maximum(torch.zeros_like(x), x)
        for a, b in zip(self.slopes, self.offsets, strict=True):
            h = h + a * torch.maximum(torch.zeros_like(x), -x + b)
        return h


class NonparametricFourier(nn.Module):
    """Eisenach et al. 2016, definition 3.1, with constant tails; `a` [k + 1, *shape], a_0 first, `b` [k, *shape]."""

    def __init__(self, half_period: float, margin: float, a: Tensor, b: Tensor) -> None:
        super().__init__()
        self.half_period, self.end = half_period, half_period - margin
        self.a, self.b = nn.Parameter(a), nn.Parameter(b)

    def series(self, u: Tensor) -> Tensor:
        total = self.a[0] + torch.zeros_like(u)
        for i in range(1, len(self.a)):
            total = total + self.a[i] * torch.cos(i * math.pi * u / self.half_period)
            total = total + self.b[i - 1] * torch.sin(i * math.pi * u / self.half_period)
        return total

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.series(torch.full_like(x, -self.end)), self.series(torch.full_like(x, self.end))
        return torch.where(x < -self.end, left, torch.where(x > self.end, right, self.series(x)))


# --- the tree in numpy ------------------------------------------------------------------------------------------------


def numbers_of(tree: ParseTree) -> Iterator[float]:
    """The numbers that stand in a tree, in order of writing."""
    for child in tree.children:
        if isinstance(child, ParseTree):
            yield from numbers_of(child)
        elif isinstance(child, Leaf):
            yield float(child.text)


def interpret_hinges(tree: ParseTree, x: Array, slopes: Sequence[Array] = (), offsets: Sequence[Array] = ()) -> Array:
    """Value of a piecewise-linear sentence; slopes and offsets that are trained are given, shaped to act on x."""
    hinges = [child for child in tree.children if isinstance(child, ParseTree)]
    total = np.where(x > 0, x, 0.0)
    for s, hinge in enumerate(hinges):
        if len(slopes):
            a, b = slopes[s], offsets[s]
        else:
            a, b = (np.array(number) for number in numbers_of(hinge))
        total = total + np.where(b > x, a * (b - x), 0.0)
    return np.asarray(total)


def interpret_series(
    tree: ParseTree, x: Array, mean: Array | None = None, cosines: Sequence[Array] = (), sines: Sequence[Array] = ()
) -> Array:
    """Value of a Fourier sentence: the real part of a complex series; trained coefficients are given."""
    interval, *coefficients = (child for child in tree.children if isinstance(child, ParseTree))
    half_period, margin = numbers_of(interval)
    first, *harmonics = coefficients
    if mean is None:
        (constant,) = numbers_of(first)
        mean = np.array(constant)
        pairs = [[np.array(number) for number in numbers_of(harmonic)] for harmonic in harmonics]
        cosines, sines = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    assert len(cosines) == len(sines) == len(harmonics)
    end = half_period - margin
    u = np.where(x < -end, -end, np.where(x > end, end, x))
    turn = np.exp(1j * np.pi * u / half_period)
    total = mean + np.zeros_like(x)
    for i, (a, b) in enumerate(zip(cosines, sines, strict=True), start=1):
        total = total + ((a - 1j * b) * turn**i).real
    return np.asarray(total)


def shaped_like(values: Array, x: Array, scope: str) -> list[Array]:
    """Trained values [terms, *those of the scope] as one array a term that acts on x [batch, channels, ...]."""
    match scope:
        case "layer":
            return [value.reshape([1] * x.ndim) for value in values]
        case "channel":
            return [value.reshape(1, -1, *[1] * (x.ndim - 2)) for value in values]
        case "unit":
            return [value[None] for value in values]
    raise AssertionError(scope)


def fit_tanh_by_hand(half_period: float, margin: float, num_harmonics: int) -> tuple[Array, float]:
    """Least squares of tanh on a fine grid of [-L + T, L - T], cosines as well; a_0, a_i, b_i and sup error."""
    u = np.linspace(margin - half_period, half_period - margin, 20_001)
    orders = np.arange(1, num_harmonics + 1)
    angles = np.pi * u[:, None] * orders / half_period
    columns = np.concatenate([np.ones((len(u), 1)), np.cos(angles), np.sin(angles)], axis=1)
    weights = np.ones(len(u))
    weights[[0, -1]] = 0.5  # of the trapezoid rule
    root = np.sqrt(weights)[:, None]
    fit = np.linalg.lstsq(columns * root, np.tanh(u) * root[:, 0], rcond=None)[0]
    return fit, float(np.abs(columns @ fit - np.tanh(u)).max())
