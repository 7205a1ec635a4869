"""Layers that make one tensor of several."""

from __future__ import annotations

import math
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


class Dot(Layer):
    """Products summed along one axis of each of two tensors, sample by sample. Source: Keras ``Dot``.

    (N, ..., K, ...) and (N, ..., K, ...) -> (N, other axes of the first, other axes of the second), (N, 1) where none
    are left. ``axes``: the axis of both, or one for each. With ``normalize`` vectors of length 1 are multiplied: the
    cosine of their angle. Raises ValueError for axes that are the batch's or that the inputs have not, and for
    different sizes.

    >>> import ranvier as rv
    >>> rv.layers.Dot(axes=1)([rv.Tensor([[1.0, 2.0]]), rv.Tensor([[3.0, 4.0]])]).numpy()
    array([[11.]], dtype=float32)
    """

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int):
            if not isinstance(axes, (list, tuple)):
                raise TypeError(f"Dot: axes must be an axis, or one for each input, got {axes!r}")
            if len(axes) != 2 or not all(isinstance(a, int) for a in axes):
                raise ValueError(f"Dot: axes must be an axis, or one for each input, got {axes!r}")
        self.axes = axes
        self.normalize = normalize
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)
        self.built = True

    def _axes(self, shapes: list[Any]) -> list[int]:
        given = [self.axes] * 2 if isinstance(self.axes, int) else self.axes
        for axis, shape in zip(given, shapes, strict=True):
            if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ValueError(
                    f"Dot {self.name!r}: axis {axis} is not an axis of an input of shape {shape} after the batch axis"
                )
        return [axis % len(shape) for axis, shape in zip(given, shapes, strict=True)]

    def call(self, inputs: Any) -> Any:
        first, second = inputs
        shape = self.compute_output_shape([first.shape, second.shape])
        one, other = self._axes([first.shape, second.shape])
        if self.normalize:
            first, second = _unit(first, one), _unit(second, other)
        # the axis that goes comes last in the first, and first or last, whichever it is, in the second
        if one != first.ndim - 1:
            first = ops.transpose(first, [a for a in range(first.ndim) if a != one] + [one])
        if other not in (1, second.ndim - 1):
            second = ops.transpose(second, [0, other] + [a for a in range(1, second.ndim) if a != other])
            other = 1
        n, size = first.shape[0], first.shape[-1]
        last = other != 1
        rows, columns = math.prod(first.shape[1:-1]), math.prod(second.shape[1:-1] if last else second.shape[2:])
        second = ops.reshape(second, (n, columns, size) if last else (n, size, columns))
        return ops.reshape(ops.matmul(ops.reshape(first, (n, rows, size)), second, transpose_x2=last), shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = _shape_list(self, input_shape, 2)
        if len(shapes) != 2:
            raise ValueError(f"Dot {self.name!r} should be called on exactly 2 inputs, got {len(shapes)}")
        (first, second), (one, other) = shapes, self._axes(shapes)
        sizes = first[one], second[other]
        if None not in sizes and sizes[0] != sizes[1]:
            raise ValueError(
                f"Dot {self.name!r}: axis {one} of the first input of shape {first} has size {sizes[0]}, axis {other} "
                f"of the second of shape {second} has size {sizes[1]}; they must be equal"
            )
        shape = (*first[:one], *first[one + 1 :], *second[1:other], *second[other + 1 :])
        return shape if len(shape) > 1 else (*shape, 1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None

    def get_config(self) -> dict[str, Any]:
        axes = self.axes if isinstance(self.axes, int) else list(self.axes)
        return {**super().get_config(), "axes": axes, "normalize": self.normalize}


def _unit(x: Any, axis: int) -> Any:
    """``x`` over its length along ``axis``."""
    return x / ops.sqrt(ops.maximum(ops.sum(x * x, axis, keepdims=True), 1e-14))  # Keras: no length under 1e-7


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


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """``Concatenate(axis, **kwargs)(inputs)``."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """``Dot(axes, **kwargs)(inputs)``."""
    return Dot(axes, **kwargs)(inputs)
