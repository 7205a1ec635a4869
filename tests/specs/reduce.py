"""Reductions over any axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, normal, seeds, shapes, smallest

# Sides on both edges of a block, a chunk, a strip of columns and a fold of few columns.
LARGE = ((70_001,), (2, 33_000), (40_000, 3), (3_000, 17), (1_500, 70), (5, 1_300, 3), (700, 1), (513,), (2_050, 16))


@st.composite
def axes_of(draw: Any, rank: int) -> Any:
    """None, one axis, or several without repeats; from the front or from the end."""
    if rank == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from([None, ()]))
    chosen = draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True))
    signed = tuple(a - rank if draw(st.booleans()) else a for a in chosen)
    return signed[0] if len(signed) == 1 and draw(st.booleans()) else signed


def ties(shape: tuple[int, ...], seed: int, scale: float) -> np.ndarray:
    """Small integers, of which many are equal."""
    return np.round(normal(shape, seed, scale))


def apart(shape: tuple[int, ...], seed: int, scale: float) -> np.ndarray:
    """Numbers that differ from each other, and from zero, in absolute value: no kink of max, min or abs is near."""
    count = int(np.prod(shape))
    rng = np.random.default_rng(seed)
    signs = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    return (rng.permutation(count) + 1.0).reshape(shape) * signs.reshape(shape) * scale / (count + 1)


def near_one(shape: tuple[int, ...], seed: int, scale: float) -> np.ndarray:
    """Numbers of both signs whose products neither overflow nor underflow; now and then a zero."""
    rng = np.random.default_rng(seed)
    values = np.exp(rng.uniform(-scale, scale, shape)) * np.where(rng.random(shape) < 0.5, -1.0, 1.0)
    return np.where(rng.random(shape) < 0.03, 0.0, values)


@st.composite
def calls(
    draw: Any,
    make: Callable[..., np.ndarray] = normal,
    scale: float = 10.0,
    min_side: int = 0,
    max_side: int = 9,
    large: tuple[Any, ...] = LARGE,
    **options: st.SearchStrategy[Any],
) -> Call:
    small = shapes(0, 4, min_side, max_side)
    shape = draw(st.one_of(small, small, st.sampled_from(large)) if large else small)
    chosen = {k: draw(v) for k, v in options.items()}
    axis = {"axis": draw(axes_of(len(shape))), "keepdims": draw(st.booleans())}
    return Call({"x": make(shape, draw(seeds), scale)}, {**chosen, **axis})


def small(make: Callable[..., np.ndarray] = normal, **more: Any) -> st.SearchStrategy[Call]:
    """For central differences."""
    return calls(make=make, scale=2.0, min_side=1, max_side=3, large=(), **more)


# --- how long the sums are, and what they may lose -------------------------------------------------------------


def reduced(call: Call) -> tuple[int, ...]:
    axis, rank = call.options["axis"], np.ndim(call.arrays["x"])
    axes = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted(a % rank for a in axes))


def length(call: Call) -> int:
    x = np.asarray(call.arrays["x"])
    return int(np.prod([x.shape[a] for a in reduced(call)]))


def roundings(call: Call) -> float:
    """Additions on the way of one term: 128 + log2 n in a pass, a pass per run of adjacent axes."""
    n, axes = length(call), reduced(call)
    passes = sum(1 for i, a in enumerate(axes) if i == 0 or a != axes[i - 1] + 1)
    return min(n, 128 * passes + np.log2(n + 1))


def wide(call: Call) -> np.ndarray:
    return np.asarray(call.arrays["x"], np.float64)


def over(call: Call, function: Callable[..., Any], values: np.ndarray, keepdims: bool | None = None) -> Any:
    """A NumPy reduction over the call's axes."""
    with np.errstate(all="ignore"):
        kept = call.options["keepdims"] if keepdims is None else keepdims
        return function(values, axis=reduced(call), keepdims=kept)


