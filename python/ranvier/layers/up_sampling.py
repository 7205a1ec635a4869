"""UpSampling2D: larger images by repeating pixels, or by interpolating between them."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier._names import unknown
from ranvier.layers.arguments import check_data_format, pair
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer
from ranvier.ops.image.bands import KERNELS


class UpSampling2D(Layer):
    """Images (N, H, W, C) ``size`` times as large: (N, H * size[0], W * size[1], C).

    ``interpolation`` is ``"nearest"`` (pixels are repeated), ``"bilinear"``, ``"bicubic"``, ``"lanczos3"`` or
    ``"lanczos5"``; as ``rv.ops.image.resize`` does it. Raises ValueError for other ones. Source: Keras
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
        if self.interpolation not in (*KERNELS, "nearest"):
            raise ValueError(f"UpSampling2D: {unknown('interpolation', self.interpolation, (*KERNELS, 'nearest'))}")
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
        return ops.image.resize(inputs, (h * rows, w * columns), self.interpolation)

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = input_shape
        return (n, None if h is None else h * self.size[0], None if w is None else w * self.size[1], c)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": list(self.size), "interpolation": self.interpolation}
