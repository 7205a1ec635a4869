"""Initial values that are drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ranvier import config, random
from ranvier.initializers.constants import Initializer
from ranvier.tensor import Tensor, as_tensor


class RandomInitializer(Initializer):
    """Base of those that draw. With an integer ``seed`` every call gives the same values; with None each call draws
    from the global generator, which ``rv.utils.set_random_seed`` makes repeatable."""

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer))):
            raise ValueError(f"{type(self).__name__}: seed must be an integer or None, got {seed!r}")
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class RandomUniform(RandomInitializer):
    """Uniform on [minval, maxval). Source: Keras ``RandomUniform``.

    >>> import ranvier as rv
    >>> bool((abs(rv.initializers.RandomUniform(seed=1)((100,)).numpy()) <= 0.05).all())
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape: Any, dtype: str | None = None) -> Tensor:
        return random.uniform(tuple(shape), self.minval, self.maxval, dtype or config.floatx(), self.seed)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class RandomNormal(RandomInitializer):
    """Normal with the given mean and standard deviation. Source: Keras ``RandomNormal``."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape: Any, dtype: str | None = None) -> Tensor:
        return random.normal(tuple(shape), self.mean, self.stddev, dtype or config.floatx(), self.seed)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normal, with what is beyond two standard deviations drawn again. Source: Keras ``TruncatedNormal``."""

    def __call__(self, shape: Any, dtype: str | None = None) -> Tensor:
        return random.truncated_normal(tuple(shape), self.mean, self.stddev, dtype or config.floatx(), self.seed)


def compute_fans(shape: Any, input_axes: Any = None, output_axes: Any = None) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs an output sums, and how many outputs an input reaches; of a convolution's
    kernel, unless it is said which axes are the inputs' and the outputs'.

    >>> compute_fans((784, 512)), compute_fans((3, 3, 32, 64))
    ((784, 512), (288, 576))
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


class VarianceScaling(RandomInitializer):
    """Variance ``scale / fan``, where fan is ``fan_in``, ``fan_out`` or their mean ``fan_avg``.

    ``distribution``: ``"truncated_normal"`` (also ``"normal"``), ``"untruncated_normal"`` or ``"uniform"``.
    Raises ValueError for others. Source: Keras ``VarianceScaling``; curriculum F28, F29.

    The textbook's form of He's (F29) has the mean fan: ``VarianceScaling(2.0, "fan_avg", "untruncated_normal")``,
    sd = sqrt(4 / (fan_in + fan_out)).
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Any = None,
        output_axes: Any = None,
    ) -> None:
        super().__init__(seed)
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if not scale > 0:
            raise ValueError(f"VarianceScaling: scale must be positive, got {scale!r}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"VarianceScaling: mode must be 'fan_in', 'fan_out' or 'fan_avg', got {mode!r}")
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                "VarianceScaling: distribution must be 'uniform', 'truncated_normal' or 'untruncated_normal', got "
                f"{distribution!r}"
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape: Any, dtype: str | None = None) -> Tensor:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        shape, dtype = tuple(shape), dtype or config.floatx()
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)  # a uniform on +-limit has variance limit^2 / 3
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, math.sqrt(variance), dtype, self.seed)
        # 0.8796...: the standard deviation of a unit normal cut at two
        return random.truncated_normal(shape, 0.0, math.sqrt(variance) / 0.87962566103423978, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        choices = {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}
        return {**choices, "seed": self.seed, "input_axes": self.input_axes, "output_axes": self.output_axes}


class _Scaled(VarianceScaling):
    """A VarianceScaling whose three choices are made."""

    choices: tuple[float, str, str]

    def __init__(self, seed: int | None = None, input_axes: Any = None, output_axes: Any = None) -> None:
        super().__init__(*self.choices, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed, "input_axes": self.input_axes, "output_axes": self.output_axes}


class GlorotUniform(_Scaled):
    """Uniform on +-sqrt(6 / (fan_in + fan_out)): Keras's default (Glorot and Bengio 2010; curriculum F28).

    >>> import ranvier as rv
    >>> bool(abs(rv.initializers.GlorotUniform(1)((300, 300)).numpy()).max() <= 0.1)
    True
    """

    choices = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out) (curriculum F28)."""

    choices = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform on +-sqrt(6 / fan_in), for ReLU (He et al. 2015)."""

    choices = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in, for ReLU (He et al. 2015; curriculum F29)."""

    choices = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform on +-sqrt(3 / fan_in)."""

    choices = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in, for SELU."""

    choices = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """A random orthogonal matrix, or orthonormal rows or columns (Saxe et al. 2014; Keras ``Orthogonal``).

    Axes before the last are one. Raises ValueError for a vector.

    >>> import ranvier as rv
    >>> w = rv.initializers.Orthogonal(seed=1)((3, 3), "float64").numpy()
    >>> (w.T @ w).round(12).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    True
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Any, dtype: str | None = None) -> Tensor:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: needs a shape of rank 2 or more, got {tuple(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        dtype = dtype or config.floatx()
        drawn = random.normal((max(rows, columns), min(rows, columns)), 0.0, 1.0, "float64", self.seed).numpy()
        q, r = np.linalg.qr(drawn)
        q = q * np.sign(np.diag(r))  # makes the distribution uniform (Mezzadri 2007)
        values = (q if rows >= columns else q.T).reshape(shape)
        return as_tensor(np.ascontiguousarray(self.gain * values, dtype))

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}
