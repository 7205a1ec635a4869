"""Moving elements: reshape, transpose, join, split, pad, repeat, take, scatter; and arrays from nothing.

Indexing (``get_item``) has a room of its own, ``indexing.py``.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import ranvier
from ranvier import _core
from ranvier._device import get_device
from ranvier.autograd import Function
from ranvier.tensor import Tensor, array_of, as_tensor, wrap

__all__ = [
    "arange",
    "broadcast_to",
    "concatenate",
    "expand_dims",
    "flip",
    "full",
    "get_item",
    "one_hot",
    "ones",
    "ones_like",
    "pad",
    "repeat",
    "reshape",
    "scatter_add",
    "split",
    "squeeze",
    "stack",
    "take",
    "tile",
    "transpose",
    "zeros",
    "zeros_like",
]

Shape = int | Sequence[int]


def _shape_of(op: str, shape: Any) -> tuple[int, ...]:
    """A shape as a tuple; TypeError for what is not an int or a sequence of ints."""
    try:
        return tuple(operator.index(n) for n in (shape if np.iterable(shape) else (shape,)))
    except TypeError:
        raise TypeError(f"{op}: shape must be an int or a sequence of ints but is {shape!r}") from None


def _axis_within(op: str, axis: Any, rank: int, of: str) -> int:
    """``axis`` counted from the front; ValueError where there is no such axis."""
    at = operator.index(axis)
    if not -rank <= at < rank:
        raise ValueError(f"{op}: axis {axis} is out of range for {of}")
    return at % rank


# --- other shapes, other orders ------------------------------------------------------------------------


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


def reshape(x: Any, newshape: Shape) -> Tensor:
    """The elements of ``x``, in order, with another shape; one side may be -1 and follows from the others.

    Shares memory with ``x``. Raises ValueError where the numbers of elements differ. Source: NumPy ``reshape``.

    >>> import ranvier as rv
    >>> rv.ops.reshape(rv.ops.arange(6), (2, -1)).shape
    (2, 3)
    """
    x = as_tensor(x)
    shape = _shape_of("reshape", newshape)
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        if shape.count(-1) > 1 or known <= 0 or x.size % known:
            raise ValueError(f"reshape: cannot turn shape {x.shape} ({x.size} elements) into {shape}")
        shape = tuple(x.size // known if n == -1 else n for n in shape)
    return Reshape.apply(x, shape=shape)


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


def broadcast_to(x: Any, shape: Shape) -> Tensor:
    """``x`` repeated along its axes of length one, and along new leading ones, up to ``shape``. A copy.

    Raises ValueError where the shapes do not fit. Source: NumPy ``broadcast_to``.

    >>> import ranvier as rv
    >>> rv.ops.broadcast_to([1, 2], (2, 2)).numpy()
    array([[1, 2],
           [1, 2]], dtype=int32)
    """
    x = as_tensor(x)
    target = _shape_of("broadcast_to", shape)
    return x if x.shape == target else BroadcastTo.apply(x, shape=target)


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
    places = {_axis_within("expand_dims", a, rank, f"a result of rank {rank}") for a in axes}
    if len(places) != len(axes):
        raise ValueError(f"expand_dims: axis {axis} names an axis twice")
    sides = iter(x.shape)
    return reshape(x, tuple(1 if i in places else next(sides) for i in range(rank)))


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
    places = {_axis_within("squeeze", a, x.ndim, f"shape {x.shape}") for a in axes}
    for place in sorted(places):
        if x.shape[place] != 1:
            raise ValueError(f"squeeze: axis {place} of shape {x.shape} has length {x.shape[place]}, not one")
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in places))


# --- joining and splitting -----------------------------------------------------------------------------


class Concatenate(Function):
    def forward(self, *xs: Any, axis: int) -> Any:
        y = self.kernels.concatenate_forward(list(xs), axis)
        self.axis = axis % y.ndim
        self.lengths = [x.shape[self.axis] for x in xs]
        return y

    def backward(self, dy: Tensor) -> tuple[Tensor | None, ...]:
        ends = list(itertools.accumulate(self.lengths))
        return tuple(
            _between(dy, self.axis, end - length, end) if need else None
            for need, length, end in zip(self.needs, self.lengths, ends, strict=True)
        )


def _between(x: Tensor, axis: int, begin: int, end: int) -> Tensor:
    return get_item(x, (*(slice(None),) * axis, slice(begin, end)))


def concatenate(xs: Sequence[Any], axis: int = -1) -> Tensor:
    """Arrays joined along ``axis``, where alone their shapes may differ; all of one dtype.

    Raises ValueError for shapes that do not fit or no arrays, TypeError for dtypes that differ. Source: Keras
    ``ops.concatenate``, whose default axis is the last.

    >>> import ranvier as rv
    >>> rv.ops.concatenate([[1, 2], [3]]).numpy()
    array([1, 2, 3], dtype=int32)
    """
    if len(xs) == 0:
        raise ValueError("concatenate: needs one array or more")
    return Concatenate.apply(*xs, axis=axis)


def stack(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Arrays of one shape joined along a new ``axis``.

    Raises ValueError for shapes that differ, no arrays or an axis out of range. Source: NumPy ``stack``.

    >>> import ranvier as rv
    >>> rv.ops.stack([[1, 2], [3, 4]], axis=1).numpy()
    array([[1, 3],
           [2, 4]], dtype=int32)
    """
    tensors = [as_tensor(x) for x in xs]
    for i, x in enumerate(tensors):
        if x.shape != tensors[0].shape:
            raise ValueError(f"stack: x {i} has shape {x.shape} but x 0 has shape {tensors[0].shape}")
    if not tensors:
        raise ValueError("stack: needs one array or more")
    at = _axis_within("stack", axis, tensors[0].ndim + 1, f"a result of rank {tensors[0].ndim + 1}")
    return concatenate([expand_dims(x, at) for x in tensors], at)


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """``x`` cut along ``axis``: into that many equal parts, or before each of the given indices.

    Raises ValueError where the parts would not be equal, or for an axis out of range. Source: NumPy ``split``.

    >>> import ranvier as rv
    >>> [part.tolist() for part in rv.ops.split(rv.ops.arange(4), [1, 3])]
    [[0], [1, 2], [3]]
    """
    x = as_tensor(x)
    at = _axis_within("split", axis, x.ndim, f"shape {x.shape}")
    length = x.shape[at]
    if np.iterable(indices_or_sections):
        cuts = [operator.index(i) for i in indices_or_sections]  # type: ignore[union-attr]
    else:
        parts = operator.index(indices_or_sections)  # type: ignore[arg-type]
        if parts <= 0 or length % parts:
            raise ValueError(f"split: axis {axis} of shape {x.shape} cannot be cut into {parts} equal parts")
        cuts = [length // parts * i for i in range(1, parts)]
    bounds = [0, *cuts, length]
    return [_between(x, at, begin, end) for begin, end in itertools.pairwise(bounds)]


# --- repeating, padding, reversing -----------------------------------------------------------------------


def tile(x: Any, repeats: Shape) -> Tensor:
    """``x`` laid side by side ``repeats[i]`` times along axis i (ones are put before the shorter of the two).

    Raises ValueError for negative repeats. Source: NumPy ``tile``.

    >>> import ranvier as rv
    >>> rv.ops.tile([1, 2], 2).numpy()
    array([1, 2, 1, 2], dtype=int32)
    """
    x = as_tensor(x)
    times = _shape_of("tile", repeats)
    if any(t < 0 for t in times):
        raise ValueError(f"tile: repeats must not be negative but are {times}")
    rank = max(x.ndim, len(times))
    times = (1,) * (rank - len(times)) + times
    shape = (1,) * (rank - x.ndim) + x.shape
    apart = reshape(x, tuple(n for side in shape for n in (1, side)))
    repeated = broadcast_to(apart, tuple(n for pair in zip(times, shape, strict=True) for n in pair))
    return reshape(repeated, tuple(t * side for t, side in zip(times, shape, strict=True)))


def repeat(x: Any, repeats: Shape, axis: int | None = None) -> Tensor:
    """Each element along ``axis`` (None: of the flattened ``x``) ``repeats`` times, or ``repeats[i]`` times the i-th.

    Raises ValueError for negative repeats or a wrong number of them. Source: NumPy ``repeat``.

    >>> import ranvier as rv
    >>> rv.ops.repeat([1, 2], 2).numpy()
    array([1, 1, 2, 2], dtype=int32)
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = reshape(x, (-1,)) if x.size else reshape(x, (0,)), 0
    at = _axis_within("repeat", axis, x.ndim, f"shape {x.shape}")
    times = _shape_of("repeat", repeats)
    length = x.shape[at]
    if any(t < 0 for t in times) or len(times) not in (1, length):
        raise ValueError(f"repeat: repeats must be one or {length} numbers, none negative, but are {times}")
    if len(times) == 1:
        before, after = x.shape[: at + 1], x.shape[at + 1 :]
        repeated = broadcast_to(expand_dims(x, at + 1), (*before, times[0], *after))
        return reshape(repeated, (*x.shape[:at], length * times[0], *after))
    return take(x, np.repeat(np.arange(length), times), at)


class Pad(Function):
    def forward(self, x: Any, value: Any, before: list[int], after: list[int]) -> Any:
        y = self.kernels.pad_forward(x, value, before, after)
        self.inner = tuple(slice(b, b + n) for b, n in zip(before, x.shape, strict=True))
        return y

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        inside = get_item(dy, self.inner)
        dvalue = ranvier.ops.sum(dy) - ranvier.ops.sum(inside) if self.needs[1] else None
        return (inside if self.needs[0] else None), dvalue


def _pad_pairs(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    """NumPy's ways to say it: one number, one pair for all axes, or a pair per axis."""
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (rank, 2))
    except ValueError:
        raise ValueError(f"pad: pad_width {pad_width!r} does not give a pair for each of {rank} axes") from None
    if widths.dtype.kind not in "iu" and widths.size:
        raise TypeError(f"pad: pad_width must hold integers but is {pad_width!r}")
    return [(int(before), int(after)) for before, after in widths]


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """``x`` with ``pad_width`` = ((before, after), ...) more elements on each axis (or one pair, or number, for all).

    ``mode``: "constant" (``constant_values``, 0 by default), "edge" (the border repeated), "reflect" (mirrored at the
    border element) or "symmetric" (mirrored beyond it). Raises ValueError for negative widths, an unknown mode, or
    anything but "constant" on an empty axis. Source: NumPy ``pad``, Keras ``ops.pad``.

    >>> import ranvier as rv
    >>> rv.ops.pad([1, 2, 3], (2, 1), mode="reflect").numpy()
    array([3, 2, 1, 2, 3, 2], dtype=int32)
    """
    x = as_tensor(x)
    pairs = _pad_pairs(pad_width, x.ndim)
    if mode == "constant":
        value = as_tensor(0 if constant_values is None else constant_values, x.dtype, x.device)
        return Pad.apply(x, value, before=[b for b, _ in pairs], after=[a for _, a in pairs])
    if mode not in ("edge", "reflect", "symmetric"):
        raise ValueError(f"pad: mode must be 'constant', 'edge', 'reflect' or 'symmetric' but is {mode!r}")
    if constant_values is not None:
        raise ValueError(f"pad: constant_values has no meaning in mode {mode!r}")
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            if before < 0 or after < 0 or x.shape[axis] == 0:
                raise ValueError(f"pad: axis {axis} of shape {x.shape} cannot be padded by ({before}, {after})")
            x = take(x, _mirrored(np.arange(-before, x.shape[axis] + after), x.shape[axis], mode), axis)
    return x


