"""Changes of single images, with Keras's names and matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranvier import _core
from ranvier import random as _random

FILL_MODES = ("constant", "nearest", "reflect", "wrap", "mirror", "grid-constant", "grid-wrap")
CONTINUOUS = ("nearest", "reflect", "mirror")  # no jump at the edges of the image
_KERNEL_ORDERS = {0: "nearest_half_up", 1: "bilinear"}


def generator_of(seed: int | None) -> Any:
    """NumPy's legacy generator, whose stream Keras draws from; unseeded, seeded in turn by ``rv.random``."""
    return np.random.RandomState(int(_random.integers((), 0, 2**31 - 1).numpy()) if seed is None else seed)


def matrices_of(parameters: Sequence[Mapping[str, Any]], height: int, width: int) -> np.ndarray | None:
    """Transforms (N, 3, 3) from rows and columns of the result to those of each image; None if all stay as they are.

    Keras's ``apply_affine_transform``: rotation, then shift, shear and zoom, about the middle of the image. A factor
    that Keras leaves out is the identity here, which changes no bit.
    """
    defaults = {"theta": 0, "tx": 0, "ty": 0, "shear": 0, "zx": 1, "zy": 1}
    table = np.array([[p.get(name, default) for name, default in defaults.items()] for p in parameters], np.float64)
    if (table == list(defaults.values())).all():
        return None
    theta, tx, ty, shear, zx, zy = table.T
    theta, shear = np.deg2rad(theta), np.deg2rad(shear)
    rotation, shift, sheared, zoom = (np.tile(np.eye(3), (len(table), 1, 1)) for _ in range(4))
    rotation[:, 0, 0] = rotation[:, 1, 1] = np.cos(theta)
    rotation[:, 1, 0] = np.sin(theta)
    rotation[:, 0, 1] = -rotation[:, 1, 0]
    shift[:, 0, 2], shift[:, 1, 2] = tx, ty
    sheared[:, 0, 1], sheared[:, 1, 1] = -np.sin(shear), np.cos(shear)
    zoom[:, 0, 0], zoom[:, 1, 1] = zx, zy
    x, y = height / 2 - 0.5, width / 2 - 0.5
    to_middle, back = (np.array([[1, 0, s * x], [0, 1, s * y], [0, 0, 1]]) for s in (-1, 1))
    moved = back @ (rotation @ shift @ sheared @ zoom) @ to_middle
    # An image that stays as it is must not be moved by what rounds: x - x.
    moved[(table == list(defaults.values())).all(axis=1)] = np.eye(3)
    return moved[:, [1, 0, 2]][:, :, [1, 0, 2]]  # Keras takes its first axis for columns here


def flips_of(vertical: np.ndarray, horizontal: np.ndarray, height: int, width: int) -> np.ndarray:
    """Transforms (N, 3, 3) that flip those images that the masks name."""
    flips = np.tile(np.eye(3), (len(vertical), 1, 1))
    flips[vertical, 0] = [-1, 0, height - 1]
    flips[horizontal, 1] = [0, -1, width - 1]
    return flips


def warp(
    images: np.ndarray,
    matrices: np.ndarray,
    order: int,
    fill_mode: str,
    cval: float,
    dtype: str | None = None,
    scale: float = 1.0,
) -> np.ndarray:
    """Images (N, H, W, C), uint8, float32 or float64, each through its matrix of (N, 3, 3), in one call of the kernel.

    The result has ``dtype`` (that of the images unless given) and is multiplied by ``scale``. Splines of order 2 to 5
    are SciPy's own.
    """
    if fill_mode not in FILL_MODES:
        raise ValueError(f"fill_mode must be one of {', '.join(FILL_MODES)}, got {fill_mode!r}")
    if order not in _KERNEL_ORDERS:
        return _splines(images, matrices, order, fill_mode, cval, dtype) * np.float64(scale).astype(dtype)
    transforms = np.zeros((len(images), 8))
    transforms[:, :6] = matrices[:, [1, 1, 1, 0, 0, 0], [1, 0, 2, 1, 0, 2]]
    x = _core.Array.from_numpy(np.ascontiguousarray(images), copy=False, device="cpu")
    t = _core.Array.from_numpy(transforms, copy=False, device="cpu")
    how = (_KERNEL_ORDERS[order], fill_mode, float(cval))
    return _core.affine_transform_forward(x, t, *how, dtype=dtype, scale=float(scale)).numpy()


def _splines(
    images: np.ndarray, matrices: np.ndarray, order: int, fill_mode: str, cval: float, dtype: Any
) -> np.ndarray:
    try:
        from scipy import ndimage
    except ImportError:
        raise ImportError(f"interpolation_order={order} needs SciPy (0 and 1 do not): pip install scipy") from None
    result = images.astype(dtype or images.dtype)
    how = {"order": order, "mode": fill_mode, "cval": cval}
    for y, matrix in zip(result, matrices, strict=True):
        for channel in range(0 if (matrix == np.eye(3)).all() else y.shape[2]):
            y[:, :, channel] = ndimage.affine_transform(y[:, :, channel].copy(), matrix[:2, :2], matrix[:2, 2], **how)
    return result


