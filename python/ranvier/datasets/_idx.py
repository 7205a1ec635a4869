"""Data sets of four gzipped IDX files: found in a folder or the cache, or downloaded, and always checked.

IDX: big-endian; two zero bytes, the type (8: uint8), the rank, then one uint32 per side, then the elements.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import math
import os
import struct
import tempfile
import urllib.request
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

Split = tuple[np.ndarray, np.ndarray]

TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 16
LARGEST_DOWNLOAD = 1 << 28  # bytes; a server must not fill the disk


class CorruptFileError(ValueError):
    """A file that is not what it should be."""


@dataclass(frozen=True)
class IdxFile:
    """One file: its name without ``.gz``, the shape of its array, and the SHA-256 of its decompressed bytes."""

    name: str
    shape: tuple[int, ...]
    sha256: str

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
class IdxDataset:
    """Four files in the order train images, train labels, test images, test labels, and where they can be had."""

    folder: str
    mirrors: tuple[str, ...]
    files: tuple[IdxFile, IdxFile, IdxFile, IdxFile]

    def load(
        self, path: str | os.PathLike[str] | None, download: bool, mirrors: Sequence[str] | None
    ) -> tuple[Split, Split]:
        """((x_train, y_train), (x_test, y_test)) from ``path``, else RANVIER_DATA, the cache, or a mirror."""
        folders = [Path(path)] if path is not None else self._places()
        arrays = [self._find(file, folders) for file in self.files]
        missing = [file for file, array in zip(self.files, arrays, strict=True) if array is None]
        if missing and (path is not None or not download):
            raise FileNotFoundError(self._how_to_get(folders))
        for i, file in enumerate(self.files):
            if arrays[i] is None:
                arrays[i] = self._download(file, self._mirrors(mirrors))
        x_train, y_train, x_test, y_test = arrays
        return (x_train, y_train), (x_test, y_test)  # type: ignore[return-value]

    def _places(self) -> list[Path]:
        data = os.environ.get("RANVIER_DATA")
        return ([Path(data) / self.folder] if data else []) + [self._cache()]

    def _cache(self) -> Path:
        home = os.environ.get("RANVIER_HOME")
        return (Path(home) if home else Path.home() / ".cache" / "ranvier") / "datasets" / self.folder

    def _mirrors(self, given: Sequence[str] | None) -> Sequence[str]:
        if given is not None:
            return [given] if isinstance(given, str) else given
        base = os.environ.get("RANVIER_MIRROR")
        return [f"{base.rstrip('/')}/{self.folder}"] if base else self.mirrors

    def _find(self, file: IdxFile, folders: list[Path]) -> np.ndarray | None:
        for folder in folders:
            candidate = folder / f"{file.name}.gz"
            if candidate.is_file():
                return file.parse(candidate.read_bytes(), str(candidate))
        return None

    def _how_to_get(self, folders: list[Path], reasons: Sequence[str] = ()) -> str:
        names = "\n".join(f"  {file.name}.gz" for file in self.files)
        tried = "".join(f"\n  {reason}" for reason in reasons)
        return (
            f"{self.folder}: its files are not in {' or '.join(map(str, folders))}"
            + (f", and no mirror gave them:{tried}" if reasons else "")
            + f"\nPut these files\n{names}\ninto {folders[-1]}, or set RANVIER_DATA to a folder that has "
            f"{self.folder}/ with them.\nThey can be had from {self.mirrors[0]}"
        )

    def _download(self, file: IdxFile, mirrors: Sequence[str]) -> np.ndarray:
        reasons = []
        for mirror in mirrors:
            url = f"{mirror.rstrip('/')}/{file.name}.gz"
            try:
                compressed = _fetch(url)
                array = file.parse(compressed, url)
            except (OSError, CorruptFileError, ValueError) as error:  # ValueError: not a URL
                reasons.append(f"{url}: {error}")
                continue
            _write_safely(self._cache() / f"{file.name}.gz", compressed)
            return array
        raise FileNotFoundError(self._how_to_get(self._places(), reasons or ["no mirror is known"]))


def _fetch(url: str) -> bytes:
    """The bytes at a URL, with a progress bar."""
    parts, total = [], 0
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
        length = response.headers.get("Content-Length", "")
        expected = int(length) if length.isdigit() else None
        with tqdm(total=expected, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[-1]) as bar:
            while part := response.read(CHUNK_BYTES):
                parts.append(part)
                total += len(part)
                bar.update(len(part))
                if total > LARGEST_DOWNLOAD:
                    raise OSError(f"more than {LARGEST_DOWNLOAD} bytes")
    if expected is not None and total < expected:
        raise OSError(f"the connection ended after {total} of {expected} bytes")
    return b"".join(parts)


def _write_safely(target: Path, data: bytes) -> None:
    """Under a temporary name, synced, then renamed: the file is there whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
