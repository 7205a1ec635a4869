"""Reuters: 11,228 newswires as numbers of words, of 46 topics (1987)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.datasets._files import FileDataset
from ranvier.datasets._words import MIRRORS, NpzFile, WordIndexFile, Words, objects, shuffled, word_index

__all__ = ["get_label_names", "get_word_index", "load_data"]

_FILE = NpzFile("reuters.npz", "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916", ("x", "y"))
_INDEX = WordIndexFile("reuters_word_index.json", "4d44cc38712099c9e383dc6e5f11a921")
_TOPICS = (
    "cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass "
    "crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi "
    "iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead"
)


def load_data(
    path: str | os.PathLike[str] | None = None,
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """((x_train, y_train), (x_test, y_test)): arrays of lists of word numbers; int64 topics, 0 to 45.

    The options are those of ``imdb.load_data``, with the last ``test_split`` of the shuffled wires for the test.
    The file is looked for in ``path`` (a folder) where given, else in ``$RANVIER_DATA/reuters``, then in the cache,
    then, if ``download``, on ``mirrors``; its SHA-256 is checked. Raises FileNotFoundError, which says where to put
    which file, if it cannot be had; ValueError for a different one, or a ``test_split`` outside [0, 1). Source: Keras
    ``datasets.reuters``.
    """
    if not 0 <= test_split < 1:
        raise ValueError(f"reuters.load_data: test_split must be in [0, 1) but is {test_split}")
    x, y = FileDataset("reuters", MIRRORS, (_FILE,)).read(path, download, mirrors)[0]
    words = Words(num_words, skip_top, maxlen, start_char, oov_char, index_from)
    lists, labels = words.marked(*shuffled(x, y, np.random.RandomState(seed)))
    lists = words.limited(lists)
    cut = int(len(lists) * (1 - test_split))
    return (objects(lists[:cut]), labels[:cut]), (objects(lists[cut:]), labels[cut:])


def get_word_index(
    path: str | os.PathLike[str] | None = None, download: bool = True, mirrors: Sequence[str] | None = None
) -> dict[str, int]:
    """The numbers by word, from 1, before ``index_from`` is added; found as ``load_data`` finds its file."""
    return word_index("reuters", _INDEX, path, download, mirrors)


def get_label_names() -> tuple[str, ...]:
    """The names of the 46 topics in the order of the labels.

    >>> import ranvier as rv
    >>> rv.datasets.reuters.get_label_names()[3]
    'earn'
    """
    return tuple(_TOPICS.split())
