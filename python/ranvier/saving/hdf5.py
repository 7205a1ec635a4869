"""HDF5 files, read with distrust: nothing outside the file, and no size that the file itself does not hold."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
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
    if found.dtype.kind == "O":
        return _texts_of_any_length(path, os.stat(path).st_mtime_ns)[group.name][name]
    if found.shape[0] * found.dtype.itemsize > found.get_storage_size():
        raise ValueError(f"{group.name!r}: {name!r} has no such length")
    return [text.decode() for text in group.attrs[name]]


# Texts of any length lie in a heap. Of a damaged one the HDF5 library takes any amount of memory, or walks through it
# for ever: another process reads them, which may take 256 MB and ten seconds.
_READER = """
import json, os, resource, sys
import h5py
pages = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (pages + (256 << 20),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
found = {}
with h5py.File(sys.argv[1], "r") as file:
    for group in (file, file.get("model_weights")):
        if group is None:
            continue
        for item in [group, *(group[n] for n in group if group.get(n, getclass=True) is h5py.Group)]:
            names = [n for n in item.attrs if n.startswith(("layer_names", "weight_names"))]
            texts = {n: [t.decode() if isinstance(t, bytes) else str(t) for t in item.attrs[n]] for n in names}
            found[item.name] = texts
print(json.dumps(found))
"""


@functools.lru_cache(maxsize=1)
def _texts_of_any_length(path: str, changed: int) -> dict[str, dict[str, list[str]]]:
    """The names of layers and weights of a whole file, by group."""
    command = [sys.executable, "-c", _READER, os.path.abspath(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it took too much time or memory"])[-1]
        raise ValueError(f"its names cannot be read: {reason}")
    found: dict[str, dict[str, list[str]]] = json.loads(done.stdout)
    return found


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
