"""Horses and zebras: unpaired photos, 256 x 256, for CycleGAN (Zhu et al. 2017)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ranvier.datasets._folders import FolderDataset

__all__ = ["load_folder"]


def _arrange(unpacked: Path, folder: Path) -> None:
    shutil.move(unpacked / "horse2zebra", folder)


_DATASET = FolderDataset(
    "horse_zebra",
    ("trainA", "trainB", "testA", "testB"),
    ("https://people.eecs.berkeley.edu/~taesung_park/CycleGAN/datasets",),
    "horse2zebra.zip",
    "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
    _arrange,
)


def load_folder(
    path: str | os.PathLike[str] | None = None, download: bool = True, mirrors: Sequence[str] | None = None
) -> str:
    """The path of a folder with photos of horses in ``trainA`` and ``testA``, of zebras in ``trainB`` and ``testB``.

    It is ``path`` where given, else ``$RANVIER_DATA/horse_zebra``, then one in the cache, then, if ``download``, made
    there from Berkeley's archive (117 MB; SHA-256 checked). Raises FileNotFoundError, which says what to make where, if
    it cannot be had; ValueError for a folder without photos.
    """
    return _DATASET.find(path, download, mirrors)
