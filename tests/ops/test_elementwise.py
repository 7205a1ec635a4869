"""Elementwise ops on every dtype: promotion, weak Python numbers, wrap-around, casts; operators; ties."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core

DTYPES = ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64")
NUMPY_DTYPES = tuple(d for d in DTYPES if d != "bfloat16")
INTEGERS = ("uint8", "int32", "int64")
devices = pytest.mark.parametrize("device", ["cpu", "reference"])


def some(dtype: str, seed: int = 0, shape: tuple[int, ...] = (5, 7)) -> np.ndarray:
    """Values over the dtype's whole range, small ones and ties among them."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in INTEGERS:
        ends = np.iinfo(dtype)
        wide = rng.integers(ends.min, ends.max, shape, dtype=dtype, endpoint=True)
        return np.where(rng.integers(0, 2, shape) == 0, wide, (wide % 4).astype(dtype))
    return (rng.normal(size=shape) * 3).astype(dtype)


# --- what dtype comes out -------------------------------------------------------------------------------


@devices
def test_promotion_of_two_tensors(device: str) -> None:
    order = {d: i for i, d in enumerate(("bool", "uint8", "int32", "int64", "float16", "float32", "float64"))}
    for a, b in itertools.product(DTYPES, DTYPES):
        x, y = (rv.Tensor(np.ones(3), dtype=d, device=device) for d in (a, b))
        if {a, b} == {"float16", "bfloat16"}:
            expected = "float32"
        else:
            expected = max(a, b, key=lambda d: order["float16" if d == "bfloat16" else d])
        assert (x + y).dtype == expected, (a, b)
        assert rv.ops.where(x, x, y).dtype == expected, (a, b)
        assert (x / y).dtype == (expected if expected not in ("bool", *INTEGERS) else "float32"), (a, b)
        assert (x < y).dtype == "bool"


@devices
def test_python_numbers_are_weak(device: str) -> None:
    for dtype in DTYPES:
        x = rv.Tensor(np.ones(3), dtype=dtype, device=device)
        assert (x * 2).dtype == (2 * x).dtype == ("int32" if dtype == "bool" else dtype)
        assert (x + 0.5).dtype == (0.5 + x).dtype == ("float32" if dtype in ("bool", *INTEGERS) else dtype)
        np.testing.assert_array_equal((x + 0.5).numpy(), np.full(3, 1.5))
    assert (rv.Tensor([1, 2]) ** 2).dtype == "int32"
    assert (rv.Tensor([1, 2]) ** 2.0).dtype == "float32"
    with pytest.raises(ValueError, match="300 does not fit into uint8"):
        rv.Tensor(np.ones(2, np.uint8)) + 300
    with pytest.raises(ValueError, match="does not fit into int64"):
        rv.Tensor(np.ones(2, np.int64)) * 2**70


# --- values on every dtype --------------------------------------------------------------------------------


@devices
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "maximum", "minimum", "power"])
def test_integers_wrap_around_as_in_numpy(name: str, dtype: str, device: str) -> None:
    a, b = some(dtype, 1), some(dtype, 2, (7,))
    if name == "power":
        b = b % 70 if dtype == "uint8" else np.abs(b % 70)
    ours = getattr(rv.ops, name)(rv.Tensor(a, device=device), rv.Tensor(b, device=device)).numpy()
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(a, b)
    assert ours.dtype == expected.dtype
    np.testing.assert_array_equal(ours, expected)


@devices
@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_comparisons_and_logic_on_every_dtype(dtype: str, device: str) -> None:
    a, b = some(dtype, 1), some(dtype, 2, (7,))
    x, y = rv.Tensor(a, device=device), rv.Tensor(b, device=device)
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or"):
        np.testing.assert_array_equal(getattr(rv.ops, name)(x, y).numpy(), getattr(np, name)(a, b), err_msg=name)
    for name in ("logical_not", "isnan", "isfinite"):
        np.testing.assert_array_equal(getattr(rv.ops, name)(x).numpy(), getattr(np, name)(a), err_msg=name)


