"""Layers that make one tensor of several."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from ranvier import ops
from ranvier.layers.layer import Layer


def _shape_list(layer: Layer, input_shape: Any, least: int) -> list[tuple[int | None, ...]]:
    if not isinstance(input_shape, (list, tuple)) or not all(isinstance(s, (list, tuple)) for s in input_shape):
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r} should be called on a list of inputs; got shape {input_shape}"
        )
    if len(input_shape) < least:
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r} should be called on a list of at least {least} input(s), got "
            f"{len(input_shape)}"
        )
    return [tuple(s) for s in input_shape]


class _Merge(Layer):
    """Element by element, with broadcasting over sizes of one."""

    least = 2

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)
        self.built = True

    def merge(self, inputs: list[Any]) -> Any:
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        self.compute_output_shape([x.shape for x in inputs] if isinstance(inputs, (list, tuple)) else inputs.shape)
        rank = max(x.ndim for x in inputs)
        # Keras gives the lower ranks their missing axes after the batch axis
        raised = [
            x if x.ndim == rank else ops.reshape(x, (x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:])) for x in inputs
        ]
        return self.merge(raised)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = _shape_list(self, input_shape, self.least)
        rank = max(len(s) for s in shapes)
        raised = [(s[0], *(1,) * (rank - len(s)), *s[1:]) if s else (1,) * rank for s in shapes]
        sizes = []
        for axis in range(rank):
            column = {s[axis] for s in raised}
            known = {n for n in column if n not in (None, 1)}
            if len(known) > 1:
                raise ValueError(
                    f"{type(self).__name__} {self.name!r}: inputs have incompatible shapes {shapes}: axis {axis} has "
                    f"sizes {sorted(known, key=str)}"
                )
            sizes.append(next(iter(known)) if known else None if None in column else 1)
        return tuple(sizes)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = [m for m in previous_mask or () if m is not None]
        return reduce(ops.logical_and, masks) if masks else None


class Add(_Merge):
    """The sum of a list of tensors. Source: Keras ``Add``.

    >>> import ranvier as rv
    >>> rv.layers.Add()([rv.ops.ones((1, 2)), rv.ops.ones((1, 2))]).numpy()
    array([[2., 2.]], dtype=float32)
    """

    def merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.add, inputs)


class Subtract(_Merge):
    """The first of two tensors minus the second. Source: Keras ``Subtract``."""

    def merge(self, inputs: list[Any]) -> Any:
        if len(inputs) != 2:
            raise ValueError(f"Subtract {self.name!r} should be called on exactly 2 inputs, got {len(inputs)}")
        return ops.subtract(*inputs)


class Multiply(_Merge):
    """The product of a list of tensors. Source: Keras ``Multiply``."""

    def merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.multiply, inputs)


class Average(_Merge):
    """The mean of a list of tensors. Source: Keras ``Average``."""

    def merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.add, inputs) / float(len(inputs))


class Maximum(_Merge):
    """The largest of a list of tensors, element by element. Source: Keras ``Maximum``."""

    def merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.maximum, inputs)


class Minimum(_Merge):
    """The smallest of a list of tensors, element by element. Source: Keras ``Minimum``."""

    def merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.minimum, inputs)


class Concatenate(Layer):
    """A list of tensors one after another along ``axis``; the other sizes must agree. Source: Keras ``Concatenate``.

    >>> import ranvier as rv
    >>> rv.layers.Concatenate()([rv.ops.ones((1, 2)), rv.ops.ones((1, 3))]).shape
    (1, 5)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.concatenate(inputs, axis=self.axis)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = _shape_list(self, input_shape, 1)
        rank = len(shapes[0])
        if not -rank <= self.axis < rank:
            raise ValueError(f"Concatenate {self.name!r}: axis {self.axis} is not an axis of inputs of shapes {shapes}")
        axis = self.axis % rank
        sizes: list[int | None] = []
        for place in range(rank):
            column = [s[place] for s in shapes if len(s) == rank]
            if place == axis:
                sizes.append(None if None in column else sum(n for n in column if n is not None))
                continue
            known = {n for n in column if n is not None}
            if len(known) > 1 or len(column) < len(shapes):
                raise ValueError(
                    f"Concatenate {self.name!r} needs inputs with matching shapes except for axis {self.axis}, got "
                    f"{shapes}"
                )
            sizes.append(known.pop() if known else None)
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def _function(layer_class: Callable[..., Any], name: str) -> Callable[..., Any]:
    def merge(inputs: Any, **kwargs: Any) -> Any:
        return layer_class(**kwargs)(inputs)

    merge.__name__ = merge.__qualname__ = name
    merge.__doc__ = f"``{layer_class.__name__}(**kwargs)(inputs)``."
    return merge


add = _function(Add, "add")
subtract = _function(Subtract, "subtract")
multiply = _function(Multiply, "multiply")
average = _function(Average, "average")
maximum = _function(Maximum, "maximum")
minimum = _function(Minimum, "minimum")
concatenate = _function(Concatenate, "concatenate")
