"""Maximum and average pooling of NHWC images, and their gradients, in NumPy: one step per place in the window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.reference.conv2d import Axis, taps, window_axes

__all__ = [
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "max_pool2d_gather",
]


def _axes(size: Sequence[int], pool_size: Sequence[int], strides: Sequence[int], padding: Any) -> tuple[Axis, Axis]:
    return window_axes(size, pool_size, strides, padding, (1, 1))


def max_pool2d_forward(
    inputs: np.ndarray, pool_size: Sequence[int], strides: Sequence[int], padding: Any, with_argmax: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    height, width = _axes(inputs.shape[1:3], pool_size, strides, padding)
    y = np.full((inputs.shape[0], height.out, width.out, inputs.shape[3]), -np.inf, inputs.dtype)
    argmax = np.full(y.shape, -1, np.int64)  # the place in the window: row * width + column
    for (i, j), outs, ins in taps(height, width):
        candidate, best, place = inputs[ins], y[outs], argmax[outs]
        better = (place < 0) | (candidate > best) | (np.isnan(candidate) & ~np.isnan(best))
        best[better] = candidate[better]
        place[better] = i * width.window + j
    narrow = np.uint8 if height.window * width.window <= 255 else np.int32
    return y, argmax.astype(narrow) if with_argmax else None


def max_pool2d_backward(
    dy: np.ndarray,
    argmax: np.ndarray,
    input_size: Sequence[int],
    pool_size: Sequence[int],
    strides: Sequence[int],
    padding: Any,
) -> np.ndarray:
    height, width = _axes(input_size, pool_size, strides, padding)
    dx = np.zeros((dy.shape[0], *input_size, dy.shape[3]), dy.dtype)
    for (i, j), outs, ins in taps(height, width):
        dx[ins] += np.where(argmax[outs] == i * width.window + j, dy[outs], 0)
    return dx


def max_pool2d_gather(
    x: np.ndarray, argmax: np.ndarray, pool_size: Sequence[int], strides: Sequence[int], padding: Any
) -> np.ndarray:
    height, width = _axes(x.shape[1:3], pool_size, strides, padding)
    y = np.zeros(argmax.shape, x.dtype)
    for (i, j), outs, ins in taps(height, width):
        y[outs] = np.where(argmax[outs] == i * width.window + j, x[ins], y[outs])
    return y


def _counts(height: Axis, width: Axis) -> np.ndarray:
    """How many inputs each output's window holds: (OH, OW, 1)."""
    counts = np.zeros((1, height.out, width.out, 1))
    for _, outs, _ in taps(height, width):
        counts[outs] += 1
    return counts[0]


def avg_pool2d_forward(
    inputs: np.ndarray, pool_size: Sequence[int], strides: Sequence[int], padding: Any
) -> np.ndarray:
    height, width = _axes(inputs.shape[1:3], pool_size, strides, padding)
    total = np.zeros((inputs.shape[0], height.out, width.out, inputs.shape[3]), inputs.dtype)
    for _, outs, ins in taps(height, width):
        total[outs] += inputs[ins]
    return total / _counts(height, width).astype(inputs.dtype)


def avg_pool2d_backward(
    dy: np.ndarray, input_size: Sequence[int], pool_size: Sequence[int], strides: Sequence[int], padding: Any
) -> np.ndarray:
    height, width = _axes(input_size, pool_size, strides, padding)
    dx = np.zeros((dy.shape[0], *input_size, dy.shape[3]), dy.dtype)
    share = dy / _counts(height, width).astype(dy.dtype)
    for _, outs, ins in taps(height, width):
        dx[ins] += share[outs]
    return dx
