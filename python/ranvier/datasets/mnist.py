"""MNIST: handwritten digits (LeCun, Cortes, Burges)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ranvier.datasets._idx import IdxDataset, IdxFile, Split

__all__ = ["load_data"]

_DATASET = IdxDataset(
    folder="mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
    files=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60000, 28, 28),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        IdxFile(
            "train-labels-idx1-ubyte", (60000,), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10000, 28, 28),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        IdxFile("t10k-labels-idx1-ubyte", (10000,), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
)


def load_data(
    path: str | os.PathLike[str] | None = None, download: bool = True, mirrors: Sequence[str] | None = None
) -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)): uint8 images (60000, 28, 28) and (10000, 28, 28), and their labels.

    Labels: uint8, the digits 0-9.
    Looked for in ``path`` (a folder with the four ``.gz`` files) where given, else in ``$RANVIER_DATA/mnist``,
    then in the cache (``$RANVIER_HOME`` or ``~/.cache/ranvier``), then, if ``download``, on ``mirrors`` (default:
    ``$RANVIER_MIRROR/mnist``, else public ones). The SHA-256 of every file's content is checked.

    Raises FileNotFoundError, which says where to put which files, if they cannot be had; ValueError for a
    truncated, corrupt or different file. Source: Keras ``datasets.mnist``.
    """
    return _DATASET.load(path, download, mirrors)
