"""Batches of images or texts from a folder with a folder for each class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ranvier import _core
from ranvier import random as _random
from ranvier._names import unknown
from ranvier.utils.basic import to_categorical
from ranvier.utils.images import _MODES, _channels_first, _pillow
from ranvier.utils.py_dataset import PyDataset, rng_state, set_rng_state

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_KERNELS = {"bilinear": "bilinear", "nearest": "nearest_half_up"}


class _Files(PyDataset):
    """Batches of files with labels, in another order each epoch if ``shuffle``."""

    def __init__(
        self,
        paths: list[str],
        labels: np.ndarray | None,
        class_names: list[str] | None,
        batch_size: int | None,
        shuffle: bool,
        seed: int,
    ) -> None:
        super().__init__()
        self.file_paths, self.labels, self.class_names = paths, labels, class_names
        self._size = batch_size
        self._rng = np.random.RandomState(seed)
        self._shuffle = shuffle
        self._order = np.arange(len(paths))

    def __len__(self) -> int:
        return -(-len(self.file_paths) // (self._size or 1))

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"there is no batch {index}: the data set has {len(self)}")
        size = self._size or 1
        chosen = self._order[index * size : (index + 1) * size]
        x = self._read([self.file_paths[i] for i in chosen])
        y = None if self.labels is None else self.labels[chosen]
        if self._size is None:  # samples one by one
            x, y = x[0], None if y is None else y[0]
        return x if y is None else (x, y)

    def on_epoch_end(self) -> None:
        """Another order for the next epoch, if ``shuffle``."""
        if self._shuffle:
            self._rng.shuffle(self._order)

    def get_state(self) -> Any:
        """The order of this epoch and the place of the generator, for a training that goes on later."""
        return {"order": np.array(self._order), "random": rng_state(self._rng)}

    def set_state(self, state: Any) -> None:
        """Goes to where ``get_state`` was called."""
        self._order = np.array(state["order"])
        set_rng_state(self._rng, state["random"])

    def _read(self, paths: list[str]) -> Any:
        raise NotImplementedError


class _ImageFiles(_Files):
    options: dict[str, Any]

    def _read(self, paths: list[str]) -> np.ndarray:
        images = np.stack([_resized(path, **self.options) for path in paths])
        return images.transpose(0, 3, 1, 2) if self.first else images

    first = False


class _TextFiles(_Files):
    max_length: int | None = None

    def _read(self, paths: list[str]) -> np.ndarray:
        return np.array([Path(path).read_text(encoding="utf-8")[: self.max_length] for path in paths])


def _resized(path: str, size: tuple[int, int], mode: str, interpolation: str, crop: bool, pad: bool) -> np.ndarray:
    """One file as float32 (height, width, channels): TensorFlow's resizing, which looks between pixels."""
    with _pillow("image_dataset_from_directory").open(path) as opened:
        img = opened if opened.mode in _MODES[mode] else opened.convert(_MODES[mode][0])
        values = np.array(img, np.float32 if img.mode.startswith("I") else np.uint8)
    values = values.reshape(*values.shape[:2], -1)
    height, width = values.shape[:2]
    if crop:
        h, w = (max(1, min(a, int(b * c / d))) for a, b, c, d in ((height, width, *size), (width, height, *size[::-1])))
        top, left = (height - h) // 2, (width - w) // 2
        values = values[top : top + h, left : left + w]
    elif pad:
        h, w = max(height, int(width * size[0] / size[1])), max(width, int(height * size[1] / size[0]))
        top, left = (h - height) // 2, (w - width) // 2
        values = np.pad(values, ((top, h - height - top), (left, w - width - left), (0, 0)))
    down, across = values.shape[0] / size[0], values.shape[1] / size[1]
    transform = np.array([[across, 0, across / 2 - 0.5, 0, down, down / 2 - 0.5, 0, 0]])
    x, t = (
        _core.Array.from_numpy(np.ascontiguousarray(a), copy=False, device="cpu") for a in (values[None], transform)
    )
    how = (_KERNELS[interpolation], "nearest", 0.0)
    return _core.affine_transform_forward(x, t, *how, dtype="float32", size=list(size)).numpy()[0]


