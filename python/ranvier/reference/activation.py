"""Activations and their gradients in NumPy.

``*_backward`` takes the output ``y`` where the slope follows from it, else the input ``x``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ranvier.reference.elementwise import erf_forward

__all__ = [
    "elu_backward",
    "elu_forward",
    "gelu_backward",
    "gelu_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "relu_backward",
    "relu_forward",
    "selu_backward",
    "selu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "silu_backward",
    "silu_forward",
    "softplus_backward",
    "softplus_forward",
    "tanh_backward",
    "tanh_forward",
    "threshold_forward",
]

# The fixed point of Klambauer et al. 2017: outputs keep mean 0 and variance 1.
SELU_SCALE = 1.0507009873554804934
SELU_ALPHA = 1.6732632423543772848


def _chain(slope: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """A slope of 0 stops the gradient, whatever it is."""
    return np.where(slope == 0, slope, slope * dy)


def _curved(x: np.ndarray) -> np.ndarray:
    """Beyond 1000 every factor e**-abs(x) has vanished; clipping keeps Inf * 0 away."""
    return np.clip(x, -1000, 1000)


# The options that an activation has where another op fuses it, by its name.
_OPTIONS: dict[str, tuple[Any, ...]] = {"leaky_relu": (0.2,), "elu": (1.0,), "gelu": (True,)}


def named_activation(name: str, direction: str) -> Callable[..., np.ndarray]:
    """``{name}_{direction}`` with its default options, as dense and conv2d fuse it."""
    function = globals()[f"{name}_{direction}"]
    return lambda *arrays: function(*arrays, *_OPTIONS.get(name, ()))


def slope_from_output(name: str) -> bool:
    """Whether the slope follows from y; else it needs the sum before."""
    return name in ("relu", "sigmoid", "tanh")


def threshold_forward(x: np.ndarray, value: float, inclusive: bool) -> np.ndarray:
    """The step function: 1 above ``value``, 0 below; at it 1 if ``inclusive``."""
    at = x.dtype.type(value)
    return (x >= at if inclusive else x > at).astype(x.dtype)


def relu_forward(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, x.dtype.type(0))


def relu_backward(y: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return np.where(y <= 0, y.dtype.type(0), dy)


def leaky_relu_forward(x: np.ndarray, negative_slope: float) -> np.ndarray:
    return np.where(x > 0, x, negative_slope * x)


def leaky_relu_backward(x: np.ndarray, dy: np.ndarray, negative_slope: float) -> np.ndarray:
    one = x.dtype.type(1)
    return _chain(np.where(x <= 0, x.dtype.type(negative_slope), one), dy)


def elu_forward(x: np.ndarray, alpha: float) -> np.ndarray:
    return np.where(x > 0, x, alpha * np.expm1(x))


def elu_backward(x: np.ndarray, dy: np.ndarray, alpha: float) -> np.ndarray:
    return _chain(np.where(x > 0, x.dtype.type(1), alpha * np.exp(x)), dy)


def selu_forward(x: np.ndarray) -> np.ndarray:
    return SELU_SCALE * elu_forward(x, SELU_ALPHA)


def selu_backward(x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return SELU_SCALE * elu_backward(x, dy, SELU_ALPHA)


def sigmoid_forward(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e**-x), from the exponential that cannot overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, x.dtype.type(1)) / (1 + e)


def sigmoid_backward(y: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return _chain(y * (1 - y), dy)


def tanh_forward(x: np.ndarray) -> np.ndarray:
    return np.tanh(x)


def tanh_backward(y: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return _chain((1 - y) * (1 + y), dy)


def silu_forward(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, x.dtype.type(-1000)) * sigmoid_forward(x)


def silu_backward(x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    s = sigmoid_forward(x)
    return _chain(s + _curved(x) * s * sigmoid_forward(-x), dy)


def softplus_forward(x: np.ndarray) -> np.ndarray:
    """log(1 + e**x), without overflow."""
    return np.maximum(x, x.dtype.type(0)) + np.log1p(np.exp(-np.abs(x)))


def softplus_backward(x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return _chain(sigmoid_forward(x), dy)


def _normal_distribution(x: np.ndarray) -> Any:
    return 0.5 + 0.5 * erf_forward(x * math.sqrt(0.5))


def gelu_forward(x: np.ndarray, approximate: bool) -> np.ndarray:
    """x * Phi(x); approximately x/2 * (1 + tanh(u)) = x * sigmoid(2u), with u = sqrt(2/pi) (x + 0.044715 x**3)."""
    c = _curved(x)
    left = np.maximum(x, x.dtype.type(-1000))
    if not approximate:
        return left * _normal_distribution(x)
    return left * sigmoid_forward(2 * math.sqrt(2 / math.pi) * (c + 0.044715 * c * c * c))


def gelu_backward(x: np.ndarray, dy: np.ndarray, approximate: bool) -> np.ndarray:
    c = _curved(x)
    if not approximate:
        density = np.exp(-0.5 * c * c) / math.sqrt(2 * math.pi)
        return _chain(_normal_distribution(x) + c * density, dy)
    twice = 2 * math.sqrt(2 / math.pi)
    u = twice * (c + 0.044715 * c * c * c)
    s = sigmoid_forward(u)
    return _chain(s + c * s * sigmoid_forward(-u) * twice * (1 + 3 * 0.044715 * c * c), dy)
