"""Convolution of NHWC images with HWIO kernels, and its gradients, in NumPy: one product per kernel tap.

Output pixel p of an axis sees, through tap i, the input p * stride + i * dilation - before. So each tap is a
strided slice of the input, with zeros where it lies in the padding. These zeros are multiplied like any input, by the
kernel and by the output's gradient (0 * Inf is NaN); the input's gradient sums over what saw an input, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranvier.reference.activation import named_activation, slope_from_output

__all__ = [
    "conv2d_activation_gradient",
    "conv2d_bias_gradient",
    "conv2d_forward",
    "conv2d_input_gradient",
    "conv2d_kernel_gradient",
    "conv2d_transpose_forward",
]


@dataclass
class Axis:
    """One axis of a sliding window: sizes, and the padding before the first input."""

    size: int
    window: int
    stride: int
    dilation: int
    before: int
    out: int

    def tap(self, i: int) -> tuple[slice, slice]:
        """Which outputs see an input through tap ``i``, and which inputs these are."""
        shift = i * self.dilation - self.before
        first = max(0, -(shift // self.stride))  # ceil(-shift / stride)
        end = min(self.out, (self.size - 1 - shift) // self.stride + 1)
        if end <= first:
            return slice(0, 0), slice(0, 0)
        begin = first * self.stride + shift
        return slice(first, end), slice(begin, begin + (end - first - 1) * self.stride + 1, self.stride)


def window_axis(size: int, window: int, stride: int, dilation: int, padding: Any) -> Axis:
    """Output size and padding as Keras and TensorFlow have them; ``padding`` is a name or (before, after)."""
    extent = (window - 1) * dilation + 1
    if padding == "same":
        out = -(-size // stride)
        before = max((out - 1) * stride + extent - size, 0) // 2
    else:
        before, after = (0, 0) if padding == "valid" else padding
        out = max((size + before + after - extent) // stride + 1, 0)
    return Axis(size, window, stride, dilation, before, out)


def window_axes(
    size: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: Any, dilation: Sequence[int]
) -> tuple[Axis, Axis]:
    """Both axes of a sliding window."""
    paddings = (padding, padding) if isinstance(padding, str) else padding
    height, width = (window_axis(*axis) for axis in zip(size, window, strides, dilation, paddings, strict=True))
    return height, width


def taps(height: Axis, width: Axis) -> Iterator[tuple[tuple[int, int], tuple[Any, ...], tuple[Any, ...]]]:
    """For each tap (i, j): the index of the outputs that see something through it, and that of what they see."""
    for i in range(height.window):
        for j in range(width.window):
            (rows, seen_rows), (columns, seen_columns) = height.tap(i), width.tap(j)
            yield (i, j), (slice(None), rows, columns), (slice(None), seen_rows, seen_columns)


def seen(inputs: np.ndarray, height: Axis, width: Axis) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """For each tap: what the outputs see through it, (N, OH, OW, C)."""
    for tap, outs, ins in taps(height, width):
        view = np.zeros((inputs.shape[0], height.out, width.out, inputs.shape[3]), inputs.dtype)
        view[outs] = inputs[ins]
        yield tap, view


def _blocks(array: np.ndarray, groups: int) -> list[np.ndarray]:
    return np.split(array, groups, axis=-1)


def conv2d_forward(
    inputs: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Sequence[int],
    padding: Any,
    dilation: Sequence[int],
    groups: int,
    activation: str = "linear",
    keep_sum: bool = False,
) -> tuple[np.ndarray, np.ndarray | None]:
    height, width = window_axes(inputs.shape[1:3], kernel.shape[:2], strides, padding, dilation)
    z = np.zeros((inputs.shape[0], height.out, width.out, kernel.shape[3]), inputs.dtype)
    for x_g, w_g, z_g in zip(_blocks(inputs, groups), _blocks(kernel, groups), _blocks(z, groups), strict=True):
        for tap, view in seen(x_g, height, width):
            z_g += view @ w_g[tap]
    z = z if bias is None else z + bias
    if activation == "linear":
        return z, None
    return named_activation(activation, "forward")(z), z if keep_sum and not slope_from_output(activation) else None


def conv2d_activation_gradient(
    saved: np.ndarray, dy: np.ndarray, activation: str, want_bias: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    dz = dy if activation == "linear" else named_activation(activation, "backward")(saved, dy)
    return dz, dz.sum((0, 1, 2)) if want_bias else None


def conv2d_input_gradient(
    dy: np.ndarray,
    kernel: np.ndarray,
    input_size: Sequence[int],
    strides: Sequence[int],
    padding: Any,
    dilation: Sequence[int],
    groups: int,
) -> np.ndarray:
    height, width = window_axes(input_size, kernel.shape[:2], strides, padding, dilation)
    dx = np.zeros((dy.shape[0], *input_size, kernel.shape[2] * groups), dy.dtype)
    for dy_g, w_g, dx_g in zip(_blocks(dy, groups), _blocks(kernel, groups), _blocks(dx, groups), strict=True):
        for tap, outs, ins in taps(height, width):
            dx_g[ins] += dy_g[outs] @ w_g[tap].T
    return dx


def conv2d_kernel_gradient(
    inputs: np.ndarray,
    dy: np.ndarray,
    kernel_size: Sequence[int],
    strides: Sequence[int],
    padding: Any,
    dilation: Sequence[int],
    groups: int,
) -> np.ndarray:
    height, width = window_axes(inputs.shape[1:3], kernel_size, strides, padding, dilation)
    dw = np.zeros((*kernel_size, inputs.shape[3] // groups, dy.shape[3]), inputs.dtype)
    for x_g, dy_g, dw_g in zip(_blocks(inputs, groups), _blocks(dy, groups), _blocks(dw, groups), strict=True):
        for tap, view in seen(x_g, height, width):
            dw_g[tap] = np.tensordot(view, dy_g, axes=((0, 1, 2), (0, 1, 2)))
    return dw


def conv2d_bias_gradient(dy: np.ndarray) -> np.ndarray:
    return dy.sum((0, 1, 2))


def conv2d_transpose_forward(
    inputs: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Sequence[int],
    padding: str,
    output_padding: Sequence[int],
    dilation: Sequence[int],
) -> np.ndarray:
    sizes, paddings = [], []
    for axis in range(2):
        n, s = inputs.shape[1 + axis], strides[axis]
        extent = (kernel.shape[axis] - 1) * dilation[axis] + 1
        if len(output_padding):
            size = (n - 1) * s + (extent if padding == "valid" else extent % 2) + output_padding[axis]
        else:
            size = (n - 1) * s + max(extent, s) if padding == "valid" else n * s
        total = max((n - 1) * s + extent - size, 0)
        sizes.append(size if n else 0)
        paddings.append((total // 2, total - total // 2))
    y = conv2d_input_gradient(inputs, kernel, sizes, strides, paddings, dilation, groups=1)
    return y if bias is None else y + bias
