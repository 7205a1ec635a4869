"""UpSampling2D: larger images by repeating pixels, or by interpolating between them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ranvier import ops
from ranvier._names import unknown
from ranvier.layers.arguments import check_data_format, pair
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer
from ranvier.tensor import Tensor


def _triangle(x: Any) -> Any:
    return np.maximum(0, 1 - x)


def _cubic(x: Any) -> Any:
    """Keys's kernel with coefficient -1/2 (1981), as in TensorFlow and JAX."""
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))


def _lanczos(radius: int) -> Callable[[Any], Any]:
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


_KERNELS = {"bilinear": _triangle, "bicubic": _cubic, "lanczos3": _lanczos(3), "lanczos5": _lanczos(5)}


@functools.lru_cache(maxsize=64)
def _weights(size: int, factor: int, interpolation: str) -> np.ndarray:
    """(size * factor, size): row i holds what output i takes from each input. Pixels are squares, so that output i lies
    at (i + 1/2) / factor - 1/2; what would come from outside the image is shared among the pixels inside."""
    places = (np.arange(size * factor) + 0.5) / factor - 0.5
    weights = _KERNELS[interpolation](np.abs(places[:, None] - np.arange(size)))
    return np.asarray(weights / weights.sum(1, keepdims=True))


class UpSampling2D(Layer):
    """Images (N, H, W, C) ``size`` times as large: (N, H * size[0], W * size[1], C).

    ``interpolation`` is ``"nearest"`` (pixels are repeated), ``"bilinear"``, ``"bicubic"``, ``"lanczos3"`` or
    ``"lanczos5"``; these are one matrix product for each axis. Raises ValueError for other ones. Source: Keras
    ``UpSampling2D``.

    >>> import ranvier as rv
    >>> rv.layers.UpSampling2D(2)([[[[1.0], [2.0]]]]).numpy()[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]], dtype=float32)
    >>> rv.layers.UpSampling2D((1, 2), interpolation="bilinear")([[[[1.0], [2.0]]]]).numpy()[0, :, :, 0]
    array([[1.  , 1.25, 1.75, 2.  ]], dtype=float32)
    """

    keeps_dtype = True

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_data_format("UpSampling2D", data_format)
        self.interpolation = str(interpolation).lower()
        if self.interpolation not in (*_KERNELS, "nearest"):
            raise ValueError(f"UpSampling2D: {unknown('interpolation', self.interpolation, (*_KERNELS, 'nearest'))}")
        self.casts_integers = self.interpolation != "nearest"  # type: ignore[misc]
        self.size = pair("UpSampling2D", "size", size)
        self.input_spec = InputSpec(ndim=4)
        self.built = True

    def call(self, inputs: Any) -> Any:
        n, h, w, c = inputs.shape
        rows, columns = self.size
        if self.interpolation == "nearest":
            repeated = ops.tile(ops.reshape(inputs, (n, h, 1, w, 1, c)), (1, 1, rows, 1, columns, 1))
            return ops.reshape(repeated, (n, h * rows, w * columns, c))
        down, across = (
            Tensor(_weights(length, factor, self.interpolation), dtype=inputs.dtype)
            for length, factor in ((h, rows), (w, columns))
        )
        taller = ops.matmul(down, ops.reshape(inputs, (n, h, w * c)))
        wider = ops.matmul(across, ops.reshape(taller, (n * h * rows, w, c)))
        return ops.reshape(wider, (n, h * rows, w * columns, c))

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = input_shape
        return (n, None if h is None else h * self.size[0], None if w is None else w * self.size[1], c)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": list(self.size), "interpolation": self.interpolation}
