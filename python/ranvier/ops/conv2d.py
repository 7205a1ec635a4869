"""Two-dimensional convolution, its two gradients, and transposed convolution.

The three directions are Functions of their own, each the gradient of the others, so that a gradient can be
differentiated again.
"""

from __future__ import annotations

import operator
from typing import Any

import ranvier
from ranvier.autograd import GPUS, Function, is_recording
from ranvier.tensor import Tensor, wrap

__all__ = ["conv2d", "conv2d_transpose"]


def pair(op: str, name: str, value: Any) -> Any:
    """An integer as (height, width); a pair as a list. What it holds is checked by the op."""
    try:
        return [operator.index(value)] * 2
    except TypeError:
        pass
    try:
        return [operator.index(side) for side in value]
    except TypeError:
        raise TypeError(f"{op}: {name} must be one or two integers but is {value!r}") from None


def padding_argument(op: str, padding: Any) -> Any:
    """A name, or explicit padding as nested lists."""
    if isinstance(padding, str):
        return padding
    try:
        return [[operator.index(zeros) for zeros in side] for side in padding]
    except TypeError:
        names = '"valid", "same" or ((top, bottom), (left, right))'
        raise TypeError(f"{op}: padding must be {names} but is {padding!r}") from None


def _bias_gradient(function: Function, dy: Tensor) -> Tensor:
    if is_recording():
        return dy.sum((0, 1, 2))
    return wrap(function.kernels.conv2d_bias_gradient(dy.array))


class Conv2D(Function):
    """Bias and activation happen as y is written; the gradient needs y, or the sum before the activation."""

    name = "conv2d"
    optional = (2,)
    narrow = GPUS

    def forward(self, inputs: Any, kernel: Any, bias: Any, activation: str = "linear", **geometry: Any) -> Any:
        self.activation, self.geometry = activation, geometry
        self.input_size, self.kernel_size = list(inputs.shape[1:3]), list(kernel.shape[:2])
        y, before = self.kernels.conv2d_forward(
            inputs, kernel, bias, **geometry, activation=activation, keep_sum=any(self.needs)
        )
        if activation == "linear":
            self.save(inputs, kernel, bias)
        else:
            self.save(inputs, kernel, bias, y if before is None else before)
        return y

    def backward(self, dy: Tensor) -> Any:
        inputs, kernel, bias, *saved = self.saved
        d_inputs = d_kernel = d_bias = None
        if saved and is_recording():
            before = Conv2D.apply(inputs, kernel, bias, **self.geometry)
            dy = ranvier.autograd.grad(getattr(ranvier.ops, self.activation)(before), before, dy, create_graph=True)
        elif saved:
            dz, db = self.kernels.conv2d_activation_gradient(
                saved[0].array, dy.array, self.activation, want_bias=self.needs[2]
            )
            dy, d_bias = wrap(dz), None if db is None else wrap(db)
        if self.needs[0]:
            d_inputs = Conv2DInputGradient.apply(dy, kernel, input_size=self.input_size, **self.geometry)
        if self.needs[1]:
            d_kernel = Conv2DKernelGradient.apply(inputs, dy, kernel_size=self.kernel_size, **self.geometry)
        if self.needs[2] and d_bias is None:
            d_bias = _bias_gradient(self, dy)
        return d_inputs, d_kernel, d_bias


class Conv2DInputGradient(Function):
    """dy, kernel -> d inputs: linear in each."""

    narrow = GPUS

    def forward(self, dy: Any, kernel: Any, input_size: list[int], **geometry: Any) -> Any:
        self.geometry = geometry
        self.kernel_size = list(kernel.shape[:2])
        self.save(dy, kernel)
        return self.kernels.conv2d_input_gradient(dy, kernel, input_size, **geometry)

    def backward(self, upstream: Tensor) -> Any:
        dy, kernel = self.saved
        d_dy = d_kernel = None
        if self.needs[0]:
            d_dy = Conv2D.apply(upstream, kernel, None, **self.geometry)
        if self.needs[1]:
            d_kernel = Conv2DKernelGradient.apply(upstream, dy, kernel_size=self.kernel_size, **self.geometry)
        return d_dy, d_kernel


class Conv2DKernelGradient(Function):
    """inputs, dy -> d kernel: linear in each."""

    narrow = GPUS

    def forward(self, inputs: Any, dy: Any, kernel_size: list[int], **geometry: Any) -> Any:
        self.geometry = geometry
        self.input_size = list(inputs.shape[1:3])
        self.save(inputs, dy)
        return self.kernels.conv2d_kernel_gradient(inputs, dy, kernel_size, **geometry)

    def backward(self, upstream: Tensor) -> Any:
        inputs, dy = self.saved
        d_inputs = d_dy = None
        if self.needs[0]:
            d_inputs = Conv2DInputGradient.apply(dy, upstream, input_size=self.input_size, **self.geometry)
        if self.needs[1]:
            d_dy = Conv2D.apply(inputs, upstream, None, **self.geometry)
        return d_inputs, d_dy


