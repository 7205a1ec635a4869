"""Reductions over axes: sums, products, extremes and where they stand, means, variances, norms."""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable
from typing import Any

import ranvier
from ranvier.autograd import NARROW, Function
from ranvier.ops.reduce.gradients import (
    AllTrue,
    AnyTrue,
    Argmax,
    Argmin,
    Logsumexp,
    Max,
    Mean,
    MeanOfSquares,
    Min,
    Norm,
    Prod,
    Sum,
)
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor

Axis = int | tuple[int, ...] | list[int] | None


def _axes_of(axis: Axis) -> Any:
    return axis if axis is None or isinstance(axis, (tuple, list)) else (axis,)


def _in_float32(op: Callable[..., Tensor], x: Tensor, *args: Any) -> Tensor:
    """float16 and bfloat16 are storage: computed in float32 and rounded once at the end."""
    return ranvier.ops.cast(op(ranvier.ops.cast(x, "float32"), *args), x.dtype)


def _is_half(x: Tensor) -> bool:
    return x.dtype in NARROW


def _reduced(function: type[Function], x: Any, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    if _is_half(x):
        return _in_float32(functools.partial(_reduced, function), x, axis, keepdims)
    return function.apply(x, axes=_axes_of(axis), keepdims=keepdims)


@direct("mean_of_squares")
def _mean_of_squares(x: Any, axis: Axis, keepdims: bool) -> Tensor:
    return MeanOfSquares.apply(x, axes=_axes_of(axis), keepdims=keepdims)


@direct("norm")
def _euclidean(x: Any, axis: Axis, keepdims: bool) -> Tensor:
    return Norm.apply(x, axes=_axes_of(axis), keepdims=keepdims)


@direct("sum")
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum of ``x`` over ``axis`` (None: all axes; an int or several, negative ones from the end).

    Floating dtypes keep theirs; integers and bool are summed in int64, wrapping on overflow. The sum of nothing is 0.
    Rounding: |error| <= gamma(128 + log2 n) * sum |x| for n terms; the order follows from the shape and the
    instruction set alone. Raises ValueError for an axis out of range or given twice. Source: NumPy ``sum``.

    >>> import ranvier as rv
    >>> rv.ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0).numpy()
    array([4., 6.], dtype=float32)
    """
    return _reduced(Sum, x, axis, keepdims)


@direct("mean")
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean of ``x`` over ``axis``; of integers and bool, a float32 one. The mean of nothing is NaN.

    Raises ValueError for an axis out of range or given twice. Source: Keras ``ops.mean``.

    >>> import ranvier as rv
    >>> rv.ops.mean([[1.0, 2.0], [3.0, 4.0]], axis=1).numpy()
    array([1.5, 3.5], dtype=float32)
    """
    x = as_tensor(x)
    if x.dtype in ("float32", "float64"):
        return Mean.apply(x, axes=_axes_of(axis), keepdims=keepdims)
    if _is_half(x):
        return _in_float32(mean, x, axis, keepdims)
    return ranvier.ops.cast(mean(ranvier.ops.cast(x, "float64"), axis, keepdims), "float32")


@direct("max")
def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest element over ``axis``, in ``x``'s dtype; a NaN is largest of all.

    Elements that tie share the gradient equally. Raises ValueError for an empty axis, or one out of range or given
    twice. Source: NumPy ``max``.

    >>> import ranvier as rv
    >>> rv.ops.max([[1.0, 5.0], [3.0, 4.0]], axis=1).numpy()
    array([5., 4.], dtype=float32)
    """
    return _reduced(Max, x, axis, keepdims)


@direct("min")
def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest element over ``axis``, in ``x``'s dtype; a NaN is smallest of all.

    Elements that tie share the gradient equally. Raises ValueError for an empty axis, or one out of range or given
    twice. Source: NumPy ``min``.

    >>> import ranvier as rv
    >>> rv.ops.min([[1.0, 5.0], [3.0, 4.0]], axis=0).numpy()
    array([1., 4.], dtype=float32)
    """
    return _reduced(Min, x, axis, keepdims)


@direct("prod")
def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Product over ``axis``; integers and bool in int64, wrapping on overflow. The product of nothing is 1.

    The gradient divides by nothing, so zeros are right. Raises ValueError for an axis out of range or given twice.
    Source: NumPy ``prod``.

    >>> import ranvier as rv
    >>> rv.ops.prod([[1.0, 2.0], [3.0, 4.0]]).item()
    24.0
    """
    return _reduced(Prod, x, axis, keepdims)


def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Population variance over ``axis``: the mean squared distance from the mean, in two passes.

    Raises ValueError for an axis out of range or given twice. Source: NumPy ``var`` with ``ddof=0``.

    >>> import ranvier as rv
    >>> rv.ops.var([1.0, 3.0]).item()
    1.0
    """
    x = as_tensor(x)
    if _is_half(x):
        return _in_float32(var, x, axis, keepdims)
    return _mean_of_squares(x - mean(x, axis, True), axis, keepdims)


