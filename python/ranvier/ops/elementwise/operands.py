"""Operands brought to one device and one dtype; cast."""

from __future__ import annotations

from typing import Any

from ranvier import _core
from ranvier.autograd import NARROW, Function
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor, wrap

RANK = {"bool": 0, "uint8": 1, "int32": 2, "int64": 3, "float16": 4, "bfloat16": 4, "float32": 5, "float64": 6}
INTEGERS = ("uint8", "int32", "int64", "bool")


def promoted(a: str, b: str) -> str:
    """The dtype in which both meet."""
    if a == b:
        return a
    if RANK[a] == RANK[b]:
        return "float32"
    return a if RANK[a] > RANK[b] else b


def beside_number(x: Tensor, number: Any) -> tuple[Tensor, Tensor]:
    """A tensor and a Python number as tensors of the dtype that the weak rule gives."""
    dtype = x.array.dtype
    if dtype in NARROW or (dtype in INTEGERS and isinstance(number, float)):
        x = cast(x, "float32")
    elif dtype == "bool" and not isinstance(number, bool):
        x = cast(x, "int32")
    return x, wrap(_core.scalar_like(x.array, number))


def pair(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Two operands as tensors of one dtype (16-bit floats as float32)."""
    if isinstance(x1, Tensor):
        if isinstance(x2, (float, int)):
            return beside_number(x1, x2)
        if not isinstance(x2, Tensor):
            x2 = as_tensor(x2, device=x1.array.device)
    elif isinstance(x2, Tensor):
        if isinstance(x1, (float, int)):
            x2, x1 = beside_number(x2, x1)
            return x1, x2
        x1 = as_tensor(x1, device=x2.array.device)
    else:
        x1, x2 = as_tensor(x1), as_tensor(x2)
    dtype = x1.array.dtype
    if dtype != x2.array.dtype or dtype in NARROW:
        dtype = promoted(dtype, x2.array.dtype)
        if dtype in NARROW:
            dtype = "float32"
        x1, x2 = cast(x1, dtype), cast(x2, dtype)
    return x1, x2


def result_narrow(x1: Any, x2: Any) -> str | None:
    """float16 or bfloat16 if that is what the operands promote to."""
    a = x1.array.dtype if isinstance(x1, Tensor) else None
    b = x2.array.dtype if isinstance(x2, Tensor) else None
    if a not in NARROW and b not in NARROW:
        return None
    if a is None or b is None:
        other = x2 if b is None else x1
        if isinstance(other, (float, int)):
            return a or b
        a, b = a or as_tensor(other).dtype, b or as_tensor(other).dtype
    dtype = promoted(a, b)
    return dtype if dtype in NARROW else None


def binary(function: type[Function], x1: Any, x2: Any, floating: bool = False) -> Tensor:
    """``floating`` takes integers to float32."""
    a, b = pair(x1, x2)
    if floating and a.array.dtype in INTEGERS:
        a, b = cast(a, "float32"), cast(b, "float32")
    y = function.apply(a, b)
    return y if a is x1 and b is x2 else narrowed(y, x1, x2)


def narrowed(y: Tensor, x1: Any, x2: Any) -> Tensor:
    """Back to 16 bits where the operands promote to that."""
    narrow = result_narrow(x1, x2)
    return y if narrow is None else cast(y, narrow)


def unary(function: type[Function], x: Any) -> Tensor:
    """Keeps integers integers."""
    t = x if isinstance(x, Tensor) else as_tensor(x)
    dtype = t.array.dtype
    if dtype in NARROW:
        return cast(function.apply(cast(t, "float32")), dtype)
    return function.apply(t)


def floating_unary(function: type[Function], x: Any) -> Tensor:
    """Takes integers to float32."""
    t = x if isinstance(x, Tensor) else as_tensor(x)
    return unary(function, cast(t, "float32") if t.array.dtype in INTEGERS else t)


class Cast(Function):
    source: Any = None  # the node whose result it casts

    def forward(self, x: Any, dtype: str) -> Any:
        self.dtype = x.dtype
        return self.kernels.cast_forward(x, dtype)

    def backward(self, dy: Tensor) -> Tensor:
        return Cast.apply(dy, dtype=self.dtype)


@direct("cast")
def cast(x: Any, dtype: str) -> Tensor:
    """``x`` with another dtype (itself if it has it): one rounding, to nearest even.

    Floats to integers are truncated, saturate at the ends of the range, and NaN becomes 0; integers to integers wrap
    around; to bool is "not 0". Differentiable between floats. Raises TypeError for a dtype that Ranvier does not have.
    Source: Keras ``ops.cast``.

    >>> import ranvier as rv
    >>> rv.ops.cast([1.7, -1.7], "int32").numpy()
    array([ 1, -1], dtype=int32)
    """
    t = x if isinstance(x, Tensor) else as_tensor(x)
    if t.array.dtype == dtype:
        return t
    y = Cast.apply(t, dtype=dtype)
    if y.node is not None:
        y.node.source = t.node
    return y


class SumToShape(Function):
    narrow = ()

    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        self.shape = x.shape
        return self.kernels.sum_to_shape_forward(x, shape)

    def backward(self, dy: Tensor) -> Tensor:
        from ranvier.ops.shape import broadcast_to

        return broadcast_to(dy, self.shape)


def to_shape(dy: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The gradient of an operand that was broadcast from ``shape``: summed over the copies."""
    return dy if dy.shape == shape else SumToShape.apply(dy, shape=shape)
