"""The bounds that csrc/cpu/simd_math.h and activation_math.h state, measured by public ops on every instruction set.

Errors are counted in units in the last place of the exact result, which for float32 is float64's, and for float64
that of an extended type where NumPy has one (x86-64).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core

wide = np.longdouble
PI = wide(4) * np.arctan(wide(1))
HAS_WIDER = np.finfo(np.longdouble).nmant > 60


def sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, wide(1)) / (1 + e)


def erf(x: Any) -> Any:
    """By Taylor up to 2, by the continued fraction of erfc beyond, in extended precision."""
    a = np.minimum(np.abs(x), wide(12))
    term, total = a.copy(), a.copy()
    for n in range(1, 60):
        term = term * (-a * a) / n
        total = total + term / (2 * n + 1)
    # The series alternates: from 2 on its cancellation would show.
    series = total * (2 / np.sqrt(PI))
    b = np.maximum(a, wide(2))
    fraction = np.zeros_like(b)
    for k in range(120, 0, -1):
        fraction = (k / wide(2)) / (b + fraction)
    tail = np.exp(-b * b) / np.sqrt(PI) / (b + fraction)
    return np.copysign(np.where(a < 2, series, 1 - tail), x)


def softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def elu(x: Any) -> Any:
    return np.where(x > 0, x, np.expm1(x))


def selu(x: Any) -> Any:
    return np.where(x > 0, wide("1.0507009873554804934") * x, wide("1.7580993408473768599") * np.expm1(x))


Function = tuple[Callable[..., Any], Callable[[Any], Any], float]
FUNCTIONS: dict[str, Function] = {
    "exp": (rv.ops.exp, np.exp, 2),
    "expm1": (rv.ops.expm1, np.expm1, 3),
    "log": (rv.ops.log, np.log, 2),
    "log1p": (rv.ops.log1p, np.log1p, 3),
    "tanh": (rv.ops.tanh, np.tanh, 4),
    "sigmoid": (rv.ops.sigmoid, sigmoid, 4),
    "erf": (rv.ops.erf, erf, 4),
    "softplus": (rv.ops.softplus, softplus, 4),
    "elu": (rv.ops.elu, elu, 4),
    "selu": (rv.ops.selu, selu, 5),
}


def samples(dtype: Any, count: int = 20000) -> np.ndarray:
    """Every exponent (random bit patterns: denormals, Inf and NaN among them), the busy middle, and the edges."""
    rng = np.random.default_rng(7)
    bits = np.uint32 if dtype is np.float32 else np.uint64
    info = np.finfo(dtype)
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, info.tiny, info.smallest_subnormal, info.max, info.eps]
    overflow = math.log(float(info.max))
    underflow = math.log(float(info.smallest_subnormal))
    around = np.array([overflow, underflow, -overflow, math.log(float(info.tiny)), 0.5 * math.log(2)], dtype)
    with np.errstate(all="ignore"):
        return np.concatenate(
            [
                rng.integers(0, np.iinfo(bits).max, count, dtype=bits, endpoint=True).view(dtype),
                rng.normal(size=count).astype(dtype),
                rng.uniform(-8, 8, count).astype(dtype),
                rng.uniform(1.1 * underflow, 1.1 * overflow, count).astype(dtype),
                rng.uniform(0.5, 2, count).astype(dtype),
                (around[:, None] * (1 + info.eps * np.arange(-8, 9))).ravel().astype(dtype),
                np.array(edges, dtype),
            ]
        )


def ulps(ours: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """|ours - exact| in units in the last place; Inf where one is NaN and the other not."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(ours.dtype)
        unit = np.spacing(np.minimum(np.abs(rounded), np.finfo(ours.dtype).max)).astype(np.longdouble)
        # an overflowing result may be one unit short of it: Inf counts as the next number after the largest
        top = np.longdouble(np.finfo(ours.dtype).max) + unit.max(initial=0, where=np.isfinite(unit))
        distance = np.abs(np.clip(ours.astype(np.longdouble), -top, top) - np.clip(exact, -top, top))
        result = np.asarray(distance / unit, np.float64)
    both = np.isnan(ours) & np.isnan(exact)
    return np.where(both, 0, np.where(np.isnan(result), np.inf, result))


@pytest.mark.parametrize("isa", _core._usable_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_within_the_stated_ulps(name: str, dtype: Any, isa: str) -> None:
    if dtype is np.float64 and not HAS_WIDER:
        pytest.skip("no type wider than float64 to measure it with")
    ours, exact, bound = FUNCTIONS[name]
    _core._set_isa(isa)
    x = samples(dtype)
    with np.errstate(all="ignore"):
        errors = ulps(ours(rv.Tensor(x)).numpy(), exact(x.astype(np.longdouble)))
    worst = int(np.argmax(errors))
    assert errors[worst] <= bound, f"{name}({x[worst]!r}) is {errors[worst]:.2f} ULP off on {isa}; stated: {bound}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_place_in_the_array_changes_nothing(name: str) -> None:
    """The last lanes run through the same code as whole vectors."""
    op = FUNCTIONS[name][0]
    x = samples(np.float32, 50)
    whole = op(rv.Tensor(x)).numpy()
    for start in range(1, 18):
        np.testing.assert_array_equal(op(rv.Tensor(x[start:])).numpy(), whole[start:])


def test_counting_sees_an_error() -> None:
    one = np.ones(1, np.float32)
    assert ulps(np.nextafter(one, 2, dtype=np.float32), one.astype(np.longdouble))[0] == 1
    assert np.isinf(ulps(one, np.array([np.nan], np.longdouble))[0])
