"""Elementwise kernels on the simulator where the specs do not go: integers, 16-bit floats, many axes."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core

DTYPES = ["float32", "float64", "float16", "bfloat16", "int32", "int64", "uint8", "bool"]
UNARY = ["negative", "square", "absolute", "sign", "isnan", "isfinite", "logical_not"]
BINARY = ["add", "subtract", "multiply", "maximum", "minimum", "equal", "not_equal", "less", "less_equal", "greater"]


def both(values: np.ndarray) -> tuple[_core.Array, _core.Array]:
    return (_core.Array.from_numpy(values, True, "sim"), _core.Array.from_numpy(values, True, "cpu"))


def assert_same(ours: _core.Array, right: _core.Array) -> None:
    assert ours.dtype == right.dtype
    np.testing.assert_array_equal(ours.numpy(), right.numpy())


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_integers_wrap_as_on_the_cpu(dtype: str) -> None:
    info, rng = np.iinfo(dtype), np.random.default_rng(0)
    values = np.concatenate([[info.min, info.max, 0, 1], rng.integers(info.min, info.max, 300)]).astype(dtype)
    a_sim, a_cpu = both(values)
    b_sim, b_cpu = both(rng.permutation(values))
    for name in UNARY:
        assert_same(getattr(_core, f"{name}_forward")(a_sim), getattr(_core, f"{name}_forward")(a_cpu))
    for name in BINARY:
        assert_same(getattr(_core, f"{name}_forward")(a_sim, b_sim), getattr(_core, f"{name}_forward")(a_cpu, b_cpu))
    e_sim, e_cpu = both((values % 5).astype(dtype))
    assert_same(_core.power_forward(a_sim, e_sim), _core.power_forward(a_cpu, e_cpu))


@pytest.mark.parametrize("to", DTYPES)
@pytest.mark.parametrize("source", DTYPES)
def test_casts_have_the_bits_of_the_cpu(source: str, to: str) -> None:
    rng = np.random.default_rng(1)
    special = [
        0.0,
        -0.0,
        np.inf,
        -np.inf,
        np.nan,
        65504.0,
        65520.0,
        2.0**-24,
        2.0**-25,
        2.0**31,
        -(2.0**63),
        255.9,
        -1.5,
    ]
    values = np.concatenate([special, rng.normal(size=200) * 10.0 ** rng.integers(-9, 12, 200)])
    a_sim, a_cpu = (_core.cast_forward(x, source) for x in both(values))
    assert_same(a_sim, a_cpu)
    assert_same(_core.cast_forward(a_sim, to), _core.cast_forward(a_cpu, to))


def test_more_axes_than_anybody_uses() -> None:
    shape = (2, 1, 2, 3, 1, 2, 1, 2, 2, 1, 2)
    a = np.random.default_rng(2).normal(size=shape)
    b = np.random.default_rng(3).normal(size=[1 if i % 2 else n for i, n in enumerate(shape)])
    a_sim, b_sim = both(a)[0], both(b)[0]
    np.testing.assert_array_equal(_core.add_forward(a_sim, b_sim).numpy(), a + b)
    np.testing.assert_array_equal(_core.where_forward(both(a > 0)[0], a_sim, b_sim).numpy(), np.where(a > 0, a, b))


def test_traces_of_neighbours() -> None:
    """1024 floats side by side: 32 requests of 4 sectors for each operand."""
    x = both(np.ones(1024, np.float32))[0]
    with rv.sim.trace() as seen:
        _core.add_forward(x, x)
    reads = [line for line in seen.lines if line.access == "read"]
    assert sum(line.sectors for line in reads) == 2 * 32 * 4
    assert all(line.sectors_per_request == 4 for line in seen.lines)