@devices
@pytest.mark.parametrize("dtype", NUMPY_DTYPES[1:])
def test_functions_that_keep_the_dtype(dtype: str, device: str) -> None:
    a = some(dtype)
    with np.errstate(all="ignore"):
        for name in ("negative", "absolute", "sign", "square"):
            ours = getattr(rv.ops, name)(rv.Tensor(a, device=device)).numpy()
            assert ours.dtype == a.dtype
            np.testing.assert_array_equal(ours, getattr(np, name)(a), err_msg=name)


@devices
def test_narrow_floats_compute_in_float32(device: str) -> None:
    a, b = some("float16", 1), some("float16", 2)
    x, y = rv.Tensor(a, device=device), rv.Tensor(b, device=device)
    wide = a.astype(np.float32), b.astype(np.float32)
    for name in ("add", "multiply", "divide", "maximum"):
        expected = getattr(np, name)(*wide).astype(np.float16)
        np.testing.assert_array_equal(getattr(rv.ops, name)(x, y).numpy(), expected, err_msg=name)
    assert rv.ops.exp(x).dtype == rv.ops.relu(x).dtype == rv.ops.clip(x, 0, 1).dtype == "float16"


def test_a_narrow_tensor_has_gradients() -> None:
    x = rv.Tensor([1.0, -2.0], dtype="bfloat16", requires_grad=True)
    dx = rv.grad(x * x + rv.ops.relu(x), x, [1.0, 1.0])
    assert dx.dtype == "bfloat16"
    np.testing.assert_array_equal(dx.numpy(), [3, -4])


def test_operators() -> None:
    a, b = some("float64", 1), np.abs(some("float64", 2)) + 0.5
    x, y = rv.Tensor(a), rv.Tensor(b)
    binary = (operator.add, operator.sub, operator.mul, operator.truediv, operator.lt, operator.ge, operator.eq)
    for op in (*binary, operator.ne, operator.gt, operator.le):
        for left, right in ((x, y), (a, y), (x, b), (2, y), (x, 2), (np.float64(2), y)):
            result = op(left, right)
            assert isinstance(result, rv.Tensor)
            expected = op(*(v.numpy() if isinstance(v, rv.Tensor) else v for v in (left, right)))
            np.testing.assert_array_equal(result.numpy(), expected)
    np.testing.assert_allclose((y**1.5).numpy(), b**1.5, rtol=1e-15)
    np.testing.assert_allclose((2**x).numpy(), 2**a, rtol=1e-15)
    np.testing.assert_array_equal((x**2).numpy(), a**2)
    np.testing.assert_array_equal((-x).numpy(), -a)
    np.testing.assert_array_equal(abs(x).numpy(), abs(a))


# --- casts --------------------------------------------------------------------------------------------------


def edge_values(dtype: str) -> np.ndarray:
    rng = np.random.default_rng(3)
    if dtype in INTEGERS:
        ends = np.iinfo(dtype)
        wide = rng.integers(ends.min, ends.max, 3000, dtype=dtype, endpoint=True)
        return np.concatenate([wide, np.array([ends.min, ends.max, 0, 1], dtype)])
    if dtype == "bool":
        return np.array([True, False])
    powers = rng.normal(size=3000) * 10.0 ** rng.integers(-12, 22, 3000)
    halves = rng.integers(-300, 300, 300) + 0.5
    edges = [0.0, -0.0, np.nan, np.inf, -np.inf, 65504, 65519.99, 65520, 2.0**31, -(2.0**31), 2.0**63, 255, 256, 3e-8]
    with np.errstate(over="ignore"):
        return np.concatenate([powers, halves, edges]).astype(dtype)


