"""Matrix products: matmul, and dense with its bias and activation."""

from __future__ import annotations

import math
from typing import Any

import ranvier
from ranvier.autograd import Function, is_recording
from ranvier.tensor import Tensor

__all__ = ["dense", "matmul"]


def _product(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    return Matmul.apply(a, b, transpose_x1=transpose_a, transpose_x2=transpose_b)


def _summed_to(gradient: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The sum over the batch axes that broadcasting added or stretched."""
    if gradient.shape == shape:
        return gradient
    added = gradient.ndim - len(shape)
    stretched = [i + added for i, side in enumerate(shape) if side == 1 and gradient.shape[i + added] != 1]
    axes = (*range(added), *stretched)
    return ranvier.ops.reshape(ranvier.ops.sum(gradient, axis=axes), shape)


class Matmul(Function):
    """The gradients are products of the same kind: nothing is transposed in memory."""

    def forward(self, x1: Any, x2: Any, transpose_x1: bool, transpose_x2: bool) -> Any:
        self.transposed = (transpose_x1, transpose_x2)
        self.save(x1, x2)
        return self.kernels.matmul_forward(x1, x2, transpose_x1, transpose_x2)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x1, x2 = self.saved
        reshape = ranvier.ops.reshape
        a = reshape(x1, (1, *x1.shape)) if x1.ndim == 1 else x1  # a vector is a row on the left,
        b = reshape(x2, (*x2.shape, 1)) if x2.ndim == 1 else x2  # a column on the right
        if x1.ndim == 1 or x2.ndim == 1:
            rows = () if x1.ndim == 1 else (x1.shape[-1] if self.transposed[0] else x1.shape[-2],)
            columns = () if x2.ndim == 1 else (x2.shape[-2] if self.transposed[1] else x2.shape[-1],)
            batch = dy.shape[: dy.ndim - len(rows) - len(columns)]
            dy = reshape(dy, (*batch, *(rows or (1,)), *(columns or (1,))))
        da = self._gradient_of_a(a, b, dy, x1.shape) if self.needs[0] else None
        db = self._gradient_of_b(a, b, dy, x2.shape) if self.needs[1] else None
        return da, db

    def _gradient_of_a(self, a: Tensor, b: Tensor, dy: Tensor, shape: tuple[int, ...]) -> Tensor:
        ta, tb = self.transposed
        da = _product(b, dy, tb, True) if ta else _product(dy, b, False, not tb)
        return ranvier.ops.reshape(_summed_to(da, a.shape), shape)

    def _gradient_of_b(self, a: Tensor, b: Tensor, dy: Tensor, shape: tuple[int, ...]) -> Tensor:
        ta, tb = self.transposed
        if b.ndim == 2 and a.ndim > 2 and not ta:  # one matrix for the whole batch: one product sums over it
            reshape = ranvier.ops.reshape
            a = reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))
            dy = reshape(dy, (a.shape[0], dy.shape[-1]))
        db = _product(dy, a, True, ta) if tb else _product(a, dy, not ta, False)
        return ranvier.ops.reshape(_summed_to(db, b.shape), shape)


class Dense(Function):
    """Bias and activation happen in the product's last pass over y; the gradient needs y, or the sum before it."""

    optional = (2,)

    def forward(self, x: Any, kernel: Any, bias: Any, activation: str) -> Any:
        self.activation = activation
        y, before = self.kernels.dense_forward(x, kernel, bias, activation, True in self.needs)
        self.save(x, kernel, bias, y if before is None else before)
        return y

    def backward(self, dy: Tensor) -> Any:
        x, kernel, bias, saved = self.saved
        if is_recording():
            return self._differentiable(x, kernel, bias, dy)
        return self.kernels.dense_backward(x.array, kernel.array, saved.array, dy.array, self.activation, *self.needs)

    def _differentiable(self, x: Tensor, kernel: Tensor, bias: Tensor | None, dy: Tensor) -> tuple[Tensor | None, ...]:
        dz = dy
        if self.activation != "linear":
            z = matmul(x, kernel)
            z = z if bias is None else z + bias
            dz = ranvier.autograd.grad(getattr(ranvier.ops, self.activation)(z), z, dy, create_graph=True)
        rows = math.prod(dz.shape[:-1])
        flat = ranvier.ops.reshape(dz, (rows, dz.shape[-1]))
        return (
            matmul(dz, kernel, transpose_x2=True) if self.needs[0] else None,
            matmul(ranvier.ops.reshape(x, (rows, x.shape[-1])), flat, transpose_x1=True) if self.needs[1] else None,
            ranvier.ops.sum(flat, axis=0) if self.needs[2] else None,
        )


def matmul(x1: Any, x2: Any, transpose_x1: bool = False, transpose_x2: bool = False) -> Tensor:
    """Matrix product over the last two axes: (..., m, k) and (..., k, n) -> (..., m, n).

    Batch axes broadcast; a vector is a row on the left and a column on the right, and that axis is dropped, as in
    NumPy. ``transpose_x1`` and ``transpose_x2`` exchange an operand's last two axes without a copy. float32 or
    float64. Raises TypeError for other or different dtypes, ValueError for scalars, inner sizes that differ, batch
    axes that do not broadcast, or a transposed vector. Source: Keras ``ops.matmul``, ``numpy.matmul``.

    >>> import ranvier as rv
    >>> rv.ops.matmul([[1.0, 2.0]], [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]).numpy()
    array([[ 5., 11., 17.]], dtype=float32)
    """
    return Matmul.apply(x1, x2, transpose_x1=transpose_x1, transpose_x2=transpose_x2)


def dense(x: Any, kernel: Any, bias: Any = None, activation: str | None = None) -> Tensor:
    """activation(x kernel + bias) in one pass: x (..., I), kernel (I, O), bias (O) -> (..., O).

    ``activation`` is the name of an activation op with its default options (``"relu"``, ``"tanh"``, ``"softmax"``...).
    float32 or float64. Raises TypeError for other or different dtypes, ValueError for shapes that do not fit and
    unknown names. Source: Keras ``layers.Dense``.

    >>> import ranvier as rv
    >>> rv.ops.dense([[1.0, 2.0]], [[1.0, 3.0], [2.0, -4.0]], [0.5, 0.5], activation="relu").numpy()
    array([[5.5, 0. ]], dtype=float32)
    """
    if activation in ("softmax", "log_softmax"):  # over whole rows: not for an epilogue
        return getattr(ranvier.ops, activation)(dense(x, kernel, bias))
    name = "linear" if activation is None else "silu" if activation == "swish" else activation
    return Dense.apply(x, kernel, bias, activation=name)
