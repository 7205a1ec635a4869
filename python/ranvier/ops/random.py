"""Dropout."""

from __future__ import annotations

from typing import Any

from ranvier.autograd import Function
from ranvier.tensor import Tensor

__all__ = ["dropout"]


class Dropout(Function):
    """Linear in x: its gradient is itself, with the mask made again from the same key and counter."""

    narrow = ()

    def forward(self, x: Any, rate: float, key: int, counter: int) -> Any:
        self.options = {"rate": rate, "key": key, "counter": counter}
        return self.kernels.dropout_forward(x, rate, key, counter)

    def backward(self, dy: Tensor) -> Tensor:
        return Dropout.apply(dy, **self.options)


def dropout(x: Any, rate: float, seed: Any = None) -> Tensor:
    """Zeroes each element with probability ``rate`` and scales the others by 1 / (1 - rate): any shape to the same.

    float32 or float64. ``seed``: an integer always drops the same elements; an ``rv.random.Generator`` or None
    (the default generator) draws on. Raises ValueError for a rate outside [0, 1), TypeError for other dtypes.
    Source: Srivastava et al. 2014; Keras ``random.dropout``.

    >>> import ranvier as rv
    >>> rv.ops.dropout([1.0, 1.0, 1.0, 1.0], 0.5, seed=3).numpy()
    array([2., 0., 2., 2.], dtype=float32)
    """
    from ranvier.random import generator_of
    from ranvier.tensor import as_tensor

    tensor = as_tensor(x)
    key, counter = generator_of(seed).reserve(tensor.size)
    return Dropout.apply(tensor, rate=rate, key=key, counter=counter)