def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Population standard deviation over ``axis``; its gradient is 0 where it is 0.

    Raises ValueError for an axis out of range or given twice. Source: NumPy ``std`` with ``ddof=0``.

    >>> import ranvier as rv
    >>> rv.ops.std([1.0, 3.0]).item()
    1.0
    """
    x = as_tensor(x)
    if _is_half(x):
        return _in_float32(std, x, axis, keepdims)
    mean_of_x = mean(x, axis, True)
    count = math.prod(x.shape) // builtins.max(1, mean_of_x.size)
    return _euclidean(x - mean_of_x, axis, keepdims) / math.sqrt(count)


def _root(x: Tensor, p: float) -> Tensor:
    """x ** (1/p) for x >= 0, with gradient 0 at 0 (where that of the power is infinite)."""
    zero = x == 0.0
    safe = ranvier.ops.where(zero, 1.0, x)
    root = ranvier.ops.sqrt(safe) if p == 2 else ranvier.ops.power(safe, 1.0 / p)
    return ranvier.ops.where(zero, 0.0, root)


@direct("logsumexp")
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over ``axis``, the maximum taken out first so that nothing overflows.

    float32 or float64. A slice of -inf (or an empty one) gives -inf, with gradient 0. Raises TypeError for other
    dtypes, ValueError for an axis out of range or given twice. Source: Keras ``ops.logsumexp``.

    >>> import ranvier as rv
    >>> round(rv.ops.logsumexp([0.0, 0.0]).item(), 4)
    0.6931
    """
    return Logsumexp.apply(x, axes=_axes_of(axis), keepdims=keepdims)


def norm(x: Any, ord: float | None = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Vector norm over ``axis`` (None: of all elements): (sum |x|**ord) ** (1/ord).

    ``ord``: None or 2 (Euclidean), 1, inf (largest), -inf (smallest), 0 (how many are not zero) or another number.
    The gradient at the zero vector is 0. There are no matrix norms: ``ord`` with two axes is the norm of their
    elements. Raises ValueError for ``ord`` NaN or an axis out of range. Source: NumPy ``linalg.norm``.

    >>> import ranvier as rv
    >>> rv.ops.norm([3.0, 4.0]).item()
    5.0
    """
    x = as_tensor(x)
    if ord is not None and (not isinstance(ord, (int, float)) or math.isnan(ord)):
        raise ValueError(f"norm: ord must be None or a number but is {ord!r}")
    if "float" not in x.dtype:
        x = ranvier.ops.cast(x, "float32")
    if ord is None or ord == 2:
        if _is_half(x):
            return _in_float32(norm, x, ord, axis, keepdims)
        return _euclidean(x, axis, keepdims)
    size = ranvier.ops.abs(x)
    if ord == 1:
        return sum(size, axis, keepdims)
    if math.isinf(ord):
        return (max if ord > 0 else min)(size, axis, keepdims)
    if ord == 0:
        return sum(ranvier.ops.cast(x != 0.0, x.dtype), axis, keepdims)
    zero = x == 0.0  # whose power has an infinite gradient where ord < 1
    powers = ranvier.ops.power(ranvier.ops.where(zero, 1.0, size), float(ord))
    return _root(sum(ranvier.ops.where(zero, 0.0 if ord > 0 else math.inf, powers), axis, keepdims), float(ord))


@direct("argmax")
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Position (int32) of the first largest element along ``axis``, or in the flattened ``x``; NaN counts as largest.

    Raises ValueError for an empty axis, one out of range, or more than 2**31 - 1 positions. Source: Keras
    ``ops.argmax``.

    >>> import ranvier as rv
    >>> rv.ops.argmax([[1.0, 5.0], [3.0, 2.0]], axis=1).numpy()
    array([1, 0], dtype=int32)
    """
    x = as_tensor(x)
    x = ranvier.ops.cast(x, "float32") if _is_half(x) else x
    return Argmax.apply(x.detach(), axis=axis, keepdims=keepdims)


@direct("argmin")
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Position (int32) of the first smallest element along ``axis``, or in the flattened ``x``; see ``argmax``.

    >>> import ranvier as rv
    >>> rv.ops.argmin([[1.0, 5.0], [3.0, 2.0]], axis=1).numpy()
    array([0, 1], dtype=int32)
    """
    x = as_tensor(x)
    x = ranvier.ops.cast(x, "float32") if _is_half(x) else x
    return Argmin.apply(x.detach(), axis=axis, keepdims=keepdims)


def _truth(function: type[Function], x: Any, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x).detach()
    return function.apply(ranvier.ops.cast(x, "float32") if _is_half(x) else x, axes=_axes_of(axis), keepdims=keepdims)


@direct("any")
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element over ``axis`` is not zero (NaN is not): bool. Of nothing: False.

    >>> import ranvier as rv
    >>> rv.ops.any([[0, 1], [0, 0]], axis=1).numpy()
    array([ True, False])
    """
    return _truth(AnyTrue, x, axis, keepdims)


@direct("all")
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether every element over ``axis`` is not zero: bool. Of nothing: True.

    >>> import ranvier as rv
    >>> rv.ops.all([[2, 1], [0, 1]], axis=1).numpy()
    array([ True, False])
    """
    return _truth(AllTrue, x, axis, keepdims)
