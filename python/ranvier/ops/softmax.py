"""Softmax along an axis, and its logarithm."""

from __future__ import annotations

from typing import Any

from ranvier.autograd import GPUS, Function, is_recording
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, wrap

__all__ = ["log_softmax", "softmax"]


class Softmax(Function):
    narrow = GPUS

    def forward(self, x: Any, axis: int) -> Any:
        self.axis = axis
        y = self.kernels.softmax_forward(x, axis)
        self.save(y, x)
        return y

    @property
    def logits(self) -> Tensor | None:
        """The input, for losses that compute from it; None if the tape has let it go or the axis is not the last."""
        if self.freed:
            return None
        _, x = self.saved
        return x if self.axis in (-1, x.ndim - 1) else None

    def backward(self, dy: Tensor) -> Tensor:
        y, _ = self.saved
        if is_recording():
            return y * (dy - (dy * y).sum(self.axis, keepdims=True))
        return wrap(self.kernels.softmax_backward(y.array, dy.array, self.axis))


class LogSoftmax(Function):
    narrow = GPUS

    def forward(self, x: Any, axis: int) -> Any:
        self.axis = axis
        y = self.kernels.log_softmax_forward(x, axis)
        self.save(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        from ranvier.ops.elementwise import exp

        (y,) = self.saved
        if is_recording():
            return dy - exp(y) * dy.sum(self.axis, keepdims=True)
        return wrap(self.kernels.log_softmax_backward(y.array, dy.array, self.axis))


@direct("softmax")
def softmax(x: Any, axis: int = -1) -> Tensor:
    """Exponentials of ``x`` normalised along ``axis``: (..., n, ...) -> (..., n, ...), slices summing to one.

    float32 or float64. The maximum is subtracted first, so no input overflows; a slice with NaN or +Inf is NaN.
    Raises TypeError for other dtypes, ValueError for a scalar or an axis out of range. Source: Keras
    ``ops.softmax``; curriculum F08.

    >>> import ranvier as rv
    >>> rv.ops.softmax([0.0, 0.0]).numpy()
    array([0.5, 0.5], dtype=float32)
    """
    return Softmax.apply(x, axis=axis)


@direct("log_softmax")
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """Logarithm of softmax along ``axis``, without forming the softmax: (..., n, ...) -> (..., n, ...).

    float32 or float64. Raises TypeError for other dtypes, ValueError for a scalar or an axis out of range.
    Source: Keras ``ops.log_softmax``.

    >>> import ranvier as rv
    >>> rv.ops.log_softmax([0.0, 0.0]).numpy().round(4)
    array([-0.6931, -0.6931], dtype=float32)
    """
    return LogSoftmax.apply(x, axis=axis)
