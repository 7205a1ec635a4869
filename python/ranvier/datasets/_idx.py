"""Data sets of four gzipped IDX files: found in a folder or the cache, or downloaded, and always checked.

IDX: big-endian; two zero bytes, the type (8: uint8), the rank, then one uint32 per side, then the elements.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ranvier.datasets._files import CorruptFileError, FileDataset

Split = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class IdxFile:
    """One file: its name without ``.gz``, the shape of its array, and the SHA-256 of its decompressed bytes."""

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def stored(self) -> str:
        """Its name, compressed."""
        return f"{self.name}.gz"

    def parse(self, compressed: bytes, source: str) -> np.ndarray:
        """The array in a file's bytes. Raises CorruptFileError with the reason."""
        size = 4 + 4 * len(self.shape) + math.prod(self.shape)
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(compressed)) as stream:
                data = stream.read(size + 1)  # no more than can be right, whatever the file says
        except (OSError, EOFError, zlib.error) as error:
            raise CorruptFileError(f"{source} is truncated or is no gzip file ({error})") from None
        expected = (8 << 8) | len(self.shape)
        if len(data) < 4 or struct.unpack(">I", data[:4])[0] != expected:
            rank = len(self.shape)
            raise CorruptFileError(f"{source} is no IDX file of uint8 of rank {rank}: it begins {data[:4]!r}")
        if len(data) != size:
            less_or_more = "fewer" if len(data) < size else "more"
            raise CorruptFileError(f"{source} has {less_or_more} than the {size} bytes of an array {self.shape}")
        sides = struct.unpack(f">{len(self.shape)}I", data[4 : 4 + 4 * len(self.shape)])
        if sides != self.shape:
            raise CorruptFileError(f"{source} holds an array {sides}; expected {self.shape}")
        if (found := hashlib.sha256(data).hexdigest()) != self.sha256:
            raise CorruptFileError(f"{source} has the wrong content: SHA-256 {found}, expected {self.sha256}")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * len(self.shape)).reshape(self.shape).copy()


@dataclass(frozen=True)
class IdxDataset(FileDataset):
    """Four files in the order train images, train labels, test images, test labels."""

    def load(
        self, path: str | os.PathLike[str] | None, download: bool, mirrors: Sequence[str] | None
    ) -> tuple[Split, Split]:
        """((x_train, y_train), (x_test, y_test)) from ``path``, else RANVIER_DATA, the cache, or a mirror."""
        x_train, y_train, x_test, y_test = self.read(path, download, mirrors)
        return (x_train, y_train), (x_test, y_test)
