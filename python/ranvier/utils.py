"""Small helpers of Keras's names."""

from __future__ import annotations

import random as python_random
from typing import Any

import numpy as np

from ranvier.random import set_global_seed

__all__ = ["set_random_seed", "to_categorical"]


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
