"""Layers that act in training only, against overfitting."""

from __future__ import annotations

from typing import Any

from ranvier import ops, random
from ranvier.layers.arguments import check_data_format
from ranvier.layers.layer import Layer


class Dropout(Layer):
    """In training sets a fraction ``rate`` of the inputs to zero and divides the others by ``1 - rate``.

    ``seed`` gives the layer a random stream of its own; with None it draws from the global one, which
    ``rv.utils.set_random_seed`` makes repeatable. Raises ValueError for a rate outside [0, 1]. Source: Keras
    ``Dropout`` (Srivastava et al. 2014).

    >>> import ranvier as rv
    >>> rv.layers.Dropout(0.5)([1.0, 2.0]).numpy()
    array([1., 2.], dtype=float32)
    """

    casts_integers = True
    renamed_arguments = {"p": "rate"}

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise ValueError(f"Dropout: rate must be a number in [0, 1], got {rate!r}")
        self.rate = rate
        self.noise_shape = tuple(noise_shape) if noise_shape is not None else None
        self.seed = seed
        self._generator = random.Generator(seed) if seed is not None else None
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        if self.rate == 1:
            return inputs * 0.0
        if self.noise_shape is None:
            return ops.dropout(inputs, self.rate, self._generator)
        shape = [inputs.shape[i] if n is None else n for i, n in enumerate(self.noise_shape)]
        return inputs * ops.dropout(ops.ones(shape, inputs.dtype), self.rate, self._generator)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        noise_shape = list(self.noise_shape) if self.noise_shape is not None else None
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": noise_shape}


class SpatialDropout2D(Dropout):
    """Dropout of whole channels of images (N, H, W, C). Source: Keras ``SpatialDropout2D``."""

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        check_data_format("SpatialDropout2D", data_format)
        super().__init__(rate, noise_shape=(None, 1, 1, None), seed=seed, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k != "noise_shape"}


class GaussianNoise(Layer):
    """In training adds normal noise of standard deviation ``stddev``. Source: Keras ``GaussianNoise``."""

    casts_integers = True

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not stddev >= 0:
            raise ValueError(f"GaussianNoise: stddev must not be negative, got {stddev!r}")
        self.stddev = stddev
        self.seed = seed
        self._generator = random.Generator(seed) if seed is not None else None
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.stddev:
            return inputs
        generator = self._generator or random.default_generator()
        return inputs + generator.normal(inputs.shape, 0.0, self.stddev, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}
