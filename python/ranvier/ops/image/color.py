"""Colours: grey, and hue, saturation and value."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier.autograd import NARROW
from ranvier.ops.elementwise import abs, cast, clip, equal, greater, less, maximum, minimum, where
from ranvier.ops.gemm import matmul
from ranvier.ops.image.layout import as_given, channels_last, colours_last, floating, floor
from ranvier.ops.shape import get_item, stack
from ranvier.tensor import Tensor

_LUMINANCE = (0.2989, 0.587, 0.114)  # ITU-R 601-2, in the digits of Keras


def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """RGB images (..., 3) as grey ones (..., 1): 0.2989 R + 0.587 G + 0.114 B; grey images stay as they are.

    Integers are cut off, not rounded. Differentiable, twice. Raises ValueError for other ranks or channels.
    Source: Keras ``ops.image.rgb_to_grayscale``.

    >>> import ranvier as rv
    >>> rv.ops.image.rgb_to_grayscale([[[100.0, 0.0, 0.0]]]).numpy().round(2)
    array([[[29.89]]], dtype=float32)
    """
    batch, single, first = colours_last("rgb_to_grayscale", images, data_format, (1, 3))
    if batch.shape[-1] == 3:
        values = floating(batch)
        weights = Tensor(np.array(_LUMINANCE)[:, None], dtype=values.dtype, device=values.device)
        batch = cast(matmul(values, weights), batch.dtype)
    return as_given(batch, single, first)


def _planes(op: str, images: Any, data_format: str | None) -> tuple[list[Tensor], bool, bool]:
    batch, single, first = channels_last(op, images, data_format)
    if "float" not in batch.dtype:
        raise ValueError(f"{op}: images must be floating but are {batch.dtype}")
    if batch.shape[-1] != 3:
        raise ValueError(f"{op}: images must have 3 channels but have {batch.shape[-1]}")
    batch = floating(batch)
    return [get_item(batch, (..., i)) for i in range(3)], single, first


def _as_narrow(y: Tensor, images: Any) -> Tensor:
    """The result in the images' dtype if that has 16 bits: it was computed in float32."""
    dtype = images.dtype if isinstance(images, Tensor) else y.dtype
    return cast(y, dtype) if dtype in NARROW else y


def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """RGB images (..., 3), values in [0, 1], as hue, saturation and value, in [0, 1] too.

    float32 or float64, else ValueError. Differentiable. Source: Keras ``ops.image.rgb_to_hsv``.

    >>> import ranvier as rv
    >>> rv.ops.image.rgb_to_hsv([[[0.0, 0.5, 0.0]]]).numpy().round(4)
    array([[[0.3333, 1.    , 0.5   ]]], dtype=float32)
    """
    planes, single, first = _planes("rgb_to_hsv", images, data_format)
    eps = float(np.finfo(planes[0].dtype).eps)
    red, green, blue = (where(less(abs(plane), eps), 0.0, plane) for plane in planes)
    value = maximum(maximum(red, green), blue)
    spread = value - minimum(minimum(red, green), blue)
    coloured = greater(spread, 0)
    saturation = where(greater(value, 0), spread / where(greater(value, 0), value, 1.0), 0.0)
    sixth = (1 / 6) / where(coloured, spread, 1.0)
    hue = where(equal(value, green), sixth * (blue - red) + 2 / 6, sixth * (red - green) + 4 / 6)
    hue = where(equal(value, red), sixth * (green - blue), hue)
    hue = where(coloured, hue, 0.0) + cast(less(hue, 0), hue.dtype)
    hsv = stack([hue, saturation, value], axis=-1)
    return as_given(_as_narrow(hsv, images), single, first)


def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value (..., 3) as RGB; a hue may lie beyond [0, 1], where it begins anew.

    float32 or float64, else ValueError. Differentiable. Source: Keras ``ops.image.hsv_to_rgb``.

    >>> import ranvier as rv
    >>> rv.ops.image.hsv_to_rgb([[[0.5, 1.0, 0.5]]]).numpy()
    array([[[0. , 0.5, 0.5]]], dtype=float32)
    """
    (hue, saturation, value), single, first = _planes("hsv_to_rgb", images, data_format)
    sixths = (hue - floor(hue)) * 6.0
    shares = (
        clip(abs(sixths - 3.0) - 1.0, 0.0, 1.0),
        clip(2.0 - abs(sixths - 2.0), 0.0, 1.0),
        clip(2.0 - abs(sixths - 4.0), 0.0, 1.0),
    )
    rgb = stack([value * ((1.0 - saturation) + saturation * share) for share in shares], axis=-1)
    return as_given(_as_narrow(rgb, images), single, first)
