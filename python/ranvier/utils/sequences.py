"""Sequences: padded to one length, cut from a time series, split in two."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np

from ranvier.utils.py_dataset import PyDataset


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one array (N, maxlen, ...).

    ``maxlen``: that of the longest, if it is left out. Short ones get ``value`` and long ones lose elements at the
    beginning (``"pre"``) or the end (``"post"``). Raises ValueError for anything else, and for elements of different
    shapes. Source: Keras ``utils.pad_sequences``.

    >>> import ranvier as rv
    >>> rv.utils.pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {name} must be 'pre' or 'post', not {side!r}")
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences: expected a list of sequences, got {type(sequences).__name__}")
    for place, each in enumerate(sequences):
        if not hasattr(each, "__len__"):
            raise ValueError(f"pad_sequences: element {place} is {each!r}, not a sequence")
    textual = np.issubdtype(dtype, np.str_) or np.issubdtype(dtype, np.bytes_)
    if isinstance(value, str) and dtype is not object and not textual:
        raise ValueError(f"pad_sequences: value {value!r} does not fit dtype {dtype}; for texts use dtype=object")
    longest = max((len(each) for each in sequences), default=0) if maxlen is None else maxlen
    shape = next((np.asarray(each).shape[1:] for each in sequences if len(each)), ())
    padded = np.full((len(sequences), longest, *shape), value, dtype=dtype)
    for place, each in enumerate(sequences):
        kept = np.asarray(each[-longest:] if truncating == "pre" else each[:longest], dtype=dtype)
        if not len(each) or not longest:
            continue
        if kept.shape[1:] != shape:
            raise ValueError(
                f"pad_sequences: elements of sequence {place} have shape {kept.shape[1:]}; expected {shape}, that of "
                "the first sequence"
            )
        padded[place, slice(None, len(kept)) if padding == "post" else slice(longest - len(kept), None)] = kept
    return padded


class Windows(PyDataset):
    """Batches of windows of a series, each with its target: what ``timeseries_dataset_from_array`` gives."""

    def __init__(
        self, data: np.ndarray, targets: np.ndarray | None, starts: np.ndarray, steps: np.ndarray, size: int | None
    ) -> None:
        super().__init__()
        self.data = data
        self.targets = targets
        self.starts = starts
        self.steps = steps
        self.batch_size = size

    def __len__(self) -> int:
        return len(self.starts) if self.batch_size is None else math.ceil(len(self.starts) / self.batch_size)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        size = self.batch_size
        starts = self.starts[index] if size is None else self.starts[index * size : (index + 1) * size, None]
        windows = self.data[starts + self.steps]
        if self.targets is None:
            return windows
        return windows, self.targets[starts if size is None else starts[:, 0]]


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> PyDataset:
    """Windows of a series (T, ...) in batches (N, sequence_length, ...), with ``targets[i]`` for that begun at i.

    ``sequence_stride`` steps lie between beginnings, ``sampling_rate`` between elements of a window; the data between
    ``start_index`` and ``end_index`` are used. ``batch_size=None`` gives single windows. Keras returns a dataset of
    TensorFlow or Grain (``format``); here it is a ``PyDataset`` for ``fit`` in any case. Raises ValueError for numbers
    that do not fit the data. Source: Keras.

    >>> import ranvier as rv
    >>> windows = rv.utils.timeseries_dataset_from_array(np.arange(8), np.arange(8) * 10, 3, sequence_stride=2)
    >>> x, y = windows[0]
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [2, 3, 4], [4, 5, 6]], [0, 20, 40])
    """
    data = np.asarray(data)
    length = len(data)
    for name, number, low in (
        ("sequence_length", sequence_length, 1), ("sequence_stride", sequence_stride, 1),
        ("sampling_rate", sampling_rate, 1), ("start_index", start_index or 0, 0), ("end_index", end_index or 1, 1),
    ):  # fmt: skip
        if number < low or (number >= length and name != "sequence_length"):
            raise ValueError(
                f"timeseries_dataset_from_array: {name} must be from {low} to {length - 1} (the data have {length} "
                f"steps), got {number}"
            )
    if format not in ("tf", "grain"):
        raise ValueError(f"timeseries_dataset_from_array: format must be 'tf' or 'grain', got {format!r}")
    start, end = start_index or 0, length if end_index is None else end_index
    if end <= start:
        raise ValueError(f"timeseries_dataset_from_array: end_index {end} must be higher than start_index {start}")
    count = end - start - (sequence_length - 1) * sampling_rate
    if targets is not None:
        targets = np.asarray(targets)
        count = min(count, len(targets))
        targets = targets[start:end]
    starts = np.arange(0, max(count, 0), sequence_stride)
    if shuffle:
        np.random.RandomState(np.random.randint(1_000_000) if seed is None else seed).shuffle(starts)
    steps = np.arange(0, sequence_length * sampling_rate, sampling_rate)
    return Windows(data[start:end], targets, starts, steps, batch_size)


def _sizes(left: float | None, right: float | None, total: int) -> tuple[int, int]:
    """Sizes as numbers of samples. Raises TypeError or ValueError with what was expected."""
    if left is None and right is None:
        raise ValueError("split_dataset: give left_size or right_size")
    found: list[int | None] = []
    for name, size in (("left_size", left), ("right_size", right)):
        if size is None:
            found.append(None)
            continue
        if isinstance(size, bool) or not isinstance(size, (int, float)):
            raise TypeError(f"split_dataset: {name} must be an integer, a float or None, got {type(size).__name__}")
        if not 0 < size < (total if isinstance(size, int) else 1):
            raise ValueError(
                f"split_dataset: {name} must be an integer from 1 to {total - 1} or a float between 0 and 1, got {size}"
            )
        found.append(size if isinstance(size, int) else round(size * total))
    first = total - found[1] if found[0] is None else found[0]  # type: ignore[operator]
    second = total - first if found[1] is None else found[1]
    if not first or not second or first + second > total:
        raise ValueError(f"split_dataset: {total} samples cannot be split into {first} and {second}")
    return first, second


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """The first samples and the last ones (of a shuffled order): an array, or a tuple, list or dict of arrays, in two.

    Sizes are numbers of samples or parts of 1; one may be left out. Keras returns datasets of TensorFlow or PyTorch
    (``preferred_backend``); here each part has the structure of ``dataset``. Raises ValueError for sizes that do not
    fit. Source: Keras.

    >>> import ranvier as rv
    >>> (x, y), (x_test, y_test) = rv.utils.split_dataset((np.arange(5), np.arange(5) * 10), left_size=0.6)
    >>> x.tolist(), y_test.tolist()
    ([0, 1, 2], [30, 40])
    """
    from ranvier import _tree

    leaves = _tree.flatten(dataset)
    lengths = {len(each) if hasattr(each, "__len__") and np.ndim(each) else None for each in leaves}
    if not leaves or None in lengths or len(lengths) != 1:
        raise ValueError(f"split_dataset: expected arrays of one length, got lengths {sorted(map(str, lengths))}")
    total = int(lengths.pop() or 0)
    left, right = _sizes(left_size, right_size, total)
    order = list(range(total))
    if shuffle:
        random.Random(random.randint(0, 10**6) if seed is None else seed).shuffle(order)
    first, last = np.array(order[:left]), np.array(order[total - right :])
    arrays = _tree.map_structure(np.asarray, dataset)
    return _tree.map_structure(lambda a: a[first], arrays), _tree.map_structure(lambda a: a[last], arrays)


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """(x, y, sample_weight) without what is None at the end; x alone as itself, or (x,) if it is a list or tuple.

    >>> import ranvier as rv
    >>> rv.utils.pack_x_y_sample_weight("x", "y")
    ('x', 'y')
    """
    if y is None:
        return (x,) if isinstance(x, (list, tuple)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)`` as a triple with None for what is absent.

    >>> import ranvier as rv
    >>> rv.utils.unpack_x_y_sample_weight(("x", "y"))
    ('x', 'y', None)
    """
    from ranvier.models import unpack_x_y_sample_weight as unpack

    return unpack(data)
