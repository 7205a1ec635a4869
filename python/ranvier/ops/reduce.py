"""Reductions over axes: sums, products, extremes and where they stand, means, variances, norms."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import ranvier
from ranvier import _core
from ranvier.autograd import Function, is_recording
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "logsumexp",
    "max",
    "mean",
    "min",
    "norm",
    "prod",
    "std",
    "sum",
    "var",
]

Axis = int | tuple[int, ...] | list[int] | None


def _axes_of(axis: Axis) -> Any:
    return axis if axis is None or isinstance(axis, (tuple, list)) else (axis,)


def _kept_shape(shape: tuple[int, ...], axes: Any) -> tuple[int, ...]:
    """The shape of a result with ``keepdims``: reduced axes have length one."""
    reduced = set(range(len(shape))) if axes is None else {a % len(shape) for a in axes}
    return tuple(1 if i in reduced else n for i, n in enumerate(shape))


class _Reduction(Function):
    """A reduction of one array, with its result ready to be compared with it or broadcast to its shape."""

    kernel: str

    def forward(self, x: Any, axes: Any, keepdims: bool) -> Any:
        y = getattr(self.kernels, self.kernel)(x, axes, keepdims)
        self.shape, self.axes = x.shape, axes
        self.save(x, y)
        return y

    @property
    def kept(self) -> tuple[int, ...]:
        return _kept_shape(self.shape, self.axes)

    def spread(self, y: Tensor) -> Tensor:
        if self.axes is not None:
            y = ranvier.ops.reshape(y, self.kept)
        return ranvier.ops.broadcast_to(y, self.shape)


class Sum(_Reduction):
    kernel = "sum_forward"

    def forward(self, x: Any, axes: Any, keepdims: bool) -> Any:
        self.shape, self.axes = x.shape, axes
        return getattr(self.kernels, self.kernel)(x, axes, keepdims)

    def backward(self, dy: Tensor) -> Any:
        return self.spread(dy)


class Mean(Sum):
    kernel = "mean_forward"

    def backward(self, dy: Tensor) -> Any:
        size = math.prod(self.shape)
        if self.axes is None and size and not is_recording():  # of a loss, in each step: without the ops around
            share = self.kernels.divide_forward(dy.array, _core.scalar_like(dy.array, size))
            return self.kernels.broadcast_to_forward(share, self.shape)
        count = size // builtins.max(1, math.prod(self.kept))
        return self.spread(dy / count) if count else self.spread(dy)  # nothing to spread over where count is 0


class MeanOfSquares(_Reduction):
    kernel = "mean_of_squares_forward"

    def backward(self, dy: Tensor) -> Tensor:
        x, _ = self.saved
        count = math.prod(self.shape) // builtins.max(1, math.prod(self.kept))
        return x * ranvier.ops.reshape(dy * (2 / count) if count else dy, self.kept)


class Norm(_Reduction):
    """The gradient at the zero vector is 0."""

    kernel = "norm_forward"

    def backward(self, dy: Tensor) -> Tensor:
        x, y = self.saved
        zero = y == 0.0
        share = ranvier.ops.where(zero, 0.0, dy / ranvier.ops.where(zero, 1.0, y))
        return x * ranvier.ops.reshape(share, self.kept)


class _Extreme(_Reduction):
    """Elements that tie for the extreme share its gradient equally."""

    def backward(self, dy: Tensor) -> Tensor:
        x, y = self.saved
        hits = ranvier.ops.cast(x.detach() == ranvier.ops.reshape(y.detach(), self.kept), x.dtype)
        share = ranvier.ops.reshape(dy, self.kept) / sum(hits, self.axes, keepdims=True)
        return hits * share


class Max(_Extreme):
    kernel = "max_forward"


class Min(_Extreme):
    kernel = "min_forward"


class Prod(_Reduction):
    """The gradient of an element is the product of the others, formed without division, so that zeros are right.

    Products are taken in pairs, level upon level; on the way back each half is multiplied by the other.
    """

    kernel = "prod_forward"

    def backward(self, dy: Tensor) -> Tensor:
        x, _ = self.saved
        rank = len(self.shape)
        kept_axes = [i for i in range(rank) if self.axes is not None and i not in {a % rank for a in self.axes}]
        order = kept_axes + [i for i in range(rank) if i not in kept_axes]
        moved = ranvier.ops.transpose(x, order)
        rows = math.prod(self.shape[i] for i in kept_axes)
        gradient = _products_of_the_others(
            ranvier.ops.reshape(moved, (rows, math.prod(self.shape[i] for i in order[len(kept_axes) :]))),
            ranvier.ops.reshape(dy, (rows, 1)),
        )
        inverse = [order.index(i) for i in range(rank)]
        return ranvier.ops.transpose(ranvier.ops.reshape(gradient, moved.shape), inverse)


def _products_of_the_others(x: Tensor, dy: Tensor) -> Tensor:
    """x (rows, n), dy (rows, 1) -> dy times the product of the row without each element."""
    levels = []
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        left, right, odd = x[:, :half], x[:, half : 2 * half], x[:, 2 * half :]
        levels.append((left, right))
        x = ranvier.ops.concatenate([left * right, odd], axis=1)
    gradient = ranvier.ops.broadcast_to(dy, x.shape)
    for left, right in reversed(levels):
        pairs, odd = gradient[:, : left.shape[1]], gradient[:, left.shape[1] :]
        gradient = ranvier.ops.concatenate([pairs * right, pairs * left, odd], axis=1)
    return gradient


class Logsumexp(_Reduction):
    kernel = "logsumexp_forward"

    def backward(self, dy: Tensor) -> Tensor:
        x, y = self.saved
        kept = ranvier.ops.reshape(y, self.kept)
        finite = ranvier.ops.where(kept == -math.inf, 0.0, kept)  # where all are -inf, exp(x - 0) is 0
        return ranvier.ops.reshape(dy, self.kept) * ranvier.ops.exp(x - finite)


class Argmax(Function):
    def forward(self, x: Any, axis: int | None, keepdims: bool) -> Any:
        return self.kernels.argmax_forward(x, axis, keepdims)


class Argmin(Function):
    def forward(self, x: Any, axis: int | None, keepdims: bool) -> Any:
        return self.kernels.argmin_forward(x, axis, keepdims)


def _in_float32(op: Callable[..., Tensor], x: Tensor, *args: Any) -> Tensor:
    """float16 and bfloat16 are storage: computed in float32 and rounded once at the end."""
    return ranvier.ops.cast(op(ranvier.ops.cast(x, "float32"), *args), x.dtype)


def _is_half(x: Tensor) -> bool:
    return x.dtype in ("float16", "bfloat16")


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
    x = as_tensor(x)
    if _is_half(x):
        return _in_float32(sum, x, axis, keepdims)
    return Sum.apply(x, axes=_axes_of(axis), keepdims=keepdims)


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
    x = as_tensor(x)
    if _is_half(x):
        return _in_float32(max, x, axis, keepdims)
    return Max.apply(x, axes=_axes_of(axis), keepdims=keepdims)


@direct("min")
def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest element over ``axis``, in ``x``'s dtype; a NaN is smallest of all.

    Elements that tie share the gradient equally. Raises ValueError for an empty axis, or one out of range or given
    twice. Source: NumPy ``min``.

    >>> import ranvier as rv
    >>> rv.ops.min([[1.0, 5.0], [3.0, 4.0]], axis=0).numpy()
    array([1., 4.], dtype=float32)
    """
    x = as_tensor(x)
    if _is_half(x):
        return _in_float32(min, x, axis, keepdims)
    return Min.apply(x, axes=_axes_of(axis), keepdims=keepdims)


