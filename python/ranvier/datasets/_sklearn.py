"""Data sets that come with scikit-learn, split into train and test."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import _core


def bundled(name: str) -> Any:
    """scikit-learn's ``load_<name>()``. Raises ImportError that says what to install."""
    try:
        import sklearn.datasets
    except ImportError as error:
        raise ImportError(f'{name} comes with scikit-learn: pip install "ranvier[examples]"') from error
    return getattr(sklearn.datasets, f"load_{name}")()


def split(x: np.ndarray, y: np.ndarray, test_split: float, seed: int) -> tuple[Any, Any]:
    """Rows in the random order of ``seed``, the last ``test_split`` of them for the test."""
    if not 0 <= test_split < 1:
        raise ValueError(f"load_data: test_split must be in [0, 1) but is {test_split}")
    order = _core.random_permutation(len(x), seed, 0).numpy()
    train = len(x) - int(len(x) * test_split)
    return (x[order[:train]], y[order[:train]]), (x[order[train:]], y[order[train:]])
