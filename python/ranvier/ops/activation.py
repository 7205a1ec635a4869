"""Activations: float32 or float64 (16-bit floats by widening), any shape, one pass forward and one backward."""

from __future__ import annotations

import math
from typing import Any

from ranvier.autograd import GPUS, Function, is_recording
from ranvier.ops.elementwise import clip, erf, exp, greater, less_equal, multiply, where
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor, wrap

__all__ = ["elu", "gelu", "leaky_relu", "relu", "selu", "sigmoid", "silu", "softplus", "tanh", "threshold"]

_SELU_SCALE = 1.0507009873554804934
_SELU_ALPHA = 1.6732632423543772848


def _apply(function: type[Function], x: Any, **params: Any) -> Tensor:
    t = x if isinstance(x, Tensor) else as_tensor(x)
    return function.apply(t, **params)


def _curved(x: Tensor) -> Tensor:
    """Beyond 1000 every factor e**-abs(x) has vanished; clipping keeps Inf * 0 away."""
    return clip(x, -1000, 1000)


class _Activation(Function):
    narrow = GPUS


class Threshold(_Activation):
    def forward(self, x: Any, value: float, inclusive: bool) -> Any:
        return self.kernels.threshold_forward(x, value, inclusive)

    def backward(self, dy: Tensor) -> Tensor:
        return multiply(dy, 0.0)


