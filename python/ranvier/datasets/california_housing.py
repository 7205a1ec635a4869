"""California housing: 20,640 districts of 1990, 8 features, the median value of a house (Pace, Barry 1997)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ranvier._names import unknown
from ranvier.datasets._files import FileDataset
from ranvier.datasets._split import keras_split
from ranvier.datasets._words import MIRRORS, NpzFile

__all__ = ["load_data"]

_FILE = NpzFile(
    "california_housing.npz", "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f", ("x", "y")
)


def load_data(
    version: str = "large",
    path: str | os.PathLike[str] | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """((x_train, y_train), (x_test, y_test)): features (n, 8) and values (n,) in dollars.

    In Keras's order for ``seed``. ``version="small"`` takes the first 600 districts, in place of Boston's 506.
    The file is looked for in ``path`` (a folder) where given, else in ``$RANVIER_DATA/california_housing``, then in the
    cache, then, if ``download``, on ``mirrors``; its SHA-256 is checked. Raises FileNotFoundError, which says where to
    put which file, if it cannot be had; ValueError for a different one, another ``version`` or a ``test_split`` outside
    [0, 1). Source: Keras ``datasets.california_housing``.
    """
    if version not in ("small", "large"):
        raise ValueError(unknown("version", version, ("small", "large")))
    x, y = FileDataset("california_housing", MIRRORS, (_FILE,)).read(path, download, mirrors)[0]
    count = 600 if version == "small" else len(x)
    return keras_split(x[:count], y[:count], test_split, seed)
