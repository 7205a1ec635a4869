"""DepthwiseConv and SeparableConv, of sequences and images: a kernel for each channel, then 1x1 across them."""

from __future__ import annotations

from typing import Any

from ranvier import activations, constraints, initializers, ops, regularizers
from ranvier.layers.arguments import (
    check_data_format,
    check_padding,
    checked_places,
    known_axis,
    output_size,
    positive,
    sizes,
)
from ranvier.layers.convolution import as_image, as_pair
from ranvier.layers.core import WeightedLayer
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer
from ranvier.saving.registry import serialize_object

_MODULES = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}

# The options of the weights, in the order of the configuration.
_DEPTHWISE = (
    "depthwise_initializer",
    "bias_initializer",
    "depthwise_regularizer",
    "bias_regularizer",
    "depthwise_constraint",
    "bias_constraint",
)
_SEPARABLE = (
    "depthwise_initializer",
    "pointwise_initializer",
    "bias_initializer",
    "depthwise_regularizer",
    "pointwise_regularizer",
    "bias_regularizer",
    "depthwise_constraint",
    "pointwise_constraint",
    "bias_constraint",
)


class _Depthwise(Layer):
    """What both share: the window, the options of the weights (``depthwise_initializer``, ...), the depthwise pass."""

    rank = 2
    casts_integers = True

    def __init__(
        self,
        kernel_size: Any,
        strides: Any,
        padding: str,
        depth_multiplier: int,
        data_format: str | None,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
        options: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        name = type(self).__name__
        check_data_format(name, data_format)
        self.kernel_size = sizes(name, "kernel_size", kernel_size, self.rank)
        self.strides = sizes(name, "strides", strides, self.rank)
        self.padding = check_padding(name, padding)
        self.depth_multiplier = positive(name, "depth_multiplier", depth_multiplier)
        self.dilation_rate = sizes(name, "dilation_rate", dilation_rate, self.rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{name}: strides > 1 are not supported together with dilation_rate > 1, got strides={self.strides} "
                f"and dilation_rate={self.dilation_rate}"
            )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        for option, value in options.items():
            setattr(self, option, _MODULES[option.rsplit("_", 1)[1]].get(value))
        self._options = tuple(options)
        self.bias: Any = None
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _add(self, name: str, shape: tuple[int, ...], of: str) -> Any:
        initializer, regularizer, constraint = (getattr(self, f"{of}_{part}") for part in _MODULES)
        return self.add_weight(shape, initializer, regularizer=regularizer, constraint=constraint, name=name)

    def _depthwise(self, inputs: Any, kernel: Any, bias: Any, activation: str | None) -> Any:
        """A convolution of as many groups as channels: output c m is channel c by its m-th kernel."""
        channels = inputs.shape[-1]
        kernel = ops.reshape(kernel, (*as_pair(self.kernel_size), 1, channels * self.depth_multiplier))
        return ops.conv2d(
            as_image(inputs),
            kernel,
            bias,
            as_pair(self.strides),
            self.padding,
            as_pair(self.dilation_rate),
            channels,
            activation,
        )

    def _activated(self) -> str | None:
        name = activations.name_of(self.activation)
        return name if name in WeightedLayer.fused else None

    def _places(self, input_shape: Any) -> Any:
        axes = zip(input_shape[1:-1], self.kernel_size, self.strides, self.dilation_rate, strict=True)
        places = [output_size(size, window, stride, self.padding, d) for size, window, stride, d in axes]
        return checked_places(self, input_shape, places)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "depth_multiplier": self.depth_multiplier,
            "data_format": "channels_last",
            "dilation_rate": list(self.dilation_rate),
            "activation": serialize_object(self.activation),
            "use_bias": self.use_bias,
            **{name: serialize_object(getattr(self, name)) for name in self._options},
        }


