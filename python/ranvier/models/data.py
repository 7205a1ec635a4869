"""Where batches come from: arrays, generators and other iterables, and sequences that are indexed by batch."""

from __future__ import annotations

import itertools
import math
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import ranvier
from ranvier import _core, _tree
from ranvier._kernels import kernels_for
from ranvier.models.conversion import (
    Batch,
    _is_numbers,
    convert,
    count_samples,
    holds_arrays,
    is_array,
    unpack_x_y_sample_weight,
    weights_of_classes,
)
from ranvier.models.prefetch import Prefetch
from ranvier.tensor import Tensor, wrap
from ranvier.utils.py_dataset import PyDataset as PyDataset


class Batches:
    """The batches of an epoch, again and again; iterate over it once per epoch.

    ``steps`` and ``samples`` count an epoch's, None where unknown; ``seen`` counts this epoch's samples so far.
    """

    steps: int | None = None
    samples: int | None = None
    seen = 0
    _done = 0  # how many batches of this epoch an earlier run has had

    def __iter__(self) -> Iterator[Batch]:
        if not self._done:
            self.seen = 0
        for batch in self._epoch():
            x = batch[0] if isinstance(batch[0], Tensor) else next(t for t in _tree.flatten(batch[0]) if t is not None)
            self.seen += x.shape[0]
            yield batch

    def _epoch(self) -> Iterator[Batch]:
        raise NotImplementedError

    def first(self) -> Any:
        """A few inputs for building a model, or None where looking would consume them."""
        return None

    def state(self) -> dict[str, Any]:
        """How far the data have been read: what ``resume`` needs."""
        return {"seen": self.seen}

    def resume(self, state: dict[str, Any], done: int) -> Any:
        """The next iteration gives what comes after the first ``done`` batches of an epoch; random generators are
        left anywhere. Gives some batch, or None where ``done`` is 0."""
        raise NotImplementedError

    def _taken(self) -> int:
        """``_done``, for the one epoch that it belongs to."""
        done, self._done = self._done, 0
        return done

    def close(self) -> None:
        """Called when no more epochs will come."""


