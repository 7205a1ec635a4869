"""Sequences: of one length, as windows of a time series, as pairs of neighbouring words."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.utils.py_dataset import PyDataset
from ranvier.utils.sequences import pad_sequences as pad_sequences
from ranvier.utils.sequences import timeseries_dataset_from_array as timeseries_dataset_from_array

__all__ = [
    "TimeseriesGenerator",
    "make_sampling_table",
    "pad_sequences",
    "skipgrams",
    "timeseries_dataset_from_array",
]


class TimeseriesGenerator(PyDataset):
    """Batches of windows of a series with the target that follows each: (N, length / sampling_rate, ...), (N, ...).

    A window ends just before its target at i: ``data[i - length : i : sampling_rate]``, ``targets[i]``. Targets lie
    ``stride`` apart, from ``start_index + length`` to ``end_index``; with ``shuffle`` each batch draws its own at
    random (NumPy's legacy generator). ``reverse`` turns time around within a window. Raises ValueError for lengths that
    differ and where no window fits. Source: Keras 2 ``preprocessing.sequence``.

    >>> import numpy as np, ranvier as rv
    >>> windows = rv.preprocessing.sequence.TimeseriesGenerator(np.arange(8), np.arange(8) * 10, length=3, batch_size=2)
    >>> x, y = windows[0]
    >>> x.tolist(), y.tolist(), len(windows)
    ([[0, 1, 2], [1, 2, 3]], [30, 40], 3)
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if len(data) != len(targets):
            raise ValueError(
                f"TimeseriesGenerator: data and targets must have the same length but have {len(data)} and "
                f"{len(targets)}"
            )
        for name, number in (
            ("length", length), ("sampling_rate", sampling_rate), ("stride", stride), ("batch_size", batch_size),
        ):  # fmt: skip
            if number < 1:
                raise ValueError(f"TimeseriesGenerator: {name} must be 1 or more, got {number}")
        self.data = data
        self.targets = targets
        self.length = length
        self.sampling_rate = sampling_rate
        self.stride = stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle = shuffle
        self.reverse = reverse
        self.batch_size = batch_size
        if not length <= self.start_index <= self.end_index < len(data):
            raise ValueError(
                f"TimeseriesGenerator: no window of {length} steps fits between start_index {start_index} and "
                f"end_index {self.end_index} of {len(data)} steps; the first target would be at {self.start_index}"
            )

    def __len__(self) -> int:
        covered = self.batch_size * self.stride
        return (self.end_index - self.start_index + covered) // covered

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            covered = self.batch_size * self.stride
            first = self.start_index + covered * index
            rows = np.arange(first, min(first + covered, self.end_index + 1), self.stride)
        samples = np.array([self.data[row - self.length : row : self.sampling_rate] for row in rows])
        targets = np.array([self.targets[row] for row in rows])
        return (samples[:, ::-1, ...] if self.reverse else samples), targets

    def get_config(self) -> dict[str, Any]:
        """What it was told; the data as JSON texts. As in Keras ``start_index`` has ``length`` added."""
        own = (
            "length", "sampling_rate", "stride", "start_index", "end_index", "shuffle", "reverse", "batch_size",
            "workers", "use_multiprocessing", "max_queue_size",
        )  # fmt: skip
        arrays = {"data": self.data, "targets": self.targets}
        texts = {name: json.dumps(np.asarray(array).tolist()) for name, array in arrays.items()}
        return texts | {name: getattr(self, name) for name in own}

    def to_json(self, **kwargs: Any) -> str:
        """Its configuration as a JSON text. ``kwargs``: those of ``json.dumps``."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """How likely the word of each rank is kept (float64, (size,)): min(1, sqrt(t / f)), frequent ones less.

    t is ``sampling_factor``; f, the frequency of rank r, is 1 / (r (log r + 0.577) + 1/2 - 1 / (12 r)), Zipf's law.
    Rank 0, no word, counts as 1. For ``skipgrams``. Source: Keras 2; Mikolov et al. 2013, equation 5.

    >>> import ranvier as rv
    >>> rv.preprocessing.sequence.make_sampling_table(4).round(5)
    array([0.00315, 0.00315, 0.00548, 0.00742])
    """
    rank = np.arange(size)
    rank[:1] = 1
    inverse_frequency = rank * (np.log(rank) + 0.577) + 0.5 - 1 / (12.0 * rank)
    return np.minimum(1.0, np.sqrt(sampling_factor * inverse_frequency))


def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pairs (word, neighbour) with label 1, then (word, random word) with label 0, shuffled alike by ``seed``.

    Neighbours lie at most ``window_size`` away; words are numbers from 1, and 0 is none. There are ``negative_samples``
    times as many pairs with label 0. ``sampling_table[word]`` is the probability that a word makes pairs.
    ``categorical``: labels [0, 1] and [1, 0]. What is drawn comes from Python's ``random``, whose state ``seed`` leaves
    alone (Keras seeds it). Source: Keras 2; Mikolov et al. 2013.

    >>> import ranvier as rv
    >>> rv.preprocessing.sequence.skipgrams([1, 2, 3], 4, window_size=1, negative_samples=0, shuffle=False)
    ([[1, 2], [2, 1], [2, 3], [3, 2]], [1, 1, 1, 1])
    """
    couples = [pair for i in range(len(sequence)) for pair in _neighbours(sequence, i, window_size, sampling_table)]
    yes, no = ([0, 1], [1, 0]) if categorical else (1, 0)
    labels: list[Any] = [yes] * len(couples)
    if negative_samples > 0:
        words = [word for word, _ in couples]
        random.shuffle(words)
        count = int(len(couples) * negative_samples)
        couples += [[words[i % len(words)], random.randint(1, vocabulary_size - 1)] for i in range(count)]
        labels += [no] * count
    if shuffle:
        seed = random.randint(0, 10**7) if seed is None else seed
        for each in (couples, labels):
            random.Random(seed).shuffle(each)
    return couples, labels


def _neighbours(sequence: Sequence[int], place: int, window: int, table: Any) -> list[list[int]]:
    word = sequence[place]
    if not word or (table is not None and table[word] < random.random()):
        return []
    near = range(max(0, place - window), min(len(sequence), place + window + 1))
    return [[word, sequence[j]] for j in near if j != place and sequence[j]]
