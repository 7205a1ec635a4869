"""Arithmetic, comparisons, selection and casts, element by element, with NumPy's broadcasting.

Dtypes. Tensors of different dtypes are promoted along bool < uint8 < int32 < int64 < float16, bfloat16 < float32 <
float64 (float16 with bfloat16 gives float32). A Python number is weak: it takes the tensor's dtype, except that a float
beside an integer tensor gives float32, and an int beside a bool tensor int32. 16-bit floats compute in float32.
Integers wrap around; ``divide`` and the transcendental functions take them to float32.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

from ranvier import _core
from ranvier._kernels import kernels_for
from ranvier.autograd import Function, is_recording
from ranvier.tensor import Tensor, as_tensor, wrap

__all__ = [
    "abs",
    "absolute",
    "add",
    "cast",
    "clip",
    "divide",
    "equal",
    "erf",
    "exp",
    "expm1",
    "greater",
    "greater_equal",
    "isfinite",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "logical_and",
    "logical_not",
    "logical_or",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "sign",
    "sqrt",
    "square",
    "subtract",
    "sum_to_shape",
    "where",
]

_RANK = {"bool": 0, "uint8": 1, "int32": 2, "int64": 3, "float16": 4, "bfloat16": 4, "float32": 5, "float64": 6}
_INTEGERS = ("uint8", "int32", "int64", "bool")
_NARROW = ("float16", "bfloat16")


# --- operands: one device, one dtype ------------------------------------------------------------------


def _promoted(a: str, b: str) -> str:
    if a == b:
        return a
    if _RANK[a] == _RANK[b]:
        return "float32"
    return a if _RANK[a] > _RANK[b] else b


def _beside_number(x: Tensor, number: Any) -> tuple[Tensor, Tensor]:
    """A tensor and a Python number as tensors of the dtype that the weak rule gives."""
    dtype = x.array.dtype
    if dtype in _NARROW or (dtype in _INTEGERS and isinstance(number, float)):
        x = cast(x, "float32")
    elif dtype == "bool" and not isinstance(number, bool):
        x = cast(x, "int32")
    return x, wrap(_core.scalar_like(x.array, number))


def _pair(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Two operands as tensors of one dtype (16-bit floats as float32)."""
    if isinstance(x1, Tensor):
        if isinstance(x2, (float, int)):
            return _beside_number(x1, x2)
        if not isinstance(x2, Tensor):
            x2 = as_tensor(x2, device=x1.array.device)
    elif isinstance(x2, Tensor):
        if isinstance(x1, (float, int)):
            x2, x1 = _beside_number(x2, x1)
            return x1, x2
        x1 = as_tensor(x1, device=x2.array.device)
    else:
        x1, x2 = as_tensor(x1), as_tensor(x2)
    dtype = x1.array.dtype
    if dtype != x2.array.dtype or dtype in _NARROW:
        dtype = _promoted(dtype, x2.array.dtype)
        if dtype in _NARROW:
            dtype = "float32"
        x1, x2 = cast(x1, dtype), cast(x2, dtype)
    return x1, x2


def _result_narrow(x1: Any, x2: Any) -> str | None:
    """float16 or bfloat16 if that is what the operands promote to."""
    a = x1.array.dtype if isinstance(x1, Tensor) else None
    b = x2.array.dtype if isinstance(x2, Tensor) else None
    if a not in _NARROW and b not in _NARROW:
        return None
    if a is None or b is None:
        other = x2 if b is None else x1
        if isinstance(other, (float, int)):
            return a or b
        a, b = a or as_tensor(other).dtype, b or as_tensor(other).dtype
    dtype = _promoted(a, b)
    return dtype if dtype in _NARROW else None


def _binary(function: type[Function], x1: Any, x2: Any, floating: bool = False) -> Tensor:
    """``floating`` takes integers to float32."""
    a, b = _pair(x1, x2)
    if floating and a.array.dtype in _INTEGERS:
        a, b = cast(a, "float32"), cast(b, "float32")
    y = function.apply(a, b)
    return y if a is x1 and b is x2 else _narrowed(y, x1, x2)


def _narrowed(y: Tensor, x1: Any, x2: Any) -> Tensor:
    """Back to 16 bits where the operands promote to that."""
    narrow = _result_narrow(x1, x2)
    return y if narrow is None else cast(y, narrow)


def _unary(function: type[Function], x: Any) -> Tensor:
    """Keeps integers integers."""
    t = x if isinstance(x, Tensor) else as_tensor(x)
    dtype = t.array.dtype
    if dtype in _NARROW:
        return cast(function.apply(cast(t, "float32")), dtype)
    return function.apply(t)


