"""Weights of resized axes: each pixel of the result is made of a few neighbouring ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ranvier import _core
from ranvier.tensor import Tensor


def _triangle(x: Any) -> Any:
    return np.maximum(0, 1 - x)


def _cubic(x: Any) -> Any:
    """Keys's kernel with coefficient -1/2 (1981), as in TensorFlow and JAX."""
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))


def _lanczos(radius: int) -> Callable[[Any], Any]:
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


# What a pixel at distance x counts, and from which distance on nothing.
KERNELS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (_cubic, 2),
    "lanczos3": (_lanczos(3), 3),
    "lanczos5": (_lanczos(5), 5),
}
_NOTHING = 1000 * float(np.finfo(np.float32).eps)  # sums of weights too small to divide by, as in Keras


@dataclass(frozen=True, eq=False)
class Bands:
    """For each pixel of the result the first that it is made of, and the weights from there on."""

    size: int  # of the axis that is resized
    first: np.ndarray  # (to,), rising
    weights: np.ndarray  # (to, taps)
    _arrays: dict[Any, tuple[_core.Array, _core.Array]] = field(default_factory=dict)

    def arrays(self, like: _core.Array) -> tuple[_core.Array, _core.Array]:
        """``first`` (int32) and ``weights`` (taps, to) for a kernel on the images ``like``."""
        key = like.dtype, like.device
        if key not in self._arrays:
            first = Tensor(self.first.astype(np.int32), device=like.device)
            weights = Tensor(np.ascontiguousarray(self.weights.T), dtype=like.dtype, device=like.device)
            self._arrays[key] = first.array, weights.array
        return self._arrays[key]

    @functools.cached_property
    def transposed(self) -> Bands:
        """The way back: what each pixel gives to those of the result. They are neighbours too."""
        to, taps = self.weights.shape
        pixels = np.arange(self.size)
        first = np.searchsorted(self.first, pixels - taps, side="right")
        count = max(1, int((np.searchsorted(self.first, pixels, side="right") - first).max()))
        first = np.clip(first, 0, to - count)
        target = first[:, None] + np.arange(count)
        tap = pixels[:, None] - self.first[target]
        touched = (tap >= 0) & (tap < taps)
        return Bands(to, first, np.where(touched, self.weights[target, np.where(touched, tap, 0)], 0))


@functools.lru_cache(maxsize=256)
def resizing(size: int, to: int, interpolation: str, antialias: bool = False) -> Bands:
    """Bands that make ``to`` pixels of ``size``: pixels are squares, so pixel i lies at (i + 1/2) size / to - 1/2."""
    if interpolation == "nearest" or to == size:
        return Bands(size, (2 * np.arange(to) + 1) * size // (2 * to), np.ones((to, 1)))
    return _weighted(size, (np.arange(to) + 0.5) * (size / to) - 0.5, size / to, interpolation, antialias)


@functools.lru_cache(maxsize=256)
def moving(size: int, to: int, scale: float, translation: float, interpolation: str, antialias: bool) -> Bands:
    """Bands of an axis scaled and then moved; pixels from outside are zero."""
    places = (np.arange(to) + 0.5 - translation) / scale - 0.5
    bands = _weighted(size, places, 1 / scale, interpolation, antialias)
    inside = (places >= -0.5) & (places <= size - 0.5)
    return Bands(size, bands.first, np.where(inside[:, None], bands.weights, 0))


@functools.lru_cache(maxsize=64)
def averaging(size: int, to: int) -> Bands:
    """Bands of ``to`` means over equal shares of an axis, from floor(i size / to) to ceil((i + 1) size / to)."""
    i = np.arange(to)
    begin, end = i * size // to, -(-(i + 1) * size // to)
    first = np.clip(begin, 0, size - (end - begin).max(initial=1))
    pixels = first[:, None] + np.arange((end - begin).max(initial=1))
    inside = (pixels >= begin[:, None]) & (pixels < end[:, None])
    return Bands(size, first, inside / (end - begin)[:, None])


def _weighted(size: int, places: np.ndarray, step: float, interpolation: str, antialias: bool) -> Bands:
    """``antialias`` widens the kernel by the step between places, where that is more than a pixel."""
    kernel, radius = KERNELS[interpolation]
    width = max(abs(step), 1.0) if antialias else 1.0
    taps = min(size, math.ceil(2 * radius * width))
    first = np.clip(np.floor(places - radius * width) + 1, 0, size - taps).astype(np.int64)
    weights = kernel(np.abs(places[:, None] - first[:, None] - np.arange(taps)) / width)
    total = weights.sum(1, keepdims=True)
    known = np.abs(total) > _NOTHING
    return Bands(size, first, np.where(known, weights / np.where(known, total, 1), 0))
