"""Elements by number: indexing as NumPy does it, take and its reverse scatter_add, flip, one_hot."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import ranvier
from ranvier.autograd import Function
from ranvier.ops.shape.creation import zeros
from ranvier.ops.shape.layout import axis_within, reshape, transpose
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor

__all__ = ["flip", "get_item", "one_hot", "scatter_add", "take"]


class Slice(Function):
    """Elements begin, begin + step, ... of each axis. Whole leading rows are a view; all else is a copy."""

    def forward(self, x: Any, begins: list[int], steps: list[int], counts: list[int]) -> Any:
        self.shape, self.begins, self.steps = x.shape, begins, steps
        forward_only = len(steps) > 0 and all(step == 1 for step in steps)
        if forward_only and tuple(counts[1:]) == x.shape[1:]:  # whole rows
            return x.slice_leading(begins[0], begins[0] + counts[0])
        return self.kernels.slice_forward(x, begins, steps, counts)

    def backward(self, dy: Tensor) -> Tensor:
        return SliceGradient.apply(dy, shape=self.shape, begins=self.begins, steps=self.steps)


class SliceGradient(Function):
    """What flowed to a slice, in its place among zeros; its own gradient is the slice."""

    def forward(self, dy: Any, shape: tuple[int, ...], begins: list[int], steps: list[int]) -> Any:
        self.begins, self.steps, self.counts = begins, steps, list(dy.shape)
        return self.kernels.slice_backward(dy, shape, begins, steps)

    def backward(self, ddx: Tensor) -> Tensor:
        return Slice.apply(ddx, begins=self.begins, steps=self.steps, counts=self.counts)


@direct("get_item")
def get_item(x: Any, key: Any) -> Tensor:
    """``x[key]`` with NumPy's meaning: integers, slices (any step), ``...``, None, integer arrays, boolean masks.

    Whole leading rows (``x[2]``, ``x[2:5]``) share memory with ``x``; everything else is a copy. The gradient of an
    element taken several times is the sum over its uses. Raises IndexError for too many indices or one out of range,
    TypeError for a key that is none of these. Source: NumPy, "Indexing on ndarrays".

    >>> import ranvier as rv
    >>> x = rv.Tensor([[1, 2, 3], [4, 5, 6]])
    >>> x[:, ::-1].tolist(), x[1, -1].item(), x[x > 4].tolist()
    ([[3, 2, 1], [6, 5, 4]], 6, [5, 6])
    """
    x = as_tensor(x)
    items = _expanded(key, x.ndim)
    if any(isinstance(item, np.ndarray) for item in items):
        return _by_arrays(x, items)
    return _by_numbers_and_slices(x, items)


# --- reading the key -------------------------------------------------------------------------------------


def _axes_used(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype == bool else 1


def _item(item: Any) -> Any:
    """One part of a key: an int, a slice, None, Ellipsis, or a NumPy array of integers or bools."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, (int, np.integer)) and not isinstance(item, (bool, np.bool_)):
        return int(item)
    if isinstance(item, (list, np.ndarray, Tensor, bool, np.bool_)):
        array = np.asarray(item)
        array = array.astype(np.int64) if array.size == 0 and isinstance(item, list) else array
        if array.dtype.kind in "iu":
            return int(array) if array.ndim == 0 else array.astype(np.int64)
        if array.dtype == bool:
            return array
    raise TypeError(
        f"get_item: an index must be an integer, a slice, ..., None or an array of integers or bools, not {item!r}"
    )


def _expanded(key: Any, rank: int) -> list[Any]:
    """The key's parts, Ellipsis and what was left out written as full slices, masks as integer arrays."""
    items = [_item(item) for item in (key if isinstance(key, tuple) else (key,))]
    missing = rank - sum(_axes_used(item) for item in items)
    if missing < 0:
        raise IndexError(f"get_item: {rank - missing} indices are too many for an array of rank {rank}")
    places = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(places) > 1:
        raise IndexError("get_item: an index can only have a single ellipsis ('...')")
    place = places[0] if places else len(items)
    return items[:place] + [slice(None)] * missing + items[place + 1 :]


# --- numbers and slices ------------------------------------------------------------------------------------


def _slice_bounds(item: slice, length: int) -> tuple[int, int, int]:
    begin, end, step = item.indices(length)
    return begin, step, len(range(begin, end, step))


def _by_numbers_and_slices(x: Tensor, items: list[Any]) -> Tensor:
    begins, steps, counts, shape = [], [], [], []
    axis = 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        length = x.shape[axis]
        if isinstance(item, slice):
            begin, step, count = _slice_bounds(item, length)
            shape.append(count)
        else:
            begin, step, count = _within(item, axis, x.shape), 1, 1
        begins.append(begin if count else 0)
        steps.append(step if count > 1 else 1)
        counts.append(count)
        axis += 1
    if tuple(counts) != x.shape or any(step != 1 for step in steps):
        x = Slice.apply(x, begins=begins, steps=steps, counts=counts)
    return reshape(x, shape)