def _floating_unary(function: type[Function], x: Any) -> Tensor:
    """Takes integers to float32."""
    t = x if isinstance(x, Tensor) else as_tensor(x)
    return _unary(function, cast(t, "float32") if t.array.dtype in _INTEGERS else t)


def _to_shape(dy: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The gradient of an operand that was broadcast from ``shape``: summed over the copies."""
    return dy if dy.shape == shape else SumToShape.apply(dy, shape=shape)


# --- arithmetic -----------------------------------------------------------------------------------------


class SumToShape(Function):
    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        self.shape = x.shape
        return self.kernels.sum_to_shape_forward(x, shape)

    def backward(self, dy: Tensor) -> Tensor:
        from ranvier.ops.shape import broadcast_to

        return broadcast_to(dy, self.shape)


class Add(Function):
    def forward(self, x1: Any, x2: Any) -> Any:
        self.shapes = x1.shape, x2.shape
        return self.kernels.add_forward(x1, x2)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(_to_shape(dy, s) if need else None for s, need in zip(self.shapes, self.needs, strict=True))


class Subtract(Function):
    def forward(self, x1: Any, x2: Any) -> Any:
        self.shapes = x1.shape, x2.shape
        return self.kernels.subtract_forward(x1, x2)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return (
            _to_shape(dy, self.shapes[0]) if self.needs[0] else None,
            Negative.apply(_to_shape(dy, self.shapes[1])) if self.needs[1] else None,
        )


class Multiply(Function):
    def forward(self, x1: Any, x2: Any) -> Any:
        self.save(x1, x2)
        return self.kernels.multiply_forward(x1, x2)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x1, x2 = self.saved
        return (
            _to_shape(Multiply.apply(dy, x2), x1.shape) if self.needs[0] else None,
            _to_shape(Multiply.apply(dy, x1), x2.shape) if self.needs[1] else None,
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
            _to_shape(dx1, x1.shape) if self.needs[0] else None,
            Negative.apply(_to_shape(Multiply.apply(dx1, y), x2.shape)) if self.needs[1] else None,
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
            dx1 = _to_shape(dy * (x2 * power(x1, lower)), x1.shape)
        if self.needs[1]:
            flat = logical_and(equal(x1, 0), greater_equal(x2, 0))
            slope = y * log(where(flat, 1, x1))
            dx2 = _to_shape(dy * slope, x2.shape)
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
            _to_shape(Multiply.apply(dy, self.share(x1, x2)), x1.shape) if self.needs[0] else None,
            _to_shape(Multiply.apply(dy, self.share(x2, x1)), x2.shape) if self.needs[1] else None,
        )


class Minimum(Maximum):
    def forward(self, x1: Any, x2: Any) -> Any:
        self.save(x1, x2)
        return self.kernels.minimum_forward(x1, x2)

    def share(self, x1: Tensor, x2: Tensor) -> Tensor:
        return wrap(self.kernels.maximum_share_forward(x2.array, x1.array))


def add(x1: Any, x2: Any) -> Tensor:
    """Sum, element by element: shapes broadcast as in NumPy, any dtype (``or`` on bool).

    Raises ValueError for shapes that do not broadcast. Source: ``numpy.add``.

    >>> import ranvier as rv
    >>> rv.ops.add([1.0, 2.0], 3.0).numpy()
    array([4., 5.], dtype=float32)
    """
    return _binary(Add, x1, x2)


def subtract(x1: Any, x2: Any) -> Tensor:
    """Difference, element by element: shapes broadcast as in NumPy, any dtype but bool (TypeError).

    Raises ValueError for shapes that do not broadcast. Source: ``numpy.subtract``.

    >>> import ranvier as rv
    >>> rv.ops.subtract([1.0, 2.0], 3.0).numpy()
    array([-2., -1.], dtype=float32)
    """
    return _binary(Subtract, x1, x2)


def multiply(x1: Any, x2: Any) -> Tensor:
    """Product, element by element: shapes broadcast as in NumPy, any dtype (``and`` on bool).

    Raises ValueError for shapes that do not broadcast. Source: ``numpy.multiply``.

    >>> import ranvier as rv
    >>> rv.ops.multiply([1.0, 2.0], 3.0).numpy()
    array([3., 6.], dtype=float32)
    """
    return _binary(Multiply, x1, x2)


def divide(x1: Any, x2: Any) -> Tensor:
    """Quotient, element by element: shapes broadcast as in NumPy; integers and bool give float32.

    A zero divisor gives Inf or NaN. Raises ValueError for shapes that do not broadcast. Source: ``numpy.divide``.

    >>> import ranvier as rv
    >>> rv.ops.divide(rv.Tensor([1, 2]), 4).numpy()
    array([0.25, 0.5 ], dtype=float32)
    """
    return _binary(Divide, x1, x2, floating=True)


def power(x1: Any, x2: Any) -> Tensor:
    """``x1`` to the power ``x2``, element by element: shapes broadcast as in NumPy, any dtype but bool (TypeError).

    A negative base with a fractional exponent gives NaN. Raises ValueError for integers to negative integer powers and
    for shapes that do not broadcast. Source: ``numpy.power``.

    >>> import ranvier as rv
    >>> rv.ops.power([2.0, 3.0], 3).numpy()
    array([ 8., 27.], dtype=float32)
    """
    if isinstance(x2, (int, float)) and x2 == 2 and isinstance(x1, Tensor) and x1.array.dtype != "bool":
        return _unary(Square, x1 if isinstance(x2, int) or x1.array.dtype not in _INTEGERS else cast(x1, "float32"))
    return _binary(Power, x1, x2)


def maximum(x1: Any, x2: Any) -> Tensor:
    """The larger of two, element by element, NaN if either is; shapes broadcast as in NumPy, any dtype.

    The gradient goes to the larger, half to each where they are equal. Raises ValueError for shapes that do not
    broadcast. Source: ``numpy.maximum``.

    >>> import ranvier as rv
    >>> rv.ops.maximum([1.0, 5.0], 3.0).numpy()
    array([3., 5.], dtype=float32)
    """
    return _binary(Maximum, x1, x2)


def minimum(x1: Any, x2: Any) -> Tensor:
    """The smaller of two, element by element, NaN if either is; shapes broadcast as in NumPy, any dtype.

    The gradient goes to the smaller, half to each where they are equal. Raises ValueError for shapes that do not
    broadcast. Source: ``numpy.minimum``.

    >>> import ranvier as rv
    >>> rv.ops.minimum([1.0, 5.0], 3.0).numpy()
    array([1., 3.], dtype=float32)
    """
    return _binary(Minimum, x1, x2)


def sum_to_shape(x: Any, shape: tuple[int, ...]) -> Tensor:
    """Sums ``x`` over the axes along which ``shape`` would be repeated to broadcast to it: the transpose of
    broadcasting. float32 or float64. Raises ValueError if ``shape`` does not broadcast to that of ``x``.

    >>> import ranvier as rv
    >>> rv.ops.sum_to_shape([[1.0, 2.0], [3.0, 4.0]], (1, 2)).numpy()
    array([[4., 6.]], dtype=float32)
    """
    return _to_shape(as_tensor(x), tuple(shape))


# --- functions of one argument --------------------------------------------------------------------------


class Negative(Function):
    def forward(self, x: Any) -> Any:
        return self.kernels.negative_forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        return Negative.apply(dy)


class Exp(Function):
    def forward(self, x: Any) -> Any:
        y = self.kernels.exp_forward(x)
        self.save(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved
        return dy * y


class Expm1(Function):
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.kernels.expm1_forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        return dy * exp(x)  # y + 1 would have lost e**x where it is small


class Log1p(Function):
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.kernels.log1p_forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        return dy / (x + 1)


class Erf(Function):
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.kernels.erf_forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        return dy * (exp(negative(x * x)) * (2 / math.sqrt(math.pi)))


class Log(Function):
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.kernels.log_forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        return dy / x


class Sqrt(Function):
    def forward(self, x: Any) -> Any:
        y = self.kernels.sqrt_forward(x)
        self.save(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved
        return dy * 0.5 / y


class Square(Function):
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.kernels.square_forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        return dy * (x * 2)


class Absolute(Function):
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.kernels.absolute_forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        return dy * wrap(self.kernels.sign_forward(x.array))


class Sign(Function):
    def forward(self, x: Any) -> Any:
        return self.kernels.sign_forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        return dy * 0.0


class Clip(Function):
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


def negative(x: Any) -> Tensor:
    """``-x``: any dtype but bool (TypeError). Source: ``numpy.negative``.

    >>> import ranvier as rv
    >>> rv.ops.negative([1.0, -2.0]).numpy()
    array([-1.,  2.], dtype=float32)
    """
    return _unary(Negative, x)


def exp(x: Any) -> Tensor:
    """e to the power ``x``, within 2 ULP; integers give float32. Source: ``numpy.exp``.

    >>> import ranvier as rv
    >>> rv.ops.exp([0.0, 1.0]).numpy().round(4)
    array([1.    , 2.7183], dtype=float32)
    """
    return _floating_unary(Exp, x)


def log(x: Any) -> Tensor:
    """Natural logarithm, within 2 ULP: -Inf at 0, NaN below; integers give float32. Source: ``numpy.log``.

    >>> import ranvier as rv
    >>> rv.ops.log([1.0, 10.0]).numpy().round(4)
    array([0.    , 2.3026], dtype=float32)
    """
    return _floating_unary(Log, x)


def expm1(x: Any) -> Tensor:
    """e to the power ``x``, minus 1, without cancellation, within 3 ULP; integers give float32. Source: NumPy.

    >>> import ranvier as rv
    >>> rv.ops.expm1([0.0, 1.0]).numpy().round(4)
    array([0.    , 1.7183], dtype=float32)
    """
    return _floating_unary(Expm1, x)


def log1p(x: Any) -> Tensor:
    """Logarithm of ``1 + x``, accurate near 0, within 3 ULP; integers give float32. Source: ``numpy.log1p``.

    >>> import ranvier as rv
    >>> rv.ops.log1p([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.6931], dtype=float32)
    """
    return _floating_unary(Log1p, x)


def erf(x: Any) -> Tensor:
    """The error function, within 4 ULP; integers give float32. Source: Keras ``ops.erf``.

    >>> import ranvier as rv
    >>> rv.ops.erf([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8427], dtype=float32)
    """
    return _floating_unary(Erf, x)


def sqrt(x: Any) -> Tensor:
    """Square root, correctly rounded: NaN below 0; integers give float32. Source: ``numpy.sqrt``.

    >>> import ranvier as rv
    >>> rv.ops.sqrt([4.0, 9.0]).numpy()
    array([2., 3.], dtype=float32)
    """
    return _floating_unary(Sqrt, x)


def square(x: Any) -> Tensor:
    """``x * x``: any dtype but bool (TypeError). Source: ``numpy.square``.

    >>> import ranvier as rv
    >>> rv.ops.square([3.0, -4.0]).numpy()
    array([ 9., 16.], dtype=float32)
    """
    return _unary(Square, x)


def absolute(x: Any) -> Tensor:
    """Absolute value: any dtype but bool (TypeError). The gradient at 0 is 0. Source: ``numpy.absolute``.

    >>> import ranvier as rv
    >>> rv.ops.absolute([3.0, -4.0]).numpy()
    array([3., 4.], dtype=float32)
    """
    return _unary(Absolute, x)


def abs(x: Any) -> Tensor:
    """Short for ``absolute``.

    >>> import ranvier as rv
    >>> rv.ops.abs([-1.5]).numpy()
    array([1.5], dtype=float32)
    """
    return _unary(Absolute, x)


def sign(x: Any) -> Tensor:
    """-1, 0 or 1: any dtype but bool (TypeError); NaN stays. Its gradient is 0. Source: ``numpy.sign``.

    >>> import ranvier as rv
    >>> rv.ops.sign([-2.0, 0.0, 5.0]).numpy()
    array([-1.,  0.,  1.], dtype=float32)
    """
    return _unary(Sign, x)


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
    if numbers and t.array.dtype in ("float32", "float64"):
        return Clip.apply(t, x_min=x_min, x_max=x_max)
    return minimum(maximum(t, x_min), x_max)


# --- comparisons and logic --------------------------------------------------------------------------------


def _compare(name: str, x1: Any, x2: Any) -> Tensor:
    a, b = _pair(x1, x2)
    return wrap(getattr(kernels_for(a.array), name)(a.array, b.array))


def equal(x1: Any, x2: Any) -> Tensor:
    """``x1 == x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.equal``.

    >>> import ranvier as rv
    >>> rv.ops.equal([1, 2, 3], 2).numpy()
    array([False,  True, False])
    """
    return _compare("equal_forward", x1, x2)


def not_equal(x1: Any, x2: Any) -> Tensor:
    """``x1 != x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.not_equal``.

    >>> import ranvier as rv
    >>> rv.ops.not_equal([1, 2, 3], 2).numpy()
    array([ True, False,  True])
    """
    return _compare("not_equal_forward", x1, x2)


def less(x1: Any, x2: Any) -> Tensor:
    """``x1 < x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.less``.

    >>> import ranvier as rv
    >>> rv.ops.less([1, 2, 3], 2).numpy()
    array([ True, False, False])
    """
    return _compare("less_forward", x1, x2)


def less_equal(x1: Any, x2: Any) -> Tensor:
    """``x1 <= x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.less_equal``.

    >>> import ranvier as rv
    >>> rv.ops.less_equal([1, 2, 3], 2).numpy()
    array([ True,  True, False])
    """
    return _compare("less_equal_forward", x1, x2)


def greater(x1: Any, x2: Any) -> Tensor:
    """``x1 > x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.greater``.

    >>> import ranvier as rv
    >>> rv.ops.greater([1, 2, 3], 2).numpy()
    array([False, False,  True])
    """
    return _compare("greater_forward", x1, x2)


def greater_equal(x1: Any, x2: Any) -> Tensor:
    """``x1 >= x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.greater_equal``.

    >>> import ranvier as rv
    >>> rv.ops.greater_equal([1, 2, 3], 2).numpy()
    array([False,  True,  True])
    """
    return _compare("greater_equal_forward", x1, x2)


def logical_and(x1: Any, x2: Any) -> Tensor:
    """True where both are not 0: shapes broadcast as in NumPy, any dtype. Source: ``numpy.logical_and``.

    >>> import ranvier as rv
    >>> rv.ops.logical_and([True, True], [True, False]).numpy()
    array([ True, False])
    """
    return _compare("minimum_forward", _truth(x1), _truth(x2))


def logical_or(x1: Any, x2: Any) -> Tensor:
    """True where one or both are not 0: shapes broadcast as in NumPy, any dtype. Source: ``numpy.logical_or``.

    >>> import ranvier as rv
    >>> rv.ops.logical_or([True, False], [False, False]).numpy()
    array([ True, False])
    """
    return _compare("maximum_forward", _truth(x1), _truth(x2))


def logical_not(x: Any) -> Tensor:
    """True where ``x`` is 0: any dtype. Source: ``numpy.logical_not``.

    >>> import ranvier as rv
    >>> rv.ops.logical_not([True, False]).numpy()
    array([False,  True])
    """
    return _test("logical_not_forward", x)


def isnan(x: Any) -> Tensor:
    """True where ``x`` is not a number: any dtype. Source: ``numpy.isnan``.

    >>> import ranvier as rv
    >>> rv.ops.isnan([1.0, float("nan")]).numpy()
    array([False,  True])
    """
    return _test("isnan_forward", x)


def isfinite(x: Any) -> Tensor:
    """True where ``x`` is neither infinite nor NaN: any dtype. Source: ``numpy.isfinite``.

    >>> import ranvier as rv
    >>> rv.ops.isfinite([1.0, float("inf")]).numpy()
    array([ True, False])
    """
    return _test("isfinite_forward", x)


def _truth(x: Any) -> Any:
    if isinstance(x, (int, float)):
        return builtins.bool(x)
    t = as_tensor(x)
    return t if t.array.dtype == "bool" else cast(t, "bool")


def _test(name: str, x: Any) -> Tensor:
    t = as_tensor(x)
    if t.array.dtype in _NARROW:
        t = cast(t, "float32")
    return wrap(getattr(kernels_for(t.array), name)(t.array))


# --- selection and casts ------------------------------------------------------------------------------------


class Where(Function):
    def forward(self, condition: Any, x1: Any, x2: Any) -> Any:
        self.shapes = x1.shape, x2.shape
        self.save(condition)
        return self.kernels.where_forward(condition, x1, x2)

    def backward(self, dy: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        (condition,) = self.saved
        return (
            None,
            _to_shape(where(condition, dy, 0), self.shapes[0]) if self.needs[1] else None,
            _to_shape(where(condition, 0, dy), self.shapes[1]) if self.needs[2] else None,
        )


class Cast(Function):
    def forward(self, x: Any, dtype: str) -> Any:
        self.dtype = x.dtype
        return self.kernels.cast_forward(x, dtype)

    def backward(self, dy: Tensor) -> Tensor:
        return Cast.apply(dy, dtype=self.dtype)


def where(condition: Any, x1: Any, x2: Any) -> Tensor:
    """``x1`` where ``condition`` is true (not 0), else ``x2``: the three broadcast as in NumPy; any dtypes.

    The gradient goes to the element chosen; the other gets 0, whatever it was. Source: Keras ``ops.where``.

    >>> import ranvier as rv
    >>> rv.ops.where([True, False], [1.0, 2.0], 0).numpy()
    array([1., 0.], dtype=float32)
    """
    mask = _truth(condition)
    if not isinstance(mask, Tensor):
        mask = as_tensor(mask, device=next((x.array.device for x in (x1, x2) if isinstance(x, Tensor)), None))
    a, b = _pair(x1, x2)
    return _narrowed(Where.apply(mask, a, b), x1, x2)


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
    return t if t.array.dtype == dtype else Cast.apply(t, dtype=dtype)
