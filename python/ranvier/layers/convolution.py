"""Conv2D and Conv2DTranspose."""

from __future__ import annotations

from typing import Any

from ranvier import activations, ops
from ranvier.layers.arguments import (
    check_data_format,
    check_padding,
    checked_places,
    known_axis,
    output_size,
    pair,
    positive,
)
from ranvier.layers.core import WeightedLayer
from ranvier.layers.input_spec import InputSpec


class _Convolution(WeightedLayer):
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        name = type(self).__name__
        check_data_format(name, data_format)
        self.filters = positive(name, "filters", filters)
        self.kernel_size = pair(name, "kernel_size", kernel_size)
        self.strides = pair(name, "strides", strides)
        self.padding = check_padding(name, padding)
        self.dilation_rate = pair(name, "dilation_rate", dilation_rate)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{name}: strides > 1 are not supported together with dilation_rate > 1, got strides={self.strides} "
                f"and dilation_rate={self.dilation_rate}"
            )
        self.input_spec = InputSpec(ndim=4)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": "channels_last",
            "dilation_rate": list(self.dilation_rate),
        }


class Conv2D(_Convolution):
    """Convolution of images: (N, H, W, C) -> (N, H', W', filters), kernel (kh, kw, C / groups, filters).

    ``padding`` ``"valid"`` or ``"same"`` as TensorFlow computes them. Raises ValueError for filters or channels
    that ``groups`` does not divide, inputs that are not of rank 4, or too small. Source: Keras ``Conv2D``.

    >>> import ranvier as rv
    >>> layer = rv.layers.Conv2D(32, 3, activation="relu")
    >>> layer(rv.ops.ones((1, 28, 28, 1))).shape, layer.count_params()
    ((1, 26, 26, 32), 320)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.groups = positive("Conv2D", "groups", groups)
        if self.filters % self.groups:
            raise ValueError(f"Conv2D: filters ({self.filters}) must be divisible by groups ({self.groups})")

    def build(self, input_shape: Any) -> None:
        channels = known_axis(self, input_shape, -1)
        if channels % self.groups:
            raise ValueError(
                f"Conv2D {self.name!r}: the input's {channels} channels (shape {tuple(input_shape)}) must be divisible "
                f"by groups ({self.groups})"
            )
        self.add_kernel_and_bias((*self.kernel_size, channels // self.groups, self.filters), self.filters)
        self.input_spec = InputSpec(ndim=4, axes={-1: channels})
        self.built = True

    def call(self, inputs: Any) -> Any:
        name = activations.name_of(self.activation)
        fused = name if name in self.fused else None
        y = ops.conv2d(
            inputs, self.kernel, self.bias, self.strides, self.padding, self.dilation_rate, self.groups, fused
        )
        return y if fused else self.activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        axes = zip(input_shape[1:3], self.kernel_size, self.strides, self.dilation_rate, strict=True)
        places = [output_size(size, window, stride, self.padding, d) for size, window, stride, d in axes]
        return (input_shape[0], *checked_places(self, input_shape, places), self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}


class Conv2DTranspose(_Convolution):
    """The gradient of Conv2D as a layer, which enlarges: (N, H, W, C) -> (N, H', W', filters).

    Kernel (kh, kw, filters, C). With ``"same"``, H' = H * stride; with ``"valid"``, H' = (H - 1) * stride + kh
    (more if the stride exceeds kh). Source: Keras ``Conv2DTranspose``.

    >>> import ranvier as rv
    >>> rv.layers.Conv2DTranspose(3, 4, strides=2, padding="same")(rv.ops.ones((1, 7, 7, 2))).shape
    (1, 14, 14, 3)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        if output_padding is None:
            self.output_padding = None
        else:
            values = (output_padding, output_padding) if isinstance(output_padding, int) else tuple(output_padding)
            if len(values) != 2 or any(v < 0 or v >= s for v, s in zip(values, self.strides, strict=True)):
                raise ValueError(
                    f"Conv2DTranspose: output_padding must be two integers in [0, stride), got {output_padding!r} with "
                    f"strides {self.strides}"
                )
            self.output_padding = values

    def build(self, input_shape: Any) -> None:
        channels = known_axis(self, input_shape, -1)
        self.add_kernel_and_bias((*self.kernel_size, self.filters, channels), self.filters)
        self.input_spec = InputSpec(ndim=4, axes={-1: channels})
        self.built = True

    def call(self, inputs: Any) -> Any:
        y = ops.conv2d_transpose(
            inputs, self.kernel, self.bias, self.strides, self.padding, self.output_padding, self.dilation_rate
        )
        return self.activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        sizes: list[int | None] = []
        for axis, size in enumerate(input_shape[1:3]):
            stride, extra = self.strides[axis], None if self.output_padding is None else self.output_padding[axis]
            window = self.dilation_rate[axis] * (self.kernel_size[axis] - 1) + 1
            if size is None:
                sizes.append(None)
            elif extra is None:
                sizes.append(size * stride if self.padding == "same" else size * stride + max(window - stride, 0))
            else:
                cut = 2 * (window // 2) if self.padding == "same" else 0
                sizes.append((size - 1) * stride + window - cut + extra)
        return (input_shape[0], *sizes, self.filters)

    def get_config(self) -> dict[str, Any]:
        padding = None if self.output_padding is None else list(self.output_padding)
        return {**super().get_config(), "output_padding": padding}
