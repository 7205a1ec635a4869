"""KerasTensor: a tensor to be, of which shape, dtype and history are known; and Node, one call of a layer on such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ranvier
from ranvier import _tree

if TYPE_CHECKING:
    from ranvier.layers.layer import Layer


class KerasTensor:
    """The symbolic output of ``Input`` or of a layer, for building models.

    Layers, ``rv.ops`` functions and operators accept it and give another. ``shape`` has None where a size, such as
    the batch's, is not known yet.

    >>> import ranvier as rv
    >>> x = rv.Input((4,))
    >>> (rv.ops.reshape(x, (-1, 2, 2)) * 2).shape
    (None, 2, 2)
    """

    __array_priority__ = 2000  # NumPy arrays and Tensors on the left leave arithmetic to us
    __array_ufunc__ = None

    def __init__(self, shape: Any, dtype: str = "float32", name: str | None = None) -> None:
        self.shape: tuple[int | None, ...] = tuple(shape)
        self.dtype = dtype
        self.name = name or ranvier.config.auto_name("keras_tensor")
        self.source: Node | None = None  # the call that makes it
        self.tensor_index = 0

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    # What needs values must say that there are none.

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"{self!r} has no values: it is symbolic. Use layers or rv.ops functions on it, not NumPy, and wrap what "
            "else you need in a Layer"
        )

    def numpy(self) -> Any:
        return self.__array__()

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is symbolic and has no truth value; conditions belong inside a Layer's call")

    def __len__(self) -> int:
        raise TypeError(f"{self!r} is symbolic; its length may not be known. Use .shape")

    def __iter__(self) -> Any:
        raise TypeError(f"{self!r} is symbolic and cannot be iterated over")

    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Any:
        return ranvier.ops.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return ranvier.ops.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return ranvier.ops.subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return ranvier.ops.subtract(other, self)

    def __mul__(self, other: Any) -> Any:
        return ranvier.ops.multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return ranvier.ops.multiply(other, self)

    def __truediv__(self, other: Any) -> Any:
        return ranvier.ops.divide(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return ranvier.ops.divide(other, self)

    def __pow__(self, other: Any) -> Any:
        return ranvier.ops.power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return ranvier.ops.power(other, self)

    def __matmul__(self, other: Any) -> Any:
        return ranvier.ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return ranvier.ops.matmul(other, self)

    def __neg__(self) -> Any:
        return ranvier.ops.negative(self)

    def __abs__(self) -> Any:
        return ranvier.ops.abs(self)

    def __lt__(self, other: Any) -> Any:
        return ranvier.ops.less(self, other)

    def __le__(self, other: Any) -> Any:
        return ranvier.ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return ranvier.ops.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return ranvier.ops.greater_equal(self, other)

    def __getitem__(self, key: Any) -> Any:
        return ranvier.ops.get_item(self, key)


class Node:
    """One call of a layer on symbolic tensors: its arguments, and the tensors that come out."""

    def __init__(self, layer: Layer, args: Any, kwargs: dict[str, Any], outputs: Any) -> None:
        self.layer = layer
        self.args = args
        self.kwargs = kwargs
        self.outputs = outputs
        self.index = len(layer.inbound_nodes)
        self.inputs: list[KerasTensor] = symbolic_leaves((args, kwargs))
        self.output_list: list[KerasTensor] = symbolic_leaves(outputs)
        for position, tensor in enumerate(self.output_list):
            tensor.source = self
            tensor.tensor_index = position
        layer.inbound_nodes.append(self)


def symbolic_leaves(structure: Any) -> list[KerasTensor]:
    """The symbolic tensors in a structure."""
    return [leaf for leaf in _tree.flatten(structure) if isinstance(leaf, KerasTensor)]


def is_symbolic(structure: Any) -> bool:
    """Whether there is a symbolic tensor in a structure."""
    return any(isinstance(leaf, KerasTensor) for leaf in _tree.flatten(structure))
