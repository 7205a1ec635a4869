"""Pooling of images, by windows and globally."""

from __future__ import annotations

import math
from typing import Any

from ranvier import ops
from ranvier.layers.arguments import check_data_format, check_padding, checked_places, output_size, pair
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer


class _Pooling2D(Layer):
    casts_integers = True

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
        check_data_format(kind, data_format)
        self.pool_size = pair(kind, "pool_size", pool_size)
        self.strides = self.pool_size if strides is None else pair(kind, "strides", strides)
        self.padding = check_padding(kind, padding)
        self.input_spec = InputSpec(ndim=4)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, *sizes, channels = input_shape
        places = [
            output_size(size, window, stride, self.padding)
            for size, window, stride in zip(sizes, self.pool_size, self.strides, strict=True)
        ]
        return (n, *checked_places(self, input_shape, places), channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": "channels_last",
        }


class MaxPooling2D(_Pooling2D):
    """The largest value of each window: (N, H, W, C) -> (N, H', W', C). ``strides`` None means ``pool_size``.

    Raises ValueError for inputs that are not of rank 4, or smaller than the window. Source: Keras ``MaxPooling2D``.

    >>> import ranvier as rv
    >>> rv.layers.MaxPooling2D(2)(rv.ops.ones((1, 13, 13, 8))).shape
    (1, 6, 6, 8)
    """

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)

    def call(self, inputs: Any) -> Any:
        return ops.max_pool2d(inputs, self.pool_size, self.strides, self.padding)


class AveragePooling2D(_Pooling2D):
    """The mean of each window, padding not counted: (N, H, W, C) -> (N, H', W', C). Source: Keras
    ``AveragePooling2D``.

    >>> import ranvier as rv
    >>> rv.layers.AveragePooling2D(2, padding="same")(rv.ops.ones((1, 13, 13, 8))).shape
    (1, 7, 7, 8)
    """

    def call(self, inputs: Any) -> Any:
        return ops.avg_pool2d(inputs, self.pool_size, self.strides, self.padding)


class L2Pooling2D(_Pooling2D):
    """The length of each window, ``sqrt(sum x**2)``: (N, H, W, C) -> (N, H', W', C); padding counts as 0.

    Its gradient is 0 where a window holds only zeros. Raises ValueError for inputs that are not of rank 4, or smaller
    than the window. Not in Keras. Source: Jarrett et al. 2009; curriculum F38.

    >>> import ranvier as rv
    >>> rv.layers.L2Pooling2D((1, 2))([[[[3.0], [4.0], [0.0], [0.0]]]]).tolist()
    [[[[5.0], [0.0]]]]
    """

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)

    def call(self, inputs: Any) -> Any:
        squares = inputs * inputs
        if self.padding == "same":  # with zeros that count, unlike those of avg_pool2d
            ends = [(0, 0)]
            for size, window, stride in zip(inputs.shape[1:3], self.pool_size, self.strides, strict=True):
                missing = max((-(-size // stride) - 1) * stride + window - size, 0)
                ends.append((missing // 2, missing - missing // 2))
            squares = ops.pad(squares, (*ends, (0, 0)))
        sums = ops.avg_pool2d(squares, self.pool_size, self.strides) * float(math.prod(self.pool_size))
        some = ops.not_equal(sums, 0.0)  # the root's slope at 0 is infinite; NaN goes through
        return ops.where(some, ops.sqrt(ops.where(some, sums, 1.0)), 0.0)


class _GlobalPooling2D(Layer):
    casts_integers = True

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format(type(self).__name__, data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=4)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, _, _, channels = input_shape
        return (n, 1, 1, channels) if self.keepdims else (n, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": "channels_last", "keepdims": self.keepdims}


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each channel: (N, H, W, C) -> (N, C). Source: Keras ``GlobalAveragePooling2D``.

    >>> import ranvier as rv
    >>> rv.layers.GlobalAveragePooling2D()(rv.ops.ones((2, 4, 4, 3))).shape
    (2, 3)
    """

    def call(self, inputs: Any) -> Any:
        return ops.global_avg_pool2d(inputs, keepdims=self.keepdims)


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest value of each channel: (N, H, W, C) -> (N, C). Source: Keras ``GlobalMaxPooling2D``.

    >>> import ranvier as rv
    >>> rv.layers.GlobalMaxPooling2D(keepdims=True)(rv.ops.ones((2, 4, 4, 3))).shape
    (2, 1, 1, 3)
    """

    def call(self, inputs: Any) -> Any:
        return ops.global_max_pool2d(inputs, keepdims=self.keepdims)
