"""Images smoothed, their edges, and how alike two of them are: small kernels that slide over each channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier.ops.conv2d import conv2d
from ranvier.ops.elementwise import cast, exp
from ranvier.ops.image.layout import as_given, channels_last, floating
from ranvier.ops.reduce import mean, sum
from ranvier.ops.shape import broadcast_to, reshape, stack
from ranvier.tensor import Tensor, as_tensor


def _gaussian(size: int, sigma: Any, like: Tensor) -> Tensor:
    """(size,) weights that add up to one; ``sigma`` is a number or a tensor of one."""
    places = Tensor(np.arange(size) - (size - 1) / 2, dtype=like.dtype, device=like.device)
    scaled = places / (sigma if isinstance(sigma, Tensor) else float(sigma))
    bell = exp(-0.5 * scaled * scaled)
    return bell / sum(bell)


def _each_channel(images: Tensor, kernel: Tensor, padding: str) -> Tensor:
    """A kernel (h, w) on every channel alike."""
    channels = images.shape[-1]
    shared = broadcast_to(reshape(kernel, (*kernel.shape, 1, 1)), (*kernel.shape, 1, channels))
    return conv2d(images, shared, padding=padding, groups=channels)


def _separable(images: Tensor, rows: Tensor, columns: Tensor, padding: str) -> Tensor:
    across = _each_channel(images, reshape(columns, (1, -1)), padding)
    return _each_channel(across, reshape(rows, (-1, 1)), padding)


def gaussian_blur(
    images: Any, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0), data_format: str | None = None
) -> Tensor:
    """Images (N, H, W, C), or one (H, W, C), under a Gaussian; zeros lie outside.

    ``kernel_size`` and ``sigma`` (numbers or a tensor) are those along the width and along the height. Differentiable,
    twice. Raises ValueError for other ranks or no positive size. Source: Keras ``ops.image.gaussian_blur`` (where a
    kernel that is no square is laid out otherwise, and an even one makes images larger on PyTorch).

    >>> import ranvier as rv
    >>> rv.ops.image.gaussian_blur([[[0.0], [1.0], [0.0]]], (3, 1)).numpy()[0, :, 0].round(3)
    array([0.274, 0.452, 0.274], dtype=float32)
    """
    batch, single, first = channels_last("gaussian_blur", images, data_format)
    wide, tall = (int(side) for side in np.asarray(kernel_size).reshape(-1))
    if min(wide, tall) < 1:
        raise ValueError(f"gaussian_blur: kernel_size must be two positive numbers, got {kernel_size!r}")
    values = floating(batch)
    if isinstance(sigma, Tensor):
        sigma = cast(sigma, values.dtype)
    columns, rows = _gaussian(wide, sigma[0], values), _gaussian(tall, sigma[1], values)
    return as_given(cast(_separable(values, rows, columns, "same"), batch.dtype), single, first)


_SOBEL = np.array([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]])


def sobel_edges(images: Any, data_format: str | None = None) -> Tensor:
    """Sobel's derivatives along the height and along the width, in a new last axis: (N, H, W, C, 2).

    Zeros lie outside. Differentiable, twice. Source: Keras ``ops.image.sobel_edges``.

    >>> import ranvier as rv
    >>> rv.ops.image.sobel_edges(rv.ops.ones((3, 3, 1)))[0, 0, 0].numpy()
    array([3., 3.], dtype=float32)
    """
    batch, single, first = channels_last("sobel_edges", images, data_format)
    values = floating(batch)
    edges = [
        as_given(_each_channel(values, Tensor(k, dtype=values.dtype, device=values.device), "same"), single, first)
        for k in (_SOBEL, np.ascontiguousarray(_SOBEL.T))
    ]
    return stack(edges, axis=-1)


def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """How alike images are to the eye, (N,): 1 for equal ones (Wang and others 2004).

    Means, variances and the covariance under a Gaussian window of ``filter_size``, which must fit into the images.
    ``max_val`` is the range of the values. Differentiable, twice. Source: Keras ``ops.image.ssim``.

    >>> import ranvier as rv
    >>> photo = rv.random.uniform((16, 16, 3), seed=1)
    >>> round(rv.ops.image.ssim(photo, photo).item(), 6)
    1.0
    """
    dtype = as_tensor(image1).dtype
    (x, single, _), (y, _, _) = (channels_last("ssim", image, data_format) for image in (image1, image2))
    if x.shape != y.shape:
        raise ValueError(f"ssim: images must have one shape but have {x.shape} and {y.shape}")
    if min(x.shape[1:3]) < filter_size:
        raise ValueError(f"ssim: filter_size {filter_size} does not fit into images of shape {x.shape}")
    x, y = floating(x), floating(y)
    window = _gaussian(filter_size, filter_sigma, x)

    def smooth(values: Tensor) -> Tensor:
        return _separable(values, window, window, "valid")

    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    mx, my = smooth(x), smooth(y)
    vx, vy, covariance = smooth(x * x) - mx * mx, smooth(y * y) - my * my, smooth(x * y) - mx * my
    alike = (2.0 * mx * my + c1) * (2.0 * covariance + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    result = cast(mean(alike, axis=(1, 2, 3)), dtype)
    return reshape(result, ()) if single else result
