"""Batches of images from folders and tables: what ``flow_from_directory`` and ``flow_from_dataframe`` give."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ranvier import config
from ranvier.preprocessing.image.decode import Reading, read_all
from ranvier.preprocessing.image.iterators import FORMATS, Iterator, part_of


class _FilesIterator(Iterator):
    """Batches of images that are read from files as they are needed."""

    filenames: list[str]
    _filepaths: list[str]
    class_indices: dict[str, int]
    classes: Any
    class_mode: str | None
    image_data_generator: Any
    sample_weight: Any = None
    _targets: Any = None

    def _configure(
        self,
        image_data_generator: Any,
        target_size: tuple[int, int],
        color_mode: str,
        data_format: str | None,
        save: tuple[Any, str, str],
        interpolation: str,
        keep_aspect_ratio: bool,
        dtype: str | None,
    ) -> None:
        self.image_data_generator = image_data_generator
        self.target_size = (int(target_size[0]), int(target_size[1]))
        self.color_mode, self.interpolation = color_mode, interpolation
        self.keep_aspect_ratio = keep_aspect_ratio
        self.data_format = data_format or "channels_last"
        self.save_to_dir, self.save_prefix, self.save_format = save
        self.dtype = dtype or config.floatx()
        self._reading = Reading(self.target_size, color_mode, interpolation, keep_aspect_ratio)
        channels = {"grayscale": 1, "rgb": 3, "rgba": 4}[color_mode]
        last = self.data_format == "channels_last"
        self.image_shape = (*self.target_size, channels) if last else (channels, *self.target_size)

    @property
    def filepaths(self) -> list[str]:
        """The files, whole paths."""
        return self._filepaths

    @property
    def labels(self) -> Any:
        """The class or target of every file."""
        return self._targets if self.class_mode in ("multi_output", "raw") else self.classes

    def _batch(self, chosen: np.ndarray, rng: Any) -> Any:
        workers = self.workers if self.workers > 1 else None
        images = read_all([self._filepaths[i] for i in chosen], self._reading, workers)
        if self.image_data_generator is None:
            batch = images.astype(self.dtype)
            batch = batch if self.data_format == "channels_last" else batch.transpose(0, 3, 1, 2)
        else:
            batch = self.image_data_generator.random_batch(images, rng, self.dtype)
        self._save(batch, chosen, rng, 1e7)
        if self.class_mode is None:
            return batch
        targets = self._targets_of(chosen, batch)
        return (batch, targets) if self.sample_weight is None else (batch, targets, self.sample_weight[chosen])

    def _targets_of(self, chosen: np.ndarray, batch: np.ndarray) -> Any:
        match self.class_mode:
            case "input":
                return batch.copy()
            case "binary" | "sparse":
                return np.array([self.classes[i] for i in chosen], self.dtype)
            case "multi_output":
                return [output[chosen] for output in self._targets]
            case "raw":
                return self._targets[chosen]
        targets = np.zeros((len(chosen), len(self.class_indices)), self.dtype)
        for row, i in zip(targets, chosen, strict=True):
            row[self.classes[i]] = 1
        return targets


def _check_mode(class_mode: str | None, known: Sequence[str | None]) -> None:
    if class_mode not in known:
        raise ValueError(f"class_mode must be one of {', '.join(map(repr, known))}, got {class_mode!r}")


def _images_below(folder: str, follow_links: bool) -> list[str]:
    """Image files of a folder and those in it, folder by folder, by name."""
    found = []
    for root, _, files in sorted(os.walk(folder, followlinks=follow_links), key=lambda each: each[0]):
        found += [os.path.join(root, name) for name in sorted(files) if name.lower().endswith(FORMATS)]
    return found


class DirectoryIterator(_FilesIterator):
    """Batches of a folder's images; see ``ImageDataGenerator.flow_from_directory``. Source: Keras."""

    allowed_class_modes = ("categorical", "binary", "sparse", "input", None)

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: str | None = None,
    ) -> None:
        save = (save_to_dir, save_prefix, save_format)
        self._configure(
            image_data_generator, target_size, color_mode, data_format, save, interpolation, keep_aspect_ratio, dtype
        )
        _check_mode(class_mode, self.allowed_class_modes)
        self.directory, self.class_mode, self.subset = directory, class_mode, subset
        if not Path(directory).is_dir():
            raise FileNotFoundError(f"flow_from_directory: {directory} is not a folder")
        names = list(classes or sorted(entry.name for entry in Path(directory).iterdir() if entry.is_dir()))
        self.num_classes = len(names)
        self.class_indices = {name: i for i, name in enumerate(names)}
        split = getattr(image_data_generator, "_validation_split", 0.0)
        self.filenames, labels = [], []
        for name, label in self.class_indices.items():
            files = _images_below(os.path.join(directory, name), follow_links)
            files = files[part_of(subset, len(files), split) or slice(None)]
            self.filenames += [os.path.relpath(path, directory) for path in files]
            labels += [label] * len(files)
        self.classes = np.array(labels, np.int32)
        self.samples = len(self.filenames)
        self._filepaths = [os.path.join(directory, name) for name in self.filenames]
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)