class _DepthwiseConv(_Depthwise):
    def build(self, input_shape: Any) -> None:
        channels = known_axis(self, input_shape, -1)
        self._places(input_shape)
        self.kernel = self._add("kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise")
        if self.use_bias:
            self.bias = self._add("bias", (channels * self.depth_multiplier,), "bias")
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={-1: channels})
        self.built = True

    def call(self, inputs: Any) -> Any:
        fused = self._activated()
        y = self._depthwise(inputs, self.kernel, self.bias, fused)
        y = y if self.rank == 2 else ops.squeeze(y, 1)
        return y if fused else self.activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self._places(input_shape), known_axis(self, input_shape, -1) * self.depth_multiplier)


class DepthwiseConv1D(_DepthwiseConv):
    """A kernel for each channel of sequences: (N, L, C) -> (N, L', C * depth_multiplier).

    Kernel (k, C, depth_multiplier). Source: Keras ``DepthwiseConv1D``.

    >>> import ranvier as rv
    >>> rv.layers.DepthwiseConv1D(3, depth_multiplier=2)(rv.ops.ones((1, 10, 4))).shape
    (1, 8, 8)
    """

    rank = 1

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        options = {name: given[name] for name in _DEPTHWISE}
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            options,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )


class DepthwiseConv2D(_DepthwiseConv):
    """A kernel for each channel of images: (N, H, W, C) -> (N, H', W', C * depth_multiplier).

    Kernel (kh, kw, C, depth_multiplier). Raises ValueError for inputs that are not of rank 4, or too small. Source:
    Keras ``DepthwiseConv2D``.

    >>> import ranvier as rv
    >>> layer = rv.layers.DepthwiseConv2D(3, padding="same")
    >>> layer(rv.ops.ones((1, 8, 8, 16))).shape, layer.count_params()
    ((1, 8, 8, 16), 160)
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        options = {name: given[name] for name in _DEPTHWISE}
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            options,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )


class _SeparableConv(_Depthwise):
    def __init__(self, filters: int, *arguments: Any, **kwargs: Any) -> None:
        super().__init__(*arguments, **kwargs)
        self.filters = positive(type(self).__name__, "filters", filters)

    def build(self, input_shape: Any) -> None:
        channels = known_axis(self, input_shape, -1)
        self._places(input_shape)
        between = channels * self.depth_multiplier
        self.depthwise_kernel = self._add(
            "depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise"
        )
        self.pointwise_kernel = self._add("pointwise_kernel", (*(1,) * self.rank, between, self.filters), "pointwise")
        if self.use_bias:
            self.bias = self._add("bias", (self.filters,), "bias")
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={-1: channels})
        self.built = True

    def call(self, inputs: Any) -> Any:
        fused = self._activated()
        between = self._depthwise(inputs, self.depthwise_kernel, None, None)
        kernel = self.pointwise_kernel if self.rank == 2 else ops.expand_dims(self.pointwise_kernel, 0)
        y = ops.conv2d(between, kernel, self.bias, activation=fused)
        y = y if self.rank == 2 else ops.squeeze(y, 1)
        return y if fused else self.activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self._places(input_shape), self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}


class SeparableConv1D(_SeparableConv):
    """A kernel for each channel, then a 1-wide convolution across them: (N, L, C) -> (N, L', filters).

    Source: Keras ``SeparableConv1D``.

    >>> import ranvier as rv
    >>> rv.layers.SeparableConv1D(5, 3)(rv.ops.ones((1, 10, 4))).shape
    (1, 8, 5)
    """

    rank = 1

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        options = {name: given[name] for name in _SEPARABLE}
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            options,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )


class SeparableConv2D(_SeparableConv):
    """A kernel for each channel, then 1x1 across them: (N, H, W, C) -> (N, H', W', filters).

    Raises ValueError for inputs that are not of rank 4, or too small. Source: Keras ``SeparableConv2D`` (Chollet 2017).

    >>> import ranvier as rv
    >>> layer = rv.layers.SeparableConv2D(32, 3)
    >>> layer(rv.ops.ones((1, 8, 8, 16))).shape, layer.count_params()  # a Conv2D has 4640
    ((1, 6, 6, 32), 688)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        options = {name: given[name] for name in _SEPARABLE}
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            options,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