def _mirrored(positions: np.ndarray, length: int, mode: str) -> np.ndarray:
    """Which element stands at each position, some of them outside 0..length-1."""
    if mode == "edge" or length == 1:
        return np.clip(positions, 0, length - 1)
    period = 2 * length if mode == "symmetric" else 2 * length - 2
    around = positions % period
    return np.minimum(around, period - around - (mode == "symmetric"))


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """``x`` with the order of its elements reversed along ``axis`` (None: all axes).

    Raises ValueError for an axis out of range. Source: NumPy ``flip``.

    >>> import ranvier as rv
    >>> rv.ops.flip([1, 2, 3]).numpy()
    array([3, 2, 1], dtype=int32)
    """
    x = as_tensor(x)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    places = {_axis_within("flip", a, x.ndim, f"shape {x.shape}") for a in axes}
    return get_item(x, tuple(slice(None, None, -1) if i in places else slice(None) for i in range(x.ndim)))


# --- by index --------------------------------------------------------------------------------------------


class Take(Function):
    def forward(self, x: Any, indices: Any, axis: int) -> Any:
        self.save(indices)
        self.shape, self.axis = x.shape, axis
        return self.kernels.take_forward(x, indices, axis)

    def backward(self, dy: Tensor) -> tuple[Tensor, None]:
        (indices,) = self.saved
        return scatter_add(zeros(self.shape, dy.dtype, dy.device), indices, dy, self.axis), None


