"""Cats and dogs: folders of photos for training, validation and test (Elson et al. 2007; 25,000 in all)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ranvier.datasets._folders import FolderDataset

__all__ = ["load_folder"]

_SIZES = {"train": 1000, "val": 500, "test": 500}  # of each kind, as the course takes them
_JFIF = b"JFIF"  # photos that do not begin as JPEG files should are broken: there are some


def _is_whole(photo: Path) -> bool:
    with open(photo, "rb") as file:
        return _JFIF in file.read(10)


def _arrange(unpacked: Path, folder: Path) -> None:
    """The first 1,000 whole photos of each kind for training, then 500 for validation, then 500 for the test."""
    for kind in ("Cat", "Dog"):
        every = (unpacked / "PetImages" / kind).glob("*.jpg")
        whole = iter(p for p in sorted(every, key=lambda p: (len(p.stem), p.stem)) if _is_whole(p))
        for part, size in _SIZES.items():
            target = folder / part / f"{kind.lower()}s"
            target.mkdir(parents=True)
            for _, photo in zip(range(size), whole, strict=False):
                shutil.move(photo, target / f"{kind.lower()}.{photo.name}")


_DATASET = FolderDataset(
    "cats_dogs",
    tuple(f"{part}/{kind}" for part in _SIZES for kind in ("cats", "dogs")),
    ("https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F",),
    "kagglecatsanddogs_5340.zip",
    "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
    _arrange,
)


def load_folder(
    path: str | os.PathLike[str] | None = None, download: bool = True, mirrors: Sequence[str] | None = None
) -> str:
    """The path of a folder with ``train``, ``val`` and ``test``, each with JPEG photos in ``cats`` and ``dogs``.

    For ``image_dataset_from_directory`` and ``ImageDataGenerator.flow_from_directory``. It is ``path`` where given,
    else ``$RANVIER_DATA/cats_dogs``, then one in the cache, then, if ``download``, made there from Microsoft's archive
    (825 MB; SHA-256 checked): 1,000 photos of each kind for training, 500 for validation, 500 for the test. Raises
    FileNotFoundError, which says what to make where, if it cannot be had; ValueError for a folder without photos.
    """
    return _DATASET.find(path, download, mirrors)
