"""Activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, normal, seeds, shapes, smallest, ulps
from tests.specs.elementwise import exact, few, moderate, sizes, spread


@st.composite
def calls(draw: Any, **options: Any) -> Call:
    values = draw(st.sampled_from([lambda shape, seed: normal(shape, seed, 3.0), spread, few]))
    return Call({"x": values(draw(sizes(13)), draw(seeds))}, dict(options))


@st.composite
def smooth_calls(draw: Any, **options: Any) -> Call:
    """Away from the kink at 0."""
    return Call({"x": moderate(draw(shapes(0, 2, 0, 3)), draw(seeds))}, dict(options))


# An activation's slope s has an error of eps times some e(x) (e: of the input and the slope, both float64); the
# gradient dy * s then has |dy| times that.
SlopeError = Callable[[np.ndarray, np.ndarray], Any]


def activation(op: Any, bound: Any, slope_error: SlopeError, name: str = "", **options: Any) -> OpSpec:
    def slope_of(call: Call) -> tuple[np.ndarray, np.ndarray]:
        x = np.asarray(call.arrays["x"], np.float64)
        t = rv.Tensor(x, device="reference", requires_grad=True)
        with rv.device("reference"):
            return x, rv.grad(op(t, **options), t, np.ones(x.shape)).numpy()

    def gradient_bound(
        call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
    ) -> dict[str, Any]:
        with np.errstate(all="ignore"):
            return {"x": eps * np.abs(dys[0]) * slope_error(*slope_of(call)) + smallest(eps) * (1 + np.abs(dys[0]))}

    return OpSpec(
        op=op,
        calls=calls(**options),
        bound=bound,
        gradients=("x",),
        gradient_bound=gradient_bound,
        gradient_calls=smooth_calls(**options),
        refused=(Refused(Call({"x": np.ones(3, np.int32)}), TypeError, f"{op.__name__}: x must be floating"),),
        twice=True,
        name=name,
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return rv.reference.sigmoid_forward(x)


def bend(x: np.ndarray) -> np.ndarray:
    """Twice the argument of gelu's tanh."""
    c = np.clip(x, -1000, 1000)
    return 1.6 * np.abs(c) * (1 + 0.0447 * c * c)


def gelu_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    """An argument's relative error of a few eps, times the argument, is the exponential's relative error."""
    argument = bend(np.asarray(call.arrays["x"], np.float64))
    return [eps * (8 + 8 * argument) * np.abs(expected[0]) + smallest(eps)]


def gelu_slope_error(x: np.ndarray, slope: np.ndarray) -> Any:
    """The slope is s + x s (1 - s) u', each term with the exponential's relative error."""
    c = np.clip(x, -1000, 1000)
    argument = bend(x)
    s, rest = sigmoid(np.copysign(argument, x)), sigmoid(np.copysign(argument, -x))
    return (16 + 16 * argument) * (s + np.abs(c) * s * rest * 1.6 * (1 + 3 * 0.0447 * c * c))


def gelu_exact_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    """Phi is 1/2 + erf/2: its error is absolute, on both sides of the comparison."""
    return [8 * eps * np.abs(np.maximum(np.asarray(call.arrays["x"], np.float64), -1000)) + smallest(eps)]


def gelu_exact_slope_error(x: np.ndarray, slope: np.ndarray) -> Any:
    c = np.clip(x, -1000, 1000)
    return 8 + 8 * np.abs(c) * (1 + c * c) * np.exp(-0.5 * c * c)


def silu_slope_error(x: np.ndarray, slope: np.ndarray) -> Any:
    s, rest = sigmoid(x), sigmoid(-x)
    return 12 * (s + np.abs(np.clip(x, -1000, 1000)) * s * rest)


def relative(count: float) -> SlopeError:
    return lambda x, slope: count * np.abs(slope)


SPECS = [
    activation(rv.ops.threshold, exact, relative(0)),
    activation(rv.ops.threshold, exact, relative(0), "threshold_open", value=1.0, inclusive=False),
    activation(rv.ops.relu, exact, relative(0)),
    activation(rv.ops.leaky_relu, ulps(1.1), relative(1.1)),
    activation(rv.ops.leaky_relu, ulps(1.1), relative(1.1), "leaky_relu_steep", negative_slope=-1.3),
    activation(rv.ops.elu, ulps(4.5), relative(4)),
    activation(rv.ops.elu, ulps(4.5), relative(4), "elu_alpha", alpha=0.3),
    activation(rv.ops.selu, ulps(5), relative(5)),
    activation(rv.ops.gelu, gelu_bound, gelu_slope_error),
    activation(rv.ops.gelu, gelu_exact_bound, gelu_exact_slope_error, "gelu_exact", approximate=False),
    activation(rv.ops.silu, ulps(6), silu_slope_error),
    activation(rv.ops.softplus, ulps(6), relative(6)),
    # 1 - y loses what y's rounding took from it.
    activation(rv.ops.sigmoid, ulps(4), lambda x, slope: 12 * sigmoid(x)),
    activation(rv.ops.tanh, ulps(4), lambda x, slope: 16 * np.abs(np.tanh(x)) + 4 * slope),
]
