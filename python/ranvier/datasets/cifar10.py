"""CIFAR-10: 60,000 colour photos, 32 x 32, of 10 classes (Krizhevsky 2009)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ranvier.datasets._cifar import MIRRORS, CifarFile, pictures
from ranvier.datasets._files import FileDataset
from ranvier.datasets._words import NpzFile

__all__ = ["load_data", "load_subset"]

_FILE = CifarFile(
    "cifar-10-python.tar.gz",
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    "cifar-10-batches-py",
    ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"),
)
_SUBSET = NpzFile(
    "cifar10_subset.npz",
    "36a9cc4af923f1a74496b4a6f238f2e62e116ca2ab8d2ae5fc2435b798e43be5",
    ("x_train", "y_train", "x_test", "y_test"),
)


def load_data(
    path: str | os.PathLike[str] | None = None, download: bool = True, mirrors: Sequence[str] | None = None
) -> tuple[Any, Any]:
    """((x_train, y_train), (x_test, y_test)): uint8 photos (50000, 32, 32, 3) and (10000, ...), labels (n, 1).

    Labels: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck from 0.
    The archive is looked for in ``path`` (a folder) where given, else in ``$RANVIER_DATA/cifar10``, then in the cache,
    then, if ``download``, on ``mirrors``; its SHA-256 is checked. Raises FileNotFoundError, which says where to put
    which file, if it cannot be had; ValueError for a different one. Source: Keras ``datasets.cifar10``.
    """
    *train, test = FileDataset("cifar10", MIRRORS, (_FILE,)).read(path, download, mirrors)[0]
    return pictures(train, "labels"), pictures([test], "labels")


def load_subset(path: str | os.PathLike[str] | None = None) -> tuple[Any, Any]:
    """As ``load_data``, but the first 10,000 photos and the first 1,000 of the test: ``cifar10_subset.npz``.

    For work without a network: the file is looked for in ``path`` or ``$RANVIER_DATA/cifar10``, and never downloaded.
    """
    x_train, y_train, x_test, y_test = FileDataset("cifar10", (), (_SUBSET,)).read(path, False, None)[0]
    return (x_train, y_train[:, None]), (x_test, y_test[:, None])
