"""MovieLens ml-latest-small: 100,836 ratings by 610 people of 9,724 films (Harper, Konstan 2015)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.datasets._files import FileDataset, PlainFile
from ranvier.datasets._split import columns, keras_split

__all__ = ["load_data", "load_titles"]

_MIRRORS = ("https://raw.githubusercontent.com/IvanAziz/QuarentenaDados/master/Dados/ml-latest-small",)
_RATINGS = FileDataset(
    "movielens",
    _MIRRORS,
    (PlainFile("ratings.csv", "80da8b3393dae325bbba5a31f291a6ba55d8d4f4396de3c456f2c1635b1b70e8"),),
)
_MOVIES = FileDataset(
    "movielens",
    _MIRRORS,
    (PlainFile("movies.csv", "c47b783f23eb304413307e1bb05335e427737da20ec8d3c0e96335567dd5f3dc"),),
)


def load_data(
    path: str | os.PathLike[str] | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """((x_train, y_train), (x_test, y_test)): int64 (user, film) (n, 2) by MovieLens's numbers, float32 ratings 0.5-5.

    The file is looked for in ``path`` (a folder) where given, else in ``$RANVIER_DATA/movielens``, then in the cache,
    then, if ``download``, on ``mirrors``; its SHA-256 is checked. Raises FileNotFoundError, which says where to put
    which file, if it cannot be had; ValueError for a different one, or a ``test_split`` outside [0, 1). For research
    only: see the data's README.
    """
    table = columns(_RATINGS.read(path, download, mirrors)[0])
    pairs = np.stack([table["userId"], table["movieId"]], axis=1)
    return keras_split(pairs, table["rating"].astype(np.float32), test_split, seed)


def load_titles(
    path: str | os.PathLike[str] | None = None, download: bool = True, mirrors: Sequence[str] | None = None
) -> dict[int, str]:
    """The titles of the films by MovieLens's numbers; found as ``load_data`` finds its file."""
    table = columns(_MOVIES.read(path, download, mirrors)[0])
    return dict(zip(table["movieId"].tolist(), table["title"].tolist(), strict=True))
