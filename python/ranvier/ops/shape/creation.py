"""Arrays from nothing: zeros, ones, one value everywhere, ranges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ranvier import _core
from ranvier._device import get_device
from ranvier.ops.shape.layout import Shape, broadcast_to, shape_of
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, array_of, as_tensor, wrap

__all__ = ["arange", "full", "ones", "ones_like", "zeros", "zeros_like"]


@direct("zeros")
def zeros(shape: Shape, dtype: str = "float32", device: str | None = None) -> Tensor:
    """Zeros of a shape. Raises ValueError for a negative side, TypeError for an unknown dtype.

    >>> import ranvier as rv
    >>> rv.ops.zeros(2).numpy()
    array([0., 0.], dtype=float32)
    """
    return wrap(_core.Array.zeros(shape_of("zeros", shape), dtype, device or get_device()))


@direct("full")
def full(shape: Shape, fill_value: Any, dtype: str | None = None, device: str | None = None) -> Tensor:
    """``fill_value`` (a number or anything that broadcasts) at every place of a shape; its dtype unless given.

    >>> import ranvier as rv
    >>> rv.ops.full(2, 7).numpy()
    array([7, 7], dtype=int32)
    """
    target = shape_of("full", shape)
    value = as_tensor(fill_value, dtype, device)
    same = not isinstance(fill_value, Tensor) or value is not fill_value
    return wrap(value.array) if same and value.shape == target else broadcast_to(value, target)


@direct("ones")
def ones(shape: Shape, dtype: str = "float32", device: str | None = None) -> Tensor:
    """Ones of a shape.

    >>> import ranvier as rv
    >>> rv.ops.ones(2).numpy()
    array([1., 1.], dtype=float32)
    """
    return full(shape, 1, dtype, device)


@direct("zeros_like")
def zeros_like(x: Any, dtype: str | None = None) -> Tensor:
    """Zeros of ``x``'s shape, dtype (unless given) and device.

    >>> import ranvier as rv
    >>> rv.ops.zeros_like([1, 2]).numpy()
    array([0, 0], dtype=int32)
    """
    x = as_tensor(x)
    return zeros(x.shape, dtype or x.dtype, x.device)


@direct("ones_like")
def ones_like(x: Any, dtype: str | None = None) -> Tensor:
    """Ones of ``x``'s shape, dtype (unless given) and device.

    >>> import ranvier as rv
    >>> rv.ops.ones_like([5, 6]).numpy()
    array([1, 1], dtype=int32)
    """
    x = as_tensor(x)
    return ones(x.shape, dtype or x.dtype, x.device)


@direct("arange")
def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: str | None = None, device: str | None = None
) -> Tensor:
    """start, start + step, ... below ``stop`` (0 to ``start`` without a stop); int32 for integers, else float32.

    Raises ValueError for a step of zero or a length that is not finite. Source: NumPy ``arange``, Keras ``ops.arange``.

    >>> import ranvier as rv
    >>> rv.ops.arange(1, 7, 2).numpy()
    array([1, 3, 5], dtype=int32)
    """
    begin, end = (0, start) if stop is None else (start, stop)
    if step == 0 or not all(math.isfinite(v) for v in (begin, end, step)):
        raise ValueError(f"arange: from {begin} to {end} by {step} is not a finite range")
    default = "int32" if all(isinstance(v, (int, np.integer)) for v in (begin, end, step)) else "float32"
    return wrap(array_of(np.arange(begin, end, step), dtype or default, device))
