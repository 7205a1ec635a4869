"""CIFAR-100: 60,000 colour photos, 32 x 32, of 100 classes in 20 groups (Krizhevsky 2009)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ranvier._names import unknown
from ranvier.datasets._cifar import MIRRORS, CifarFile, pictures
from ranvier.datasets._files import FileDataset

__all__ = ["load_data"]

_FILE = CifarFile(
    "cifar-100-python.tar.gz",
    "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    "cifar-100-python",
    ("train", "test"),
)


def load_data(
    label_mode: str = "fine",
    path: str | os.PathLike[str] | None = None,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """((x_train, y_train), (x_test, y_test)): uint8 photos (50000, 32, 32, 3) and (10000, ...), labels (n, 1).

    ``label_mode``: ``"fine"`` (100 classes) or ``"coarse"`` (20 groups).
    The archive is looked for in ``path`` (a folder) where given, else in ``$RANVIER_DATA/cifar100``, then in the cache,
    then, if ``download``, on ``mirrors``; its SHA-256 is checked. Raises FileNotFoundError, which says where to put
    which file, if it cannot be had; ValueError for a different one or another ``label_mode``. Source: Keras
    ``datasets.cifar100``.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(unknown("label_mode", label_mode, ("fine", "coarse")))
    train, test = FileDataset("cifar100", MIRRORS, (_FILE,)).read(path, download, mirrors)[0]
    return pictures([train], f"{label_mode}_labels"), pictures([test], f"{label_mode}_labels")
