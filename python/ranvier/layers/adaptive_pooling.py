"""Pooling to a given size: each output pools an equal share of the inputs, whatever their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ranvier import ops
from ranvier.layers.arguments import check_data_format
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer
from ranvier.ops.image.resampling import adaptive_mean
from ranvier.tensor import Tensor


def adaptive_max(x: Tensor, size: Sequence[int]) -> Tensor:
    """(N, ..., C) -> (N, *size, C): maxima over floor(i n / to) to ceil((i + 1) n / to) of every axis in turn."""
    for axis, to in enumerate(size, 1):
        n = x.shape[axis]
        skipped = (slice(None),) * axis
        shares = [
            ops.max(ops.get_item(x, (*skipped, slice(i * n // to, -(-(i + 1) * n // to)))), axis=axis, keepdims=True)
            for i in range(to)
        ]
        x = ops.concatenate(shares, axis=axis)
    return x


class _Adaptive(Layer):
    """Inputs (N, ..., C) pooled to ``output_size`` along the axes between."""

    rank: int  # of what lies between batch and channels

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format(type(self).__name__, data_format, self.rank + 2)
        sizes = (output_size,) * self.rank if isinstance(output_size, int) else tuple(output_size)
        if len(sizes) != self.rank or not all(isinstance(side, int) and side > 0 for side in sizes):
            raise ValueError(
                f"{type(self).__name__}: output_size must be {self.rank} positive whole numbers, got {output_size!r}"
            )
        self.output_size = sizes
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self.output_size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        size: Any = list(self.output_size) if self.rank > 1 else self.output_size[0]
        return {**super().get_config(), "output_size": size}

    def _pooled(self, inputs: Tensor, pool: Callable[[Tensor, Sequence[int]], Tensor]) -> Tensor:
        if self.rank == 2:
            return pool(inputs, self.output_size)
        n, length, channels = inputs.shape
        line = pool(ops.reshape(inputs, (n, length, 1, channels)), (*self.output_size, 1))
        return ops.reshape(line, (n, *self.output_size, channels))


class AdaptiveAveragePooling1D(_Adaptive):
    """Sequences (N, T, C) as (N, ``output_size``, C): means. Source: Keras ``AdaptiveAveragePooling1D``.

    >>> import ranvier as rv
    >>> rv.layers.AdaptiveAveragePooling1D(2)([[[1.0], [2.0], [3.0]]]).tolist()
    [[[1.5], [2.5]]]
    """

    rank = 1

    def call(self, inputs: Any) -> Any:
        return self._pooled(inputs, adaptive_mean)


class AdaptiveMaxPooling1D(_Adaptive):
    """Sequences (N, T, C) as (N, ``output_size``, C): maxima. Source: Keras ``AdaptiveMaxPooling1D``."""

    rank = 1

    def call(self, inputs: Any) -> Any:
        return self._pooled(inputs, adaptive_max)


class AdaptiveAveragePooling2D(_Adaptive):
    """Images (N, H, W, C) as (N, *``output_size``, C): means. Source: Keras ``AdaptiveAveragePooling2D``."""

    rank = 2

    def call(self, inputs: Any) -> Any:
        return self._pooled(inputs, adaptive_mean)


class AdaptiveMaxPooling2D(_Adaptive):
    """Images (N, H, W, C) as (N, *``output_size``, C): maxima. Source: Keras ``AdaptiveMaxPooling2D``."""

    rank = 2

    def call(self, inputs: Any) -> Any:
        return self._pooled(inputs, adaptive_max)
