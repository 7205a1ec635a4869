"""Heart beats of the UCR archive: ECG200 (healthy or infarction), ECG5000's training half (five kinds)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.datasets._files import FileDataset, PlainFile
from ranvier.datasets._split import keras_split

__all__ = ["load_data"]

_DATASETS = {
    "ECG200": FileDataset(
        "ecg",
        (),
        (
            PlainFile("ECG200_TRAIN.txt", "ed96989ec5d5ba7d651b4a3e3e905a8e09931999ed25458914f21faac0f7b3ce"),
            PlainFile("ECG200_TEST.txt", "c665e09a1b1d2dedb37de7aef2a81866632e98f498460a0977f4d9bfebaffbb1"),
        ),
    ),
    "ECG5000": FileDataset(
        "ecg",
        (),
        (PlainFile("ECG5000_TRAIN.txt", "64a73c47d5c785c9e87f2e07c71a985f451bd28e1120bfbdb91400401a09ec87"),),
    ),
}


def load_data(
    which: str = "ECG5000",
    path: str | os.PathLike[str] | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """((x_train, y_train), (x_test, y_test)): float32 beats (n, samples), and int32 labels as in the archive.

    ``"ECG5000"``: 500 beats of 140 samples, labels 1 (normal) to 5, split by ``test_split`` in the order of ``seed``.
    ``"ECG200"``: 100 and 100 beats of 96 samples, labels -1 (infarction) and 1.
    The file is looked for in ``path`` (a folder) where given, else in ``$RANVIER_DATA/ecg``, then in the cache, then,
    if ``download``, on ``mirrors``; its SHA-256 is checked. Raises FileNotFoundError, which says where to put which
    file, if it cannot be had; ValueError for a different one, or another ``which`` or ``test_split``. Source: Dau et
    al. 2018.
    """
    if which not in _DATASETS:
        raise ValueError(f"ecg.load_data: which must be 'ECG200' or 'ECG5000', got {which!r}")
    tables = [
        np.array([line.split() for line in data.splitlines() if line.strip()], np.float64)
        for data in _DATASETS[which].read(path, download, mirrors)
    ]
    parts = [(table[:, 1:].astype(np.float32), table[:, 0].astype(np.int32)) for table in tables]
    return (parts[0], parts[1]) if len(parts) == 2 else keras_split(*parts[0], test_split, seed)
