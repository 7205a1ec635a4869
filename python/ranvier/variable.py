"""Variable: a tensor that a layer owns, with a name, an initial value and perhaps a regularizer."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ranvier import _core, config
from ranvier._device import get_device
from ranvier.changes import changes
from ranvier.tensor import Tensor, array_of


class _Loading(threading.local):
    left: int | None = None  # how many numbers variables may still hold


_loading = _Loading()


@contextlib.contextmanager
def uninitialized(numbers: int) -> Iterator[None]:
    """A context in which new variables are zeros in place of what their initializers would draw.

    For weights that a file overwrites: nothing is drawn from any generator. Together they may hold at most
    ``numbers``, which is what the file has; more raises ValueError before memory is taken.
    """
    outer, _loading.left = _loading.left, numbers
    try:
        yield
    finally:
        _loading.left = outer


def _zeros(shape: tuple[int, ...], dtype: str) -> _core.Array:
    assert _loading.left is not None
    count = math.prod(shape)
    if count > _loading.left:
        raise ValueError(f"a variable of shape {shape} is larger than what the file has left, {_loading.left} numbers")
    _loading.left -= count
    return _core.Array.zeros(shape, dtype, get_device())


class Variable(Tensor):
    """A named tensor whose values change in place: a weight, a moving statistic, an optimizer's state.

    ``initializer`` is the initial value, or a function ``(shape, dtype) -> values``; then ``shape`` is needed.
    A trainable floating variable requires a gradient. Raises ValueError for a missing or unequal shape.
    Source: Keras ``Variable``.

    >>> import ranvier as rv
    >>> v = rv.Variable([1.0, 2.0], name="v")
    >>> v.assign_add([1.0, 1.0]).numpy()
    array([2., 3.], dtype=float32)
    """

    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: str | None = None,
        trainable: bool = True,
        name: str | None = None,
        regularizer: Callable[[Tensor], Tensor] | None = None,
        constraint: Callable[[Tensor], Any] | None = None,
        path: str | None = None,
        autocast: bool = True,
    ) -> None:
        if callable(initializer) and not isinstance(initializer, Tensor):
            if shape is None:
                raise ValueError("Variable: an initializer that is a function needs a shape")
            make = initializer if _loading.left is None else _zeros
            value = make(_checked_shape(shape), dtype=dtype or config.floatx())
        else:
            value = initializer
            if dtype is None and not hasattr(value, "dtype") and isinstance(value, float):
                dtype = config.floatx()
        array = array_of(value, dtype, None, copy=_loading.left is None)
        if shape is not None and array.shape != tuple(shape):
            raise ValueError(f"Variable: the initial value has shape {array.shape}, expected {tuple(shape)}")
        self.array = array
        self.name = name or config.auto_name("variable")
        self.path = path or self.name
        self.initializer = initializer if callable(initializer) else None
        self.regularizer = regularizer
        self.constraint = constraint
        self.autocast = autocast  # whether layers that compute in another dtype read it in that
        self.trainable_by_nature = trainable  # what `trainable` returns to when a frozen layer thaws
        self.trainable = trainable

    @property
    def trainable(self) -> bool:
        """Whether optimizers change it; setting it also sets ``requires_grad``, so that frozen layers cost no tape."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        changes.count += 1
        self._trainable = bool(value)
        self.requires_grad = self._trainable and self.is_floating

    @property
    def is_floating(self) -> bool:
        """Whether the values are floating-point numbers."""
        return self.array.dtype.startswith(("float", "bfloat"))

    @property
    def value(self) -> Tensor:
        """The variable itself, which is a tensor (Keras wraps one in the other)."""
        return self

    def assign(self, value: Any) -> Variable:
        """Overwrites the values in place. Raises ValueError for another shape."""
        array = array_of(value, self.dtype, self.device)
        if array.shape != self.shape:
            raise ValueError(
                f"assign: variable {self.path!r} has shape {self.shape}, the value has shape {array.shape}"
            )
        self.array.copy_from(array)
        return self

    def assign_add(self, value: Any) -> Variable:
        """Adds ``value`` in place."""
        return self.assign(self.detach() + value)

    def assign_sub(self, value: Any) -> Variable:
        """Subtracts ``value`` in place."""
        return self.assign(self.detach() - value)

    def __copy__(self) -> Variable:
        twin = Variable(self.array, trainable=self.trainable_by_nature, name=self.name, path=self.path)
        twin.regularizer, twin.constraint = self.regularizer, self.constraint
        twin.initializer = self.initializer
        twin.trainable = self.trainable
        return twin

    def __deepcopy__(self, memo: Any) -> Variable:
        return self.__copy__()

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={self.numpy()!r}>"


def _checked_shape(shape: Any) -> tuple[int, ...]:
    shape = tuple(shape)
    for size in shape:
        if not isinstance(size, int) or size < 0:
            raise ValueError(f"Variable: shape {shape} has a size that is not known or not a number")
    return shape