class ScatterAdd(Function):
    def forward(self, x: Any, indices: Any, updates: Any, axis: int) -> Any:
        self.save(indices)
        self.axis = axis
        return self.kernels.scatter_add_forward(x, indices, updates, axis)

    def backward(self, dy: Tensor) -> tuple[Tensor, None, Tensor | None]:
        (indices,) = self.saved
        return dy, None, take(dy, indices, self.axis) if self.needs[2] else None


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """``x`` with ``indices`` (int32 or int64, any shape) in place of ``axis``: (a, n, b) by (m, k) -> (a, m, k, b).

    ``axis=None`` takes from the flattened ``x``. Negative indices count from the end. Raises ValueError for an index
    out of range, naming it and the size; TypeError for indices that are not integers. Source: NumPy ``take``.

    >>> import ranvier as rv
    >>> rv.ops.take([1.0, 2.0, 3.0], [2, -3]).numpy()
    array([3., 1.], dtype=float32)
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    return Take.apply(x, indices, axis=axis)


def scatter_add(x: Any, indices: Any, updates: Any, axis: int = 0) -> Tensor:
    """``x`` with ``updates`` added where ``indices`` say along ``axis``; the reverse of ``take``.

    ``updates`` has ``x``'s shape with the shape of ``indices`` in place of ``axis``. Repeated indices add up, in their
    order, on any number of threads. float32, float64, int32 or int64. Raises ValueError for shapes that do not fit or
    an index out of range, TypeError for other dtypes. Source: NumPy ``add.at``.

    >>> import ranvier as rv
    >>> rv.ops.scatter_add([0.0, 0.0], [1, 1], [2.0, 3.0]).numpy()
    array([0., 5.], dtype=float32)
    """
    return ScatterAdd.apply(x, indices, updates, axis=axis)


class OneHot(Function):
    def forward(self, x: Any, num_classes: int, axis: int, dtype: str) -> Any:
        return self.kernels.one_hot_forward(x, num_classes, axis, dtype)


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: str = "float32") -> Tensor:
    """Labels (int32 or int64, shape (...)) as rows of zeros with a one: (..., num_classes), or with the new axis at
    ``axis``. A label outside 0..num_classes-1 gives zeros.

    Raises ValueError for no classes or an axis out of range, TypeError for labels that are not integers. Source:
    Keras ``ops.one_hot``.

    >>> import ranvier as rv
    >>> rv.ops.one_hot([1, 0], 3).numpy()
    array([[0., 1., 0.],
           [1., 0., 0.]], dtype=float32)
    """
    x = as_tensor(x)
    x = ranvier.ops.cast(x, "int32") if x.dtype in ("uint8", "bool") else x
    return OneHot.apply(x, num_classes=num_classes, axis=axis, dtype=dtype)


# --- arrays from nothing -----------------------------------------------------------------------------------


def zeros(shape: Shape, dtype: str = "float32", device: str | None = None) -> Tensor:
    """Zeros of a shape. Raises ValueError for a negative side, TypeError for an unknown dtype.

    >>> import ranvier as rv
    >>> rv.ops.zeros(2).numpy()
    array([0., 0.], dtype=float32)
    """
    return wrap(_core.Array.zeros(_shape_of("zeros", shape), dtype, device or get_device()))


def full(shape: Shape, fill_value: Any, dtype: str | None = None, device: str | None = None) -> Tensor:
    """``fill_value`` (a number or anything that broadcasts) at every place of a shape; its dtype unless given.

    >>> import ranvier as rv
    >>> rv.ops.full(2, 7).numpy()
    array([7, 7], dtype=int32)
    """
    target = _shape_of("full", shape)
    value = as_tensor(fill_value, dtype, device)
    same = not isinstance(fill_value, Tensor) or value is not fill_value
    return wrap(value.array) if same and value.shape == target else broadcast_to(value, target)


def ones(shape: Shape, dtype: str = "float32", device: str | None = None) -> Tensor:
    """Ones of a shape.

    >>> import ranvier as rv
    >>> rv.ops.ones(2).numpy()
    array([1., 1.], dtype=float32)
    """
    return full(shape, 1, dtype, device)


def zeros_like(x: Any, dtype: str | None = None) -> Tensor:
    """Zeros of ``x``'s shape, dtype (unless given) and device.

    >>> import ranvier as rv
    >>> rv.ops.zeros_like([1, 2]).numpy()
    array([0, 0], dtype=int32)
    """
    x = as_tensor(x)
    return zeros(x.shape, dtype or x.dtype, x.device)


def ones_like(x: Any, dtype: str | None = None) -> Tensor:
    """Ones of ``x``'s shape, dtype (unless given) and device.

    >>> import ranvier as rv
    >>> rv.ops.ones_like([5, 6]).numpy()
    array([1, 1], dtype=int32)
    """
    x = as_tensor(x)
    return ones(x.shape, dtype or x.dtype, x.device)


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


from ranvier.ops.indexing import get_item  # noqa: E402  (indexing is built from the ops above)
