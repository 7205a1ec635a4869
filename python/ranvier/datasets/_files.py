"""Data sets of files: found in a folder or the cache, or downloaded, and always checked."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 16
LARGEST_DOWNLOAD = 1 << 28  # bytes; a server must not fill the disk


class CorruptFileError(ValueError):
    """A file that is not what it should be."""


class File(Protocol):
    """What a data set asks of its files."""

    @property
    def stored(self) -> str:
        """The name that it is kept under."""

    def parse(self, data: bytes, source: str) -> Any:
        """What is in a file's bytes. Raises CorruptFileError with the reason."""


@dataclass(frozen=True)
class PlainFile:
    """A file that is kept as it is, with the SHA-256 of its bytes."""

    stored: str
    sha256: str

    def parse(self, data: bytes, source: str) -> bytes:
        """The bytes, if they are the right ones."""
        if (found := hashlib.sha256(data).hexdigest()) != self.sha256:
            raise CorruptFileError(f"{source} has the wrong content: SHA-256 {found}, expected {self.sha256}")
        return data


class Located:
    """What lies in a folder of its own in ``$RANVIER_DATA`` or the cache, and on mirrors."""

    folder: str
    mirrors: tuple[str, ...]

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


@dataclass(frozen=True)
class FileDataset(Located):
    """Files of one folder, and where they can be had."""

    folder: str
    mirrors: tuple[str, ...]
    files: tuple[Any, ...]

    def read(self, path: str | os.PathLike[str] | None, download: bool, mirrors: Sequence[str] | None) -> list[Any]:
        """What the files hold, from ``path``, else RANVIER_DATA, the cache, or a mirror."""
        folders = [Path(path)] if path is not None else self._places()
        found = [self._find(file, folders) for file in self.files]
        if any(each is None for each in found) and (path is not None or not download):
            raise FileNotFoundError(self._how_to_get(folders))
        pairs = zip(self.files, found, strict=True)
        return [self._download(file, self._mirrors(mirrors)) if each is None else each for file, each in pairs]

    def _find(self, file: File, folders: list[Path]) -> Any:
        for folder in folders:
            candidate = folder / file.stored
            if candidate.is_file():
                return file.parse(candidate.read_bytes(), str(candidate))
        return None

    def _how_to_get(self, folders: list[Path], reasons: Sequence[str] = ()) -> str:
        names = "\n".join(f"  {file.stored}" for file in self.files)
        tried = "".join(f"\n  {reason}" for reason in reasons)
        return (
            f"{self.folder}: its files are not in {' or '.join(map(str, folders))}"
            + (f", and no mirror gave them:{tried}" if reasons else "")
            + f"\nPut these files\n{names}\ninto {folders[-1]}, or set RANVIER_DATA to a folder that has "
            f"{self.folder}/ with them." + (f"\nThey can be had from {self.mirrors[0]}" if self.mirrors else "")
        )

    def _download(self, file: File, mirrors: Sequence[str]) -> Any:
        from ranvier.saving.file import write_atomically  # which itself needs what imports this

        reasons = []
        for mirror in mirrors:
            url = f"{mirror.rstrip('/')}/{file.stored}"
            try:
                data = _fetch(url)
                parsed = file.parse(data, url)
            except (OSError, CorruptFileError, ValueError) as error:  # ValueError: not a URL
                reasons.append(f"{url}: {error}")
                continue
            target = self._cache() / file.stored
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(str(target), [data])
            return parsed
        raise FileNotFoundError(self._how_to_get(self._places(), reasons or ["no mirror is known"]))


def parts_of(url: str) -> Iterator[bytes]:
    """The bytes at a URL as they come, with a progress bar. Raises OSError where they end too early."""
    total = 0
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
        length = response.headers.get("Content-Length", "")
        expected = int(length) if length.isdigit() else None
        with tqdm(total=expected, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[-1]) as bar:
            while part := response.read(CHUNK_BYTES):
                total += len(part)
                bar.update(len(part))
                yield part
    if expected is not None and total < expected:
        raise OSError(f"the connection ended after {total} of {expected} bytes")


def _fetch(url: str) -> bytes:
    """All bytes at a URL, if they are not too many."""
    parts, total = [], 0
    for part in parts_of(url):
        parts.append(part)
        total += len(part)
        if total > LARGEST_DOWNLOAD:
            raise OSError(f"more than {LARGEST_DOWNLOAD} bytes")
    return b"".join(parts)
