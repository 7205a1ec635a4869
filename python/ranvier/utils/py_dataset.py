"""PyDataset: batches that are indexed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np


class PyDataset:
    """A sequence of batches: subclasses write ``__len__`` and ``__getitem__(i)``, batch ``i`` as (x, y[, weights]).

    ``fit`` takes the batches in another order each epoch (``shuffle``) and calls ``on_epoch_begin`` and
    ``on_epoch_end``. Any other object with ``__len__`` and ``__getitem__`` serves as well. With ``workers`` above 1
    so many threads make batches ahead of their use, or processes with ``use_multiprocessing``, at most
    ``max_queue_size`` batches ahead; the order and an error's place stay those without workers. Processes work on a
    copy of the data set as it is at an epoch's begin, and draw random numbers that follow from the seed and the batch.
    A subclass with an ``__init__`` of its own need not call this one. One whose batches depend on more than their index
    (an order that ``on_epoch_end`` changes) may have ``get_state()`` and ``set_state(state)``, of numbers, texts and
    arrays: then ``fit(..., resume=path)`` goes on bit for bit. Source: Keras.

    >>> import numpy as np, ranvier as rv
    >>> class Squares(rv.utils.PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, i):
    ...         x = np.arange(4 * i, 4 * i + 4, dtype="float32")[:, None]
    ...         return x, x * x
    >>> len(Squares()), Squares(workers=2).workers
    (3, 2)
    """

    workers: int = 1
    use_multiprocessing: bool = False
    max_queue_size: int = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must tell how many batches it has: __len__")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must give batches: __getitem__")

    @property
    def num_batches(self) -> int | None:
        """How many batches there are: ``len``; a subclass without end overrides it to give None."""
        return len(self)

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        return (self[i] for i in (itertools.count() if count is None else range(count)))

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch, for example to draw new negatives or another order."""


def rng_state(rng: Any) -> list[Any]:
    """The place of a ``numpy.random.RandomState``, or of ``numpy.random`` itself, as numbers, texts and an array."""
    kind, key, position, has_gauss, cached = rng.get_state(legacy=True)
    return [kind, np.asarray(key, np.int64), position, has_gauss, cached]


def set_rng_state(rng: Any, state: Any) -> None:
    """Puts a NumPy generator where ``rng_state`` found it."""
    kind, key, position, has_gauss, cached = state
    rng.set_state((kind, np.asarray(key, np.uint32), int(position), int(has_gauss), float(cached)))
