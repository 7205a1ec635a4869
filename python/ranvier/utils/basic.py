"""Seeds, labels, norms, dtypes: the small helpers."""

from __future__ import annotations

import random as python_random
from typing import Any

import numpy as np

from ranvier import config
from ranvier.random import set_global_seed


def set_random_seed(seed: int) -> None:
    """Makes a whole run repeatable: seeds Python's ``random``, NumPy's and Ranvier's default generator.

    ``seed``: an integer in [0, 2**32). Raises TypeError or ValueError for anything else.
    Source: Keras ``utils.set_random_seed``.

    >>> import ranvier as rv
    >>> rv.utils.set_random_seed(7)
    >>> first = rv.random.uniform(3).tolist()
    >>> rv.utils.set_random_seed(7)
    >>> rv.random.uniform(3).tolist() == first
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"set_random_seed: seed must be an integer but is {seed!r}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"set_random_seed: seed must be in [0, 2**32) but is {seed}")
    python_random.seed(int(seed))
    np.random.seed(int(seed))
    set_global_seed(int(seed))


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Integer class labels (...) as one-hot rows (..., num_classes), float32.

    A trailing axis of length one is dropped first. ``num_classes`` defaults to the largest label plus one.
    Raises TypeError for labels that are no integers, ValueError for a label outside [0, num_classes).
    Source: Keras ``utils.to_categorical``.

    >>> import ranvier as rv
    >>> rv.utils.to_categorical([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    labels = np.asarray(x)
    if labels.dtype.kind == "f" and np.array_equal(labels, np.floor(labels)):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"to_categorical: labels must be integers but are {labels.dtype}")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        if labels.size == 0:
            raise ValueError("to_categorical: num_classes is needed where there are no labels")
        num_classes = int(labels.max()) + 1
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise ValueError(f"to_categorical: label {wrong[0]} is not in [0, {num_classes})")
    return (labels[..., None] == np.arange(num_classes)).astype(np.float32)


def normalize(x: Any, axis: int = -1, order: float = 2) -> Any:
    """``x`` divided by its norms of ``order`` along ``axis``; where a norm is 0, x stays. Source: Keras.

    An array gives an array, a Tensor a Tensor.

    >>> import ranvier as rv
    >>> rv.utils.normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    from ranvier import ops
    from ranvier.tensor import Tensor

    if isinstance(x, Tensor):
        lengths = ops.norm(x, order, axis, keepdims=True)
        return x / ops.where(ops.equal(lengths, 0), 1.0, lengths)
    x = np.asarray(x)
    norms = np.asarray(np.linalg.norm(x, order, axis, keepdims=True))
    return x / np.where(norms == 0, 1, norms)


_DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
    "float64",
)  # fmt: skip


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype given as a name, a Python type or NumPy's or PyTorch's; None is ``rv.config.floatx()``.

    Raises ValueError for what is no dtype. Source: Keras ``standardize_dtype``.

    >>> import ranvier as rv
    >>> rv.utils.standardize_dtype(None), rv.utils.standardize_dtype(int), rv.utils.standardize_dtype(np.dtype("f8"))
    ('float32', 'int32', 'float64')
    """
    if dtype is None:
        return config.floatx()
    python = {bool: "bool", int: "int32", float: "float32", "int": "int32"}
    name = python.get(dtype) if isinstance(dtype, (type, str)) else None
    name = name or getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    name = str(name).removeprefix("torch.")
    if name not in _DTYPES:
        raise ValueError(f"standardize_dtype: {dtype!r} is no dtype; known are {', '.join(_DTYPES)}")
    return name


def is_keras_tensor(x: Any) -> bool:
    """Whether ``x`` is symbolic, made by ``Input`` or by a layer called on such.

    >>> import ranvier as rv
    >>> rv.utils.is_keras_tensor(rv.Input((2,))), rv.utils.is_keras_tensor(rv.Tensor([1.0]))
    (True, False)
    """
    from ranvier.layers.symbolic import KerasTensor

    return isinstance(x, KerasTensor)


def clear_session(free_memory: bool = True) -> None:
    """Starts the numbering of automatic names afresh: the next Dense is ``dense`` again.

    Nothing else is left to clear: Ranvier has no global graph, and a model's memory goes with its last reference.
    ``free_memory`` is there for Keras's sake.

    >>> import ranvier as rv
    >>> rv.utils.clear_session()
    >>> rv.layers.Dense(1).name, rv.layers.Dense(1).name
    ('dense', 'dense_1')
    """
    config.clear_session()
