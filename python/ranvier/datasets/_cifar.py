"""What CIFAR-10 and CIFAR-100 share: batches of pictures in an archive."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranvier.datasets._files import CorruptFileError
from ranvier.datasets._npz import LARGEST_MEMBER, plain_data

MIRRORS = ("https://www.cs.toronto.edu/~kriz",)


@dataclass(frozen=True)
class CifarFile:
    """A ``.tar.gz`` of batches: the SHA-256 of its bytes, its folder, their names in order."""

    stored: str
    sha256: str
    folder: str
    batches: tuple[str, ...]

    def parse(self, data: bytes, source: str) -> list[dict[str, Any]]:
        """The batches, if the bytes are the right ones: dictionaries with ``data`` and labels."""
        if (found := hashlib.sha256(data).hexdigest()) != self.sha256:
            raise CorruptFileError(f"{source} has the wrong content: SHA-256 {found}, expected {self.sha256}")
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                return [self._batch(archive, name, source) for name in self.batches]
        except (tarfile.TarError, EOFError, OSError, KeyError) as error:
            raise CorruptFileError(f"{source} is no archive of {self.folder} ({error})") from None

    def _batch(self, archive: tarfile.TarFile, name: str, source: str) -> dict[str, Any]:
        stream = archive.extractfile(f"{self.folder}/{name}")
        content = stream.read(LARGEST_MEMBER + 1) if stream is not None else b""
        if not content or len(content) > LARGEST_MEMBER:
            raise CorruptFileError(f"{source}: {name} is empty or has more than {LARGEST_MEMBER} bytes")
        batch = plain_data(content, f"{source}, {name}")
        rows = batch.get("data") if isinstance(batch, dict) else None
        if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 3 * 32 * 32:
            raise CorruptFileError(f"{source}: {name} holds no pictures")
        return batch


def pictures(batches: list[dict[str, Any]], labels: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 pictures (N, 32, 32, 3) and labels (N, 1) of batches, whose rows are three planes of 32 x 32."""
    images, numbers = [], []
    for batch in batches:
        images.append(batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        numbers.append(np.asarray(batch[labels], np.uint8))
    return np.ascontiguousarray(np.concatenate(images)), np.concatenate(numbers)[:, None]
