"""Reductions on the tape: what each keeps, and how its gradient spreads over the elements."""

from __future__ import annotations

import math
from typing import Any

import ranvier
from ranvier import _core
from ranvier.autograd import Function, is_recording
from ranvier.tensor import Tensor


def _kept_shape(shape: tuple[int, ...], axes: Any) -> tuple[int, ...]:
    """The shape of a result with ``keepdims``: reduced axes have length one."""
    reduced = set(range(len(shape))) if axes is None else {a % len(shape) for a in axes}
    return tuple(1 if i in reduced else n for i, n in enumerate(shape))


class _Reduction(Function):
    """A reduction of one array, with its result ready to be compared with it or broadcast to its shape."""

    narrow = ()
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
        count = size // max(1, math.prod(self.kept))
        return self.spread(dy / count) if count else self.spread(dy)  # nothing to spread over where count is 0


class MeanOfSquares(_Reduction):
    kernel = "mean_of_squares_forward"

    def backward(self, dy: Tensor) -> Tensor:
        x, _ = self.saved
        count = math.prod(self.shape) // max(1, math.prod(self.kept))
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
        share = ranvier.ops.reshape(dy, self.kept) / ranvier.ops.sum(hits, self.axes, keepdims=True)
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


class AnyTrue(Function):
    def forward(self, x: Any, axes: Any, keepdims: bool) -> Any:
        return self.kernels.any_forward(x, axes, keepdims)


class AllTrue(Function):
    def forward(self, x: Any, axes: Any, keepdims: bool) -> Any:
        return self.kernels.all_forward(x, axes, keepdims)
