"""Layers that act in training only, against overfitting."""

from __future__ import annotations

import math
from typing import Any

from ranvier import ops, random, regularizers
from ranvier.autograd import NARROW
from ranvier.layers.arguments import check_data_format
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer


def _checked_rate(layer: str, rate: Any, largest: str = "1]") -> float:
    """A rate in [0, 1], or with ``largest="1)"`` below 1."""
    number = isinstance(rate, (int, float)) and not isinstance(rate, bool)
    if not number or not 0 <= rate <= 1 or (rate == 1 and largest == "1)"):
        raise ValueError(f"{layer}: rate must be a number in [0, {largest}, got {rate!r}")
    return rate


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
        self.rate = _checked_rate(type(self).__name__, rate)
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


class SpatialDropout1D(Dropout):
    """Dropout of whole channels of sequences (N, T, C). Source: Keras ``SpatialDropout1D``.

    >>> import ranvier as rv
    >>> rv.layers.SpatialDropout1D(0.5, seed=3)(rv.ops.ones((1, 2, 4)), training=True).tolist()
    [[[2.0, 0.0, 2.0, 2.0], [2.0, 0.0, 2.0, 2.0]]]
    """

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, noise_shape=(None, 1, None), seed=seed, name=name, dtype=dtype, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k != "noise_shape"}


class SpatialDropout2D(Dropout):
    """Dropout of whole channels of images (N, H, W, C). Source: Keras ``SpatialDropout2D``."""

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_data_format("SpatialDropout2D", data_format)
        super().__init__(rate, noise_shape=(None, 1, 1, None), seed=seed, name=name, dtype=dtype, **kwargs)
        self.input_spec = InputSpec(ndim=4)

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
        return inputs + _normal(generator, inputs, 0.0, self.stddev)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class GaussianDropout(Layer):
    """In training multiplies by normal noise of mean 1 and standard deviation ``sqrt(rate / (1 - rate))``.

    Raises ValueError for a rate outside [0, 1). Source: Keras ``GaussianDropout`` (Srivastava et al. 2014).

    >>> import ranvier as rv
    >>> rv.layers.GaussianDropout(0.5)([1.0, 2.0]).numpy()
    array([1., 2.], dtype=float32)
    """

    casts_integers = True

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = _checked_rate("GaussianDropout", rate, largest="1)")
        self.seed = seed
        self._generator = random.Generator(seed) if seed is not None else None
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return inputs
        generator = self._generator or random.default_generator()
        return inputs * _normal(generator, inputs, 1.0, math.sqrt(self.rate / (1 - self.rate)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class AlphaDropout(Layer):
    """Dropout for SELU: sets a fraction ``rate`` to SELU's lower limit and restores mean 0 and variance 1.

    Raises ValueError for a rate outside [0, 1). Source: Keras ``AlphaDropout`` (Klambauer et al. 2017).

    >>> import ranvier as rv
    >>> rv.layers.AlphaDropout(0.5)([1.0, 2.0]).numpy()
    array([1., 2.], dtype=float32)
    """

    casts_integers = True
    limit = -1.6732632423543772848 * 1.0507009873554804934  # of SELU towards minus infinity

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = _checked_rate("AlphaDropout", rate, largest="1)")
        self.noise_shape = tuple(noise_shape) if noise_shape is not None else None
        self.seed = seed
        self._generator = random.Generator(seed) if seed is not None else None
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return inputs
        wanted = self.noise_shape or inputs.shape
        shape = [size if n is None else n for n, size in zip(wanted, inputs.shape, strict=True)]
        generator = self._generator or random.default_generator()
        kept = generator.bernoulli(shape, 1 - self.rate)
        scale = ((1 - self.rate) * (1 + self.rate * self.limit**2)) ** -0.5
        return ops.where(kept, inputs, self.limit) * scale - scale * self.limit * self.rate

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        noise_shape = list(self.noise_shape) if self.noise_shape is not None else None
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": noise_shape}


class ActivityRegularization(Layer):
    """The inputs, unchanged; ``l1 * sum|x| + l2 * sum x**2`` over the batch size joins the loss.

    Source: Keras ``ActivityRegularization``.

    >>> import ranvier as rv
    >>> layer = rv.layers.ActivityRegularization(l1=0.5)
    >>> layer([[1.0, -3.0]]).tolist(), [loss.item() for loss in layer.losses]
    ([[1.0, -3.0]], [2.0])
    """

    casts_integers = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "l1": self.l1, "l2": self.l2}
        del config["activity_regularizer"]
        return config


def _normal(generator: random.Generator, like: Any, mean: float, stddev: float) -> Any:
    """Normal numbers of the shape and dtype of ``like``, drawn in float32 for 16 bits."""
    drawn = generator.normal(like.shape, mean, stddev, "float32" if like.dtype in NARROW else like.dtype)
    return ops.cast(drawn, like.dtype)