class DataFrameIterator(_FilesIterator):
    """Batches of the images that a table names; see ``ImageDataGenerator.flow_from_dataframe``. Source: Keras."""

    allowed_class_modes = ("binary", "categorical", "input", "multi_output", "raw", "sparse", None)

    def __init__(
        self,
        dataframe: Any,
        directory: Any = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = "channels_last",
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: str | None = "float32",
        validate_filenames: bool = True,
    ) -> None:
        save = (save_to_dir, save_prefix, save_format)
        self._configure(
            image_data_generator, target_size, color_mode, data_format, save, interpolation, keep_aspect_ratio, dtype
        )
        _check_mode(class_mode, self.allowed_class_modes)
        if class_mode == "multi_output" and not isinstance(y_col, list):
            raise TypeError(f"class_mode='multi_output' needs a list of columns as y_col, got {y_col!r}")
        self.directory, self.class_mode, self.subset = directory or "", class_mode, subset
        names = list(dataframe[x_col])
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"all values of column {x_col!r} must be file names (strings)")
        rows = np.arange(len(names))
        if validate_filenames:
            rows = self._valid(rows, names, x_col)
        if class_mode in ("binary", "categorical", "sparse"):
            labels = list(dataframe[y_col])
            rows, found = self._labelled(rows, labels, y_col, classes)
            self.class_indices = {name: i for i, name in enumerate(found)}
        elif classes:
            warnings.warn(f"classes has no effect with class_mode={class_mode!r}", stacklevel=3)
        split = getattr(image_data_generator, "_validation_split", 0.0)
        rows = rows[part_of(subset, len(rows), split) or slice(None)]
        if class_mode in ("binary", "categorical", "sparse"):
            self.classes = [self._numbers(labels[row]) for row in rows]
        elif class_mode == "multi_output":
            self._targets = [np.array(list(dataframe[column]))[rows] for column in y_col]
        elif class_mode == "raw":
            columns = y_col if isinstance(y_col, list) else [y_col]
            table = np.stack([np.asarray(dataframe[column])[rows] for column in columns], axis=1)
            self._targets = table if isinstance(y_col, list) else table[:, 0]
        if weight_col is not None:
            weights = np.asarray(dataframe[weight_col])
            if weights.dtype.kind not in "fiu":
                raise TypeError(f"column {weight_col!r} must hold numbers to be weights, it is {weights.dtype}")
            self.sample_weight = weights[rows]
        self.filenames = [names[row] for row in rows]
        self.samples = len(rows)
        self._filepaths = [os.path.join(self.directory, name) for name in self.filenames]
        kind = "validated" if validate_filenames else "non-validated"
        belonging = f" belonging to {len(self.class_indices)} classes" if hasattr(self, "class_indices") else ""
        print(f"Found {self.samples} {kind} image filenames{belonging}.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _valid(self, rows: np.ndarray, names: list[str], x_col: str) -> np.ndarray:
        good = [n.lower().endswith(FORMATS) and os.path.isfile(os.path.join(self.directory, n)) for n in names]
        if not all(good):
            warnings.warn(
                f"{len(good) - sum(good)} file names in column {x_col!r} are no images that exist: ignored",
                stacklevel=4,
            )
        return rows[np.array(good, bool)]

    def _labelled(
        self, rows: np.ndarray, labels: list[Any], y_col: str, classes: Sequence[str] | None
    ) -> tuple[np.ndarray, list[str]]:
        """The rows that have a class (of ``classes``, where given), and the classes."""
        several = (str, list, tuple) if self.class_mode == "categorical" else str
        if not all(isinstance(labels[row], several) for row in rows):
            kinds = "strings, lists or tuples" if self.class_mode == "categorical" else "strings"
            raise TypeError(f"class_mode={self.class_mode!r} needs {kinds} in column {y_col!r}")
        wanted = list(dict.fromkeys(classes)) if classes else None
        for row in rows if wanted is not None else ():
            label = labels[row]
            kept = [name for name in ([label] if isinstance(label, str) else label) if name in wanted]  # type: ignore[operator]
            labels[row] = None if not kept else label if isinstance(label, str) else kept
        rows = np.array([row for row in rows if labels[row] is not None], np.int64)
        present = {name for row in rows for name in ([labels[row]] if isinstance(labels[row], str) else labels[row])}
        names = wanted if wanted is not None else sorted(present)
        if self.class_mode == "binary" and len(names) != 2:
            raise ValueError(f"class_mode='binary' needs two classes, got {len(names)}: {', '.join(names)}")
        return rows, names

    def _numbers(self, label: Any) -> Any:
        return self.class_indices[label] if isinstance(label, str) else [self.class_indices[each] for each in label]