def apply_affine_transform(
    x: Any,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """One image turned by ``theta`` and sheared by ``shear`` (degrees), shifted (pixels) and zoomed about its middle.

    ``order`` 0 takes the nearest pixel, 1 interpolates; 2 to 5 are splines and need SciPy. Raises ValueError for axes
    that are not 0, 1 and 2 (channels first or last), or an image that has not three. Source: Keras.

    >>> image = np.arange(6.0).reshape(2, 3, 1)
    >>> apply_affine_transform(image, tx=1, row_axis=0, col_axis=1, channel_axis=2)[:, :, 0]
    array([[1., 2., 2.],
           [4., 5., 5.]])
    """
    x = np.asarray(x)
    if sorted((row_axis, col_axis, channel_axis)) != [0, 1, 2]:
        axes = f"{row_axis}, {col_axis}, {channel_axis}"
        raise ValueError(f"row_axis, col_axis and channel_axis must be 0, 1 and 2 in some order, got {axes}")
    if x.ndim != 3:
        raise ValueError(f"apply_affine_transform: expected one image of three axes, got shape {x.shape}")
    if channel_axis == 1:
        raise ValueError("apply_affine_transform: channels must be the first or the last axis")
    parameters = {"theta": theta, "tx": tx, "ty": ty, "shear": shear, "zx": zx, "zy": zy}
    order_of_axes = (row_axis, col_axis, channel_axis)
    matrices = matrices_of([parameters], x.shape[row_axis], x.shape[col_axis])
    if matrices is None:
        return x
    image = x.transpose(order_of_axes)
    computes = image if image.dtype in (np.float32, np.float64) else image.astype(np.float64)
    y = warp(computes[None], matrices, order, fill_mode, cval)[0]
    return _as_dtype(y, x.dtype).transpose(np.argsort(order_of_axes))


def _as_dtype(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Integers rounded to the nearest, ties away from zero, within their range: what SciPy does."""
    if dtype.kind not in "iu":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.trunc(values + np.copysign(0.5, values)), limits.min, limits.max).astype(dtype)


def apply_channel_shift(x: Any, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """``intensity`` added to every channel of an image, within its least and greatest value. Source: Keras.

    >>> apply_channel_shift(np.array([[[10.0, 50.0]]]), 25.0, channel_axis=2)
    array([[[35., 50.]]])
    """
    x = np.asarray(x)
    return np.clip(x + intensity, x.min(), x.max())


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> np.ndarray:
    """An image (H, W, C), 0-255, times ``brightness``: in whole numbers, as Pillow's ``ImageEnhance`` does it.

    ``scale`` first spreads the values over 0-255; so do values outside of it, and are then put back. float32.
    Source: Keras.

    >>> apply_brightness_shift(np.array([[[10.0], [200.0]]]), 1.5, scale=False)[:, :, 0]
    array([[ 15., 255.]], dtype=float32)
    """
    x = np.asarray(x, np.float32)
    low, high = x.min(), x.max()
    outside = low < 0 or high > 255
    if scale or outside:
        x = x - low
        top = x.max()
        x = x / top * 255 if top != 0 else x
    whole = x.astype(np.uint8).astype(np.float32)
    bright = np.clip(np.float32(brightness) * whole, 0, 255).astype(np.uint8).astype(np.float32)
    if x.shape[-1] == 4:
        bright[..., 3] = whole[..., 3]  # opacity stays
    return bright / 255 * (high - low) + low if outside and not scale else bright


def random_rotation(
    x: Any,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image turned by up to ``rg`` degrees either way. Source: Keras."""
    theta = generator_of(None).uniform(-rg, rg)
    where = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return apply_affine_transform(x, theta, 0, 0, 0, 1, 1, *where)


def random_shift(
    x: Any,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image shifted by up to ``wrg`` of its width and ``hrg`` of its height. Source: Keras."""
    rng = generator_of(None)
    tx = rng.uniform(-hrg, hrg) * np.shape(x)[row_axis]
    ty = rng.uniform(-wrg, wrg) * np.shape(x)[col_axis]
    where = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return apply_affine_transform(x, 0, tx, ty, 0, 1, 1, *where)


def random_shear(
    x: Any,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image sheared by up to ``intensity`` degrees either way. Source: Keras."""
    shear = generator_of(None).uniform(-intensity, intensity)
    where = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return apply_affine_transform(x, 0, 0, 0, shear, 1, 1, *where)


def random_zoom(
    x: Any,
    zoom_range: Sequence[float],
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image zoomed by factors within ``zoom_range`` (least, greatest), one for each axis. Source: Keras."""
    if len(zoom_range) != 2:
        raise ValueError(f"random_zoom: zoom_range must be two numbers, got {zoom_range!r}")
    zx, zy = (1, 1) if tuple(zoom_range) == (1, 1) else generator_of(None).uniform(*zoom_range, 2)
    where = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return apply_affine_transform(x, 0, 0, 0, 0, zx, zy, *where)


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """An image with up to ``intensity_range`` added or taken away. Source: Keras."""
    return apply_channel_shift(x, generator_of(None).uniform(-intensity_range, intensity_range), channel_axis)


def random_brightness(x: Any, brightness_range: Sequence[float], scale: bool = True) -> np.ndarray:
    """An image times a brightness within ``brightness_range`` (least, greatest). Source: Keras."""
    if len(brightness_range) != 2:
        raise ValueError(f"random_brightness: brightness_range must be two numbers, got {brightness_range!r}")
    return apply_brightness_shift(x, generator_of(None).uniform(*brightness_range), scale)