class ArrayBatches(Batches):
    """Batches cut or gathered from arrays.

    ``into(rows)`` may name tensors, in the structure of a batch, to gather the next ``rows`` samples into: a recorded
    step's inputs.
    """

    into: Callable[[int], Any] | None = None

    def __init__(
        self,
        data: Batch,
        batch_size: int | None,
        steps: int | None,
        shuffle: bool | str,
        device: str,
        floatx: str | None,
    ) -> None:
        if batch_size is not None and (not isinstance(batch_size, (int, np.integer)) or batch_size < 1):
            raise ValueError(f"batch_size must be a positive integer, not {batch_size!r}")
        if shuffle not in (True, False, "batch"):
            raise ValueError(f'shuffle must be True, False or "batch", not {shuffle!r}')
        x, y, sample_weight = data
        self._data = (
            convert("x", x, device, floatx),
            convert("y", y, device, floatx),
            _per_output(convert("sample_weight", sample_weight, device, floatx or "float32"), y),
        )
        self._count = count_samples(*self._data)
        self._size = int(batch_size) if batch_size is not None else min(32, self._count) or 1
        if batch_size is None and steps is not None and self._count:
            self._size = math.ceil(self._count / steps)
        self._shuffle = shuffle
        whole = math.ceil(self._count / self._size)
        self._limit = steps
        self.steps = whole if steps is None else min(steps, whole)
        self.samples = min(self._count, self.steps * self._size)
        if self._count == 0:
            raise ValueError("there are no samples: the arrays are empty")
        self._rest: Iterator[Batch] = iter(())
        self._whole = whole
        self._drawn = (0, 0)  # where the random generator was when the order of this pass was drawn
        self._given = 0  # how many batches of this pass have been given

    def first(self) -> Any:
        return _tree.map_structure(lambda t: None if t is None else _cut(t, 0, 1), self._data[0])

    def _epoch(self) -> Iterator[Batch]:
        """One pass over the data; with fewer steps than a pass has, the next epoch goes on where this one ends."""
        done = self._taken()
        if self._limit is None or self._limit >= self._whole:
            if self._limit is not None and self._limit > self._whole:
                _ran_out(self._limit, self._whole)
            yield from self._rest if done else self._pass()
            return
        for _ in range(done, self._limit):
            batch = next(self._rest, None)
            if batch is None:
                self._rest = self._pass()
                batch = next(self._rest)
            yield batch

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen, "drawn": list(self._drawn), "given": self._given}

    def resume(self, state: dict[str, Any], done: int) -> Any:
        self.seen, self._done = state["seen"], done
        if state["given"]:
            ranvier.random.default_generator().set_state(state["drawn"])
            self._rest = self._pass(self._order(), state["given"])
            self._given = state["given"]
        x, y, w = (_tree.map_structure(lambda t: None if t is None else _cut(t, 0, 1), part) for part in self._data)
        return (x, y, w) if done else None

    def _order(self) -> tuple[Sequence[int], Tensor | None]:
        """Where the batches of a new pass start, and the samples in their order."""
        self._drawn = ranvier.random.default_generator().get_state()
        starts: Sequence[int] = range(0, self._count, self._size)
        if self._shuffle == "batch":
            order = ranvier.random.permutation(len(starts)).numpy()
            starts = [starts[i] for i in order]
        return starts, ranvier.random.permutation(self._count) if self._shuffle is True else None

    def _pass(self, order: tuple[Sequence[int], Tensor | None] | None = None, first: int = 0) -> Iterator[Batch]:
        starts, rows = order or self._order()
        for self._given, start in enumerate(starts[first:], first + 1):
            end = min(start + self._size, self._count)
            index = None if rows is None else _cut(rows, start, end)
            targets = self.into(end - start) if self.into is not None and index is not None else None
            (x, y, w), (into_x, into_y, into_w) = self._data, targets or (None, None, None)
            yield (
                self._part(x, start, end, index, into_x),
                self._part(y, start, end, index, into_y),
                self._part(w, start, end, index, into_w),
            )

    def _part(self, structure: Any, start: int, end: int, index: Tensor | None, target: Any = None) -> Any:
        if isinstance(structure, Tensor):
            if index is None:
                return _cut(structure, start, end)
            if isinstance(target, Tensor) and _core._take_into(structure.array, index.array, target.array):
                return target
            return wrap(kernels_for(structure.array).take_forward(structure.array, index.array, 0))
        if structure is None:
            return None
        return _tree.map_structure(lambda t: self._part(t, start, end, index), structure)


def _cut(tensor: Tensor, start: int, end: int) -> Tensor:
    """Samples ``start`` to ``end``, without a copy."""
    return wrap(tensor.array.slice_leading(start, end))


def _per_output(sample_weight: Any, y: Any) -> Any:
    """One weight array for several outputs serves each of them."""
    if isinstance(sample_weight, Tensor) and isinstance(y, (list, tuple, dict)) and not _is_numbers(y):
        if sample_weight.ndim != 1:
            raise ValueError(
                "a model with several outputs takes one sample_weight (N,), or one array per output; got one of "
                f"shape {sample_weight.shape}"
            )
        return _tree.map_structure(lambda _: sample_weight, y)
    return sample_weight


class _Converted(Batches):
    """Batches that come from elsewhere and need converting."""

    def __init__(self, device: str, floatx: str | None, weights: dict[int, float] | None) -> None:
        self._device = device
        self._floatx = floatx
        self._class_weight = weights

    def _converted(self, item: Any) -> Batch:
        x, y, w = unpack_x_y_sample_weight(item)
        w = weights_of_classes(y, w, self._class_weight)
        batch = (
            convert("x", x, self._device, self._floatx),
            convert("y", y, self._device, self._floatx),
            _per_output(convert("sample_weight", w, self._device, self._floatx or "float32"), y),
        )
        count_samples(*batch)
        return batch


