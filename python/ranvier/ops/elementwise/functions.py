"""Functions of one argument."""

from __future__ import annotations

import math
from typing import Any

from ranvier.autograd import Function
from ranvier.ops.elementwise.operands import floating_unary, unary
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, wrap


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


@direct("negative")
def negative(x: Any) -> Tensor:
    """``-x``: any dtype but bool (TypeError). Source: ``numpy.negative``.

    >>> import ranvier as rv
    >>> rv.ops.negative([1.0, -2.0]).numpy()
    array([-1.,  2.], dtype=float32)
    """
    return unary(Negative, x)


@direct("exp")
def exp(x: Any) -> Tensor:
    """e to the power ``x``, within 2 ULP; integers give float32. Source: ``numpy.exp``.

    >>> import ranvier as rv
    >>> rv.ops.exp([0.0, 1.0]).numpy().round(4)
    array([1.    , 2.7183], dtype=float32)
    """
    return floating_unary(Exp, x)


@direct("log")
def log(x: Any) -> Tensor:
    """Natural logarithm, within 2 ULP: -Inf at 0, NaN below; integers give float32. Source: ``numpy.log``.

    >>> import ranvier as rv
    >>> rv.ops.log([1.0, 10.0]).numpy().round(4)
    array([0.    , 2.3026], dtype=float32)
    """
    return floating_unary(Log, x)


@direct("expm1")
def expm1(x: Any) -> Tensor:
    """e to the power ``x``, minus 1, without cancellation, within 3 ULP; integers give float32. Source: NumPy.

    >>> import ranvier as rv
    >>> rv.ops.expm1([0.0, 1.0]).numpy().round(4)
    array([0.    , 1.7183], dtype=float32)
    """
    return floating_unary(Expm1, x)


@direct("log1p")
def log1p(x: Any) -> Tensor:
    """Logarithm of ``1 + x``, accurate near 0, within 3 ULP; integers give float32. Source: ``numpy.log1p``.

    >>> import ranvier as rv
    >>> rv.ops.log1p([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.6931], dtype=float32)
    """
    return floating_unary(Log1p, x)


@direct("erf")
def erf(x: Any) -> Tensor:
    """The error function, within 4 ULP; integers give float32. Source: Keras ``ops.erf``.

    >>> import ranvier as rv
    >>> rv.ops.erf([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8427], dtype=float32)
    """
    return floating_unary(Erf, x)


@direct("sqrt")
def sqrt(x: Any) -> Tensor:
    """Square root, correctly rounded: NaN below 0; integers give float32. Source: ``numpy.sqrt``.

    >>> import ranvier as rv
    >>> rv.ops.sqrt([4.0, 9.0]).numpy()
    array([2., 3.], dtype=float32)
    """
    return floating_unary(Sqrt, x)


@direct("square")
def square(x: Any) -> Tensor:
    """``x * x``: any dtype but bool (TypeError). Source: ``numpy.square``.

    >>> import ranvier as rv
    >>> rv.ops.square([3.0, -4.0]).numpy()
    array([ 9., 16.], dtype=float32)
    """
    return unary(Square, x)


@direct("absolute")
def absolute(x: Any) -> Tensor:
    """Absolute value: any dtype but bool (TypeError). The gradient at 0 is 0. Source: ``numpy.absolute``.

    >>> import ranvier as rv
    >>> rv.ops.absolute([3.0, -4.0]).numpy()
    array([3., 4.], dtype=float32)
    """
    return unary(Absolute, x)


@direct("absolute")
def abs(x: Any) -> Tensor:
    """Short for ``absolute``.

    >>> import ranvier as rv
    >>> rv.ops.abs([-1.5]).numpy()
    array([1.5], dtype=float32)
    """
    return unary(Absolute, x)


@direct("sign")
def sign(x: Any) -> Tensor:
    """-1, 0 or 1: any dtype but bool (TypeError); NaN stays. Its gradient is 0. Source: ``numpy.sign``.

    >>> import ranvier as rv
    >>> rv.ops.sign([-2.0, 0.0, 5.0]).numpy()
    array([-1.,  0.,  1.], dtype=float32)
    """
    return unary(Sign, x)
