"""Fashion-MNIST: small pictures of clothes (Xiao, Rasul, Vollgraf 2017; MIT licence)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ranvier.datasets._idx import IdxDataset, IdxFile, Split

__all__ = ["load_data"]

_DATASET = IdxDataset(
    folder="fashion-mnist",
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ),
    files=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60000, 28, 28),
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        IdxFile(
            "train-labels-idx1-ubyte", (60000,), "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10000, 28, 28),
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        IdxFile("t10k-labels-idx1-ubyte", (10000,), "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ),
)


def load_data(
    path: str | os.PathLike[str] | None = None, download: bool = True, mirrors: Sequence[str] | None = None
) -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)): uint8 images (60000, 28, 28) and (10000, 28, 28), and their labels.

    Labels: uint8; 0 T-shirt/top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag,
    9 ankle boot.
    Looked for in ``path`` (a folder with the four ``.gz`` files) where given, else in ``$RANVIER_DATA/fashion-mnist``,
    then in the cache (``$RANVIER_HOME`` or ``~/.cache/ranvier``), then, if ``download``, on ``mirrors`` (default:
    ``$RANVIER_MIRROR/fashion-mnist``, else public ones). The SHA-256 of every file's content is checked.

    Raises FileNotFoundError, which says where to put which files, if they cannot be had; ValueError for a
    truncated, corrupt or different file. Source: Keras ``datasets.fashion_mnist``.
    """
    return _DATASET.load(path, download, mirrors)