@direct("prod")
def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Product over ``axis``; integers and bool in int64, wrapping on overflow. The product of nothing is 1.

    The gradient divides by nothing, so zeros are right. Raises ValueError for an axis out of range or given twice.
    Source: NumPy ``prod``.

    >>> import ranvier as rv
    >>> rv.ops.prod([[1.0, 2.0], [3.0, 4.0]]).item()
    24.0
    """
    x = as_tensor(x)
    if _is_half(x):
        return _in_float32(prod, x, axis, keepdims)
    return Prod.apply(x, axes=_axes_of(axis), keepdims=keepdims)


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
    return MeanOfSquares.apply(x - mean(x, axis, keepdims=True), axes=_axes_of(axis), keepdims=keepdims)


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
    mean_of_x = mean(x, axis, keepdims=True)
    count = math.prod(x.shape) // builtins.max(1, mean_of_x.size)
    return Norm.apply(x - mean_of_x, axes=_axes_of(axis), keepdims=keepdims) / math.sqrt(count)


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
    if not x.dtype.startswith("float"):
        x = ranvier.ops.cast(x, "float32")
    if ord is None or ord == 2:
        if _is_half(x):
            return _in_float32(norm, x, ord, axis, keepdims)
        return Norm.apply(x, axes=_axes_of(axis), keepdims=keepdims)
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


def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element over ``axis`` is not zero (NaN is not): bool. Of nothing: False.

    >>> import ranvier as rv
    >>> rv.ops.any([[0, 1], [0, 0]], axis=1).numpy()
    array([ True, False])
    """
    truths = ranvier.ops.cast(as_tensor(x).detach(), "bool")
    return max(truths, axis, keepdims) if truths.size else sum(truths, axis, keepdims) != 0


def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether every element over ``axis`` is not zero: bool. Of nothing: True.

    >>> import ranvier as rv
    >>> rv.ops.all([[2, 1], [0, 1]], axis=1).numpy()
    array([ True, False])
    """
    truths = ranvier.ops.cast(as_tensor(x).detach(), "bool")
    return min(truths, axis, keepdims) if truths.size else prod(truths, axis, keepdims) != 0
