"""Products large enough to cross every edge of the blocking: in k, in columns, in rows, between threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core
from tests.ops.test_specs import ISAS, MACHINES, on
from tests.opspec import gamma

# Blocks end after 384 to 576 (half of that in float64) in k, after some 320 columns, after 4, 6 or 12 rows; packing
# starts at the second row of tiles and at rows of B longer than 1 KB, and A's panels are copied where its rows lie
# 1 KB apart. Few rows or columns are dot products, a long sum for little C goes by parts, a vector by sums of rows.
SHAPES = [
    *[(13, 33, k) for k in (191, 192, 193, 383, 384, 385, 577, 769)],
    *[(14, n, 200) for n in (319, 320, 321, 511, 513, 641, 1000)],
    *[(m, 70, 50) for m in (2, 3, 4, 5, 6, 7, 11, 12, 13, 23, 25, 36, 37, 39, 511, 515)],
    *[(40, 600, 256), (300, 300, 300), (515, 97, 256), (1, 700, 300), (2, 700, 300), (700, 1, 300), (700, 2, 300)],
    *[(130, 10, 512), (70, 3, 97), (5, 12, 130), (3, 130, 97), (6, 131, 70), (30, 40, 2500), (14, 20, 3001)],
    *[(1, 70, 5000), (1, 600, 3000), (5000, 1, 70), (1, 5000, 30), (1, 3, 20000), (1, 1, 1)],
]
TRANSPOSED = [(False, False), (False, True), (True, False), (True, True)]


def operands(m: int, n: int, k: int, transposed: tuple[bool, bool], draw: Any) -> tuple[np.ndarray, np.ndarray]:
    a, b = draw((m, k)), draw((k, n))
    return np.ascontiguousarray(a.T) if transposed[0] else a, np.ascontiguousarray(b.T) if transposed[1] else b


def product(a: np.ndarray, b: np.ndarray, transposed: tuple[bool, bool]) -> np.ndarray:
    return rv.ops.matmul(rv.Tensor(a), rv.Tensor(b), *transposed).numpy()


def plain(a: np.ndarray, b: np.ndarray, transposed: tuple[bool, bool]) -> np.ndarray:
    return (a.T if transposed[0] else a) @ (b.T if transposed[1] else b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", TRANSPOSED)
def test_blocking(dtype: str, transposed: tuple[bool, bool]) -> None:
    """Exact on small integers; within the bound of a sum of k products; the same bits on one and two threads."""
    rng = np.random.default_rng(7)
    for m, n, k in SHAPES:
        whole = operands(m, n, k, transposed, lambda s: rng.integers(-3, 4, s).astype(dtype))
        real = operands(m, n, k, transposed, lambda s: rng.normal(size=s).astype(dtype))
        exact = plain(*whole, transposed)
        wide = [v.astype(np.float64) for v in real]
        right = plain(*wide, transposed)
        bound = gamma(k + 2, float(np.finfo(dtype).eps)) * plain(*map(np.abs, wide), transposed)
        bound = bound * (2 if dtype == "float64" else 1)  # in float64 the right answer has as large an error
        bits: dict[str, np.ndarray] = {}
        for machine in MACHINES:
            on(machine)
            np.testing.assert_array_equal(product(*whole, transposed), exact, err_msg=f"{m}x{n}x{k} on {machine}")
            ours = product(*real, transposed)
            assert (np.abs(ours - right) <= bound).all(), f"{m}x{n}x{k} on {machine}"
            np.testing.assert_array_equal(ours, bits.setdefault(machine[0], ours), err_msg=f"{m}x{n}x{k} on {machine}")


@pytest.mark.parametrize("isa", ISAS)
def test_a_row_does_not_depend_on_its_batch(isa: str) -> None:
    """One chain of additions per element, whatever tile, panel or block holds it."""
    on((isa, 2))
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(600, 400)).astype(np.float32), rng.normal(size=(400, 700)).astype(np.float32)
    whole = product(a, b, (False, False))
    for rows in (slice(0, 1), slice(5, 8), slice(100, 140), slice(17, 599)):
        np.testing.assert_array_equal(product(a[rows].copy(), b, (False, False)), whole[rows])
    np.testing.assert_array_equal(product(a, b[:, 3:50].copy(), (False, False)), whole[:, 3:50])


@pytest.mark.parametrize("activation", [None, "relu", "tanh", "gelu"])
def test_dense_epilogue_across_blocks(activation: str | None) -> None:
    """Bias and activation are applied once, after the last block of k."""
    rng = np.random.default_rng(9)
    x, kernel, bias = (rng.normal(size=s).astype(np.float32) for s in ((50, 800), (800, 350), (350,)))
    for machine in MACHINES:
        on(machine)
        z = rv.ops.add(rv.ops.matmul(x, kernel), bias)
        separate = z if activation is None else getattr(rv.ops, activation)(z)
        np.testing.assert_array_equal(rv.ops.dense(x, kernel, bias, activation).numpy(), separate.numpy())


def test_many_small_products() -> None:
    """A batch large enough to be shared between threads, with both operands broadcast."""
    rng = np.random.default_rng(10)
    a, b = rng.integers(-3, 4, (40, 1, 9, 17)).astype(float), rng.integers(-3, 4, (5, 17, 8)).astype(float)
    for machine in MACHINES:
        on(machine)
        np.testing.assert_array_equal(rv.ops.matmul(a, b).numpy(), a @ b)


def test_zero_inner_size_gives_zeros_and_the_bias() -> None:
    for isa in ISAS:
        _core._set_isa(isa)
        np.testing.assert_array_equal(rv.ops.matmul(np.ones((3, 0)), np.ones((0, 20))).numpy(), np.zeros((3, 20)))
        y = rv.ops.dense(np.ones((3, 0)), np.ones((0, 2)), np.array([1.0, -2.0]), activation="relu")
        np.testing.assert_array_equal(y.numpy(), [[1, 0]] * 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_columns(dtype: str) -> None:
    """One strip or several, registers or L1, one piece or chunks of rows: exact on integers, the same bits anywhere."""
    rng = np.random.default_rng(11)
    for rows, columns in [
        (0, 5),
        (3, 0),
        (1, 1),
        (7, 1000),
        (4099, 65),
        (5003, 32),
        (70001, 3),
        (70001, 1),
        (1024, 15),
        (1039, 7),
        (300, 5000),
        (3000, 70),
    ]:
        whole = rng.integers(-9, 10, (rows, columns)).astype(dtype)
        real = rng.normal(size=(rows, columns)).astype(dtype)
        bits: dict[str, np.ndarray] = {}
        for machine in MACHINES:
            on(machine)
            np.testing.assert_array_equal(_core.column_sums(rv.Tensor(whole).array).numpy(), whole.sum(0))
            ours = _core.column_sums(rv.Tensor(real).array).numpy()
            np.testing.assert_array_equal(ours, bits.setdefault(machine[0], ours))
            bound = gamma(rows, float(np.finfo(dtype).eps)) * np.abs(real.astype(np.float64)).sum(0)
            assert (np.abs(ours - real.astype(np.float64).sum(0)) <= 2 * bound).all()
