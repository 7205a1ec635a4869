"""Boston housing: 506 districts, 13 features, the median price (Harrison, Rubinfeld 1978)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.datasets._files import FileDataset, PlainFile
from ranvier.datasets._split import keras_split

__all__ = ["load_data"]

_DATASET = FileDataset(
    "boston",
    ("https://raw.githubusercontent.com/jbrownlee/Datasets/master",),
    (PlainFile("housing.data", "e3e36f7b9e5435f9eb8320e106aebad00031fefa3064527da0c71dec59e49b76"),),
)


def load_data(
    path: str | os.PathLike[str] | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """((x_train, y_train), (x_test, y_test)): float64 features (n, 13) and prices (n,) in 1,000 dollars.

    In Keras's order for ``seed``. One feature, B, is built on the share of Black inhabitants: a reason not to use these
    data but to discuss them.
    The file is looked for in ``path`` (a folder) where given, else in ``$RANVIER_DATA/boston``, then in the cache,
    then, if ``download``, on ``mirrors``; its SHA-256 is checked. Raises FileNotFoundError, which says where to put
    which file, if it cannot be had; ValueError for a different one, or a ``test_split`` outside [0, 1). Source: Keras
    ``datasets.boston_housing``.
    """
    (data,) = _DATASET.read(path, download, mirrors)
    table = np.array(data.split(), np.float64).reshape(506, 14)
    return keras_split(table[:, :-1], table[:, -1], test_split, seed)
