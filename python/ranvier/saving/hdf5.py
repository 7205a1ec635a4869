"""HDF5 files, read with distrust: nothing outside the file, and no size that the file itself does not hold."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

_MOST_OBJECTS = 200_000  # groups and data sets of one file
_MOST_EXPANSION = 1100  # deflate makes at most 1032 bytes of one
_SMALL = 1 << 24  # bytes that a data set may hold without having stored them: a fill value


def h5py_or_error(what: str) -> Any:
    """The package; ImportError that says how to get it."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{what} needs h5py: pip install h5py (or pip install 'ranvier[keras]')") from error
    return h5py


@contextlib.contextmanager
def opened(source: Any, name: str) -> Iterator[Any]:
    """An HDF5 file from a path or an open file. Raises ValueError that calls it ``name`` for one that is damaged."""
    h5py = h5py_or_error("reading Keras's weights")
    try:
        with h5py.File(source, "r") as file:
            yield file
    except (FileNotFoundError, ImportError, MemoryError):
        raise
    except Exception as error:  # the library has errors of every kind for files that are damaged
        if isinstance(error, ValueError) and name in str(error):
            raise
        raise ValueError(f"{name!r} cannot be read: {error}") from error


def child(group: Any, path: str) -> Any:
    """What is at ``path`` below a group, or None. Raises ValueError for links that lead elsewhere."""
    h5py = h5py_or_error("reading Keras's weights")
    for part in path.split("/") if path else ():
        if not isinstance(group, h5py.Group):
            return None
        link = group.get(part, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{path!r} is a link to somewhere else, which is not followed")
        group = group[part]
    return group


def dataset(group: Any, path: str) -> Any:
    """A data set of numbers, whose values the file holds. Raises ValueError for anything else."""
    h5py = h5py_or_error("reading Keras's weights")
    found = child(group, path)
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"there is no array {path!r}" if found is None else f"{path!r} is no array")
    kind = found.dtype.kind
    if (kind not in "fiub" and found.dtype.str not in ("|V2", "<V2")) or found.dtype.hasobject or found.shape is None:
        raise ValueError(f"{path!r} holds {found.dtype}, not numbers")
    if found.external is not None or found.is_virtual:
        raise ValueError(f"{path!r} has its values in other files, which are not read")
    wanted, stored = found.size * found.dtype.itemsize, found.id.get_storage_size()
    if wanted > max(
        stored * (_MOST_EXPANSION if found.chunks else 1), _SMALL if stored == 0 and not found.chunks else 0
    ):
        raise ValueError(f"{path!r} of shape {found.shape} should have {wanted} bytes, the file holds {stored}")
    return found


def texts(group: Any, name: str, path: str) -> list[str]:
    """A list of texts beside a group of the file at ``path``."""
    found = group.attrs.get_id(name)
    if found.shape == (0,):
        return []
    if found.shape is None or len(found.shape) != 1 or found.dtype.kind not in "SO":
        raise ValueError(f"{group.name!r}: {name!r} is no list of texts")
    if found.dtype.kind == "O":  # of any length: they lie in heaps, and each takes 16 bytes here
        check_heaps(path)
    if found.shape[0] * (16 if found.dtype.kind == "O" else found.dtype.itemsize) > found.get_storage_size():
        raise ValueError(f"{group.name!r}: {name!r} has no such length")
    return [text.decode() if isinstance(text, bytes) else str(text) for text in group.attrs[name]]


def check_heaps(path: str) -> None:
    """Raises ValueError for a damaged heap, through which the HDF5 library may walk for ever.

    A heap is "GCOL", its version, its size and objects, each of an index, a count, its own size and its bytes; index 0
    is what is left. https://docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, III.E
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = data.find(b"GCOL")
        while place >= 0:
            if data[place + 4 : place + 8] == b"\x01\0\0\0":
                _check_heap(data, place)
            place = data.find(b"GCOL", place + 4)


def _check_heap(data: mmap.mmap, place: int) -> None:
    size = int.from_bytes(data[place + 8 : place + 16], "little")
    end = place + size
    at = place + 16
    if size < 16 or end > len(data):
        raise ValueError(f"the heap at byte {place} should have {size} bytes")
    while at + 16 <= end:
        index = int.from_bytes(data[at : at + 2], "little")
        length = int.from_bytes(data[at + 8 : at + 16], "little")
        step = length if index == 0 else 16 + -(-length // 8) * 8
        if step < 16 or at + step > end:
            raise ValueError(f"the heap at byte {place} is damaged")
        at += step


def values(found: Any) -> np.ndarray:
    """The values of a data set; bfloat16, which Keras writes as two bytes, as float32."""
    array = np.asarray(found)
    if array.dtype.kind == "V":
        return (array.view("<u2").astype(np.uint32) << 16).view(np.float32)
    return array


def numbers(group: Any) -> int:
    """How many numbers all data sets of a file hold together, at most. Raises ValueError for a file of too many."""
    h5py = h5py_or_error("reading Keras's weights")
    total, seen, waiting = 0, set(), [group]
    while waiting:
        here = waiting.pop()
        for name in here:
            link = here.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                continue
            item = here[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > _MOST_OBJECTS:
                raise ValueError(f"the file has more than {_MOST_OBJECTS} groups and arrays")
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset) and item.shape is not None:
                with contextlib.suppress(ValueError):
                    total += dataset(here, name).size
    return total
