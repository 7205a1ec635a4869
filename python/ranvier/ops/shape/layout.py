"""The same elements with another shape or in another order."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import ranvier
from ranvier.autograd import Function
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor

__all__ = ["broadcast_to", "expand_dims", "reshape", "squeeze", "transpose"]

Shape = int | Sequence[int]


def shape_of(op: str, shape: Any) -> tuple[int, ...]:
    """A shape as a tuple; TypeError for what is not an int or a sequence of ints."""
    try:
        return tuple(operator.index(n) for n in (shape if np.iterable(shape) else (shape,)))
    except TypeError:
        raise TypeError(f"{op}: shape must be an int or a sequence of ints but is {shape!r}") from None


def axis_within(op: str, axis: Any, rank: int, of: str) -> int:
    """``axis`` counted from the front; ValueError where there is no such axis."""
    at = operator.index(axis)
    if not -rank <= at < rank:
        raise ValueError(f"{op}: axis {axis} is out of range for {of}")
    return at % rank


class Reshape(Function):
    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        self.shape = x.shape
        return x.reshape(shape)

    def backward(self, dy: Tensor) -> Tensor:
        return reshape(dy, self.shape)


class Transpose(Function):
    def forward(self, x: Any, axes: Any) -> Any:
        y = self.kernels.transpose_forward(x, axes)
        self.inverse = None if axes is None else tuple(int(i) for i in np.argsort([a % x.ndim for a in axes]))
        return y

    def backward(self, dy: Tensor) -> Tensor:
        return transpose(dy, self.inverse)


class BroadcastTo(Function):
    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        self.shape = x.shape
        return self.kernels.broadcast_to_forward(x, shape)

    def backward(self, dy: Tensor) -> Tensor:
        extra = dy.ndim - len(self.shape)
        stretched = [i + extra for i, n in enumerate(self.shape) if n == 1 and dy.shape[i + extra] != 1]
        return reshape(ranvier.ops.sum(dy, (*range(extra), *stretched)), self.shape)


@direct("reshape")
def reshape(x: Any, newshape: Shape) -> Tensor:
    """The elements of ``x``, in order, with another shape; one side may be -1 and follows from the others.

    Shares memory with ``x``. Raises ValueError where the numbers of elements differ. Source: NumPy ``reshape``.

    >>> import ranvier as rv
    >>> rv.ops.reshape(rv.ops.arange(6), (2, -1)).shape
    (2, 3)
    """
    x = as_tensor(x)
    shape = shape_of("reshape", newshape)
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        if shape.count(-1) > 1 or known <= 0 or x.size % known:
            raise ValueError(f"reshape: cannot turn shape {x.shape} ({x.size} elements) into {shape}")
        shape = tuple(x.size // known if n == -1 else n for n in shape)
    return Reshape.apply(x, shape=shape)


@direct("transpose")
def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """``x`` with its axes in the order ``axes`` (None: reversed): y.shape[i] = x.shape[axes[i]]. A copy.

    Raises ValueError unless ``axes`` names every axis once. Source: NumPy ``transpose``.

    >>> import ranvier as rv
    >>> rv.ops.transpose([[1, 2, 3], [4, 5, 6]]).numpy()
    array([[1, 4],
           [2, 5],
           [3, 6]], dtype=int32)
    """
    return Transpose.apply(x, axes=axes)


@direct("broadcast_to")
def broadcast_to(x: Any, shape: Shape) -> Tensor:
    """``x`` repeated along its axes of length one, and along new leading ones, up to ``shape``. A copy.

    Raises ValueError where the shapes do not fit. Source: NumPy ``broadcast_to``.

    >>> import ranvier as rv
    >>> rv.ops.broadcast_to([1, 2], (2, 2)).numpy()
    array([[1, 2],
           [1, 2]], dtype=int32)
    """
    x = as_tensor(x)
    target = shape_of("broadcast_to", shape)
    return x if x.shape == target else BroadcastTo.apply(x, shape=target)


@direct("expand_dims")
def expand_dims(x: Any, axis: int | Sequence[int]) -> Tensor:
    """``x`` with new axes of length one, where ``axis`` (one or several) says in the result. Shares memory.

    Raises ValueError for an axis out of range or given twice. Source: NumPy ``expand_dims``.

    >>> import ranvier as rv
    >>> rv.ops.expand_dims([1, 2], 0).shape
    (1, 2)
    """
    x = as_tensor(x)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    rank = x.ndim + len(axes)
    places = {axis_within("expand_dims", a, rank, f"a result of rank {rank}") for a in axes}
    if len(places) != len(axes):
        raise ValueError(f"expand_dims: axis {axis} names an axis twice")
    sides = iter(x.shape)
    return reshape(x, tuple(1 if i in places else next(sides) for i in range(rank)))


@direct("squeeze")
def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """``x`` without its axes of length one, or without those in ``axis``. Shares memory.

    Raises ValueError for an axis out of range or longer than one. Source: NumPy ``squeeze``.

    >>> import ranvier as rv
    >>> rv.ops.squeeze([[[1], [2]]]).shape
    (2,)
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(x, tuple(n for n in x.shape if n != 1))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    places = {axis_within("squeeze", a, x.ndim, f"shape {x.shape}") for a in axes}
    for place in sorted(places):
        if x.shape[place] != 1:
            raise ValueError(f"squeeze: axis {place} of shape {x.shape} has length {x.shape[place]}, not one")
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in places))
