"""Normalisation of each sample by itself: groups of channels, and whole trailing axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, seeds, shapes, smallest

# Pieces of a sample, few and many samples, groups wider and narrower than a vector, one channel, streamed outputs.
LARGE = [((3, 5, 7, 72), 9), ((70, 33), 3), ((1, 40, 130), 130), ((2, 9, 200), 2), ((66, 2, 48), 1), ((9, 11, 1), 1)]


@st.composite
def calls(draw: Any, max_side: int = 6, offset: float = 10.0) -> Call:
    """Any number of samples, positions and groups, none included; constant groups, means far from zero."""
    groups = draw(st.integers(1, 4))
    shape = (draw(st.integers(0, max_side)), *draw(shapes(0, 2, 0, max_side)), groups * draw(st.integers(0, max_side)))
    if max_side > 5 and draw(st.integers(0, 3)) == 0:
        shape, groups = draw(st.sampled_from(LARGE))
    rng = np.random.default_rng(draw(seeds))
    x = rng.normal(size=shape) * 3 + rng.normal(size=(shape[0], *[1] * (len(shape) - 1))) * offset
    if x.size and draw(st.booleans()):
        x[0] = 3.0
    arrays: dict[str, Any] = {"x": x, **parameters(draw, rng, shape[-1:])}
    return Call(arrays, {"groups": groups, "epsilon": draw(st.sampled_from([1e-3, 0.1]))})


def parameters(draw: Any, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
    return {name: rng.normal(size=shape) if draw(st.booleans()) else None for name in ("gamma", "beta")}


@st.composite
def layer_calls(draw: Any, max_side: int = 7) -> Call:
    """Any axes in any order, also not the last ones."""
    shape = draw(shapes(1, 3, 0, max_side))
    axes = draw(st.permutations(range(len(shape))))[: draw(st.integers(1, len(shape)))]
    rng = np.random.default_rng(draw(seeds))
    x = rng.normal(size=shape) * 3 + (1.0 if max_side < 6 else 10.0)
    given = tuple(a - draw(st.sampled_from([0, len(shape)])) for a in axes)
    options = {"axis": given[0] if len(given) == 1 and draw(st.booleans()) else given, "epsilon": 0.1}
    return Call({"x": x, **parameters(draw, rng, tuple(shape[a] for a in axes))}, options)


def as_groups(call: Call) -> tuple[np.ndarray, Any, Any]:
    """x as (N, positions, groups, channels of one), and gamma and beta as (groups, channels), 1 and 0 for None."""
    x = np.asarray(call.arrays["x"], np.float64)
    groups = call.options["groups"]
    channels = x.shape[-1] // groups

    def per_channel(name: str, default: float) -> np.ndarray:
        given = call.arrays[name]
        return np.full((groups, channels), default) if given is None else np.reshape(given, (groups, channels))

    scale, beta = per_channel("gamma", 1.0), per_channel("beta", 0.0)
    return x.reshape(x.shape[0], math.prod(x.shape[1:-1]), groups, channels), scale, beta


class Statistics:
    """Mean and variance of each group, in float64, and bounds of the errors of what is made with them."""

    def __init__(self, call: Call, eps: float) -> None:
        x, self.scale, beta = as_groups(call)
        over = {"axis": (1, 3), "keepdims": True}
        self.count = max(x.shape[1] * x.shape[3], 1)
        self.reduction_error = gamma(self.count + 20, eps)
        mean, variance, size = (v.sum(**over) / self.count for v in (x, x * 0, np.abs(x)))
        variance = ((x - mean) ** 2).sum(**over) / self.count
        mean_error = self.reduction_error * size
        variance_error = self.reduction_error * variance + mean_error**2 + 2 * eps * size * np.sqrt(variance)
        spread = variance + call.options["epsilon"]
        self.rstd = 1 / np.sqrt(spread)
        self.rstd_error = self.rstd * (0.6 * variance_error / spread + 3 * eps)
        self.centred = np.abs(x - mean)
        self.centred_error = mean_error + eps * (self.centred + np.abs(mean))
        self.normal = self.centred * self.rstd
        self.normal_error = self.centred_error * self.rstd + self.centred * self.rstd_error + 2 * eps * self.normal
        self.y = (x - mean) * self.rstd * self.scale + beta
        self.y_error = np.abs(self.scale) * (self.normal_error + 2 * eps * self.normal)
        self.y_error = self.y_error + eps * (np.abs(self.y) + np.abs(beta)) + smallest(eps)


def bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [Statistics(call, eps).y_error.reshape(np.shape(call.arrays["x"]))]


def gradient_bound(call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    s = Statistics(call, eps)
    dy = np.abs(np.asarray(dys[0], np.float64)).reshape(s.y.shape)
    rows = s.y.shape[0] * s.y.shape[1]
    error = gamma(rows + 70, eps)
    along = (dy * s.normal).sum((0, 1))
    found: dict[str, Any] = {
        "gamma": ((dy * s.normal_error).sum((0, 1)) + (error + 3 * eps) * along).reshape(-1) + smallest(eps),
        "beta": (error * dy.sum((0, 1))).reshape(-1) + smallest(eps),
    }
    over = {"axis": (1, 3), "keepdims": True}
    own = dy * np.abs(s.scale)
    total, inner = own.sum(**over) / s.count, (own * s.normal).sum(**over) / s.count
    inner_error = (own * s.normal_error).sum(**over) / s.count + (s.reduction_error + 4 * eps) * inner
    shared = s.reduction_error * total + s.normal_error * inner + s.normal * inner_error
    size = own + total + s.normal * inner
    relative = s.rstd_error / s.rstd + 8 * eps
    found["x"] = (s.rstd * (shared + relative * size)).reshape(np.shape(call.arrays["x"])) + smallest(eps)
    return found


def of_layer(call: Call) -> tuple[Call, tuple[int, ...], tuple[int, ...]]:
    """The group_norm that a layer_norm is, the order of its axes, and the shape that x has in it."""
    x = np.asarray(call.arrays["x"])
    given = call.options["axis"]
    axes = tuple(a % x.ndim for a in (given if isinstance(given, tuple) else (given,)))
    order = tuple(a for a in range(x.ndim) if a not in axes) + axes
    moved = x.transpose(order)
    columns = math.prod(x.shape[a] for a in axes)
    flat = {k: None if call.arrays[k] is None else np.reshape(call.arrays[k], -1) for k in ("gamma", "beta")}
    rows = math.prod(moved.shape[: x.ndim - len(axes)])
    options = {"groups": 1, "epsilon": call.options["epsilon"]}
    return Call({"x": moved.reshape(rows, columns), **flat}, options), order, moved.shape


def layer_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    inner, order, shape = of_layer(call)
    return [bound(inner, expected, eps)[0].reshape(shape).transpose(np.argsort(order))]


def layer_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    inner, order, shape = of_layer(call)
    dy = np.transpose(dys[0], order).reshape(np.shape(inner.arrays["x"]))
    found = gradient_bound(inner, [dy], expected, eps)
    found["x"] = found["x"].reshape(shape).transpose(np.argsort(order))
    for name in ("gamma", "beta"):
        if call.arrays[name] is not None:
            found[name] = found[name].reshape(np.shape(call.arrays[name]))
    return found


def stays_finite(call: Call, outputs: list[np.ndarray]) -> None:
    """Constant groups, single numbers and none at all included."""
    assert np.isfinite(outputs[0]).all()


GOOD = {"x": np.ones((2, 5, 6)), "gamma": np.ones(6), "beta": np.ones(6)}


def refused(error: type[Exception], match: str, changed: dict[str, Any] | None = None, **options: Any) -> Refused:
    return Refused(Call(GOOD | (changed or {}), {"groups": 2} | options), error, match)


def layer_refused(error: type[Exception], match: str, changed: dict[str, Any] | None = None, axis: Any = -1) -> Refused:
    return Refused(Call(GOOD | (changed or {}), {"axis": axis}), error, match)


SPECS = [
    OpSpec(
        op=rv.ops.group_norm,
        calls=calls(),
        bound=bound,
        gradients=("x", "gamma", "beta"),
        gradient_bound=gradient_bound,
        gradient_calls=calls(max_side=3, offset=1.0),
        refused=(
            refused(
                ValueError, "group_norm: groups must be positive and divide the 6 channels of x but is 4", groups=4
            ),
            refused(ValueError, "groups must be positive and divide the 6 channels of x but is 0", groups=0),
            refused(ValueError, "group_norm: gamma must have shape 6 but has shape 2", {"gamma": np.ones(2)}),
            refused(ValueError, "group_norm: beta must have shape 6 but has shape 3x2", {"beta": np.ones((3, 2))}),
            refused(TypeError, "x must be floating", {"x": np.ones((2, 6), np.int32)}),
            refused(TypeError, "x is float64 but gamma is float32", {"gamma": np.ones(6, np.float32)}),
            refused(ValueError, "rank 2 or more", {"x": np.ones(6)}),
            refused(ValueError, "epsilon must be finite and not negative but is -1", epsilon=-1.0),
        ),
        properties=(stays_finite,),
        twice=True,
    ),
    OpSpec(
        op=rv.ops.layer_norm,
        calls=layer_calls(),
        bound=layer_bound,
        gradients=("x", "gamma", "beta"),
        gradient_bound=layer_gradient_bound,
        gradient_calls=layer_calls(max_side=4),
        refused=(
            layer_refused(ValueError, "layer_norm: axis must name different axes of x, which has 3, but is 3", axis=3),
            layer_refused(ValueError, "different axes of x, which has 3, but is (2, -1)", axis=(2, -1)),
            layer_refused(ValueError, "axis must name different axes of x, which has 3, but is ()", axis=()),
            layer_refused(ValueError, "layer_norm: gamma must have shape (5, 6), that of axis", axis=(1, 2)),
        ),
        properties=(stays_finite,),
        twice=True,
    ),
]