def _within(index: int, axis: int, shape: tuple[int, ...]) -> int:
    length = shape[axis]
    if not -length <= index < length:
        raise IndexError(f"get_item: index {index} is out of range for axis {axis} of shape {shape}")
    return operator.index(index) % length


# --- arrays ------------------------------------------------------------------------------------------------


def _by_arrays(x: Tensor, items: list[Any]) -> Tensor:
    """Integer arrays (and numbers beside them) are broadcast together and index their axes as one.

    The result's new axes stand where the arrays stood, or in front where something stood between them: NumPy's rule.
    """
    parts, arrays, positions = _parts_and_arrays(x.shape, items)
    sliced = _by_numbers_and_slices(x, parts)
    together = positions[-1] - positions[0] + 1 == len(positions)
    front = positions[0] if together else 0
    others = [i for i in range(sliced.ndim) if i not in positions]
    order = others[:front] + positions + others[front:]
    if order != list(range(sliced.ndim)):
        sliced = transpose(sliced, order)
    lengths = sliced.shape[front : front + len(positions)]
    rows = _one_number_per_row(arrays, lengths)
    merged = (*sliced.shape[:front], int(np.prod(lengths)), *sliced.shape[front + len(positions) :])
    return take(reshape(sliced, merged), rows, front)


def _parts_and_arrays(shape: tuple[int, ...], items: list[Any]) -> tuple[list[Any], list[np.ndarray], list[int]]:
    """The key with its arrays and numbers replaced by full slices; those, as arrays; and where they stand."""
    parts: list[Any] = []
    arrays: list[np.ndarray] = []
    positions: list[int] = []
    axis = 0
    for item in items:
        if item is None or isinstance(item, slice):
            axis += item is not None
            parts.append(item)
            continue
        for index in _index_arrays(item, axis, shape):
            length = shape[axis]
            bad = (index < -length) | (index >= length)
            if bad.any():
                raise IndexError(
                    f"get_item: index {int(index[bad].flat[0])} is out of range for axis {axis} of shape {shape}"
                )
            positions.append(len(parts))
            arrays.append(np.where(index < 0, index + length, index))
            parts.append(slice(None))
            axis += 1
    return parts, arrays, positions


def _index_arrays(item: Any, axis: int, shape: tuple[int, ...]) -> list[np.ndarray]:
    if not isinstance(item, np.ndarray):
        return [np.asarray(item, np.int64)]
    if item.dtype != bool:
        return [item]
    covered = shape[axis : axis + item.ndim]
    if item.ndim == 0 or item.shape != covered:
        raise IndexError(f"get_item: a mask of shape {item.shape} does not fit axes {covered} of shape {shape}")
    return list(np.nonzero(item))


def _one_number_per_row(arrays: list[np.ndarray], lengths: tuple[int, ...]) -> np.ndarray:
    """Indices along several axes as indices along their product."""
    try:
        together = np.broadcast_arrays(*arrays)
    except ValueError:
        shapes = [a.shape for a in arrays]
        raise IndexError(f"get_item: index arrays of shapes {shapes} do not broadcast together") from None
    rows = np.zeros(together[0].shape, np.int64)
    for index, length in zip(together, lengths, strict=True):
        rows = rows * length + index
    return rows


# --- by index along one axis ---------------------------------------------------------------------------------


class Take(Function):
    def forward(self, x: Any, indices: Any, axis: int) -> Any:
        self.save(indices)
        self.shape, self.axis = x.shape, axis
        return self.kernels.take_forward(x, indices, axis)

    def backward(self, dy: Tensor) -> tuple[Tensor, None]:
        (indices,) = self.saved
        return scatter_add(zeros(self.shape, dy.dtype, dy.device), indices, dy, self.axis), None


class ScatterAdd(Function):
    narrow = ()

    def forward(self, x: Any, indices: Any, updates: Any, axis: int) -> Any:
        self.save(indices)
        self.axis = axis
        return self.kernels.scatter_add_forward(x, indices, updates, axis)

    def backward(self, dy: Tensor) -> tuple[Tensor, None, Tensor | None]:
        (indices,) = self.saved
        return dy, None, take(dy, indices, self.axis) if self.needs[2] else None


@direct("take")
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


@direct("scatter_add")
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


@direct("flip")
def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """``x`` with the order of its elements reversed along ``axis`` (None: all axes).

    Raises ValueError for an axis out of range. Source: NumPy ``flip``.

    >>> import ranvier as rv
    >>> rv.ops.flip([1, 2, 3]).numpy()
    array([3, 2, 1], dtype=int32)
    """
    x = as_tensor(x)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    places = {axis_within("flip", a, x.ndim, f"shape {x.shape}") for a in axes}
    return get_item(x, tuple(slice(None, None, -1) if i in places else slice(None) for i in range(x.ndim)))
