"""Images of another size: every pixel of the result a weighted sum of a few, along rows and along columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier._names import unknown
from ranvier.autograd import Function
from ranvier.ops.elementwise import maximum, minimum
from ranvier.ops.image.bands import KERNELS, Bands, averaging, moving, resizing
from ranvier.ops.image.layout import as_given, channels_last, floating, like
from ranvier.ops.shape import get_item, pad, reshape
from ranvier.tensor import Tensor, as_tensor

_INTERPOLATIONS = (*KERNELS, "nearest")
_METHODS = {
    **{name: "bilinear" for name in ("linear", "bilinear", "trilinear", "triangle")},
    **{name: "bicubic" for name in ("cubic", "bicubic", "tricubic")},
    **{name: name for name in ("lanczos3", "lanczos5")},
}


class Resize(Function):
    """Linear in the images, so the gradient is the same op the other way round."""

    narrow = ()

    def forward(self, images: Any, rows: Bands, columns: Bands) -> Any:
        self.bands = rows, columns
        return self.kernels.resize_forward(images, *rows.arrays(images), *columns.arrays(images))

    def backward(self, dy: Tensor) -> Tensor:
        rows, columns = self.bands
        return Resize.apply(dy, rows=rows.transposed, columns=columns.transposed)


def resize(
    images: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images (N, H, W, C), or one (H, W, C), as images of ``size`` (height, width), of the same dtype.

    ``interpolation`` is ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``; ``antialias``
    widens what a pixel is made of where images shrink (not for ``"nearest"``). Images of other proportions are
    stretched, unless ``crop_to_aspect_ratio`` takes their middle or ``pad_to_aspect_ratio`` surrounds them with
    ``fill_value``. Integers are rounded. Differentiable, twice. Raises ValueError for other names, sizes or ranks.
    Source: Keras ``ops.image.resize`` (bicubic is Keys's with -1/2, as on TensorFlow and JAX; PyTorch has -3/4).

    >>> import ranvier as rv
    >>> image = [[[1.0], [2.0], [3.0], [4.0]]]
    >>> rv.ops.image.resize(image, (1, 2)).numpy()[0, :, 0]
    array([1.5, 3.5], dtype=float32)
    >>> rv.ops.image.resize(image, (1, 8), interpolation="nearest").numpy()[0, :, 0]
    array([1., 1., 2., 2., 3., 3., 4., 4.], dtype=float32)
    """
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(f"resize: {unknown('interpolation', str(interpolation), _INTERPOLATIONS)}")
    if fill_mode != "constant":
        raise ValueError(f"resize: fill_mode must be 'constant', got {fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: choose one of crop_to_aspect_ratio and pad_to_aspect_ratio")
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"resize: size must be (height, width), both positive, got {size!r}")
    height, width = (int(side) for side in size)
    batch, single, first = channels_last("resize", images, data_format)
    if 0 in batch.shape[1:3]:
        raise ValueError(f"resize: images without a pixel (shape {batch.shape}) have nothing to show")
    if crop_to_aspect_ratio:
        batch = _cropped(batch, height, width)
    values = floating(batch)
    if pad_to_aspect_ratio:
        values = _padded(values, height, width, fill_value)
    antialias = bool(antialias)
    rows, columns = (
        resizing(*sizes, interpolation, antialias) for sizes in zip(values.shape[1:3], (height, width), strict=True)
    )
    return as_given(like(Resize.apply(values, rows=rows, columns=columns), batch.dtype), single, first)


def _cropped(batch: Tensor, height: int, width: int) -> Tensor:
    """The largest middle part of the proportions of (height, width)."""
    h, w = batch.shape[1:3]
    tall, wide = max(min(h, int(w * height / width)), 1), max(min(w, int(h * width / height)), 1)
    top, left = (h - tall) // 2, (w - wide) // 2
    return get_item(batch, (slice(None), slice(top, top + tall), slice(left, left + wide)))


def _padded(batch: Tensor, height: int, width: int, fill_value: float) -> Tensor:
    """Margins that give images the proportions of (height, width); both sides get the same, as in Keras."""
    h, w = batch.shape[1:3]
    above = (max(h, int(w * height / width)) - h) // 2
    before = (max(w, int(h * width / height)) - w) // 2
    if above == before == 0:
        return batch
    return pad(batch, ((0, 0), (above, above), (before, before), (0, 0)), constant_values=fill_value)


def scale_and_translate(
    images: Any,
    output_shape: Sequence[int],
    scale: Any,
    translation: Any,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Tensor:
    """``images`` with the axes ``spatial_dims`` scaled, then moved, into ``output_shape``; zero where nothing was.

    ``scale`` and ``translation``: a number for each of these axes. ``method``: ``"linear"``, ``"cubic"`` (or with
    ``bi``, ``tri`` before), ``"lanczos3"`` or ``"lanczos5"``. Differentiable in ``images``, twice. Raises ValueError
    for other methods or lengths that differ. Source: Keras ``ops.image.scale_and_translate``.

    >>> import ranvier as rv
    >>> rv.ops.image.scale_and_translate([1.0, 2.0, 3.0], (3,), [1.0], [1.0], (0,), "linear").numpy()
    array([0., 1., 2.], dtype=float32)
    """
    if method not in _METHODS:
        raise ValueError(f"scale_and_translate: {unknown('method', str(method), tuple(_METHODS))}")
    x = as_tensor(images)
    scales, moves = (np.asarray(v, np.float64).reshape(-1).tolist() for v in (scale, translation))
    if not len(scales) == len(moves) == len(spatial_dims) or len(output_shape) != x.ndim:
        raise ValueError(
            f"scale_and_translate: expected a scale and a translation for each of the axes {tuple(spatial_dims)} and "
            f"an output_shape of {x.ndim} numbers, got {len(scales)}, {len(moves)} and {tuple(output_shape)}"
        )
    y = floating(x)
    for axis, by, move in zip(spatial_dims, scales, moves, strict=True):
        to = int(output_shape[axis])
        y = along(y, axis, moving(y.shape[axis], to, by, move, _METHODS[method], bool(antialias)))
    if y.dtype != x.dtype:  # whole numbers, between the least and the greatest of the images
        least, greatest = (floating(getattr(x, extreme)()) for extreme in ("min", "max"))
        y = like(minimum(maximum(y, least), greatest), x.dtype)
    return y


def along(x: Tensor, axis: int, bands: Bands) -> Tensor:
    """``bands`` on one axis of a tensor of any rank: the rows of images that are one pixel wide."""
    axis %= x.ndim
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    outer, inner = int(np.prod(before)), int(np.prod(after))
    rows = reshape(x, (outer, x.shape[axis], 1, inner))
    y = Resize.apply(rows, rows=bands, columns=resizing(1, 1, "nearest"))
    return reshape(y, (*before, y.shape[1], *after))


def adaptive_mean(images: Tensor, size: Sequence[int]) -> Tensor:
    """(N, H, W, C) -> (N, *size, C): means over equal shares of the image."""
    rows, columns = (averaging(n, to) for n, to in zip(images.shape[1:3], size, strict=True))
    return Resize.apply(images, rows=rows, columns=columns)
