"""Reference meanings of the operations of convolutional cells in numpy; images are [batch, channels, height, width]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.program.op_meanings import batch_norm, conv2d

Array = NDArray[Any]


def sep_conv(x: Array, *, kernel: tuple[int, int], **trained: Array) -> Array:
    """Twice: ReLU, each channel by a filter of its own, each place by one matrix, batch norm."""
    for stage in ("1", "2"):
        depthwise, pointwise = trained[f"depthwise_{stage}"], trained[f"pointwise_{stage}"]
        positive = np.maximum(x, 0)
        single = [
            conv2d(positive[:, [i]], depthwise[[i]], kernel=kernel, stride=(1, 1), num_filters=1)
            for i in range(x.shape[1])
        ]
        every = np.concatenate(single, axis=1)
        mixed = conv2d(every, pointwise, kernel=(1, 1), stride=(1, 1), num_filters=len(pointwise))
        x = batch_norm(mixed, trained[f"scale_{stage}"], trained[f"offset_{stage}"])
    return x


def avg_pool(x: Array, *, kernel: tuple[int, int]) -> Array:
    """Mean of the places of a window that are inside the image."""
    return np.asarray(np.nanmean(_windows(x, kernel, np.nan), axis=(4, 5)))


def max_pool(x: Array, *, kernel: tuple[int, int]) -> Array:
    """Largest value of a window, of the places inside the image."""
    return np.asarray(np.max(_windows(x, kernel, -np.inf), axis=(4, 5)))


def _windows(x: Array, kernel: tuple[int, int], outside: float) -> Array:
    """A window around each place [batch, channels, height, width, *kernel]."""
    rows, columns = (size // 2 for size in kernel)
    edges = ((0, 0), (0, 0), (rows, rows), (columns, columns))
    padded = np.pad(x, edges, constant_values=outside)
    return np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))
