"""Whole models in Keras 3's ``.keras`` files: an archive of ``config.json``, ``metadata.json`` and weights.

Nothing of an archive is ever unpacked to a place that it names: its parts are read by their known names.
Source: Keras ``saving_lib``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from ranvier.saving import hdf5, keras_config, keras_tree
from ranvier.saving.file import move_into_place, temporary_beside
from ranvier.saving.registry import CustomObjectScope, check_of_file, deserialize_object
from ranvier.variable import uninitialized

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# What Python's zipfile raises for archives that are damaged.
_DAMAGE: tuple[type[Exception], ...] = (
    zlib.error,
    struct.error,
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    UnicodeDecodeError,
    OverflowError,
    RuntimeError,
    OSError,
)
_MOST_TEXT = 64 << 20  # bytes of a configuration
_MOST_EXPANSION = 100  # times its size in the archive; what Keras writes is not compressed


class _Window(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size, self._place = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: max(self._size - self._place, 0)]
        done = os.preadv(self._file.fileno(), [view], self._start + self._place) if len(view) else 0
        self._place += done
        return done


@contextlib.contextmanager
def _archive(path: str) -> Iterator[tuple[zipfile.ZipFile, IO[bytes]]]:
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive, file
        except _DAMAGE as error:
            raise ValueError(f"{path!r} cannot be read: {error}") from error


def _member(archive: zipfile.ZipFile, path: str, name: str) -> zipfile.ZipInfo:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(f"{path!r} holds no {name}: it is no file of Keras 3") from None
    if info.file_size > 1 << 20 and info.file_size > _MOST_EXPANSION * info.compress_size:
        raise ValueError(f"{path!r}: {name} would grow from {info.compress_size} to {info.file_size} bytes: refused")
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{path!r}: {name} is encrypted, or compressed as Keras never does")
    return info


def _text(archive: zipfile.ZipFile, path: str, name: str) -> Any:
    info = _member(archive, path, name)
    if info.file_size > _MOST_TEXT:
        raise ValueError(f"{path!r}: {name} has {info.file_size} bytes, more than any configuration")
    try:
        with archive.open(info) as member:
            return json.loads(member.read(_MOST_TEXT))
    except (ValueError, RecursionError, OSError) as error:
        raise ValueError(f"{path!r}: {name} is not JSON ({error})") from None
    except Exception as error:  # of a decompressor
        raise ValueError(f"{path!r}: {name} cannot be read: {error}") from None


@contextlib.contextmanager
def _weights(path: str) -> Iterator[Any]:
    """The HDF5 file inside an archive: a window of it, or unpacked to a nameless file where it is compressed."""
    with _archive(path) as (archive, file), contextlib.ExitStack() as stack:
        info = _member(archive, path, _WEIGHTS)
        if info.compress_type == zipfile.ZIP_STORED:
            with archive.open(info):
                pass  # checks the local header
            file.seek(info.header_offset + 26)
            lengths = file.read(4)
            start = (
                info.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
            )
            if start + info.file_size > os.fstat(file.fileno()).st_size:
                raise ValueError(f"{path!r}: {_WEIGHTS} reaches beyond the end of the file")
            source: Any = io.BufferedReader(_Window(file, start, info.file_size), 1 << 16)
        else:
            source = stack.enter_context(tempfile.TemporaryFile())
            left = info.file_size
            with archive.open(info) as member:
                while left and (piece := member.read(min(left, 1 << 20))):
                    source.write(piece)
                    left -= len(piece)
        with hdf5.opened(source, path) as weights:
            yield weights


def load_keras_model(path: str, custom_objects: dict[str, Any] | None = None, compile: bool = True) -> Any:
    """A model from a ``.keras`` file; see ``load_model``."""
    with _archive(path) as (archive, _):
        config = _text(archive, path, _CONFIG)
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ValueError(f"{path!r}: {_CONFIG} describes no model")
    with CustomObjectScope(custom_objects or {}), _weights(path) as weights:
        try:
            check_of_file(config)
            with uninitialized(hdf5.numbers(weights)):
                model = deserialize_object(keras_config.from_keras(config))
                shape = (config.get("build_config") or {}).get("input_shape")
                if not model.built and shape is not None:
                    model.build(shape)
        except Exception as error:  # a configuration can be wrong in as many ways as layers can
            raise ValueError(f"{path!r}: its model cannot be made: {error}") from error
        if not hasattr(model, "load_weights"):
            raise ValueError(f"{path!r} holds a {type(model).__name__}, which is no model")
        keras_tree.load_tree(weights, model, path)
        settings = config.get("compile_config")
        if compile and isinstance(settings, dict) and settings:
            try:
                model.compile(**keras_config.compile_arguments(settings))
                keras_tree.load_optimizer(weights, model, path)
            except Exception as error:
                raise ValueError(
                    f"{path!r}: the model cannot be compiled as it was: {error}; load_model(..., compile=False) leaves "
                    "that out"
                ) from error
    return model


def load_keras_weights(model: Any, path: str, skip_mismatch: bool = False) -> None:
    """Reads the weights of a ``.keras`` or ``.weights.h5`` file of Keras 3 into a model of the same layers."""
    opened = _weights(path) if path.endswith(".keras") else hdf5.opened(path, path)
    with opened as weights:
        keras_tree.load_tree(weights, model, path, skip_mismatch)


# --- writing ------------------------------------------------------------------------------------------------


def save_keras_model(model: Any, path: str) -> None:
    """Writes a ``.keras`` file that Keras 3 opens: layers, weights, how it was compiled, the optimizer's state.

    Raises ValueError that names the layer or op for one that Keras does not have.
    """
    config = json.dumps(keras_config.to_keras(model))
    metadata = json.dumps({"keras_version": "3.15.1", "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S")})
    with temporary_beside(path) as temporary, temporary_beside(path) as weights:
        keras_tree.write_tree(weights, model, optimizer=True)
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            archive.writestr(_METADATA, metadata)
            archive.writestr(_CONFIG, config)
            archive.write(weights, _WEIGHTS)
        move_into_place(temporary, path)


def save_keras_weights(model: Any, path: str) -> None:
    """Writes a ``.weights.h5`` file that Keras 3 reads."""
    with temporary_beside(path) as temporary:
        keras_tree.write_tree(temporary, model, optimizer=False)
        move_into_place(temporary, path)
