"""Arithmetic of two operands, and what takes the gradient of a broadcast operand back to its shape."""

from __future__ import annotations

from typing import Any

from ranvier.autograd import Function, is_recording
from ranvier.ops.elementwise.comparison import equal, greater_equal, less_equal, logical_and
from ranvier.ops.elementwise.functions import Negative, Square, log
from ranvier.ops.elementwise.operands import INTEGERS, binary, cast, to_shape, unary
from ranvier.ops.elementwise.selection import where
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor, wrap


class Add(Function):
    def forward(self, x1: Any, x2: Any) -> Any:
        if True in self.needs:
            self.shapes = x1.shape, x2.shape
        return self.kernels.add_forward(x1, x2)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(to_shape(dy, s) if need else None for s, need in zip(self.shapes, self.needs, strict=True))


class Subtract(Function):
    def forward(self, x1: Any, x2: Any) -> Any:
        if True in self.needs:
            self.shapes = x1.shape, x2.shape
        return self.kernels.subtract_forward(x1, x2)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return (
            to_shape(dy, self.shapes[0]) if self.needs[0] else None,
            Negative.apply(to_shape(dy, self.shapes[1])) if self.needs[1] else None,
        )


class Multiply(Function):
    def forward(self, x1: Any, x2: Any) -> Any:
        self.save(x1, x2)
        return self.kernels.multiply_forward(x1, x2)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x1, x2 = self.saved
        return (
            to_shape(Multiply.apply(dy, x2), x1.shape) if self.needs[0] else None,
            to_shape(Multiply.apply(dy, x1), x2.shape) if self.needs[1] else None,
        )


class Divide(Function):
    def forward(self, x1: Any, x2: Any) -> Any:
        y = self.kernels.divide_forward(x1, x2)
        self.save(x1, x2, y)
        return y

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x1, x2, y = self.saved
        dx1 = Divide.apply(dy, x2)
        return (
            to_shape(dx1, x1.shape) if self.needs[0] else None,
            Negative.apply(to_shape(Multiply.apply(dx1, y), x2.shape)) if self.needs[1] else None,
        )


class Power(Function):
    """d/dx1 = x2 * x1**(x2 - 1), 0 where x2 is 0; d/dx2 = y * log(x1), 0 where x1 is 0 and x2 is not negative
    (the limit), NaN where x1 is negative (no power nearby is real)."""

    def forward(self, x1: Any, x2: Any) -> Any:
        y = self.kernels.power_forward(x1, x2)
        self.save(x1, x2, y)
        return y

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x1, x2, y = self.saved
        dx1 = dx2 = None
        if self.needs[0]:
            # x2 - 1, but 1 where x2 is 0: the factor x2 makes those 0 anyway, and x1 = 0 no NaN
            lower = x2 - 1 if x2.requires_grad and is_recording() else where(equal(x2, 0), 1, x2 - 1)
            dx1 = to_shape(dy * (x2 * power(x1, lower)), x1.shape)
        if self.needs[1]:
            flat = logical_and(equal(x1, 0), greater_equal(x2, 0))
            slope = y * log(where(flat, 1, x1))
            dx2 = to_shape(dy * slope, x2.shape)
        return dx1, dx2


class Maximum(Function):
    """At ties each operand gets half of the gradient."""

    def forward(self, x1: Any, x2: Any) -> Any:
        self.save(x1, x2)
        return self.kernels.maximum_forward(x1, x2)

    def share(self, x1: Tensor, x2: Tensor) -> Tensor:
        return wrap(self.kernels.maximum_share_forward(x1.array, x2.array))

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x1, x2 = self.saved
        return (
            to_shape(Multiply.apply(dy, self.share(x1, x2)), x1.shape) if self.needs[0] else None,
            to_shape(Multiply.apply(dy, self.share(x2, x1)), x2.shape) if self.needs[1] else None,
        )


class Minimum(Maximum):
    def forward(self, x1: Any, x2: Any) -> Any:
        self.save(x1, x2)
        return self.kernels.minimum_forward(x1, x2)

    def share(self, x1: Tensor, x2: Tensor) -> Tensor:
        return wrap(self.kernels.maximum_share_forward(x2.array, x1.array))


@direct("add")
def add(x1: Any, x2: Any) -> Tensor:
    """Sum, element by element: shapes broadcast as in NumPy, any dtype (``or`` on bool).

    Raises ValueError for shapes that do not broadcast. Source: ``numpy.add``.

    >>> import ranvier as rv
    >>> rv.ops.add([1.0, 2.0], 3.0).numpy()
    array([4., 5.], dtype=float32)
    """
    return binary(Add, x1, x2)


@direct("subtract")
def subtract(x1: Any, x2: Any) -> Tensor:
    """Difference, element by element: shapes broadcast as in NumPy, any dtype but bool (TypeError).

    Raises ValueError for shapes that do not broadcast. Source: ``numpy.subtract``.

    >>> import ranvier as rv
    >>> rv.ops.subtract([1.0, 2.0], 3.0).numpy()
    array([-2., -1.], dtype=float32)
    """
    return binary(Subtract, x1, x2)