@pytest.mark.parametrize("source", NUMPY_DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_casts_agree_with_the_reference(source: str, target: str) -> None:
    values = edge_values(source)
    ours = rv.ops.cast(rv.Tensor(values), target).numpy()
    theirs = rv.ops.cast(rv.Tensor(values, device="reference"), target).numpy()
    np.testing.assert_array_equal(ours, theirs)
    if target != "bfloat16" and not (source.startswith("float") and target in INTEGERS):
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(ours, values.astype(target))


@devices
def test_casts_to_integers_saturate(device: str) -> None:
    x = rv.Tensor([np.nan, np.inf, -np.inf, 1e30, -1e30, 2.9, -2.9], dtype="float64", device=device)
    np.testing.assert_array_equal(rv.ops.cast(x, "uint8").numpy(), [0, 255, 0, 255, 0, 2, 0])
    low, high = -(2**31), 2**31 - 1
    np.testing.assert_array_equal(rv.ops.cast(x, "int32").numpy(), [0, high, low, high, low, 2, -2])
    low, high = -(2**63), 2**63 - 1
    np.testing.assert_array_equal(rv.ops.cast(x, "int64").numpy(), [0, high, low, high, low, 2, -2])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_narrow_float_survives_the_round_trip(dtype: str) -> None:
    bits = np.arange(65536, dtype=np.uint32)
    wide = bits.astype(np.uint16).view(np.float16).astype(np.float32)
    if dtype == "bfloat16":
        wide = (bits << 16).view(np.float32)
    back = rv.ops.cast(rv.ops.cast(rv.Tensor(wide), dtype), "float32").numpy()
    np.testing.assert_array_equal(back, wide)
    np.testing.assert_array_equal(np.signbit(back), np.signbit(wide))


@devices
@pytest.mark.parametrize("bits", [11, 8])
def test_casts_round_once(bits: int, device: str) -> None:
    """A double just beside the middle of two narrow floats goes to the nearer one, not by way of float32."""
    step = 2.0 ** (1 - bits)
    middle = 1 + step / 2
    x = rv.Tensor(
        [middle, middle * (1 + 2e-16), middle * (1 - 2e-16), 1 + 3 * step / 2], dtype="float64", device=device
    )
    result = rv.ops.cast(rv.ops.cast(x, "float16" if bits == 11 else "bfloat16"), "float64").numpy()
    np.testing.assert_array_equal(result, [1, 1 + step, 1, 1 + 2 * step])


# --- gradients at special places ----------------------------------------------------------------------------


def slope(function: Any, x: float) -> float:
    t = rv.Tensor(x, dtype="float64", requires_grad=True)
    return rv.grad(function(t), t).item()


@devices
def test_gradients_at_ties_and_kinks(device: str) -> None:
    with rv.device(device):
        assert slope(lambda x: rv.ops.maximum(x, 1.0), 1.0) == 0.5
        assert slope(lambda x: rv.ops.minimum(1.0, x), 1.0) == 0.5
        assert slope(rv.ops.abs, 0.0) == 0
        assert slope(lambda x: rv.ops.clip(x, -1, 1), 1.0) == 1
        assert slope(lambda x: rv.ops.clip(x, -1, 1), 1.5) == 0


@devices
def test_gradients_of_powers(device: str) -> None:
    with rv.device(device):
        assert slope(lambda x: x**0, 0.0) == 0
        assert slope(lambda x: x**1, 0.0) == 1
        assert slope(lambda x: x**2, 0.0) == 0
        assert slope(lambda x: x**3, -2.0) == 12
        assert slope(lambda x: x**-1, -2.0) == -0.25
        assert slope(lambda x: x**0.5, 0.0) == np.inf
        assert slope(lambda n: rv.ops.power(0.0, n), 2.0) == 0
        assert np.isnan(slope(lambda n: rv.ops.power(-2.0, n), 2.0))


def test_the_branch_not_chosen_is_silent() -> None:
    """where() keeps a NaN gradient of the other branch out only if that branch is guarded; its own adds none."""
    x = rv.Tensor([0.0, 4.0], requires_grad=True)
    y = rv.ops.where(x > 0, rv.ops.sqrt(rv.ops.where(x > 0, x, 1.0)), 0.0)
    np.testing.assert_array_equal(rv.grad(y, x, [1.0, 1.0]).numpy(), [0, 0.25])


def test_a_gradient_is_summed_over_the_copies() -> None:
    x = rv.Tensor(np.ones((3, 1)), requires_grad=True)
    b = rv.Tensor(np.ones(4), requires_grad=True)
    s = rv.Tensor(2.0, dtype="float64", requires_grad=True)
    dx, db, ds = rv.grad(x * b * s, [x, b, s], np.ones((3, 4)))
    np.testing.assert_array_equal(dx.numpy(), np.full((3, 1), 8))
    np.testing.assert_array_equal(db.numpy(), np.full(4, 6))
    assert ds.numpy() == 12


def test_many_axes_and_empty_shapes() -> None:
    a = np.arange(2.0**10).reshape((2, 1) * 10)
    b = np.arange(3.0).reshape(3, *(1,) * 4)
    np.testing.assert_array_equal((rv.Tensor(a) + rv.Tensor(b)).numpy(), a + b)
    for left, right in (((0,), (1,)), ((3, 0), (1,)), ((0, 1), (1, 4)), ((0,), ())):
        expected = (np.ones(left) * np.ones(right)).shape
        x = rv.Tensor(np.ones(left), requires_grad=True)
        y = rv.Tensor(np.ones(right), requires_grad=True)
        assert (x * y).shape == expected
        dx, dy = rv.grad(x * y, [x, y], np.ones(expected))
        assert dx.shape == left
        np.testing.assert_array_equal(dy.numpy(), np.zeros(right))


@pytest.mark.parametrize("isa", _core._usable_isas())
def test_powers_are_within_three_ulps(isa: str) -> None:
    """Results over the whole range of float32, the smallest included, from bases of every size and beside 1."""
    _core._set_isa(isa)
    rng = np.random.default_rng(0)
    anywhere = np.exp2(rng.uniform(-149, 128, 200_000))
    beside_one = 1 + rng.normal(size=200_000) * 2.0 ** rng.integers(-23, -2, 200_000)
    base = np.concatenate([anywhere, beside_one, np.exp2(rng.uniform(-1, 1, 200_000))]).astype(np.float32)
    with np.errstate(divide="ignore"):
        exponent = (rng.uniform(-152, 128, base.size) / np.log2(base.astype(np.float64))).astype(np.float32)
    moderate = np.where(rng.random(base.size) < 0.5, np.clip(exponent, -3, 3), exponent).astype(np.float32)
    with np.errstate(all="ignore"):
        exact = np.power(base.astype(np.float64), moderate.astype(np.float64))
        expected = exact.astype(np.float32)
    ours = rv.ops.power(rv.Tensor(base), rv.Tensor(moderate)).numpy()
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(ours[~finite], expected[~finite])
    ulps = np.abs(ours - exact)[finite] / np.spacing(np.abs(expected[finite]))
    assert ulps.max() < 3


@pytest.mark.parametrize("isa", _core._usable_isas())
def test_powers_at_special_values(isa: str) -> None:
    """C's rules for signs, ones, zeros, whole exponents and Inf."""
    _core._set_isa(isa)
    special = [0.0, 1, 2, 3, 0.5, 1.5, 7, np.inf, 1e38, 1e-45, 2.0**23 + 1, 2.0**24, 2.0**24 + 2]
    values = np.array([*special, *(-v for v in special), np.nan], np.float32)
    base, exponent = np.meshgrid(values, values)
    with np.errstate(all="ignore"):
        exact = np.power(base.astype(np.float64), exponent.astype(np.float64))
    for dtype in ("float32", "float64"):
        ours = rv.ops.power(rv.Tensor(base, dtype=dtype), rv.Tensor(exponent, dtype=dtype)).numpy()
        with np.errstate(all="ignore"):
            expected = exact.astype(dtype)
        number = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(ours[number]), np.signbit(expected[number]))
        np.testing.assert_allclose(ours, expected, rtol=float(np.finfo(dtype).eps))