def _index(
    op: str,
    directory: Any,
    labels: Any,
    label_mode: str | None,
    class_names: Sequence[str] | None,
    endings: tuple[str, ...],
    follow_links: bool,
) -> tuple[list[str], np.ndarray | None, list[str] | None]:
    """Files, their labels as ``label_mode`` has them, and the classes."""
    if label_mode not in ("int", "binary", "categorical", None):
        raise ValueError(f"{op}: label_mode must be 'int', 'binary', 'categorical' or None, got {label_mode!r}")
    if not Path(directory).is_dir():
        raise FileNotFoundError(f"{op}: {directory} is not a folder")
    inferred = isinstance(labels, str) and labels == "inferred"
    if not inferred and class_names:
        raise ValueError(f"{op}: class_names needs labels='inferred'")
    found = sorted(entry.name for entry in Path(directory).iterdir() if entry.is_dir())
    if inferred and class_names is not None and sorted(class_names) != found:
        raise ValueError(f"{op}: class_names must name the folders {', '.join(found)}, got {', '.join(class_names)}")
    folders = list(class_names or found) if inferred else [""]
    paths: list[str] = []
    numbers: list[int] = []
    for number, folder in enumerate(folders):
        for root, _, files in sorted(os.walk(os.path.join(directory, folder), followlinks=follow_links)):
            chosen = [os.path.join(root, name) for name in sorted(files) if name.lower().endswith(endings)]
            paths += chosen
            numbers += [number] * len(chosen)
    if not paths:
        raise ValueError(f"{op}: {directory} holds no files that end in {', '.join(endings)}")
    if labels is None or label_mode is None:
        return paths, None, folders if inferred else None
    values = np.array(numbers if inferred else labels)
    if len(values) != len(paths):
        raise ValueError(f"{op}: {len(values)} labels for {len(paths)} files")
    classes = len(folders) if inferred else int(values.max()) + 1
    if label_mode == "binary" and classes != 2:
        raise ValueError(f"{op}: label_mode='binary' needs two classes, got {classes}")
    if label_mode == "categorical":
        return paths, to_categorical(values, classes), folders
    kind = np.float32 if label_mode == "binary" else np.int32
    return paths, values.astype(kind)[:, None] if label_mode == "binary" else values.astype(kind), folders


def _data_sets(
    op: str,
    kind: type[_Files],
    indexed: tuple[list[str], np.ndarray | None, list[str] | None],
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    verbose: bool,
) -> list[Any]:
    """The data set, or those that ``subset`` names; in Keras's order for a seed."""
    paths, labels, classes = indexed
    if (validation_split is None) != (subset is None):
        raise ValueError(f"{op}: validation_split and subset go together")
    if validation_split is not None and not 0 < validation_split < 1:
        raise ValueError(f"{op}: validation_split must be between 0 and 1, got {validation_split}")
    if subset not in (None, "training", "validation", "both"):
        raise ValueError(f"{op}: subset must be 'training', 'validation' or 'both', got {subset!r}")
    if validation_split and shuffle and seed is None:
        raise ValueError(f"{op}: give a seed, or shuffle=False, so that the subsets do not overlap")
    chosen = int(_random.integers((), 0, 2**31 - 1).numpy()) if seed is None else seed
    order = np.arange(len(paths))
    if shuffle:
        np.random.RandomState(chosen).shuffle(order)
    edge = len(paths) - int((validation_split or 0) * len(paths))
    train, validate = order[:edge], order[edge:]
    parts = {None: [order], "training": [train], "validation": [validate], "both": [train, validate]}
    if verbose:
        print(f"Found {len(paths)} files" + (f" belonging to {len(classes)} classes." if classes else "."))
    return [
        kind([paths[i] for i in rows], None if labels is None else labels[rows], classes, batch_size, shuffle, chosen)
        for rows in parts[subset]
    ]


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches (images, labels) of a folder's images as a ``PyDataset``: float32 0-255, (N, *image_size, channels).

    A folder for each class, numbered by name; or ``labels`` in the order of the files, or None. ``label_mode``:
    ``"int"`` int32 (N,), ``"binary"`` float32 (N, 1), ``"categorical"`` one-hot (N, C), None for images alone.
    ``subset`` ``"training"`` or ``"validation"`` (``"both"``: a pair) with ``validation_split``, which takes the last
    files in the order of ``seed``. ``interpolation`` is ``"bilinear"`` or ``"nearest"``; ``format`` makes no
    difference. The result has ``class_names`` and ``file_paths``. Raises ValueError for other choices or a folder
    without images, FileNotFoundError where there is none. Source: Keras.
    """
    op = "image_dataset_from_directory"
    if interpolation not in _KERNELS:
        raise ValueError(f"{op}: {unknown('interpolation', str(interpolation), _KERNELS)}")
    if color_mode not in _MODES:
        raise ValueError(f"{op}: color_mode must be 'grayscale', 'rgb' or 'rgba', got {color_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(f"{op}: crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other")
    indexed = _index(op, directory, labels, label_mode, class_names, _IMAGES, follow_links)
    sets = _data_sets(op, _ImageFiles, indexed, batch_size, shuffle, seed, validation_split, subset, verbose)
    for each in sets:
        each.first = _channels_first(op, data_format)
        each.options = {
            "size": (int(image_size[0]), int(image_size[1])),
            "mode": color_mode,
            "interpolation": interpolation,
            "crop": crop_to_aspect_ratio,
            "pad": pad_to_aspect_ratio,
        }
    return tuple(sets) if subset == "both" else sets[0]


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches (texts, labels) of a folder's ``.txt`` files (UTF-8) as a ``PyDataset``: arrays of strings.

    ``max_length`` characters of each at most; the rest as in ``image_dataset_from_directory``. Source: Keras.
    """
    op = "text_dataset_from_directory"
    indexed = _index(op, directory, labels, label_mode, class_names, (".txt",), follow_links)
    sets = _data_sets(op, _TextFiles, indexed, batch_size, shuffle, seed, validation_split, subset, verbose)
    for each in sets:
        each.max_length = max_length
    return tuple(sets) if subset == "both" else sets[0]
