"""Arrays joined, cut, repeated and padded."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import ranvier
from ranvier.autograd import Function
from ranvier.ops.shape.indexing import get_item, take
from ranvier.ops.shape.layout import Shape, axis_within, broadcast_to, expand_dims, reshape, shape_of
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor

__all__ = ["concatenate", "pad", "repeat", "split", "stack", "tile"]


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


@direct("concatenate")
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


@direct("stack")
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
    at = axis_within("stack", axis, tensors[0].ndim + 1, f"a result of rank {tensors[0].ndim + 1}")
    return concatenate([expand_dims(x, at) for x in tensors], at)


@direct("split")
def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """``x`` cut along ``axis``: into that many equal parts, or before each of the given indices.

    Raises ValueError where the parts would not be equal, or for an axis out of range. Source: NumPy ``split``.

    >>> import ranvier as rv
    >>> [part.tolist() for part in rv.ops.split(rv.ops.arange(4), [1, 3])]
    [[0], [1, 2], [3]]
    """
    x = as_tensor(x)
    at = axis_within("split", axis, x.ndim, f"shape {x.shape}")
    length = x.shape[at]
    if np.iterable(indices_or_sections):
        cuts = [operator.index(i) for i in indices_or_sections]
    else:
        parts = operator.index(indices_or_sections)
        if parts <= 0 or length % parts:
            raise ValueError(f"split: axis {axis} of shape {x.shape} cannot be cut into {parts} equal parts")
        cuts = [length // parts * i for i in range(1, parts)]
    bounds = [0, *cuts, length]
    return [_between(x, at, begin, end) for begin, end in itertools.pairwise(bounds)]


# --- repeating and padding --------------------------------------------------------------------------------


@direct("tile")
def tile(x: Any, repeats: Shape) -> Tensor:
    """``x`` laid side by side ``repeats[i]`` times along axis i (ones are put before the shorter of the two).

    Raises ValueError for negative repeats. Source: NumPy ``tile``.

    >>> import ranvier as rv
    >>> rv.ops.tile([1, 2], 2).numpy()
    array([1, 2, 1, 2], dtype=int32)
    """
    x = as_tensor(x)
    times = shape_of("tile", repeats)
    if any(t < 0 for t in times):
        raise ValueError(f"tile: repeats must not be negative but are {times}")
    rank = max(x.ndim, len(times))
    times = (1,) * (rank - len(times)) + times
    shape = (1,) * (rank - x.ndim) + x.shape
    apart = reshape(x, tuple(n for side in shape for n in (1, side)))
    repeated = broadcast_to(apart, tuple(n for pair in zip(times, shape, strict=True) for n in pair))
    return reshape(repeated, tuple(t * side for t, side in zip(times, shape, strict=True)))


@direct("repeat")
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
    at = axis_within("repeat", axis, x.ndim, f"shape {x.shape}")
    times = shape_of("repeat", repeats)
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


@direct("pad")
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
