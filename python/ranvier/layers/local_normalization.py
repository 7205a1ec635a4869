"""LocalSubtractiveNormalization: what stands out of its neighbourhood."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import ops
from ranvier.layers.arguments import check_data_format, known_axis, positive
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer
from ranvier.tensor import Tensor


class LocalSubtractiveNormalization(Layer):
    """Each pixel minus the Gaussian-weighted mean of its neighbourhood: images (N, H, W, C), of the same shape after.

    ``kernel_size`` is the neighbourhood's width, an odd number; ``sigma`` the Gaussian's standard deviation, by default
    a quarter of the width. The mean is that of all channels, or with ``across_channels=False`` of the pixel's own.
    Beyond the border there is nothing: the weights of the pixels inside sum to 1 everywhere, so a constant image
    becomes 0. Raises ValueError for an even width or a sigma that is not positive. Not in Keras. Source: Jarrett,
    Kavukcuoglu, Ranzato and LeCun 2009, section 2; curriculum F38.

    >>> import ranvier as rv
    >>> layer = rv.layers.LocalSubtractiveNormalization(3)
    >>> abs(layer(rv.ops.ones((1, 4, 4, 2))).numpy()).max() < 1e-6
    np.True_
    """

    casts_integers = True

    def __init__(
        self, kernel_size: int = 9, sigma: float | None = None, across_channels: bool = True, **kwargs: Any
    ) -> None:
        check_data_format("LocalSubtractiveNormalization", kwargs.pop("data_format", None))
        super().__init__(**kwargs)
        self.kernel_size = positive("LocalSubtractiveNormalization", "kernel_size", kernel_size)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"LocalSubtractiveNormalization: kernel_size must be odd, got {kernel_size}")
        if sigma is not None and not sigma > 0:
            raise ValueError(f"LocalSubtractiveNormalization: sigma must be positive, got {sigma!r}")
        self.sigma = sigma
        self.across_channels = across_channels
        self.input_spec = InputSpec(ndim=4)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._channels = 1 if self.across_channels else known_axis(self, input_shape, -1)
        offsets = np.arange(self.kernel_size) - self.kernel_size // 2
        window = np.exp(-0.5 * (offsets / (self.sigma or self.kernel_size / 4)) ** 2)
        self._window = window / window.sum()
        self.built = True

    def call(self, inputs: Any) -> Any:
        means = ops.mean(inputs, -1, keepdims=True) if self.across_channels else inputs
        for axis in (1, 2):  # the Gaussian is a product: one pass down, one across
            shape = [1, 1, 1, 1]
            shape[axis - 1] = self.kernel_size
            kernel = np.broadcast_to(self._window.reshape(shape), (*shape[:3], self._channels))
            means = ops.conv2d(
                means, Tensor(kernel, dtype=inputs.dtype), padding="same", groups=self._channels
            ) / Tensor(self._inside(inputs.shape[axis], axis), dtype=inputs.dtype)
        return inputs - means

    def _inside(self, size: int, axis: int) -> np.ndarray:
        """The part of the window's weight that lies within an axis of ``size``, at each place."""
        shape = [1, 1, 1, 1]
        shape[axis] = size
        reach = self.kernel_size // 2
        before = np.concatenate([[0.0], np.cumsum(self._window)])
        places = np.arange(size)
        inside = before[np.minimum(size - places + reach, self.kernel_size)] - before[np.maximum(reach - places, 0)]
        return inside.reshape(shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"kernel_size": self.kernel_size, "sigma": self.sigma, "across_channels": self.across_channels}
        return {**super().get_config(), **own}
