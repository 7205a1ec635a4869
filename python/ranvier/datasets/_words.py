"""What IMDB and Reuters share: texts as lists of word numbers, by Keras's options."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranvier.datasets._files import CorruptFileError, FileDataset
from ranvier.datasets._npz import read_npz

MIRRORS = ("https://storage.googleapis.com/tensorflow/tf-keras-datasets",)
Lists = list[list[int]]


@dataclass(frozen=True)
class NpzFile:
    """An ``.npz`` file, the arrays that it must have, and the SHA-256 of its bytes."""

    stored: str
    sha256: str
    names: tuple[str, ...]

    def parse(self, data: bytes, source: str) -> list[Any]:
        """Its arrays in the order of ``names``, if the bytes are the right ones."""
        if (found := hashlib.sha256(data).hexdigest()) != self.sha256:
            raise CorruptFileError(f"{source} has the wrong content: SHA-256 {found}, expected {self.sha256}")
        return read_npz(data, source, self.names)


@dataclass(frozen=True)
class WordIndexFile:
    """A JSON file of words and their numbers, with the MD5 that Keras published."""

    stored: str
    md5: str

    def parse(self, data: bytes, source: str) -> dict[str, int]:
        """The numbers by word."""
        if (found := hashlib.md5(data, usedforsecurity=False).hexdigest()) != self.md5:
            raise CorruptFileError(f"{source} has the wrong content: MD5 {found}, expected {self.md5}")
        index: dict[str, int] = json.loads(data)
        return index


def word_index(
    folder: str, file: WordIndexFile, path: str | os.PathLike[str] | None, download: bool, mirrors: Sequence[str] | None
) -> dict[str, int]:
    """The numbers by word, found as a data set's files are."""
    (index,) = FileDataset(folder, MIRRORS, (file,)).read(path, download, mirrors)
    return dict(index)


def shuffled(lists: Sequence[Any], labels: Any, rng: np.random.RandomState) -> tuple[list[Any], np.ndarray]:
    """Both in the order that NumPy's legacy generator gives, as in Keras."""
    order = np.arange(len(lists))
    rng.shuffle(order)
    return [lists[int(i)] for i in order], np.asarray(labels)[order]


@dataclass(frozen=True)
class Words:
    """Keras's options: which words stay, and which numbers they get."""

    num_words: int | None
    skip_top: int
    maxlen: int | None
    start_char: int | None
    oov_char: int | None
    index_from: int

    def marked(self, lists: Lists, labels: np.ndarray) -> tuple[Lists, np.ndarray]:
        """Numbers raised by ``index_from`` after ``start_char``; texts of ``maxlen`` words or more left out."""
        first = [] if self.start_char is None else [self.start_char]
        raised = self.index_from or 0
        marked = [first + [w + raised for w in words] for words in lists]
        if not self.maxlen:
            return marked, labels
        kept = [i for i, words in enumerate(marked) if len(words) < self.maxlen]
        return [marked[i] for i in kept], labels[kept]

    def limited(self, lists: Lists) -> Lists:
        """Words that are too frequent or too rare replaced by ``oov_char``, or left out where that is None."""
        top = self.num_words or max((max(words) for words in lists if words), default=0)
        low, other = self.skip_top, self.oov_char
        if other is None:
            return [[w for w in words if low <= w < top] for words in lists]
        return [[w if low <= w < top else other for w in words] for words in lists]


def objects(lists: Lists) -> np.ndarray:
    """An array of lists (NumPy alone would make a matrix of lists of equal length)."""
    array = np.empty(len(lists), dtype=object)
    array[:] = lists
    return array
