"""Files into one array of bytes.

Pillow lets go of Python's lock while it decodes and resizes, so threads share that work; what it does before and after,
a third of the time of a thumbnail, they take turns at.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ranvier import _core
from ranvier.utils.images import _MODES, _RESAMPLING, _middle, _pillow, decoding, opened_image

CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
# These average over what they shrink, so an image that was decoded at half its size or less looks the same if that is
# still twice as large as what is wanted. "nearest" picks single pixels, which must be those of the file.
_AVERAGING = ("bilinear", "bicubic", "hamming", "box", "lanczos")
_MARGIN = 2


@dataclass(frozen=True)
class Reading:
    """How files become images of one size: Keras's ``load_img`` with these options."""

    target_size: tuple[int, int]  # height, width
    color_mode: str
    interpolation: str
    keep_aspect_ratio: bool

    def __post_init__(self) -> None:
        if self.color_mode not in CHANNELS:
            raise ValueError(f"color_mode must be 'rgb', 'rgba' or 'grayscale', got {self.color_mode!r}")
        if self.interpolation not in _RESAMPLING:
            raise ValueError(f"interpolation must be one of {', '.join(_RESAMPLING)}, got {self.interpolation!r}")

    def decode(self, data: bytes, pillow: Any) -> bytes | None:
        """The pixels in a file's bytes, (height, width, channels) uint8; None for colours of more than 8 bits."""
        height, width = self.target_size
        img = opened_image(pillow, io.BytesIO(data), len(data))
        if self.interpolation in _AVERAGING:
            img.draft(None, (_MARGIN * width, _MARGIN * height))  # JPEG: fewer coefficients of each block
        if img.mode not in _MODES[self.color_mode]:
            img = img.convert(_MODES[self.color_mode][0])
        if img.mode not in ("L", "RGB", "RGBA"):
            return None
        if img.size != (width, height):
            box = _middle(img.size, (width, height)) if self.keep_aspect_ratio else None
            img = img.resize((width, height), getattr(pillow.Resampling, _RESAMPLING[self.interpolation]), box=box)
        return bytes(img.tobytes())


@functools.lru_cache(maxsize=4)
def _threads(count: int, process: int) -> ThreadPoolExecutor:
    """Threads that stay; a forked process, which has none of them, makes its own."""
    return ThreadPoolExecutor(count, thread_name_prefix="ranvier-images")


def read_all(paths: Sequence[str], reading: Reading, workers: int | None = None) -> np.ndarray:
    """The images of files, (N, height, width, channels) uint8, decoded by ``workers`` threads (default: all cores),
    this one among them.

    16-bit grey images make the result float32, as what they hold does not fit into bytes.
    """
    pillow = _pillow("reading images")
    files = [Path(path).read_bytes() for path in paths]
    pixels: list[bytes | None] = [None] * len(files)
    workers = min(workers or _core.num_threads(), len(files))

    def share(first: int) -> None:
        for i in range(first, len(files), max(workers, 1)):
            with decoding(os.fspath(paths[i])):
                pixels[i] = reading.decode(files[i], pillow)

    others = [_threads(workers - 1, os.getpid()).submit(share, first) for first in range(1, workers)]
    share(0)
    for other in others:
        other.result()
    known = [each for each in pixels if each is not None]
    if len(known) < len(files):
        return _read_wide(paths, reading)
    shape = (len(files), *reading.target_size, CHANNELS[reading.color_mode])
    return np.frombuffer(b"".join(known), np.uint8).reshape(shape)


def _read_wide(paths: Sequence[str], reading: Reading) -> np.ndarray:
    from ranvier.utils.images import img_to_array, load_img

    how: dict[str, Any] = {
        "color_mode": reading.color_mode,
        "target_size": reading.target_size,
        "interpolation": reading.interpolation,
        "keep_aspect_ratio": reading.keep_aspect_ratio,
    }
    return np.stack([img_to_array(load_img(path, **how), dtype="float32") for path in paths])