class SequenceBatches(_Converted):
    """Batches that are indexed, in another order each epoch if ``shuffle``."""

    def __init__(self, source: Any, steps: int | None, shuffle: bool | str, *options: Any) -> None:
        super().__init__(*options)
        self._source = source
        self._shuffle = bool(shuffle)
        self._limit = steps
        self._ahead: Prefetch | None = None
        self._drawn = (0, 0)  # where the random generator was at the epoch's begin
        self._resumed: Any = None
        self.steps = len(source) if steps is None else min(steps, len(source))

    def first(self) -> Any:
        return self._converted(self._source[0])[0] if len(self._source) else None

    def _epoch(self) -> Iterator[Batch]:
        done, resumed = self._taken(), self._resumed
        self._resumed = None
        begun = ranvier.random.default_generator().get_state()
        if done:  # the order of the epoch's begin, then on from where the run was
            ranvier.random.default_generator().set_state(resumed["drawn"])
        self._drawn = ranvier.random.default_generator().get_state()
        if hasattr(self._source, "on_epoch_begin"):
            self._source.on_epoch_begin()
        length = len(self._source)
        self.steps = length if self._limit is None else min(self._limit, length)
        order = (ranvier.random.permutation(length).tolist() if self._shuffle else range(length))[done : self.steps]
        self._ahead = self._made_ahead(order)
        if done:
            ranvier.random.default_generator().set_state(begun)
            self._set_source_state(resumed["source"])
        for item in self._ahead or (self._source[index] for index in order):
            yield self._converted(item)
        if hasattr(self._source, "on_epoch_end"):
            self._source.on_epoch_end()

    def state(self) -> dict[str, Any]:
        source = self._source.get_state() if hasattr(self._source, "get_state") else None
        return {"seen": self.seen, "drawn": list(self._drawn), "source": source}

    def resume(self, state: dict[str, Any], done: int) -> Any:
        self.seen, self._done, self._resumed = state["seen"], done, state
        sample = self._converted(self._source[0]) if done else None
        self._set_source_state(state["source"])
        return sample

    def _set_source_state(self, state: Any) -> None:
        if state is not None and hasattr(self._source, "set_state"):
            self._source.set_state(state)

    def _made_ahead(self, order: Sequence[int]) -> Prefetch | None:
        """The workers that make the batches, where the source asks for some."""
        workers = int(getattr(self._source, "workers", 1) or 0)
        processes = bool(getattr(self._source, "use_multiprocessing", False)) and workers > 0
        if workers <= 1 and not processes:
            return None
        ahead = int(getattr(self._source, "max_queue_size", 10))
        seed = int(ranvier.random.integers((), 0, 2**31 - 1)) if processes else 0
        return Prefetch(self._source, order, workers, processes, ahead, seed)

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.close()


class IterableBatches(_Converted):
    """Batches from an iterable; with ``steps``, an epoch goes on where the last one stopped."""

    def __init__(self, source: Any, steps: int | None, *options: Any) -> None:
        super().__init__(*options)
        self._source = source
        self._limit = steps
        self._iterator: Iterator[Any] | None = None
        self._peeked: list[Any] = []
        self._given = 0  # how many batches this iterator has given
        self.steps = steps if steps is not None else len(source) if hasattr(source, "__len__") else None

    def first(self) -> Any:
        if not self._peeked:
            self._iterator = iter(self._source)
            self._peeked = list(itertools.islice(self._iterator, 1))
        return self._converted(self._peeked[0])[0] if self._peeked else None

    def state(self) -> dict[str, Any]:
        source = self._source.get_state() if hasattr(self._source, "get_state") else None
        return {"seen": self.seen, "given": self._given, "source": source}

    def resume(self, state: dict[str, Any], done: int) -> Any:
        self.seen, self._done = state["seen"], done
        if state["source"] is not None and hasattr(self._source, "set_state"):
            self.first()
            sample = self._peeked[0] if self._peeked and done else None
            self._iterator, self._peeked = iter(self._source), []
            self._source.set_state(state["source"])
        elif state["given"]:  # an iterable is read again up to where it was
            self.first()
            read = itertools.chain(self._peeked, self._iterator or ())
            skipped = list(deque(itertools.islice(read, state["given"]), maxlen=1))
            self._peeked, sample = [], skipped[0] if skipped and done else None
        else:
            sample = None
        self._given = state["given"]
        return None if sample is None else self._converted(sample)

    def _epoch(self) -> Iterator[Batch]:
        taken = self._taken()
        fresh = self._iterator is None  # an iterator that is fresh and empty will not get better by a new one
        while taken != self._limit:
            if self._iterator is None:
                self._iterator = iter(self._source)
            found = [self._peeked.pop()] if self._peeked else list(itertools.islice(self._iterator, 1))
            if found:
                self._given += 1
                yield self._converted(found[0])
                taken += 1
                continue
            self._iterator, self._given = None, 0
            if self._limit is None or fresh or iter(self._source) is self._source:
                break
            fresh = True
        if self._limit is None:
            self.steps = taken
        elif taken < self._limit:
            _ran_out(self._limit, taken)


