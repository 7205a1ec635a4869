"""Files of trained networks: found under RANVIER_DATA or in the cache, else downloaded; always checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ranvier.utils.files import get_file, hash_of

FOLDERS = ("models", "pretrained")  # under RANVIER_DATA


@dataclass(frozen=True)
class PretrainedFile:
    """A file's name, the URL of the folder that holds it, and its MD5 or SHA-256 (None: none was published)."""

    name: str
    url: str
    hash: str | None = None


def kernels(url: str, stem: str, top: str, no_top: str) -> tuple[PretrainedFile, PretrainedFile]:
    """The files with and without the classifier under Keras's usual names, with their MD5s."""
    name = f"{stem}_weights_tf_dim_ordering_tf_kernels"
    return PretrainedFile(f"{name}.h5", url, top), PretrainedFile(f"{name}_notop.h5", url, no_top)


URL = "https://storage.googleapis.com/tensorflow/keras-applications/"


def find(file: PretrainedFile) -> str:
    """The path of a file: in ``models/`` or ``pretrained/`` of RANVIER_DATA, else in the cache, else downloaded.

    A mirror, RANVIER_MIRROR, is asked for ``models/<name>`` in place of the file's own URL. Raises ValueError for a
    file whose hash is wrong, FileNotFoundError with what to do where it cannot be had.
    """
    here = find_here(file)
    if here is not None:
        return here
    mirror = os.environ.get("RANVIER_MIRROR")
    origin = f"{mirror.rstrip('/')}/models/{file.name}" if mirror else file.url + file.name
    try:
        return get_file(file.name, origin, file_hash=file.hash, cache_subdir="models")
    except OSError as error:
        raise FileNotFoundError(
            f"{file.name}: it is in none of the folders {' and '.join(FOLDERS)} of RANVIER_DATA "
            f"({os.environ.get('RANVIER_DATA', 'not set')}), and {error}\nPut it there, or pass weights=None for "
            "random weights"
        ) from error


def find_here(file: PretrainedFile) -> str | None:
    """The path under RANVIER_DATA, or None. Raises ValueError for a file whose hash is wrong."""
    data = os.environ.get("RANVIER_DATA")
    for folder in FOLDERS if data else ():
        path = Path(str(data)) / folder / file.name
        if path.is_file():
            found = file.hash and hash_of(path, "auto", file.hash)
            if found != file.hash:
                raise ValueError(f"{path} has the wrong content: hash {found}, expected {file.hash}")
            return str(path)
    return None
