"""Arithmetic, comparisons, selection and casts on floats; tests/ops/test_elementwise.py has the other dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Bound, Call, GradientBound, OpSpec, Refused, gamma, normal, seeds, shapes, smallest, ulps

# --- calls --------------------------------------------------------------------------------------------

Values = Callable[[tuple[int, ...], int], np.ndarray]


def spread(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Both signs, over a few orders of magnitude."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) * 10.0 ** rng.integers(-3, 4, shape)


def positive(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.abs(spread(shape, seed)) + 1e-3


def moderate(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Both signs, away from 0."""
    values = normal(shape, seed)
    return values + 0.5 * np.where(values < 0, -1, 1)


def away_from_zero(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.abs(moderate(shape, seed))


def few(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Small integers, so that equal ones meet."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float64)


def apart(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Numbers that lie at least 0.01 apart, and as far from integers: no kink within a difference's step."""
    count = math.prod(shape)
    places = np.random.default_rng(seed).permutation(np.arange(-count, count + 1))[:count].reshape(shape)
    return 0.037 * places + 0.013


@st.composite
def alike(draw: Any, count: int, max_side: int = 9) -> list[tuple[int, ...]]:
    """Shapes that broadcast against each other: of one shape, axes cut off in front or shrunk to one."""
    whole = draw(shapes(0, 4, 0, max_side))
    found = []
    for _ in range(count):
        kept = whole[draw(st.integers(0, len(whole))) :] if draw(st.booleans()) else whole
        found.append(tuple(1 if draw(st.integers(0, 3)) == 0 else side for side in kept))
    return found


@st.composite
def two(draw: Any, first: Values, second: Values | None = None, max_side: int = 9) -> Call:
    a, b = draw(alike(2, max_side))
    return Call({"x1": first(a, draw(seeds)), "x2": (second or first)(b, draw(seeds))})


@st.composite
def two_apart(draw: Any) -> Call:
    a, b = draw(alike(2, 3))
    seed = draw(seeds)
    return Call({"x1": apart(a, seed), "x2": apart(b, seed + 1) + 0.005})


def sizes(max_side: int) -> st.SearchStrategy[Any]:
    """Any shape with short sides, or a vector long enough for several threads."""
    return st.one_of(shapes(0, 3, 0, max_side), st.sampled_from([(16385,), (40001,)] if max_side > 5 else [(1,)]))


@st.composite
def one(draw: Any, values: Values, max_side: int = 13, **options: Any) -> Call:
    return Call({"x": values(draw(sizes(max_side)), draw(seeds))}, dict(options))


@st.composite
def power_calls(draw: Any) -> Call:
    """Any base with whole exponents, or a positive one with any."""
    a, b = draw(alike(2))
    if draw(st.booleans()):
        return Call({"x1": moderate(a, draw(seeds)), "x2": few(b, draw(seeds))})
    return Call({"x1": np.abs(normal(a, draw(seeds), 3.0)), "x2": normal(b, draw(seeds), 3.0)})


@st.composite
def where_calls(draw: Any, max_side: int = 9) -> Call:
    c, a, b = draw(alike(3, max_side))
    return Call({"condition": few(c, draw(seeds)) > 0, "x1": spread(a, draw(seeds)), "x2": spread(b, draw(seeds))})


@st.composite
def sum_calls(draw: Any, values: Values = spread, max_side: int = 20) -> Call:
    whole = draw(shapes(0, 3, 0, max_side))
    kept = whole[draw(st.integers(0, len(whole))) :]
    return Call({"x": values(whole, draw(seeds))}, {"shape": tuple(draw(st.sampled_from([1, s])) for s in kept)})


@st.composite
def cast_calls(draw: Any) -> Call:
    call = draw(one(spread))
    call.options["dtype"] = draw(
        st.sampled_from(["float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool"])
    )
    return call


# --- bounds ---------------------------------------------------------------------------------------------

# One rounding. (The expected value has its own, in float64: hence a little more than one half.)
rounded = ulps(0.51)
exact: Bound = lambda call, expected, eps: [0.0] * len(expected)  # noqa: E731


def gradients_of(slopes: Callable[..., dict[str, Any]], roundings: int) -> GradientBound:
    """For gradients sum(dy * slope) over the copies of an operand: gamma times the sum of absolute values.

    No bound where the slope itself is beyond the dtype's range.
    """

    def bound(call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
        found = {}
        with np.errstate(all="ignore"):
            arrays = {k: None if v is None else np.asarray(v, np.float64) for k, v in call.arrays.items()}
            for name, slope in slopes(**arrays, **call.options).items():
                shape = arrays[name].shape
                copies = dys[0].size // max(1, math.prod(shape))
                largest = float(np.finfo(np.float32 if eps > 1e-10 else np.float64).max)
                terms = np.abs(dys[0]) * np.where(np.abs(slope) > largest, np.inf, np.abs(slope))
                total = rv.reference.sum_to_shape_forward(terms, shape)
                found[name] = gamma(copies + roundings, eps) * total + smallest(eps) * (1 + copies)
        return found

    return bound


def power_slopes(x1: np.ndarray, x2: np.ndarray) -> dict[str, Any]:
    flat = (x1 == 0) & (x2 >= 0)
    return {
        "x1": np.where(x2 == 0, 0, x2 * x1 ** (x2 - 1)),
        "x2": np.where(flat, 0, x1**x2 * np.log(np.where(flat, 1, x1))),
    }


UNALIKE = Call({"x1": np.ones((2, 3)), "x2": np.ones((2, 4))})
BOOLS = Call({"x1": np.ones(2, bool), "x2": np.ones(2, bool)})


def unalike(name: str) -> Refused:
    return Refused(UNALIKE, ValueError, f"{name}: the shapes of x1 (2x3), x2 (2x4) do not broadcast")


def arithmetic(op: Any, slopes: Callable[..., dict[str, Any]], **more: Any) -> OpSpec:
    return OpSpec(
        **{
            "op": op,
            "calls": two(spread),
            "bound": rounded,
            "gradients": ("x1", "x2"),
            "gradient_bound": gradients_of(slopes, 8),
            "gradient_calls": two(moderate, max_side=3),
            "integers": two(few),
            "twice": True,
            "refused": (unalike(op.__name__),),
            **more,
        }
    )


def comparison(op: Any) -> OpSpec:
    return OpSpec(op=op, calls=two(few), bound=exact, refused=(unalike(op.__name__),))


def function(op: Any, slope: Callable[..., Any], **more: Any) -> OpSpec:
    return OpSpec(
        **{
            "op": op,
            "calls": one(spread),
            "bound": rounded,
            "gradients": ("x",),
            "gradient_bound": gradients_of(lambda x: {"x": slope(x)}, 8),
            "gradient_calls": one(moderate, max_side=3),
            "twice": True,
            **more,
        }
    )


def exponent_range(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-110, 95, shape)  # beyond float32's range on both sides


# --- the specs ------------------------------------------------------------------------------------------

SPECS = [
    arithmetic(rv.ops.add, lambda x1, x2: {"x1": 1, "x2": 1}),
    arithmetic(
        rv.ops.subtract,
        lambda x1, x2: {"x1": 1, "x2": 1},
        refused=(unalike("subtract"), Refused(BOOLS, TypeError, "subtract: has no meaning on bool")),
    ),
    arithmetic(rv.ops.multiply, lambda x1, x2: {"x1": x2, "x2": x1}),
    arithmetic(rv.ops.divide, lambda x1, x2: {"x1": 1 / x2, "x2": x1 / x2**2}, integers=None),
    arithmetic(
        rv.ops.power,
        power_slopes,
        calls=power_calls(),
        bound=ulps(4),  # libm's is within one, NumPy's within two
        gradient_bound=gradients_of(power_slopes, 24),
        gradient_calls=two(away_from_zero, moderate, max_side=3),
        integers=two(few, lambda shape, seed: np.abs(few(shape, seed))),
        refused=(
            unalike("power"),
            Refused(BOOLS, TypeError, "power: has no meaning on bool"),
            Refused(Call({"x1": np.array([2, 3]), "x2": np.array([1, -1])}), ValueError, "no negative integer powers"),
        ),
    ),
    arithmetic(
        rv.ops.maximum,
        lambda x1, x2: {"x1": x1 >= x2, "x2": x2 >= x1},
        bound=exact,
        calls=st.one_of(two(spread), two(few)),
        gradient_calls=two_apart(),
    ),
    arithmetic(
        rv.ops.minimum,
        lambda x1, x2: {"x1": x1 <= x2, "x2": x2 <= x1},
        bound=exact,
        calls=st.one_of(two(spread), two(few)),
        gradient_calls=two_apart(),
    ),
    *[
        comparison(op)
        for op in (
            rv.ops.equal,
            rv.ops.not_equal,
            rv.ops.less,
            rv.ops.less_equal,
            rv.ops.greater,
            rv.ops.greater_equal,
        )
    ],
    OpSpec(op=rv.ops.logical_and, calls=two(few), bound=exact),
    OpSpec(op=rv.ops.logical_or, calls=two(few), bound=exact),
    OpSpec(op=rv.ops.logical_not, calls=one(few), bound=exact),
    OpSpec(op=rv.ops.isnan, calls=one(spread), bound=exact),
    OpSpec(op=rv.ops.isfinite, calls=one(spread), bound=exact),
    function(rv.ops.negative, lambda x: -1, bound=exact),
    function(rv.ops.exp, np.exp, calls=one(exponent_range), bound=ulps(2)),
    function(rv.ops.expm1, np.exp, calls=st.one_of(one(exponent_range), one(spread)), bound=ulps(3)),
    function(
        rv.ops.log,
        lambda x: 1 / x,
        calls=st.one_of(one(positive), one(spread)),
        bound=ulps(2),
        gradient_calls=one(away_from_zero, max_side=3),
    ),
    function(
        rv.ops.log1p,
        lambda x: 1 / (1 + x),
        calls=st.one_of(one(positive), one(spread)),
        bound=ulps(3),
        gradient_bound=gradients_of(lambda x: {"x": (2 + np.abs(x)) / (1 + x) ** 2}, 8),  # 1 + x is rounded
        gradient_calls=one(away_from_zero, max_side=3),
    ),
    function(rv.ops.erf, lambda x: np.exp(-x * x) * (1 + x * x), bound=ulps(4)),  # x * x is rounded
    function(
        rv.ops.sqrt,
        lambda x: 0.5 / np.sqrt(x),
        calls=st.one_of(one(positive), one(spread)),
        gradient_calls=one(away_from_zero, max_side=3),
    ),
    function(rv.ops.square, lambda x: 2 * x, integers=one(few)),
    function(rv.ops.absolute, np.sign, bound=exact, integers=one(few)),
    function(rv.ops.sign, lambda x: 0, bound=exact, calls=st.one_of(one(spread), one(few))),
    function(
        rv.ops.clip,
        lambda x: 1,
        calls=st.one_of(one(few, x_min=-2, x_max=1), one(spread, x_min=-0.1, x_max=0.7)),
        bound=lambda call, expected, eps: [eps / 2],  # of the bounds
        gradient_bound=gradients_of(lambda x, x_min, x_max: {"x": 0}, 1),
        gradient_calls=one(apart, max_side=3, x_min=-2, x_max=1),
    ),
    OpSpec(
        op=rv.ops.where,
        calls=where_calls(),
        bound=exact,
        gradients=("x1", "x2"),
        gradient_bound=gradients_of(lambda condition, x1, x2: {"x1": condition, "x2": 1 - condition}, 2),
        gradient_calls=where_calls(max_side=3),
        twice=True,
        refused=(
            Refused(
                Call({"condition": np.ones(2, bool), "x1": np.ones(3), "x2": np.ones(3)}),
                ValueError,
                "where: the shapes of condition (2), x1 (3), x2 (3) do not broadcast",
            ),
        ),
    ),
    OpSpec(
        op=rv.ops.cast,
        calls=cast_calls(),
        bound=exact,
        refused=(Refused(Call({"x": np.ones(2)}, {"dtype": "float8"}), TypeError, "dtype 'float8' is not supported"),),
    ),
    OpSpec(
        op=rv.ops.sum_to_shape,
        calls=sum_calls(),
        bound=lambda call, expected, eps: [
            gamma(call.arrays["x"].size + 1, eps)  # type: ignore[union-attr]
            * rv.reference.sum_to_shape_forward(np.abs(np.asarray(call.arrays["x"], np.float64)), **call.options)
            + smallest(eps)
        ],
        gradients=("x",),
        gradient_bound=lambda call, dys, expected, eps: {"x": 0.0},
        gradient_calls=sum_calls(max_side=3),
        integers=sum_calls(values=few),
        twice=True,
        refused=(
            Refused(
                Call({"x": np.ones((2, 3))}, {"shape": (2,)}), ValueError, "sum_to_shape: shape 2 does not broadcast"
            ),
            Refused(Call({"x": np.ones((2, 3), np.int32)}, {"shape": (3,)}), TypeError, "x must be floating"),
        ),
    ),
]
