"""Maximum and average pooling."""

from __future__ import annotations

from typing import Any

from ranvier.autograd import GPUS, Function, is_recording
from ranvier.ops.conv2d import padding_argument, pair
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor, wrap

__all__ = ["avg_pool2d", "global_avg_pool2d", "global_max_pool2d", "max_pool2d"]


class MaxPool2D(Function):
    """Keeps the place of each maximum in its window: a byte where the window has at most 255 elements."""

    name = "max_pool2d"
    narrow = GPUS

    def forward(self, inputs: Any, **window: Any) -> Any:
        self.window = window
        self.input_size = list(inputs.shape[1:3])
        y, argmax = self.kernels.max_pool2d_forward(inputs, **window, with_argmax=self.needs[0])
        self.save(argmax)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (argmax,) = self.saved
        return MaxPool2DGradient.apply(dy, argmax=argmax.array, input_size=self.input_size, **self.window)


class MaxPool2DGradient(Function):
    """dy -> d inputs, linear for given places; its own gradient picks the values at these places."""

    narrow = GPUS

    def forward(self, dy: Any, argmax: Any, input_size: list[int], **window: Any) -> Any:
        self.window, self.input_size = window, input_size
        self.save(argmax)
        return self.kernels.max_pool2d_backward(dy, argmax, input_size, **window)

    def backward(self, upstream: Tensor) -> Tensor:
        (argmax,) = self.saved
        return MaxPool2DGather.apply(upstream, argmax=argmax.array, **self.window)


class MaxPool2DGather(Function):
    """x -> its values at the places of the maxima."""

    narrow = GPUS

    def forward(self, x: Any, argmax: Any, **window: Any) -> Any:
        self.window, self.input_size = window, list(x.shape[1:3])
        self.save(argmax)
        return self.kernels.max_pool2d_gather(x, argmax, **window)

    def backward(self, dy: Tensor) -> Tensor:
        (argmax,) = self.saved
        return MaxPool2DGradient.apply(dy, argmax=argmax.array, input_size=self.input_size, **self.window)


class AvgPool2D(Function):
    name = "avg_pool2d"
    narrow = GPUS

    def forward(self, inputs: Any, **window: Any) -> Any:
        self.window = window
        self.input_size = list(inputs.shape[1:3])
        return self.kernels.avg_pool2d_forward(inputs, **window)

    def backward(self, dy: Tensor) -> Tensor:
        if is_recording():
            return AvgPool2DGradient.apply(dy, input_size=self.input_size, **self.window)
        return wrap(self.kernels.avg_pool2d_backward(dy.array, self.input_size, **self.window))


class AvgPool2DGradient(Function):
    """dy -> d inputs: linear, and the adjoint of AvgPool2D."""

    narrow = GPUS

    def forward(self, dy: Any, input_size: list[int], **window: Any) -> Any:
        self.window = window
        return self.kernels.avg_pool2d_backward(dy, input_size, **window)

    def backward(self, upstream: Tensor) -> Tensor:
        return AvgPool2D.apply(upstream, **self.window)


def _window(op: str, pool_size: Any, strides: Any, padding: Any) -> dict[str, Any]:
    size = pair(op, "pool_size", pool_size)
    steps = size if strides is None else pair(op, "strides", strides)
    return dict(pool_size=size, strides=steps, padding=padding_argument(op, padding))


@direct("max_pool2d")
def max_pool2d(inputs: Any, pool_size: Any = 2, strides: Any = None, padding: Any = "valid") -> Tensor:
    """The maximum of each window of an image: (N, H, W, C) -> (N, OH, OW, C).

    float32 or float64. ``pool_size`` and ``strides`` (None: the pool size) are an integer or (height, width).
    ``padding`` as for ``conv2d``; padding is never the maximum. A NaN is the maximum of its window. The gradient goes
    to the first maximum in row-major order. Differentiable any number of times.

    Raises ValueError for other ranks, options out of range and a window larger than the image; TypeError for other
    dtypes. Sources: Keras ``ops.max_pool``; curriculum F38.

    >>> import ranvier as rv
    >>> rv.ops.max_pool2d([[[[1.0], [3.0]], [[4.0], [2.0]]]]).numpy()
    array([[[[4.]]]], dtype=float32)
    """
    return MaxPool2D.apply(inputs, **_window("max_pool2d", pool_size, strides, padding))


@direct("avg_pool2d")
def avg_pool2d(inputs: Any, pool_size: Any = 2, strides: Any = None, padding: Any = "valid") -> Tensor:
    """The mean of each window of an image: (N, H, W, C) -> (N, OH, OW, C).

    float32 or float64. ``pool_size`` and ``strides`` (None: the pool size) are an integer or (height, width).
    ``padding`` as for ``conv2d``; padding does not count, as in TensorFlow. Differentiable any number of times.

    Raises ValueError for other ranks, options out of range and a window larger than the image; TypeError for other
    dtypes. Sources: Keras ``ops.average_pool``; curriculum F38.

    >>> import ranvier as rv
    >>> rv.ops.avg_pool2d([[[[1.0], [3.0]], [[4.0], [2.0]]]]).numpy()
    array([[[[2.5]]]], dtype=float32)
    """
    return AvgPool2D.apply(inputs, **_window("avg_pool2d", pool_size, strides, padding))


def _global(pool: Any, inputs: Any, keepdims: bool) -> Tensor:
    x = inputs if isinstance(inputs, Tensor) else as_tensor(inputs)
    y: Tensor = pool(x, x.shape[1:3] if x.ndim == 4 else 1)  # another rank is refused by the pool
    return y if keepdims else y.reshape((y.shape[0], y.shape[3]))


@direct("global_max_pool2d")
def global_max_pool2d(inputs: Any, keepdims: bool = False) -> Tensor:
    """The maximum of each channel of an image: (N, H, W, C) -> (N, C), or (N, 1, 1, C) with ``keepdims``.

    float32 or float64. Raises ValueError for other ranks and empty images, TypeError for other dtypes.
    Source: Keras ``GlobalMaxPooling2D``.

    >>> import ranvier as rv
    >>> rv.ops.global_max_pool2d([[[[1.0], [3.0]], [[4.0], [2.0]]]]).numpy()
    array([[4.]], dtype=float32)
    """
    return _global(max_pool2d, inputs, keepdims)


@direct("global_avg_pool2d")
def global_avg_pool2d(inputs: Any, keepdims: bool = False) -> Tensor:
    """The mean of each channel of an image: (N, H, W, C) -> (N, C), or (N, 1, 1, C) with ``keepdims``.

    float32 or float64. Raises ValueError for other ranks and empty images, TypeError for other dtypes.
    Source: Keras ``GlobalAveragePooling2D``.

    >>> import ranvier as rv
    >>> rv.ops.global_avg_pool2d([[[[1.0], [3.0]], [[4.0], [2.0]]]]).numpy()
    array([[2.5]], dtype=float32)
    """
    return _global(avg_pool2d, inputs, keepdims)
