"""Matrix products: matmul, and dense with its bias and activation."""

from __future__ import annotations

import functools
import math
import re
from typing import Any, NamedTuple

import ranvier
from ranvier.autograd import GPUS, Function, is_recording
from ranvier.tensor import Tensor, as_tensor

__all__ = ["dense", "einsum", "matmul"]


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

    narrow = GPUS

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
    narrow = GPUS

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


class _Plan(NamedTuple):
    """How an einsum becomes one matrix product: the letters of each side, in the order that costs least."""

    sums: tuple[tuple[int, ...], tuple[int, ...]]  # axes of each operand that nothing else has
    batch: str
    rows: str
    columns: str
    inner: str
    stored: tuple[str, str]  # the order of each operand's letters: as it comes, where that will do
    product: str  # the letters of the product, which may be transposed to `output`
    output: str


def _arranged(letters: str, groups: tuple[str, str, str]) -> str:
    """The letters as they come, if they are (batch, one group, the other group), else in the order given."""
    batch, first, second = groups
    return letters if letters in (batch + first + second, batch + second + first) else batch + first + second


@functools.lru_cache(maxsize=256)
def _plan(x1: str, x2: str, output: str) -> _Plan:
    sums = tuple(
        tuple(i for i, letter in enumerate(own) if letter not in other + output) for own, other in ((x1, x2), (x2, x1))
    )
    a, b = ("".join(c for i, c in enumerate(own) if i not in axes) for own, axes in zip((x1, x2), sums, strict=True))
    batch = "".join(c for c in output if c in a and c in b)
    rows, columns = ("".join(c for c in output if c in own and c not in batch) for own in (a, b))
    inner = "".join(c for c in a if c in b and c not in output)
    alternative = "".join(c for c in b if c in inner)  # the other order of the sum may spare a copy
    copies = [
        (_arranged(a, (batch, rows, k)) != a) + (_arranged(b, (batch, k, columns)) != b) for k in (inner, alternative)
    ]
    inner = inner if copies[0] <= copies[1] else alternative
    stored = _arranged(a, (batch, rows, inner)), _arranged(b, (batch, inner, columns))
    return _Plan((sums[0], sums[1]), batch, rows, columns, inner, stored, batch + rows + columns, output)


_PART = r"([a-zA-Z]*(?:\.\.\.)?[a-zA-Z]*)"
_EQUATION = re.compile(f"{_PART},{_PART}->{_PART}")


def _letters(equation: str, rank1: int, rank2: int) -> tuple[str, str, str]:
    """The letters of both operands and the result, where ``...`` stands for letters of its own."""
    found = re.fullmatch(_EQUATION, equation.replace(" ", ""))
    if found is None:
        raise ValueError(
            f"einsum: equation {equation!r} must name the axes of two operands and of the result, as in 'abc,cd->abd'; "
            "'...' may stand for further ones"
        )
    free = [c for c in "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in equation]
    widths = [rank - len(part.replace("...", "")) for part, rank in ((found[1], rank1), (found[2], rank2))]
    rest = [max(0, w) if "..." in part else 0 for part, w in ((found[1], widths[0]), (found[2], widths[1]))]
    names = "".join(free[: max(rest)])
    parts = [found[i + 1].replace("...", names[len(names) - n :]) for i, n in enumerate(rest)]
    output = found[3].replace("...", names)
    for number, (part, rank) in enumerate(zip(parts, (rank1, rank2), strict=True), 1):
        if len(part) != rank:
            raise ValueError(f"einsum: equation {equation!r} has {len(part)} axes for x{number}, which has {rank}")
        if len(set(part)) < len(part):
            raise ValueError(f"einsum: an axis of x{number} is named twice in {equation!r}: diagonals are not taken")
    if len(set(output)) < len(output) or not set(output) <= set("".join(parts)):
        raise ValueError(f"einsum: each axis of the result must be one of an operand's, and once, in {equation!r}")
    return parts[0], parts[1], output


def einsum(equation: str, x1: Any, x2: Any) -> Tensor:
    """Sums of products of two tensors' elements, by names of axes: ``"abc,cd->abd"`` is a product with a matrix.

    Axes that both operands and the result have run along; those that both have and the result has not are summed over
    the products, those of one operand alone are summed first. ``...`` stands for any further axes, the same in both.
    It is one (batched) matrix product; an operand is copied only where its axes lie in no order that will do. float32
    or float64. Raises ValueError for equations that are none, ranks and sizes that do not fit, an axis named twice
    in one operand; TypeError for dtypes. Source: NumPy ``einsum``, of two operands.

    >>> import ranvier as rv
    >>> rv.ops.einsum("ij,kj->ik", [[1.0, 2.0]], [[1.0, 0.0], [1.0, 1.0]]).numpy()
    array([[1., 3.]], dtype=float32)
    """
    a, b = as_tensor(x1), as_tensor(x2)
    if not isinstance(equation, str):
        raise TypeError(f"einsum: equation must be a string such as 'ab,bc->ac', got {equation!r}")
    names = _letters(equation, a.ndim, b.ndim)
    sizes: dict[str, int] = {}
    for letters, x in zip(names, (a, b), strict=False):
        for letter, size in zip(letters, x.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ValueError(
                    f"einsum: axis {letter!r} of {equation!r} has size {sizes[letter]} in x1 (shape {a.shape}) but "
                    f"{size} in x2 (shape {b.shape})"
                )
    plan = _plan(*names)
    ops = ranvier.ops
    operands = []
    for x, letters, axes, order in zip((a, b), names, plan.sums, plan.stored, strict=False):
        if axes:
            x = ops.sum(x, axes)
            letters = "".join(c for i, c in enumerate(letters) if i not in axes)
        operands.append(x if letters == order else ops.transpose(x, [letters.index(c) for c in order]))

    def count(group: str) -> int:
        return math.prod(sizes[c] for c in group)

    batch, rows, columns, inner = (count(g) for g in (plan.batch, plan.rows, plan.columns, plan.inner))
    turned1 = plan.stored[0] != plan.batch + plan.rows + plan.inner
    turned2 = plan.stored[1] != plan.batch + plan.inner + plan.columns
    lead = (batch,) if plan.batch else ()
    y = matmul(
        ops.reshape(operands[0], (*lead, *((inner, rows) if turned1 else (rows, inner)))),
        ops.reshape(operands[1], (*lead, *((columns, inner) if turned2 else (inner, columns)))),
        transpose_x1=turned1,
        transpose_x2=turned2,
    )
    y = ops.reshape(y, tuple(sizes[c] for c in plan.product))
    return y if plan.product == plan.output else ops.transpose(y, [plan.product.index(c) for c in plan.output])