class Relu(_Activation):
    def forward(self, x: Any) -> Any:
        y = self.kernels.relu_forward(x)
        self.save(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved
        if is_recording():
            return where(less_equal(y, 0), 0, dy)
        return wrap(self.kernels.relu_backward(y.array, dy.array))


class LeakyRelu(_Activation):
    def forward(self, x: Any, negative_slope: float) -> Any:
        self.negative_slope = negative_slope
        self.save(x)
        return self.kernels.leaky_relu_forward(x, negative_slope)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        if is_recording():
            return where(less_equal(x, 0), dy * self.negative_slope, dy)
        return wrap(self.kernels.leaky_relu_backward(x.array, dy.array, self.negative_slope))


class Elu(_Activation):
    def forward(self, x: Any, alpha: float) -> Any:
        self.alpha = alpha
        self.save(x)
        return self.kernels.elu_forward(x, alpha)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        if is_recording():
            return _elu_gradient(x, dy, self.alpha)
        return wrap(self.kernels.elu_backward(x.array, dy.array, self.alpha))


class Selu(_Activation):
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.kernels.selu_forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        if is_recording():
            return _elu_gradient(x, dy, _SELU_ALPHA) * _SELU_SCALE
        return wrap(self.kernels.selu_backward(x.array, dy.array))


def _elu_gradient(x: Tensor, dy: Tensor, alpha: float) -> Tensor:
    right = greater(x, 0)
    return where(right, dy, dy * (alpha * exp(where(right, 0, x))))  # no overflow in the branch not taken


class Gelu(_Activation):
    def forward(self, x: Any, approximate: bool) -> Any:
        self.approximate = approximate
        self.save(x)
        return self.kernels.gelu_forward(x, approximate)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        if not is_recording():
            return wrap(self.kernels.gelu_backward(x.array, dy.array, self.approximate))
        if not self.approximate:
            c = _curved(x)
            density = exp(c * c * -0.5) * (1 / math.sqrt(2 * math.pi))
            return dy * (0.5 + 0.5 * erf(x * math.sqrt(0.5)) + c * density)
        twice, cubic = 2 * math.sqrt(2 / math.pi), 0.044715
        c = _curved(x)
        s = sigmoid(twice * c * (1 + cubic * c * c))
        return dy * (s + c * s * (1 - s) * twice * (1 + 3 * cubic * c * c))


class Silu(_Activation):
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.kernels.silu_forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        if is_recording():
            s = sigmoid(x)
            return dy * (s + _curved(x) * s * (1 - s))
        return wrap(self.kernels.silu_backward(x.array, dy.array))


class Softplus(_Activation):
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.kernels.softplus_forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved
        if is_recording():
            return dy * sigmoid(x)
        return wrap(self.kernels.softplus_backward(x.array, dy.array))


class Sigmoid(_Activation):
    def forward(self, x: Any) -> Any:
        y = self.kernels.sigmoid_forward(x)
        self.save(y, x)
        return y

    @property
    def logits(self) -> Tensor | None:
        """The input, for losses that compute from it; None if the tape has let it go."""
        return None if self.freed else self.saved[1]

    def backward(self, dy: Tensor) -> Tensor:
        y, _ = self.saved
        if is_recording():
            return dy * (y * (1 - y))
        return wrap(self.kernels.sigmoid_backward(y.array, dy.array))


class Tanh(_Activation):
    def forward(self, x: Any) -> Any:
        y = self.kernels.tanh_forward(x)
        self.save(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved
        if is_recording():
            return dy * ((1 - y) * (1 + y))
        return wrap(self.kernels.tanh_backward(y.array, dy.array))


@direct("threshold")
def threshold(x: Any, value: float = 0.0, inclusive: bool = True) -> Tensor:
    """The step function: 1.0 above ``value``, 0.0 below it and for NaN, any shape; at ``value`` 1.0 if ``inclusive``.

    Both tie rules are in use. The gradient is 0. Raises TypeError for integers. Source: curriculum F02.

    >>> import ranvier as rv
    >>> rv.ops.threshold([-1.0, 0.0, 1.0]).numpy(), rv.ops.threshold([0.0], inclusive=False).numpy()
    (array([0., 1., 1.], dtype=float32), array([0.], dtype=float32))
    """
    return _apply(Threshold, x, value=value, inclusive=inclusive)


@direct("relu")
def relu(x: Any) -> Tensor:
    """max(x, 0), any shape; the gradient at 0 is 0. Raises TypeError for integers. Source: Keras; curriculum F04.

    >>> import ranvier as rv
    >>> rv.ops.relu([-1.0, 1.0, 2.0]).numpy()
    array([0., 1., 2.], dtype=float32)
    """
    return _apply(Relu, x)


@direct("leaky_relu")
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x where positive, else ``negative_slope * x``, any shape and slope; the gradient at 0 is the slope.

    Raises TypeError for integers. Source: Keras; curriculum F04.

    >>> import ranvier as rv
    >>> rv.ops.leaky_relu([-1.0, 2.0], negative_slope=0.5).numpy()
    array([-0.5,  2. ], dtype=float32)
    """
    return _apply(LeakyRelu, x, negative_slope=negative_slope)


@direct("elu")
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha * (e**x - 1), any shape; the gradient at 0 is alpha.

    Within 5 ULP. Raises TypeError for integers. Source: Clevert et al. 2015; Keras; curriculum F05.

    >>> import ranvier as rv
    >>> rv.ops.elu([-1.0, 2.0]).numpy().round(4)
    array([-0.6321,  2.    ], dtype=float32)
    """
    return _apply(Elu, x, alpha=alpha)


@direct("selu")
def selu(x: Any) -> Tensor:
    """1.0507 * elu(x, alpha=1.67326), any shape: keeps outputs at mean 0 and variance 1.

    Within 5 ULP. Raises TypeError for integers. Source: Klambauer et al. 2017; Keras; curriculum F05.

    >>> import ranvier as rv
    >>> rv.ops.selu([-1.0, 1.0]).numpy().round(4)
    array([-1.1113,  1.0507], dtype=float32)
    """
    return _apply(Selu, x)


@direct("gelu")
def gelu(x: Any, approximate: bool = True) -> Tensor:
    """x times the normal distribution function of x, any shape; by default in the tanh approximation.

    Absolute error within 8 eps |x|; the approximation's relative one within 8 eps (1 + 1.6 |x| (1 + 0.0447 x^2)).
    Raises TypeError for integers. Source: Hendrycks and Gimpel 2016; Keras.

    >>> import ranvier as rv
    >>> rv.ops.gelu([-1.0, 1.0], approximate=False).numpy().round(4)
    array([-0.1587,  0.8413], dtype=float32)
    """
    return _apply(Gelu, x, approximate=approximate)


@direct("silu")
def silu(x: Any) -> Tensor:
    """x * sigmoid(x), any shape (swish), within 6 ULP. Raises TypeError for integers. Source: Keras.

    >>> import ranvier as rv
    >>> rv.ops.silu([-1.0, 1.0]).numpy().round(4)
    array([-0.2689,  0.7311], dtype=float32)
    """
    return _apply(Silu, x)


@direct("softplus")
def softplus(x: Any) -> Tensor:
    """log(1 + e**x), any shape, without overflow, within 6 ULP. Raises TypeError for integers. Source: Keras.

    >>> import ranvier as rv
    >>> rv.ops.softplus([0.0, 1000.0]).numpy().round(4)
    array([6.931e-01, 1.000e+03], dtype=float32)
    """
    return _apply(Softplus, x)


@direct("sigmoid")
def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e**-x), any shape, within 4 ULP, without overflow. Raises TypeError for integers.

    Source: Keras; curriculum F01.

    >>> import ranvier as rv
    >>> rv.ops.sigmoid([-1000.0, 0.0, 1.0]).numpy().round(4)
    array([0.    , 0.5   , 0.7311], dtype=float32)
    """
    return _apply(Sigmoid, x)


@direct("tanh")
def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent, any shape, within 4 ULP. Raises TypeError for integers. Source: Keras; curriculum F03.

    >>> import ranvier as rv
    >>> rv.ops.tanh([-1.0, 0.0, 1.0]).numpy().round(4)
    array([-0.7616,  0.    ,  0.7616], dtype=float32)
    """
    return _apply(Tanh, x)