class Conv2DTranspose(Function):
    """The adjoint of the convolution that would take the output back to the input's shape."""

    name = "conv2d_transpose"
    optional = (2,)
    narrow = GPUS

    def forward(
        self, inputs: Any, kernel: Any, bias: Any, strides: Any, padding: Any, output_padding: Any, dilation: Any
    ) -> Any:
        y = self.kernels.conv2d_transpose_forward(inputs, kernel, bias, strides, padding, output_padding, dilation)
        self.kernel_size = list(kernel.shape[:2])
        # "valid" or "same" of that convolution need not hold with an output_padding: say it explicitly.
        totals = [
            max((n - 1) * s + (k - 1) * d + 1 - size, 0)
            for n, s, k, d, size in zip(
                inputs.shape[1:3], strides, self.kernel_size, dilation, y.shape[1:3], strict=True
            )
        ]
        explicit = [[total // 2, total - total // 2] for total in totals]
        self.geometry = dict(strides=strides, padding=explicit, dilation=dilation, groups=1)
        self.save(inputs, kernel)
        return y

    def backward(self, dy: Tensor) -> Any:
        inputs, kernel = self.saved
        d_inputs = d_kernel = d_bias = None
        if self.needs[0]:
            d_inputs = Conv2D.apply(dy, kernel, None, **self.geometry)
        if self.needs[1]:
            d_kernel = Conv2DKernelGradient.apply(dy, inputs, kernel_size=self.kernel_size, **self.geometry)
        if self.needs[2]:
            d_bias = _bias_gradient(self, dy)
        return d_inputs, d_kernel, d_bias


def conv2d(
    inputs: Any,
    kernel: Any,
    bias: Any = None,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
) -> Tensor:
    """Cross-correlation of images with a kernel: (N, H, W, C), (KH, KW, C / groups, O) -> (N, OH, OW, O).

    float32 or float64. ``bias`` has shape (O,). ``strides`` and ``dilation`` are an integer or (height, width).
    ``padding`` is "valid": OH = floor((H - KH') / SH) + 1 with KH' = (KH - 1) * dilation + 1; "same": OH =
    ceil(H / SH), an odd zero at the end; or ((top, bottom), (left, right)) zeros. With ``groups`` the channels fall
    into blocks that do not see each other; C groups make a depthwise convolution. ``activation`` is the name of an
    activation op with its default options (``"relu"``, ``"tanh"``...), applied in the same pass. Differentiable any
    number of times. In float32, 3x3 kernels with stride 1 may use Winograd's algorithm: ``rv.config.set_winograd``.

    Raises ValueError for shapes that do not fit (a kernel larger than its padded input too), for options out of
    range and unknown names; TypeError for other dtypes. Sources: Keras ``ops.conv``; curriculum F35, F36.

    >>> import ranvier as rv
    >>> x = rv.ops.arange(9, dtype="float32").reshape((1, 3, 3, 1))
    >>> rv.ops.conv2d(x, [[[[1.0]], [[0.0]]], [[[0.0]], [[1.0]]]]).numpy()[0, :, :, 0]
    array([[ 4.,  6.],
           [10., 12.]], dtype=float32)
    """
    if activation in ("softmax", "log_softmax"):  # over whole pixels: not for an epilogue
        return getattr(ranvier.ops, activation)(conv2d(inputs, kernel, bias, strides, padding, dilation, groups))
    return Conv2D.apply(
        inputs,
        kernel,
        bias,
        activation="linear" if activation is None else "silu" if activation == "swish" else activation,
        strides=pair("conv2d", "strides", strides),
        padding=padding_argument("conv2d", padding),
        dilation=pair("conv2d", "dilation", dilation),
        groups=groups,
    )


def conv2d_transpose(
    inputs: Any,
    kernel: Any,
    bias: Any = None,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    dilation: Any = 1,
) -> Tensor:
    """Transposed convolution, the adjoint of ``conv2d``: (N, H, W, C), (KH, KW, O, C) -> (N, OH, OW, O).

    float32 or float64. ``bias`` has shape (O,). With KH' = (KH - 1) * dilation + 1, OH is (H - 1) * SH + max(KH', SH)
    for "valid" and H * SH for "same"; with ``output_padding`` (an integer or a pair) it is (H - 1) * SH + KH' +
    output_padding and (H - 1) * SH + KH' % 2 + output_padding. Differentiable any number of times.

    Raises ValueError for shapes that do not fit and options out of range, TypeError for other dtypes.
    Sources: Keras ``ops.conv_transpose``; curriculum F39.

    >>> import ranvier as rv
    >>> rv.ops.conv2d_transpose([[[[1.0], [2.0]]]], [[[[1.0]], [[1.0]]]]).numpy()[0, :, :, 0]
    array([[1., 3., 2.]], dtype=float32)
    """
    op = "conv2d_transpose"
    return Conv2DTranspose.apply(
        inputs,
        kernel,
        bias,
        strides=pair(op, "strides", strides),
        padding=padding,
        output_padding=[] if output_padding is None else pair(op, "output_padding", output_padding),
        dilation=pair(op, "dilation", dilation),
    )