def _ran_out(wanted: int, found: int) -> None:
    warnings.warn(
        f"the data ran out after {found} of {wanted} steps; give enough batches for steps_per_epoch * epochs, or an "
        "iterable that can start again",
        stacklevel=4,
    )


def batches_of(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool | str = False,
    class_weight: dict[int, float] | None = None,
    device: str,
    floatx: str | None,
) -> Batches:
    """Batches of whatever ``fit``, ``evaluate`` and ``predict`` take."""
    if steps is not None and (not isinstance(steps, (int, np.integer)) or steps < 1):
        raise ValueError(f"the number of steps must be a positive integer or None, not {steps!r}")
    if x is None:
        raise ValueError("x is None; expected arrays, a generator or a sequence of batches")
    if holds_arrays(x):
        weights = weights_of_classes(y, sample_weight, class_weight)
        return ArrayBatches((x, y, weights), batch_size, steps, shuffle, device, floatx)
    for name, given in (("y", y), ("sample_weight", sample_weight)):
        if given is not None:
            raise ValueError(f"{name} must not be given when x is a {type(x).__name__}: its batches hold it")
    endless = isinstance(x, PyDataset) and x.num_batches is None
    if endless and steps is None:
        raise ValueError(f"{type(x).__name__} has no end (num_batches is None): say how many batches an epoch has")
    if hasattr(x, "__getitem__") and hasattr(x, "__len__") and not endless:
        return SequenceBatches(x, steps, shuffle, device, floatx, class_weight)
    if hasattr(x, "__iter__"):
        return IterableBatches(x, steps, device, floatx, class_weight)
    raise TypeError(f"cannot take batches from {type(x).__name__}: expected arrays, an iterable or a sequence")


def train_validation_split(data: Batch, part: float) -> tuple[Batch, Batch]:
    """The first samples to train on and the last ``part`` of them to validate with, before any shuffling."""
    if not 0 < part < 1:
        raise ValueError(f"validation_split must be between 0 and 1, not {part}")
    if not all(holds_arrays(each) for each in data):
        raise ValueError("validation_split needs arrays; give validation_data for a generator or a sequence")

    def sliceable(value: Any) -> Any:
        if value is None or is_array(value):
            return value if value is None or isinstance(value, Tensor) else np.asarray(value)
        if _is_numbers(value):
            return np.asarray(value)
        items = value.items() if isinstance(value, dict) else enumerate(value)
        changed = {key: sliceable(item) for key, item in items}
        return changed if isinstance(value, dict) else type(value)(changed.values())

    arrays: Batch = (sliceable(data[0]), sliceable(data[1]), sliceable(data[2]))
    count = count_samples(*arrays)
    edge = math.floor(count * (1.0 - part))
    if edge in (0, count):
        raise ValueError(f"validation_split={part} of {count} samples leaves nothing to train on or to validate with")

    def part_of(start: int, end: int) -> Batch:
        def cut(t: Any) -> Any:
            return None if t is None else _cut(t, start, end) if isinstance(t, Tensor) else t[start:end]

        x, y, w = (_tree.map_structure(cut, each) for each in arrays)
        return x, y, w

    return part_of(0, edge), part_of(edge, count)
