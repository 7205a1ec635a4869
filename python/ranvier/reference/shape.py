"""Moving elements without arithmetic, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = [
    "broadcast_to_forward",
    "concatenate_forward",
    "one_hot_forward",
    "pad_forward",
    "scatter_add_forward",
    "slice_backward",
    "slice_forward",
    "take_forward",
    "transpose_forward",
]


def transpose_forward(x: np.ndarray, axes: Sequence[int] | None = None) -> np.ndarray:
    return x.transpose(axes)


def broadcast_to_forward(x: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return np.broadcast_to(x, tuple(shape))


def concatenate_forward(xs: Sequence[np.ndarray], axis: int = -1) -> np.ndarray:
    return np.concatenate(xs, axis)


def _box(begins: Sequence[int], steps: Sequence[int], counts: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Index arrays of the elements begin, begin + step, ... (count of them) of each axis."""
    lines = [b + s * np.arange(n) for b, s, n in zip(begins, steps, counts, strict=True)]
    return np.ix_(*lines) if lines else ()


def slice_forward(x: np.ndarray, begins: Sequence[int], steps: Sequence[int], counts: Sequence[int]) -> np.ndarray:
    """get_item by numbers and slices: the elements begin, begin + step, ... (count of them) of each axis."""
    return x[_box(begins, steps, counts)]


def slice_backward(dy: np.ndarray, shape: Sequence[int], begins: Sequence[int], steps: Sequence[int]) -> np.ndarray:
    dx = np.zeros(tuple(shape), dy.dtype)
    dx[_box(begins, steps, dy.shape)] = dy
    return dx


def pad_forward(x: np.ndarray, value: np.ndarray, before: Sequence[int], after: Sequence[int]) -> np.ndarray:
    return np.pad(x, list(zip(before, after, strict=True)), constant_values=value) if x.ndim else x


def take_forward(x: np.ndarray, indices: np.ndarray, axis: int = 0) -> np.ndarray:
    return np.take(x, indices, axis)


def scatter_add_forward(x: np.ndarray, indices: np.ndarray, updates: np.ndarray, axis: int = 0) -> np.ndarray:
    y = x.copy()
    at = axis % x.ndim
    rows = np.moveaxis(y, at, 0)  # a view: what is added to it is added to y
    flat = updates.reshape(*x.shape[:at], indices.size, *x.shape[at + 1 :])
    np.add.at(rows, indices.reshape(-1), np.moveaxis(flat, at, 0))
    return y


def one_hot_forward(x: np.ndarray, num_classes: int, axis: int = -1, dtype: str = "float32") -> np.ndarray:
    classes = np.expand_dims(np.arange(num_classes), tuple(range(1, x.ndim + 1)))
    return np.moveaxis(classes == x, 0, axis).astype(dtype)
