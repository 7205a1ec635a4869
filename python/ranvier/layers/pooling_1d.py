"""Pooling of sequences, by windows and globally."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.layers.arguments import check_data_format, check_padding, checked_places, output_size, sizes
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer


class _Pooling1D(Layer):
    """The pools of images on images of height T and width 1."""

    casts_integers = True
    _pool: Any

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        kind = type(self).__name__
        check_data_format(kind, data_format, rank=3)
        self.pool_size = sizes(kind, "pool_size", pool_size, 1)[0]
        self.strides = self.pool_size if strides is None else sizes(kind, "strides", strides, 1)[0]
        self.padding = check_padding(kind, padding)
        self.input_spec = InputSpec(ndim=3)
        self.built = True

    def call(self, inputs: Any) -> Any:
        self.compute_output_shape(inputs.shape)  # says where the window is too long
        images = ops.expand_dims(inputs, 2)
        return ops.squeeze(type(self)._pool(images, (self.pool_size, 1), (self.strides, 1), self.padding), 2)

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, size, channels = input_shape
        places = [output_size(size, self.pool_size, self.strides, self.padding)]
        return (n, *checked_places(self, input_shape, places), channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": [self.pool_size],
            "strides": [self.strides],
            "padding": self.padding,
            "data_format": "channels_last",
        }


class MaxPooling1D(_Pooling1D):
    """The largest value of each window: (N, T, C) -> (N, T', C). ``strides`` None means ``pool_size``.

    Raises ValueError for inputs that are not of rank 3, or shorter than the window. Source: Keras ``MaxPooling1D``.

    >>> import ranvier as rv
    >>> rv.layers.MaxPooling1D(2)([[[1.0], [3.0], [4.0], [2.0], [9.0]]]).tolist()
    [[[3.0], [4.0]]]
    """

    _pool = staticmethod(ops.max_pool2d)

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling1D(_Pooling1D):
    """The mean of each window, padding not counted: (N, T, C) -> (N, T', C). Source: Keras ``AveragePooling1D``.

    >>> import ranvier as rv
    >>> rv.layers.AveragePooling1D(2, padding="same")([[[1.0], [3.0], [4.0]]]).tolist()
    [[[2.0], [4.0]]]
    """

    _pool = staticmethod(ops.avg_pool2d)


class _GlobalPooling1D(Layer):
    casts_integers = True

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format(type(self).__name__, data_format, rank=3)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=3)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, _, channels = input_shape
        return (n, 1, channels) if self.keepdims else (n, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": "channels_last", "keepdims": self.keepdims}


class GlobalAveragePooling1D(_GlobalPooling1D):
    """The mean of each channel over time: (N, T, C) -> (N, C); steps that a ``mask`` (N, T) leaves out do not count.

    Source: Keras ``GlobalAveragePooling1D``.

    >>> import ranvier as rv
    >>> rv.layers.GlobalAveragePooling1D()([[[1.0], [3.0], [8.0]]], mask=[[True, True, False]]).tolist()
    [[2.0]]
    """

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return ops.mean(inputs, 1, keepdims=self.keepdims)
        counts = ops.expand_dims(ops.cast(mask, "bool"), 2)
        total = ops.sum(ops.where(counts, inputs, 0.0), 1, keepdims=self.keepdims)
        return total / ops.sum(ops.cast(counts, inputs.dtype), 1, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None  # there is no time axis left


class GlobalMaxPooling1D(_GlobalPooling1D):
    """The largest value of each channel over time: (N, T, C) -> (N, C). Source: Keras ``GlobalMaxPooling1D``.

    >>> import ranvier as rv
    >>> rv.layers.GlobalMaxPooling1D(keepdims=True)([[[1.0, 5.0], [3.0, 2.0]]]).tolist()
    [[[3.0, 5.0]]]
    """

    def call(self, inputs: Any) -> Any:
        return ops.max(inputs, 1, keepdims=self.keepdims)
