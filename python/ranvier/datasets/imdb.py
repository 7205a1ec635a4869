"""IMDB: 50,000 film reviews as numbers of words, half of them praise (Maas et al. 2011)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.datasets._files import FileDataset
from ranvier.datasets._words import MIRRORS, NpzFile, WordIndexFile, Words, objects, shuffled, word_index

__all__ = ["get_word_index", "load_data"]

_FILE = NpzFile(
    "imdb.npz",
    "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    ("x_train", "y_train", "x_test", "y_test"),
)
_INDEX = WordIndexFile("imdb_word_index.json", "bfafd718b763782e994055a2d397834f")


def load_data(
    path: str | os.PathLike[str] | None = None,
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """((x_train, y_train), (x_test, y_test)): arrays of 25,000 lists of word numbers; int64 labels, 1 for praise.

    Words are numbered by frequency from ``index_from`` + 1. Each list begins with ``start_char``; words below
    ``skip_top`` or from ``num_words`` on become ``oov_char`` (None: they go); lists of ``maxlen`` or more are left out.
    The file is looked for in ``path`` (a folder) where given, else in ``$RANVIER_DATA/imdb``, then in the cache, then,
    if ``download``, on ``mirrors``; its SHA-256 is checked. Raises FileNotFoundError, which says where to put which
    file, if it cannot be had; ValueError for a different one, or where ``maxlen`` leaves nothing. Source: Keras
    ``datasets.imdb``.
    """
    x_train, y_train, x_test, y_test = FileDataset("imdb", MIRRORS, (_FILE,)).read(path, download, mirrors)[0]
    words = Words(num_words, skip_top, maxlen, start_char, oov_char, index_from)
    rng = np.random.RandomState(seed)
    train, y_train = words.marked(*shuffled(x_train, y_train, rng))
    test, y_test = words.marked(*shuffled(x_test, y_test, rng))
    if not train or not test:
        raise ValueError(f"imdb.load_data: no review has fewer than maxlen={maxlen} words; raise it")
    lists, labels = words.limited(train + test), np.concatenate([y_train, y_test])
    cut = len(train)
    return (objects(lists[:cut]), labels[:cut]), (objects(lists[cut:]), labels[cut:])


def get_word_index(
    path: str | os.PathLike[str] | None = None, download: bool = True, mirrors: Sequence[str] | None = None
) -> dict[str, int]:
    """The numbers by word, from 1, before ``index_from`` is added; found as ``load_data`` finds its file."""
    return word_index("imdb", _INDEX, path, download, mirrors)
