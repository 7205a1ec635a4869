"""Data sets that are folders of pictures: found, or downloaded as an archive, checked and unpacked once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ranvier.datasets._files import Located

PICTURES = (".jpg", ".jpeg", ".png", ".bmp")


@dataclass(frozen=True)
class FolderDataset(Located):
    """A folder with pictures in each of ``parts``, and the archive that it can be had from."""

    folder: str
    parts: tuple[str, ...]
    mirrors: tuple[str, ...]
    archive: str
    sha256: str
    arrange: Callable[[Path, Path], None]  # from the unpacked archive to the new folder

    def find(self, path: str | os.PathLike[str] | None, download: bool, mirrors: Sequence[str] | None) -> str:
        """The folder: ``path``, else ``$RANVIER_DATA``'s, the cache's, or a new one from a mirror."""
        places = [Path(path)] if path is not None else self._places()
        for place in places:
            if place.is_dir():
                self._check(place)
                return str(place)
        reasons: list[str] = []
        if path is None and download:
            for mirror in self._mirrors(mirrors):
                try:
                    return self._download(f"{mirror.rstrip('/')}/{self.archive}")
                except (OSError, ValueError) as error:
                    reasons.append(str(error))
        tried = "".join(f"\n  {reason}" for reason in reasons)
        raise FileNotFoundError(
            f"{self.folder}: there is no folder {' or '.join(map(str, places))}"
            + (f", and no mirror gave it:{tried}" if reasons else "")
            + f"\nMake one with pictures in {', '.join(self.parts)}, or set RANVIER_DATA to a folder that has "
            f"{self.folder}/ with them.\nThe pictures can be had from {self.mirrors[0]}/{self.archive}"
        )

    def _check(self, place: Path) -> None:
        for part in self.parts:
            if not any(each.suffix.lower() in PICTURES for each in _entries(place / part)):
                raise ValueError(f"{self.folder}: {place} has no pictures in {part}; expected {', '.join(self.parts)}")

    def _download(self, url: str) -> str:
        """The archive is unpacked beside the folder, which appears whole or not at all; then it goes."""
        from ranvier.utils.files import get_file  # which itself imports from here

        target = self._cache()
        unpacked = Path(
            get_file(self.archive, url, file_hash=self.sha256, extract=True, cache_subdir=f"datasets/{self.folder}.new")
        )
        made = unpacked.with_name("arranged")
        shutil.rmtree(made, ignore_errors=True)
        self.arrange(unpacked, made)
        self._check(made)
        os.replace(made, target)
        shutil.rmtree(unpacked.parent, ignore_errors=True)
        return str(target)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
