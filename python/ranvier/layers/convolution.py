"""Conv1D and Conv2D. A sequence is an image of height 1."""

from __future__ import annotations

from typing import Any

from ranvier import activations, ops
from ranvier.layers.arguments import (
    check_data_format,
    check_padding,
    checked_places,
    known_axis,
    output_size,
    positive,
    sizes,
)
from ranvier.layers.core import WeightedLayer
from ranvier.layers.input_spec import InputSpec


def as_image(inputs: Any) -> Any:
    """(N, L, C) as (N, 1, L, C); images as they are."""
    return ops.expand_dims(inputs, 1) if inputs.ndim == 3 else inputs


def as_pair(values: tuple[int, ...]) -> tuple[int, int]:
    """The sizes for an image of height 1, where there is only one."""
    return (1, values[0]) if len(values) == 1 else (values[0], values[1])


class Convolution(WeightedLayer):
    """Base of the layers with a window that slides: its sizes."""

    rank = 2  # 1: sequences (N, L, C); 2: images (N, H, W, C)

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
        self.kernel_size = sizes(name, "kernel_size", kernel_size, self.rank)
        self.strides = sizes(name, "strides", strides, self.rank)
        self.padding = self._checked_padding(padding)
        self.dilation_rate = sizes(name, "dilation_rate", dilation_rate, self.rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{name}: strides > 1 are not supported together with dilation_rate > 1, got strides={self.strides} "
                f"and dilation_rate={self.dilation_rate}"
            )
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _checked_padding(self, padding: Any) -> str:
        return check_padding(type(self).__name__, padding)

    def _kernel_of_images(self) -> Any:
        return self.kernel if self.rank == 2 else ops.expand_dims(self.kernel, 0)

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


class _Conv(Convolution):
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        groups: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, strides, padding, data_format, dilation_rate, **kwargs)
        name = type(self).__name__
        self.groups = positive(name, "groups", groups)
        if self.filters % self.groups:
            raise ValueError(f"{name}: filters ({self.filters}) must be divisible by groups ({self.groups})")

    def build(self, input_shape: Any) -> None:
        channels = known_axis(self, input_shape, -1)
        if channels % self.groups:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: the input's {channels} channels (shape {tuple(input_shape)}) "
                f"must be divisible by groups ({self.groups})"
            )
        self.add_kernel_and_bias((*self.kernel_size, channels // self.groups, self.filters), self.filters)
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={-1: channels})
        self.built = True

    def call(self, inputs: Any) -> Any:
        name = activations.name_of(self.activation)
        fused = name if name in self.fused else None
        padding: Any = self.padding
        if padding == "causal":  # the last of a window is the step itself: it sees no later one
            padding = ((0, 0), (self.dilation_rate[0] * (self.kernel_size[0] - 1), 0))
        y = ops.conv2d(
            as_image(inputs),
            self._kernel_of_images(),
            self.bias,
            as_pair(self.strides),
            padding,
            as_pair(self.dilation_rate),
            self.groups,
            fused,
        )
        y = y if self.rank == 2 else ops.squeeze(y, 1)
        return y if fused else self.activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        padding = "same" if self.padding == "causal" else self.padding
        axes = zip(input_shape[1:-1], self.kernel_size, self.strides, self.dilation_rate, strict=True)
        places = [output_size(size, window, stride, padding, d) for size, window, stride, d in axes]
        return (input_shape[0], *checked_places(self, input_shape, places), self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}


class Conv1D(_Conv):
    """Convolution of sequences: (N, L, C) -> (N, L', filters), kernel (k, C / groups, filters).

    ``padding`` ``"valid"``, ``"same"`` or ``"causal"`` (output t sees inputs up to t only). Raises ValueError for
    filters or channels that ``groups`` does not divide, inputs that are not of rank 3, or too short. Source: Keras
    ``Conv1D``.

    >>> import ranvier as rv
    >>> layer = rv.layers.Conv1D(8, 3, padding="causal")
    >>> layer(rv.ops.ones((2, 10, 4))).shape, layer.count_params()
    ((2, 10, 8), 104)
    """

    rank = 1

    def _checked_padding(self, padding: Any) -> str:
        return "causal" if padding == "causal" else super()._checked_padding(padding)

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
            groups,
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


class Conv2D(_Conv):
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
            groups,
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
