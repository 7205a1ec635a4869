"""Arithmetic, comparisons, selection and casts, element by element, in NumPy."""

from __future__ import annotations

import math

import numpy as np

__all__ = [
    "absolute_forward",
    "add_forward",
    "cast_forward",
    "clip_backward",
    "clip_forward",
    "divide_forward",
    "equal_forward",
    "erf_forward",
    "exp_forward",
    "expm1_forward",
    "greater_equal_forward",
    "greater_forward",
    "isfinite_forward",
    "isnan_forward",
    "less_equal_forward",
    "less_forward",
    "log1p_forward",
    "log_forward",
    "logical_and_forward",
    "logical_not_forward",
    "logical_or_forward",
    "maximum_forward",
    "maximum_share_forward",
    "minimum_forward",
    "multiply_forward",
    "negative_forward",
    "not_equal_forward",
    "power_forward",
    "sign_forward",
    "sqrt_forward",
    "square_forward",
    "subtract_forward",
    "sum_to_shape_forward",
    "where_forward",
]


def add_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.add(x1, x2)


def subtract_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.subtract(x1, x2)


def multiply_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.multiply(x1, x2)


def divide_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.divide(x1, x2)


def power_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.power(*np.broadcast_arrays(x1, x2))  # beside a lone 1/2 NumPy takes a root, which is NaN at -Inf


def maximum_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.maximum(x1, x2)


def minimum_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.minimum(x1, x2)


def maximum_share_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    """The slope of maximum(x1, x2) by x1: half at ties; beside a NaN, 1."""
    return np.where(x1 < x2, 0.0, np.where(x1 == x2, 0.5, 1.0)).astype(x1.dtype)


def equal_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.equal(x1, x2)


def not_equal_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.not_equal(x1, x2)


def less_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.less(x1, x2)


def less_equal_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.less_equal(x1, x2)


def greater_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.greater(x1, x2)


def greater_equal_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.greater_equal(x1, x2)


def logical_and_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.logical_and(x1, x2)


def logical_or_forward(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.logical_or(x1, x2)


def negative_forward(x: np.ndarray) -> np.ndarray:
    return np.negative(x)


def exp_forward(x: np.ndarray) -> np.ndarray:
    return np.exp(x)


def expm1_forward(x: np.ndarray) -> np.ndarray:
    return np.expm1(x)


def log1p_forward(x: np.ndarray) -> np.ndarray:
    return np.log1p(x)


_erf = np.vectorize(math.erf, otypes=[np.float64])


def erf_forward(x: np.ndarray) -> np.ndarray:
    return np.asarray(_erf(x), x.dtype)


def log_forward(x: np.ndarray) -> np.ndarray:
    return np.log(x)


def sqrt_forward(x: np.ndarray) -> np.ndarray:
    return np.sqrt(x)


def square_forward(x: np.ndarray) -> np.ndarray:
    return np.square(x)


def absolute_forward(x: np.ndarray) -> np.ndarray:
    return np.absolute(x)


def sign_forward(x: np.ndarray) -> np.ndarray:
    return np.sign(x)


def isnan_forward(x: np.ndarray) -> np.ndarray:
    return np.isnan(x)


def isfinite_forward(x: np.ndarray) -> np.ndarray:
    return np.isfinite(x)


def logical_not_forward(x: np.ndarray) -> np.ndarray:
    return np.logical_not(x)


def clip_forward(x: np.ndarray, x_min: float, x_max: float) -> np.ndarray:
    low, high = x.dtype.type(x_min), x.dtype.type(x_max)
    return np.minimum(np.maximum(x, low), high)


def clip_backward(x: np.ndarray, dy: np.ndarray, x_min: float, x_max: float) -> np.ndarray:
    low, high = x.dtype.type(x_min), x.dtype.type(x_max)
    return np.where((x < low) | (x > high), x.dtype.type(0), dy)


def where_forward(condition: np.ndarray, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return np.where(condition, x1, x2)


def sum_to_shape_forward(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    added = x.ndim - len(shape)
    repeated = tuple(range(added)) + tuple(i + added for i, side in enumerate(shape) if side == 1)
    return x.sum(repeated, keepdims=True).reshape(shape)


# --- casts; bfloat16, which NumPy lacks, comes and goes as its bits in uint16 ---------------------------------


def cast_forward(x: np.ndarray, dtype: str) -> np.ndarray:
    if x.dtype == np.uint16:
        x = (x.astype(np.uint32) << 16).view(np.float32)
    if dtype == "bfloat16":
        return _to_bfloat16(x)
    if x.dtype.kind == "f" and np.dtype(dtype).kind in "iu":
        return _to_integer(x, np.dtype(dtype))
    return x.astype(dtype)


def _to_integer(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Truncated; saturated at the ends of the range; 0 for NaN."""
    wide = np.trunc(x.astype(np.float64))
    ends = np.iinfo(dtype)
    inside = np.where((wide > float(ends.min)) & (wide < float(ends.max)), wide, 0).astype(dtype)
    high = np.where(wide >= float(ends.max), dtype.type(ends.max), inside)
    return np.where(wide <= float(ends.min), dtype.type(ends.min), high)


def _to_bfloat16(x: np.ndarray) -> np.ndarray:
    """Rounded once, to nearest even: float32 by its bits, wider numbers by way of a float32 rounded to odd."""
    bits = _rounded_to_odd(x).view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where((bits & 0x7FFFFFFF) > 0x7F800000, ((bits >> 16) | 0x40).astype(np.uint16), rounded)


def _rounded_to_odd(x: np.ndarray) -> np.ndarray:
    """float32 with a last bit of 1 wherever bits were lost: a second rounding then sees that there was a rest."""
    if x.dtype == np.int64:
        tail = x & 2047
        x = np.where(np.abs(x.astype(np.float64)) > 2.0**53, (x - tail) | np.where(tail != 0, 2048, 0), x)
    wide = x.astype(np.float64)
    near = np.atleast_1d(wide.astype(np.float32))
    exact = (near == wide) | np.isnan(near)
    away = np.abs(near.astype(np.float64)) > np.abs(wide)
    odd = ((near.view(np.uint32) - away.astype(np.uint32)) | 1).view(np.float32)
    return np.where(exact, near, odd).reshape(x.shape)
