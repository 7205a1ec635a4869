"""Warp operations and tensor-core instructions against what the PTX ISA says, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core
from tests.sim.build import address, library


def on_sim(values: np.ndarray) -> _core.Array:
    return _core.Array.from_numpy(values, True, "sim")


def bf16_bits(values: np.ndarray) -> np.ndarray:
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


@pytest.mark.parametrize("schedule", ["forward", "reverse", "random"])
def test_ldmatrix_and_mma_bf16(schedule: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-8, 9, (16, 16)), rng.integers(-8, 9, (16, 8))  # exact in bfloat16
    bits_a, bits_b = bf16_bits(a), bf16_bits(np.ascontiguousarray(b.T))
    a_sim, b_sim = (on_sim(bits.view(np.uint8)) for bits in (bits_a, bits_b))
    c = _core.Array.empty([16, 8], "float32", "sim")
    with rv.sim.options(schedule=schedule):
        library("instructions").run_fragment(*(address(x) for x in (a_sim, b_sim, c)))
    np.testing.assert_array_equal(c.numpy(), a @ b)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_transposing_ldmatrix_and_mma(dtype: str) -> None:
    """Denormals among float16's operands, too."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(-8, 9, (16, 16)).astype(float), rng.integers(-8, 9, (16, 16)).astype(float)
    if dtype == "float16":
        a[3] *= 2.0**-24
        bits = [np.ascontiguousarray(v).astype(np.float16).view(np.uint8) for v in (a.T, b)]
    else:
        bits = [bf16_bits(np.ascontiguousarray(v)).view(np.uint8) for v in (a.T, b)]
    operands = [on_sim(v) for v in bits]
    c = _core.Array.empty([16, 16], "float32", "sim")
    library("instructions").run_turned_fragments(*(address(x) for x in (*operands, c)), int(dtype == "float16"))
    np.testing.assert_array_equal(c.numpy(), a @ b)


def test_shuffles_and_votes() -> None:
    y = _core.Array.zeros([208], "int32", "sim")
    library("instructions").run_shuffles(address(y))
    lane = np.arange(32)
    up, down = lane - 3, lane + 3
    expected = [
        lane // 8 * 8 + (lane + 3) % 8,
        np.where(up < lane // 16 * 16, lane, up),
        np.where(down > lane // 16 * 16 + 15, lane, down),
        lane ^ 5,
        np.full(32, sum(1 << i for i in range(0, 32, 3)), np.uint32).view(np.int32),
        np.full(32, 3),
        lane[:16] ^ 1,
    ]
    np.testing.assert_array_equal(y.numpy(), np.concatenate(expected))


@pytest.mark.parametrize("schedule", ["forward", "reverse", "random"])
def test_atomics(schedule: str) -> None:
    y = on_sim(np.array([0, -1, 1000, 0, 0, 0], np.int32))
    with rv.sim.options(schedule=schedule, seed=5):
        library("instructions").run_atomics(address(y))
    total, largest, least, bits, first, seen = y.numpy()
    assert (total, largest, least, bits, seen) == (3 * 64 * 63 // 2, 63, 0, 255, 1)
    assert 1 <= first <= 64
