"""Batches of a sequence made ahead of their use, by threads or processes, in the order in which they are wanted."""

from __future__ import annotations

import multiprocessing
import random as standard_random
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

import ranvier
from ranvier import _tree
from ranvier.tensor import Tensor


class Prefetch:
    """``source[i]`` for each ``i`` of ``order``, at most ``ahead`` of them before they are asked for.

    Threads share the source; processes have the copy of the moment when they start, which is a new epoch's begin. What
    a process draws from Python's, NumPy's and our generators follows from ``seed`` and ``i`` alone, not from which
    process makes the batch. An error of ``source[i]`` is raised where batch i was due, with a note that names it.
    """

    def __init__(
        self, source: Any, order: Sequence[int], workers: int, processes: bool, ahead: int, seed: int = 0
    ) -> None:
        self._left = iter(order)
        self._ahead = max(ahead, workers)
        self._waiting: deque[tuple[int, Future[Any]]] = deque()
        self._seed = seed
        self._source = None if processes else source
        self._executor: Executor
        if processes:
            context = multiprocessing.get_context()
            self._executor = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(source,))
        else:
            self._executor = ThreadPoolExecutor(workers, thread_name_prefix="ranvier-batches")

    def _submit(self) -> None:
        index = next(self._left, None)
        if index is None:
            return
        if self._source is None:
            future = self._executor.submit(_make, index, self._seed)
        else:
            future = self._executor.submit(self._source.__getitem__, index)
        self._waiting.append((index, future))

    def __iter__(self) -> Iterator[Any]:
        try:
            for _ in range(self._ahead):
                self._submit()
            while self._waiting:
                index, future = self._waiting.popleft()
                try:
                    batch = future.result()
                except BrokenProcessPool as error:
                    raise RuntimeError(
                        f"a worker process ended while batches were made (batch {index} was due): was it killed for "
                        "its memory? fewer workers, a smaller max_queue_size or use_multiprocessing=False may help"
                    ) from error
                except Exception as error:
                    error.add_note(f"This happened in a worker, while it made batch {index} of the data.")
                    raise
                self._submit()
                yield batch
        finally:
            self.close()

    def close(self) -> None:
        """Drops what was not begun; what is being made is left to end by itself."""
        self._waiting.clear()
        self._executor.shutdown(wait=False, cancel_futures=True)


_source: Any = None  # of this worker process


def _start(source: Any) -> None:
    """A new worker process: it leaves Ctrl-C to the one that trains, and takes one core."""
    global _source
    _source = source
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ranvier.set_num_threads(1)


def _make(index: int, seed: int) -> Any:
    own = np.random.SeedSequence([seed, index]).generate_state(1)[0]
    standard_random.seed(int(own))
    np.random.seed(own)
    ranvier.random.set_global_seed(int(own))
    return _tree.map_structure(lambda t: t.numpy() if isinstance(t, Tensor) else t, _source[index])
