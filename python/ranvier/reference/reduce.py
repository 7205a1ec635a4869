"""Reductions over axes (None: all of them), in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = [
    "all_forward",
    "any_forward",
    "argmax_forward",
    "argmin_forward",
    "logsumexp_forward",
    "max_forward",
    "mean_forward",
    "mean_of_squares_forward",
    "min_forward",
    "norm_forward",
    "prod_forward",
    "sum_forward",
]

Axes = Sequence[int] | None


def _axes(axes: Axes) -> tuple[int, ...] | None:
    return None if axes is None else tuple(axes)


def _accumulator(x: np.ndarray) -> Any:
    """Integer and bool sums and products are taken in int64."""
    return x.dtype if x.dtype.kind == "f" else np.int64


def sum_forward(x: np.ndarray, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    return x.sum(_axes(axes), dtype=_accumulator(x), keepdims=keepdims)


def prod_forward(x: np.ndarray, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    return x.prod(_axes(axes), dtype=_accumulator(x), keepdims=keepdims)


def max_forward(x: np.ndarray, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    return x.max(_axes(axes), keepdims=keepdims)


def min_forward(x: np.ndarray, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    return x.min(_axes(axes), keepdims=keepdims)


def any_forward(x: np.ndarray, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    return np.asarray(x.any(_axes(axes), keepdims=keepdims))


def all_forward(x: np.ndarray, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    return np.asarray(x.all(_axes(axes), keepdims=keepdims))


def mean_forward(x: np.ndarray, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    sides = x.shape if axes is None else [x.shape[axis] for axis in axes]
    count = x.dtype.type(np.prod(sides, dtype=np.float64))
    return x.sum(_axes(axes), keepdims=keepdims) / count


def mean_of_squares_forward(x: np.ndarray, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    return mean_forward(x * x, axes, keepdims)


def norm_forward(x: np.ndarray, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    return np.sqrt((x * x).sum(_axes(axes), keepdims=keepdims))


def logsumexp_forward(x: np.ndarray, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    peak = x.max(_axes(axes), keepdims=True, initial=-np.inf)
    shift = np.where(np.isinf(peak), x.dtype.type(0), peak)  # a slice of -inf is log 0 = -inf, not NaN
    y = shift + np.log(np.exp(x - shift).sum(_axes(axes), keepdims=True))
    return y if keepdims else y.squeeze(_axes(axes))


def argmax_forward(x: np.ndarray, axis: int | None = None, keepdims: bool = False) -> np.ndarray:
    return np.argmax(x, axis, keepdims=keepdims).astype(np.int32)


def argmin_forward(x: np.ndarray, axis: int | None = None, keepdims: bool = False) -> np.ndarray:
    return np.argmin(x, axis, keepdims=keepdims).astype(np.int32)