@direct("multiply")
def multiply(x1: Any, x2: Any) -> Tensor:
    """Product, element by element: shapes broadcast as in NumPy, any dtype (``and`` on bool).

    Raises ValueError for shapes that do not broadcast. Source: ``numpy.multiply``.

    >>> import ranvier as rv
    >>> rv.ops.multiply([1.0, 2.0], 3.0).numpy()
    array([3., 6.], dtype=float32)
    """
    return binary(Multiply, x1, x2)


@direct("divide")
def divide(x1: Any, x2: Any) -> Tensor:
    """Quotient, element by element: shapes broadcast as in NumPy; integers and bool give float32.

    A zero divisor gives Inf or NaN. Raises ValueError for shapes that do not broadcast. Source: ``numpy.divide``.

    >>> import ranvier as rv
    >>> rv.ops.divide(rv.Tensor([1, 2]), 4).numpy()
    array([0.25, 0.5 ], dtype=float32)
    """
    return binary(Divide, x1, x2, floating=True)


@direct("power")
def power(x1: Any, x2: Any) -> Tensor:
    """``x1`` to the power ``x2``, element by element: shapes broadcast as in NumPy, any dtype but bool (TypeError).

    A negative base with a fractional exponent gives NaN. Raises ValueError for integers to negative integer powers and
    for shapes that do not broadcast. Source: ``numpy.power``.

    >>> import ranvier as rv
    >>> rv.ops.power([2.0, 3.0], 3).numpy()
    array([ 8., 27.], dtype=float32)
    """
    if isinstance(x2, (int, float)) and x2 == 2 and isinstance(x1, Tensor) and x1.array.dtype != "bool":
        return unary(Square, x1 if isinstance(x2, int) or x1.array.dtype not in INTEGERS else cast(x1, "float32"))
    return binary(Power, x1, x2)


@direct("maximum")
def maximum(x1: Any, x2: Any) -> Tensor:
    """The larger of two, element by element, NaN if either is; shapes broadcast as in NumPy, any dtype.

    The gradient goes to the larger, half to each where they are equal. Raises ValueError for shapes that do not
    broadcast. Source: ``numpy.maximum``.

    >>> import ranvier as rv
    >>> rv.ops.maximum([1.0, 5.0], 3.0).numpy()
    array([3., 5.], dtype=float32)
    """
    return binary(Maximum, x1, x2)


@direct("minimum")
def minimum(x1: Any, x2: Any) -> Tensor:
    """The smaller of two, element by element, NaN if either is; shapes broadcast as in NumPy, any dtype.

    The gradient goes to the smaller, half to each where they are equal. Raises ValueError for shapes that do not
    broadcast. Source: ``numpy.minimum``.

    >>> import ranvier as rv
    >>> rv.ops.minimum([1.0, 5.0], 3.0).numpy()
    array([1., 3.], dtype=float32)
    """
    return binary(Minimum, x1, x2)


@direct("sum_to_shape")
def sum_to_shape(x: Any, shape: tuple[int, ...]) -> Tensor:
    """Sums ``x`` over the axes along which ``shape`` would be repeated to broadcast to it: the transpose of
    broadcasting. float32 or float64. Raises ValueError if ``shape`` does not broadcast to that of ``x``.

    >>> import ranvier as rv
    >>> rv.ops.sum_to_shape([[1.0, 2.0], [3.0, 4.0]], (1, 2)).numpy()
    array([[4., 6.]], dtype=float32)
    """
    return to_shape(as_tensor(x), tuple(shape))


class Clip(Function):
    narrow = ()

    def forward(self, x: Any, x_min: float, x_max: float) -> Any:
        self.bounds = x_min, x_max
        self.save(x)
        return self.kernels.clip_forward(x, x_min, x_max)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        if is_recording():
            low, high = self.bounds
            return where(logical_and(greater_equal(x, low), less_equal(x, high)), dy, 0)
        return wrap(self.kernels.clip_backward(x.array, dy.array, *self.bounds))


@direct("clip")
def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """``minimum(maximum(x, x_min), x_max)``: values outside the interval become its ends. Any numeric dtype.

    With numbers as bounds the gradient is 1 inside the closed interval and 0 outside; bounds that are arrays broadcast
    and get gradients of their own, as in ``minimum`` and ``maximum``. Source: Keras ``ops.clip``.

    >>> import ranvier as rv
    >>> rv.ops.clip([-2.0, 0.5, 7.0], 0, 1).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    t = x if isinstance(x, Tensor) else as_tensor(x)
    numbers = isinstance(x_min, (int, float)) and isinstance(x_max, (int, float))
    if numbers and "float" in t.array.dtype:
        return Clip.apply(t, x_min=x_min, x_max=x_max)
    return minimum(maximum(t, x_min), x_max)
