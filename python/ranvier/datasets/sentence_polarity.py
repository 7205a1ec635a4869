"""Sentences of film reviews, 5,331 for and 5,331 against (Pang, Lee 2005)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.datasets._files import FileDataset, PlainFile
from ranvier.datasets._split import keras_split

__all__ = ["load_data"]

_DATASET = FileDataset(
    "text",
    ("https://raw.githubusercontent.com/dennybritz/cnn-text-classification-tf/master/data/rt-polaritydata",),
    (
        PlainFile("rt-polarity.neg", "2d11cfbc790f1cd96d78339f41ce53ced1efa83cd22d37d6788fa3fe3d17e2fd"),
        PlainFile("rt-polarity.pos", "4134882974a28d0c7b5151256f0e33a6169984ee7372c279e673f1114f475d58"),
    ),
)


def load_data(
    path: str | os.PathLike[str] | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """((x_train, y_train), (x_test, y_test)): sentences (arrays of strings, words apart), uint8 labels, 1 for praise.

    The file is looked for in ``path`` (a folder) where given, else in ``$RANVIER_DATA/text``, then in the cache,
    then, if ``download``, on ``mirrors``; its SHA-256 is checked. Raises FileNotFoundError, which says where to put
    which file, if it cannot be had; ValueError for a different one, or a ``test_split`` outside [0, 1).
    """
    against, praise = (data.decode("utf-8").splitlines() for data in _DATASET.read(path, download, mirrors))
    labels = np.repeat(np.array([0, 1], np.uint8), [len(against), len(praise)])
    return keras_split([line.strip() for line in against + praise], labels, test_split, seed)
