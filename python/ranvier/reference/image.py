"""Images seen through a transform of the plane, and of another size, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["affine_transform_backward", "affine_transform_forward", "resize_forward"]


def _inside(p: np.ndarray, size: int, fill_mode: str) -> np.ndarray:
    """A place inside the image (or less than a pixel beyond its edge) for each place; NaN where there is none."""
    last = size - 1
    match fill_mode:
        case "constant":
            return np.where((p >= 0) & (p <= last), p, np.nan)
        case "grid-constant":
            return np.where((p > -1) & (p < size), p, np.nan)
        case "nearest":
            return np.clip(p, 0, last)
        case "reflect":  # d c b a | a b c d | d c b a: the period is 2 * size
            rest = (p + 0.5) - 2 * size * np.floor((p + 0.5) / (2 * size))
            return np.minimum(rest, 2 * size - rest) - 0.5
        case "grid-wrap":  # the period is the size
            return p - size * np.floor(p / size)
    if last == 0:  # the two that follow have a period of zero
        return np.zeros_like(p)
    if fill_mode == "mirror":  # d c b | a b c d | c b a: the period is 2 * last
        rest = p - 2 * last * np.floor(p / (2 * last))
        return np.minimum(rest, 2 * last - rest)
    beyond = np.where(p > last, p - last * np.floor(p / last), p)  # "wrap": the period is last
    return np.where(p < 0, p + last * (np.floor(-p / last) + 1), beyond)


def _neighbours(places: np.ndarray, size: int, interpolation: str, fill_mode: str) -> tuple[np.ndarray, ...]:
    """The pixels on both sides of each place, -1 where that is the constant, and the weight of the one above."""
    p = _inside(places, size, fill_mode)
    low = np.rint(p) if interpolation == "nearest" else np.floor(p + (0.5 if interpolation == "nearest_half_up" else 0))
    high, weight = (low + 1, p - low) if interpolation == "bilinear" else (low, np.zeros_like(p))
    nowhere = ~((p >= -1) & (p <= size))
    sides = []
    for side in (low, high):
        outside = (side < 0) | (side >= size)
        if fill_mode == "grid-wrap":
            inside = np.where(outside, 0, side)
        else:
            inside = np.clip(side, 0, size - 1)
        if fill_mode == "grid-constant":
            inside = np.where(outside, -1, inside)
        sides.append(np.where(nowhere, -1, inside).astype(np.int64))
    return *sides, np.where(nowhere, 0, weight)


def _places(transform: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column, (height, width) each, of what every pixel shows: float64, in the order of the kernel."""
    a0, a1, a2, b0, b1, b2, c0, c1 = (float(t) for t in transform)
    r, c = np.arange(float(height))[:, None], np.arange(float(width))
    rows, columns = (b2 + b1 * r) + b0 * c, (a2 + a1 * r) + a0 * c
    if c0 == 0 and c1 == 0:
        return rows, columns
    depth = (1 + c1 * r) + c0 * c
    return rows / depth, columns / depth


def affine_transform_forward(
    images: np.ndarray,
    transform: np.ndarray,
    interpolation: str,
    fill_mode: str,
    fill_value: float,
    dtype: str | None = None,
    scale: float = 1.0,
    size: Sequence[int] | None = None,
) -> np.ndarray:
    n, height, width, channels = images.shape
    to = np.dtype(dtype or images.dtype)
    t = np.float64 if to == np.float64 else np.float32
    result = np.empty((n, *(size or (height, width)), channels), to)
    if result.size == 0:
        return result
    for image, matrix, y in zip(images, np.broadcast_to(transform, (n, 8)), result, strict=True):
        rows, columns = _places(matrix, *result.shape[1:3])
        top, bottom, down = _neighbours(rows, height, interpolation, fill_mode)
        left, right, after = _neighbours(columns, width, interpolation, fill_mode)
        down, after = down[..., None].astype(t), after[..., None].astype(t)

        def pixels(row: np.ndarray, column: np.ndarray, image: np.ndarray = image) -> Any:
            outside = (row < 0) | (column < 0)
            return np.where(outside[..., None], t(fill_value), image[row, column].astype(t))

        if interpolation == "bilinear":
            above = (1 - after) * pixels(top, left) + after * pixels(top, right)
            below = (1 - after) * pixels(bottom, left) + after * pixels(bottom, right)
            values = ((1 - down) * above + down * below) * t(scale)
        else:
            values = pixels(top, left) * t(scale)
        y[...] = np.clip(np.rint(values), 0, 255) if to == np.uint8 else values
    return result


def affine_transform_backward(
    dy: np.ndarray, transform: np.ndarray, interpolation: str, fill_mode: str, size: Sequence[int] | None = None
) -> np.ndarray:
    n, rows, columns, channels = dy.shape
    height, width = size or (rows, columns)
    dx = np.zeros((n, height, width, channels), dy.dtype)
    if dx.size == 0:
        return dx
    for image, matrix, d in zip(dx, np.broadcast_to(transform, (n, 8)), dy, strict=True):
        row_places, column_places = _places(matrix, rows, columns)
        top, bottom, down = _neighbours(row_places, height, interpolation, fill_mode)
        left, right, after = _neighbours(column_places, width, interpolation, fill_mode)
        shares = [(top, left, (1 - down) * (1 - after))]
        if interpolation == "bilinear":
            shares.append((top, right, (1 - down) * after))
            shares.append((bottom, left, down * (1 - after)))
            shares.append((bottom, right, down * after))
        for row, column, share in shares:
            hit = (row >= 0) & (column >= 0)
            np.add.at(image, (row[hit], column[hit]), (share[..., None] * d)[hit].astype(d.dtype))
    return dx


def resize_forward(
    images: np.ndarray,
    row_first: np.ndarray,
    row_weights: np.ndarray,
    column_first: np.ndarray,
    column_weights: np.ndarray,
) -> np.ndarray:
    """Each row of the result a weighted sum of a few neighbouring ones, then each column; weights (taps, pixels)."""
    taller = sum(w[:, None, None] * images[:, row_first + tap] for tap, w in enumerate(row_weights))
    wider = sum(w[:, None] * taller[:, :, column_first + tap] for tap, w in enumerate(column_weights))
    return np.asarray(wider, images.dtype)
