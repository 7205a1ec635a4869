"""Conv1DTranspose and Conv2DTranspose: the gradient of a convolution as a layer, which enlarges."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.layers.arguments import known_axis
from ranvier.layers.convolution import Convolution, as_image, as_pair
from ranvier.layers.input_spec import InputSpec


class _ConvTranspose(Convolution):
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any,
        padding: str,
        output_padding: Any,
        data_format: str | None,
        dilation_rate: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, strides, padding, data_format, dilation_rate, **kwargs)
        name, rank = type(self).__name__, self.rank
        if output_padding is None:
            self.output_padding = None
        else:
            values = (output_padding,) * rank if isinstance(output_padding, int) else tuple(output_padding)
            if len(values) != rank or any(v < 0 or v >= s for v, s in zip(values, self.strides, strict=True)):
                raise ValueError(
                    f"{name}: output_padding must be {rank} integers in [0, stride), got {output_padding!r} with "
                    f"strides {self.strides}"
                )
            self.output_padding = values

    def build(self, input_shape: Any) -> None:
        channels = known_axis(self, input_shape, -1)
        self.add_kernel_and_bias((*self.kernel_size, self.filters, channels), self.filters)
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={-1: channels})
        self.built = True

    def call(self, inputs: Any) -> Any:
        extra = self.output_padding
        if extra is not None and self.rank == 1:
            extra = (0, *extra)
        y = ops.conv2d_transpose(
            as_image(inputs),
            self._kernel_of_images(),
            self.bias,
            as_pair(self.strides),
            self.padding,
            extra,
            as_pair(self.dilation_rate),
        )
        return self.activation(y if self.rank == 2 else ops.squeeze(y, 1))

    def compute_output_shape(self, input_shape: Any) -> Any:
        found: list[int | None] = []
        for axis, size in enumerate(input_shape[1:-1]):
            stride, extra = self.strides[axis], None if self.output_padding is None else self.output_padding[axis]
            window = self.dilation_rate[axis] * (self.kernel_size[axis] - 1) + 1
            if size is None:
                found.append(None)
            elif extra is None:
                found.append(size * stride if self.padding == "same" else size * stride + max(window - stride, 0))
            else:
                cut = 2 * (window // 2) if self.padding == "same" else 0
                found.append((size - 1) * stride + window - cut + extra)
        return (input_shape[0], *found, self.filters)

    def get_config(self) -> dict[str, Any]:
        padding = None if self.output_padding is None else list(self.output_padding)
        return {**super().get_config(), "output_padding": padding}


class Conv1DTranspose(_ConvTranspose):
    """The gradient of Conv1D as a layer, which lengthens: (N, L, C) -> (N, L', filters).

    Kernel (k, filters, C); lengths as in ``Conv2DTranspose``. Source: Keras ``Conv1DTranspose``.

    >>> import ranvier as rv
    >>> rv.layers.Conv1DTranspose(3, 4, strides=2, padding="same")(rv.ops.ones((1, 7, 2))).shape
    (1, 14, 3)
    """

    rank = 1

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
            output_padding,
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


class Conv2DTranspose(_ConvTranspose):
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
            output_padding,
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
