"""Batches of images, and those of an array: what ``flow`` gives."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator as _Iterator
from typing import Any

import numpy as np

from ranvier import config
from ranvier.preprocessing.image.transforms import generator_of
from ranvier.utils.images import array_to_img
from ranvier.utils.py_dataset import PyDataset, rng_state, set_rng_state

FORMATS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")


class Iterator(PyDataset):
    """Batches of ``n`` samples, indexed, or one after the other without end; subclasses make batch after batch.

    Batch i after the start draws from ``seed + i`` (or, without a seed, from ``rv.random``), as in Keras, so that a
    run repeats itself whatever the threads do. Source: Keras.
    """

    white_list_formats = tuple(ending[1:] for ending in FORMATS)

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {batch_size}")
        self.n, self.batch_size, self.shuffle, self.seed = n, batch_size, shuffle, seed
        self.batch_index = 0
        self.total_batches_seen = 0
        self.lock = threading.Lock()
        self.index_array: np.ndarray | None = None
        self._rng = generator_of(seed)

    def _order(self) -> np.ndarray:
        return self._rng.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _next_batch(self) -> Any:
        """The generator of a new batch."""
        if self.seed is not None:
            self._rng = generator_of(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1
        return self._rng

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, idx: int) -> Any:
        if not 0 <= idx < len(self):
            raise ValueError(f"there is no batch {idx}: the sequence has {len(self)}")
        with self.lock:
            rng = self._next_batch()
            if self.index_array is None:
                self.index_array = self._order()
            chosen = self.index_array[self.batch_size * idx : self.batch_size * (idx + 1)]
        return self._batch(chosen, rng)

    def __iter__(self) -> _Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self.lock:
            rng = self._next_batch()
            if self.batch_index == 0 or self.index_array is None:
                self.index_array = self._order()
            start = self.batch_index * self.batch_size % max(self.n, 1)
            chosen = self.index_array[start : start + self.batch_size]
            self.batch_index = self.batch_index + 1 if self.n > start + self.batch_size else 0
        return self._batch(chosen, rng)

    next = __next__

    def on_epoch_end(self) -> None:
        """Another order for the next epoch, if ``shuffle``."""
        with self.lock:
            self.index_array = self._order()

    def get_state(self) -> Any:
        """The place in the data, for a training that goes on later."""
        with self.lock:
            order = None if self.index_array is None else np.array(self.index_array)
            return {
                "batch": self.batch_index,
                "seen": self.total_batches_seen,
                "order": order,
                "random": rng_state(self._rng),
            }

    def set_state(self, state: Any) -> None:
        """Goes to where ``get_state`` was called."""
        with self.lock:
            self.batch_index, self.total_batches_seen = state["batch"], state["seen"]
            self.index_array = None if state["order"] is None else np.asarray(state["order"])
            set_rng_state(self._rng, state["random"])

    def reset(self) -> None:
        """Begins anew with the first batch of an epoch."""
        self.batch_index = 0

    def _batch(self, chosen: np.ndarray, rng: Any) -> Any:
        raise NotImplementedError

    def _save(self, images: np.ndarray, chosen: np.ndarray, rng: Any, highest: float) -> None:
        """Writes a batch's pictures into ``save_to_dir``, if that was asked for."""
        if not self.save_to_dir:
            return
        for image, index in zip(images, chosen, strict=True):
            name = f"{self.save_prefix}_{index}_{rng.randint(highest)}.{self.save_format}"
            array_to_img(image, self.data_format).save(os.path.join(self.save_to_dir, name))

    save_to_dir: Any = None
    save_prefix = ""
    save_format = "png"
    data_format: str | None = None


class NumpyArrayIterator(Iterator):
    """Batches of an array of images; see ``ImageDataGenerator.flow``. Source: Keras."""

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: str | None = None,
    ) -> None:
        self.dtype = dtype or config.floatx()
        self.data_format = data_format or "channels_last"
        images, others = _with_others(x)
        arrays = {"x": images, "y": y, "sample_weight": sample_weight}
        arrays |= {f"x[{i}]": other for i, other in enumerate(others, 1)}
        for name, array in arrays.items():
            if array is not None and len(array) != len(images):
                raise ValueError(f"flow: x has {len(images)} images but {name} has {len(array)} samples")
        if np.ndim(images) != 4:
            raise ValueError(f"flow: expected images of rank 4, got shape {np.shape(images)}")
        part = part_of(subset, len(images), image_data_generator._validation_split)
        labels = None if y is None else np.asarray(y)
        if part is not None and labels is not None and not ignore_class_split:
            edge = int(len(images) * image_data_generator._validation_split)
            if not np.array_equal(np.unique(labels[:edge]), np.unique(labels[edge:])):
                raise ValueError(
                    "training and validation subsets have different classes after the split: shuffle arrays that are "
                    "sorted by label, or pass ignore_class_split=True"
                )
        cut = part or slice(None)
        self.x = np.asarray(images)[cut]
        if self.x.dtype not in (np.uint8, np.dtype(self.dtype)):
            self.x = self.x.astype(self.dtype)
        channels = self.x.shape[3 if self.data_format == "channels_last" else 1]
        if channels not in (1, 3, 4):
            warnings.warn(
                f"flow: expected 1, 3 or 4 channels ({self.data_format}), got {channels} (shape {self.x.shape})",
                stacklevel=3,
            )
        self.x_misc = [np.asarray(other)[cut] for other in others]
        self.y = None if labels is None else labels[cut]
        self.sample_weight = None if sample_weight is None else np.asarray(sample_weight)[cut]
        self.image_data_generator = image_data_generator
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _batch(self, chosen: np.ndarray, rng: Any) -> Any:
        images = self.image_data_generator._last(self.x[chosen])
        batch = self.image_data_generator.random_batch(images, rng, self.dtype)
        self._save(batch, chosen, rng, 1e4)
        inputs = [batch, *(other[chosen] for other in self.x_misc)] if self.x_misc else batch
        if self.y is None:
            return inputs
        if self.sample_weight is None:
            return inputs, self.y[chosen]
        return inputs, self.y[chosen], self.sample_weight[chosen]


def _with_others(x: Any) -> tuple[Any, list[Any]]:
    """Images, and what comes with them, of ``x`` or (x, other) or (x, [other, ...])."""
    if not isinstance(x, (tuple, list)) or np.ndim(x[0]) < 4:
        return (x if hasattr(x, "shape") else np.asarray(x)), []
    return x[0], list(x[1]) if isinstance(x[1], list) else [x[1]]


def part_of(subset: str | None, count: int, split: float) -> slice | None:
    """The samples of a subset: the first ``split`` of them validate."""
    if subset is None:
        return None
    edge = int(count * split)
    if subset not in ("training", "validation"):
        raise ValueError(f"subset must be 'training' or 'validation', got {subset!r}")
    return slice(0, edge) if subset == "validation" else slice(edge, count)