def spread(call: Call, dy: np.ndarray) -> np.ndarray:
    """An output gradient over the shape of x."""
    x = wide(call)
    return np.broadcast_to(dy.reshape([1 if a in reduced(call) else n for a, n in enumerate(x.shape)]), x.shape)


def exact(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [0.0]


def sum_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [gamma(roundings(call), eps) * over(call, np.sum, np.abs(wide(call)))]


def mean_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    total = over(call, np.sum, np.abs(wide(call)))
    return [(gamma(roundings(call), eps) + eps) * total / max(1, length(call)) + smallest(eps)]


def prod_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [gamma(length(call), eps) * np.abs(expected[0]) + smallest(eps)]


def relative_gradient(call: Call, dys: Any, expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    """A few roundings of each element by itself."""
    return {k: 4 * eps * np.abs(e) for k, e in expected.items()}


def prod_gradient_bound(call: Call, dys: Any, expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    return {"x": gamma(length(call) + 2, eps) * np.abs(expected["x"]) + smallest(eps)}


# --- variance: x - mean is off by delta, and its square by 2 |x - mean| delta + delta^2 --------------------------


def deviation(call: Call, eps: float) -> tuple[np.ndarray, np.ndarray]:
    x = wide(call)
    centre = over(call, np.mean, x, True)
    size = over(call, np.mean, np.abs(x), True)
    off = np.abs(x - centre)
    return off, 2 * (gamma(roundings(call), eps) + 2 * eps) * size + 2 * eps * off


def var_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    off, delta = deviation(call, eps)
    relative = gamma(roundings(call) + 4, eps)
    return [over(call, np.mean, 2 * off * delta + delta * delta) + relative * np.abs(expected[0]) + smallest(eps)]


def std_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    """|sqrt(v + e) - sqrt(v)| <= min(e / sqrt(v), sqrt(e))."""
    (error,) = var_bound(call, [expected[0] ** 2], eps)
    with np.errstate(all="ignore"):
        return [np.fmin(error / expected[0], np.sqrt(error)) + 2 * eps * expected[0]]


def var_gradient_error(call: Call, dys: list[np.ndarray], eps: float) -> np.ndarray:
    off, delta = deviation(call, eps)
    slope = np.abs(spread(call, dys[0])) * 2 / max(1, length(call))
    terms = slope * off
    around = over(call, np.mean, terms + slope * delta, True) if terms.size else terms
    return slope * delta + gamma(roundings(call) + 8, eps) * (terms + around) + slope * off * 8 * eps + smallest(eps)


def var_gradient_bound(call: Call, dys: Any, expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    return {"x": var_gradient_error(call, dys, eps)}


def std_gradient_bound(call: Call, dys: Any, expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    """d std = d var / (2 std): the error of the first factor, and the relative error of the second."""
    if not wide(call).size:
        return {"x": 0.0}
    deviations = over(call, np.std, wide(call))
    (error,) = std_bound(call, [deviations], eps)
    with np.errstate(all="ignore"):
        half = np.where(deviations > 0, 0.5 / deviations, 0.0)
        loss = np.where(deviations > 0, error / np.maximum(deviations - error, 0), 0.0)
        first = var_gradient_error(call, [np.abs(dys[0]) * half], eps)
        return {"x": first * (1 + spread(call, loss)) + np.abs(expected["x"]) * (spread(call, loss) + 8 * eps)}


# --- logsumexp and norms -----------------------------------------------------------------------------------------


def logsumexp_error(call: Call, eps: float) -> np.ndarray:
    """Of the sum: its additions and each exponential's argument; of the result: the last addition."""
    x = wide(call)
    peak = over(call, lambda v, axis, keepdims: np.max(v, axis=axis, keepdims=keepdims, initial=-1e300), x, True)
    weights = np.exp(x - peak)
    total = over(call, np.sum, weights, True)
    with np.errstate(all="ignore"):
        arguments = over(call, np.sum, weights * np.abs(x - peak), True) / total
        value = np.abs(peak) + 2 * np.abs(np.log(total))
    return gamma(roundings(call) + 8, eps) + eps * (arguments + value + 2)


def logsumexp_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [logsumexp_error(call, eps).reshape(expected[0].shape)]


def logsumexp_gradient_bound(call: Call, dys: Any, expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    x = wide(call)
    if not x.size:
        return {"x": 0.0}
    y = over(call, np.logaddexp.reduce, x, True) if isinstance(call.options["axis"], int) else None
    y = np.log(over(call, np.sum, np.exp(x - x.max()), True)) + x.max() if y is None else y
    relative = eps * (np.abs(x - y) + 8) + 1.1 * logsumexp_error(call, eps)
    return {"x": np.expm1(relative) * np.abs(expected["x"]) + smallest(eps)}


def norm_relative(call: Call, eps: float) -> Any:
    """Of a norm of order p: roundings of the sum and the powers, and of exponents times logarithms."""
    p = call.options["ord"]
    p = 2.0 if p is None else float(p)
    if p == 0 or np.isinf(p):
        return 2 * eps
    x = np.abs(wide(call))
    with np.errstate(all="ignore"):
        logs = np.abs(np.log(over(call, np.sum, np.where(x > 0, x, 1.0) ** p)))
        inner = over(
            call,
            lambda v, axis, keepdims: np.max(v, axis=axis, keepdims=keepdims, initial=0.0),
            np.where(x > 0, np.abs(np.log(x)), 0.0),
        )
    powers = 0.0 if p in (1.0, 2.0) else (logs + np.abs(p) * inner) * max(1.0, 1 / abs(p))
    return (gamma(roundings(call) + 16, eps)) * max(1.0, 1 / abs(p)) + 4 * eps * powers


def norm_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [norm_relative(call, eps) * np.abs(expected[0]) + smallest(eps)]


def norm_gradient_bound(call: Call, dys: Any, expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    relative = norm_relative(call, eps)
    wider = spread(call, relative) if np.ndim(relative) else relative
    return {"x": 4 * wider * np.abs(expected["x"]) + smallest(eps)}


# --- refusals ------------------------------------------------------------------------------------------------------


def refused(empty: bool = False) -> tuple[Refused, ...]:
    ones = np.ones((2, 3))
    common = (
        Refused(Call({"x": ones}, {"axis": 2}), ValueError, "axis 2 is out of range for shape 2x3"),
        Refused(Call({"x": ones}, {"axis": (0, -2)}), ValueError, "axis -2 is given twice"),
        Refused(Call({"x": ones}, {"axis": 1.5}), TypeError, "wrong type"),
        Refused(Call({"x": ones}, {"axis": 2**70}), TypeError, "too large"),
    )
    nothing = Refused(Call({"x": np.ones((0, 3))}, {"axis": 0}), ValueError, "axis 0 of shape 0x3 is empty")
    return (*common, nothing) if empty else common


ARG_REFUSED = (
    Refused(Call({"x": np.ones((2, 3))}, {"axis": -3}), ValueError, "axis -3 is out of range for shape 2x3"),
    Refused(Call({"x": np.ones((2, 0))}, {"axis": 1}), ValueError, "axis 1 of shape 2x0 is empty"),
    Refused(Call({"x": np.ones((2, 3))}, {"axis": (0, 1)}), TypeError, "wrong type"),
)


@st.composite
def argument_calls(draw: Any) -> Call:
    shape = draw(st.one_of(shapes(1, 3, 1, 9), st.sampled_from(LARGE)))
    values = draw(st.sampled_from([normal, ties]))(shape, draw(seeds), 3.0)
    axis = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    dtype = draw(st.sampled_from(["float64", "int32", "int64", "uint8", "bool"]))
    return Call(
        {"x": np.abs(values).astype(dtype) if dtype != "float64" else values},
        {"axis": axis, "keepdims": draw(st.booleans())},
    )


@st.composite
def integer_calls(draw: Any, min_side: int = 0) -> Call:
    call = draw(calls(make=ties, scale=4.0, min_side=min_side))
    return Call(
        {"x": np.abs(call.arrays["x"]).astype(draw(st.sampled_from(["int32", "int64", "uint8", "bool"])))}, call.options
    )


@st.composite
def truth_calls(draw: Any) -> Call:
    call = draw(calls(make=ties, scale=0.6))
    return Call(
        {"x": call.arrays["x"].astype(draw(st.sampled_from(["float64", "bool", "uint8", "int32"])))}, call.options
    )


def either(*strategies: st.SearchStrategy[Call]) -> st.SearchStrategy[Call]:
    return st.one_of(*strategies)


products = calls(make=near_one, scale=0.69, max_side=3, large=((90,), (4, 25), (25, 4)))

SPECS = [
    OpSpec(
        op=rv.ops.sum,
        calls=either(calls(), integer_calls()),
        bound=sum_bound,
        gradients=("x",),
        gradient_bound=relative_gradient,
        gradient_calls=small(),
        integers=calls(make=ties, scale=30.0),
        refused=refused(),
    ),
    OpSpec(
        op=rv.ops.mean,
        calls=calls(),
        bound=mean_bound,
        gradients=("x",),
        gradient_bound=relative_gradient,
        gradient_calls=small(),
        refused=refused(),
    ),
    *(
        OpSpec(
            op=op,
            calls=either(calls(min_side=1), calls(make=ties, scale=2.0, min_side=1), integer_calls(min_side=1)),
            bound=exact,
            gradients=("x",),
            gradient_bound=relative_gradient,
            gradient_calls=small(apart),
            refused=refused(empty=True),
        )
        for op in (rv.ops.max, rv.ops.min)
    ),
    OpSpec(
        op=rv.ops.prod,
        calls=products,
        bound=prod_bound,
        gradients=("x",),
        gradient_bound=prod_gradient_bound,
        gradient_calls=small(near_one),
        integers=calls(make=ties, scale=0.7, max_side=3, large=()),
        refused=refused(),
        twice=True,
    ),
    OpSpec(
        op=rv.ops.var,
        calls=calls(),
        bound=var_bound,
        gradients=("x",),
        gradient_bound=var_gradient_bound,
        gradient_calls=small(),
        refused=refused(),
        twice=True,
    ),
    OpSpec(
        op=rv.ops.std,
        calls=calls(),
        bound=std_bound,
        gradients=("x",),
        gradient_bound=std_gradient_bound,
        gradient_calls=small(apart),
        refused=refused(),
        twice=True,
    ),
    OpSpec(
        op=rv.ops.logsumexp,
        calls=calls(scale=30.0),
        bound=logsumexp_bound,
        gradients=("x",),
        gradient_bound=logsumexp_gradient_bound,
        gradient_calls=small(),
        refused=(*refused(), Refused(Call({"x": np.ones(3, np.int32)}), TypeError, "logsumexp: x must be floating")),
        twice=True,
    ),
    OpSpec(
        op=rv.ops.norm,
        calls=calls(ord=st.sampled_from([None, 1, 2, 3, 2.5, 0.5, np.inf, -np.inf, 0]), min_side=1),
        bound=norm_bound,
        gradients=("x",),
        gradient_bound=norm_gradient_bound,
        gradient_calls=small(apart, ord=st.sampled_from([None, 1, 2, 3, 2.5, 0.5, np.inf, -np.inf])),
        refused=(
            *refused(),
            Refused(Call({"x": np.ones(3)}, {"ord": np.nan}), ValueError, "norm: ord must be None or a number"),
            Refused(Call({"x": np.ones(3)}, {"ord": "fro"}), ValueError, "norm: ord must be None or a number"),
        ),
        twice=True,
    ),
    OpSpec(op=rv.ops.argmax, calls=argument_calls(), bound=exact, refused=ARG_REFUSED),
    OpSpec(op=rv.ops.argmin, calls=argument_calls(), bound=exact, refused=ARG_REFUSED),
    OpSpec(op=rv.ops.any, calls=truth_calls(), bound=exact, refused=refused()),
    OpSpec(op=rv.ops.all, calls=truth_calls(), bound=exact, refused=refused()),
]
