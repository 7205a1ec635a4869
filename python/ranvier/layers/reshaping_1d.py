"""Layers that rearrange sequences (N, T, C)."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.layers.arguments import check_data_format, positive
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer


def _ends(layer: str, name: str, value: Any) -> tuple[int, int]:
    """``1`` | ``(1, 2)`` as (before, after)."""
    values = (value, value) if isinstance(value, int) else tuple(value)
    if len(values) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in values):
        raise ValueError(f"{layer}: {name} must be n or (before, after), none of them negative; got {value!r}")
    return values[0], values[1]


class _OfSequences(Layer):
    keeps_dtype = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_spec = InputSpec(ndim=3)
        self.built = True


class ZeroPadding1D(_OfSequences):
    """Zeros before and after sequences (N, T, C). Source: Keras ``ZeroPadding1D``.

    >>> import ranvier as rv
    >>> rv.layers.ZeroPadding1D((1, 0))([[[5.0], [6.0]]]).tolist()
    [[[0.0], [5.0], [6.0]]]
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format("ZeroPadding1D", data_format, rank=3)
        self.padding = _ends("ZeroPadding1D", "padding", padding)

    def call(self, inputs: Any) -> Any:
        return ops.pad(inputs, ((0, 0), self.padding, (0, 0)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, size, channels = input_shape
        return (n, size if size is None else size + sum(self.padding), channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": list(self.padding), "data_format": "channels_last"}


class Cropping1D(_OfSequences):
    """Sequences (N, T, C) without their first and last steps. Source: Keras ``Cropping1D``.

    >>> import ranvier as rv
    >>> rv.layers.Cropping1D((1, 0))([[[5.0], [6.0], [7.0]]]).tolist()
    [[[6.0], [7.0]]]
    """

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = _ends("Cropping1D", "cropping", cropping)

    def call(self, inputs: Any) -> Any:
        self.compute_output_shape(inputs.shape)
        return inputs[:, self.cropping[0] : inputs.shape[1] - self.cropping[1], :]

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, size, channels = input_shape
        left = None if size is None else size - sum(self.cropping)
        if left is not None and left <= 0:
            raise ValueError(f"Cropping1D {self.name!r}: cropping {self.cropping} leaves nothing of {input_shape}")
        return (n, left, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": list(self.cropping)}


class UpSampling1D(_OfSequences):
    """Each step of (N, T, C) repeated ``size`` times. Source: Keras ``UpSampling1D``.

    >>> import ranvier as rv
    >>> rv.layers.UpSampling1D(2)([[[1.0], [2.0]]]).tolist()
    [[[1.0], [1.0], [2.0], [2.0]]]
    """

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = positive("UpSampling1D", "size", size)

    def call(self, inputs: Any) -> Any:
        n, steps, channels = inputs.shape
        repeated = ops.tile(ops.reshape(inputs, (n, steps, 1, channels)), (1, 1, self.size, 1))
        return ops.reshape(repeated, (n, steps * self.size, channels))

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, size, channels = input_shape
        return (n, None if size is None else size * self.size, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}
