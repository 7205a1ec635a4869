"""The ladders of csrc/cuda/ladder on the simulator: results, and traces equal to what a person counts."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core

STEPS = _core._ladder_steps("sim")["gemm"]


def gemm(step: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a_sim, b_sim = (_core.Array.from_numpy(x, True, "sim") for x in (a, b))
    return np.array(_core._ladder_gemm(STEPS.index(step), a_sim, b_sim).numpy())


@pytest.mark.parametrize("schedule", ["forward", "reverse", "random"])
@pytest.mark.parametrize("step", STEPS)
def test_gemm_is_exact_on_small_integers(step: str, schedule: str) -> None:
    rng = np.random.default_rng(1)
    for m, n, k in [(1, 1, 1), (37, 51, 29), (64, 8, 16), (130, 4, 20), (5, 133, 3)]:
        a, b = (rng.integers(-9, 10, shape).astype(np.float32) for shape in ((m, k), (k, n)))
        with rv.sim.options(schedule=schedule, seed=m):
            np.testing.assert_array_equal(gemm(step, a, b), a @ b)


@pytest.mark.parametrize("step", STEPS)
def test_gemm_stays_within_the_error_bound(step: str) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(33, 70)).astype(np.float32), rng.normal(size=(70, 40)).astype(np.float32)
    # Operands rounded to 10 bits of fraction on tensor cores, to none elsewhere; sums of k products in float32.
    rounding = 2.0**-10 if step == "tensor cores" else 0.0
    gamma = 72 * np.finfo(np.float32).eps / 2
    bound = (gamma + rounding + rounding**2 / 4) * (np.abs(a).astype(np.float64) @ np.abs(b))
    assert (np.abs(gemm(step, a, b) - a.astype(np.float64) @ b) <= bound).all()


def test_gemm_of_nothing() -> None:
    for step in STEPS:
        assert gemm(step, np.zeros((0, 3), np.float32), np.zeros((3, 4), np.float32)).shape == (0, 4)
        assert not gemm(step, np.zeros((2, 0), np.float32), np.zeros((0, 3), np.float32)).any()


def lines(step: str, size: int = 64) -> list[rv.sim.Line]:
    ones = np.ones((size, size), np.float32)
    with rv.sim.trace() as seen:
        gemm(step, ones, ones)
    return seen.lines


def test_naive_and_coalesced_sectors() -> None:
    """Per request of a warp: 32 rows of A are 32 sectors, one float is 1, 32 floats side by side are 4."""
    reads = [line for line in lines("naive") if line.access == "read"]
    assert sorted(line.sectors_per_request for line in reads) == [1, 32]
    assert all(line.requests == 64 * 64 * 64 // 32 for line in reads)  # one for each warp and step of p
    reads = [line for line in lines("coalesced") if line.access == "read"]
    assert sorted(line.sectors_per_request for line in reads) == [1, 4]
    (write,) = (line for line in lines("coalesced") if line.access == "write")
    assert (write.requests, write.sectors) == (128, 512)


def test_shared_tiles_use_each_float_thirty_two_times() -> None:
    seen = lines("shared tiles")
    of = {
        (space, access): [line for line in seen if (line.space, line.access) == (space, access)]
        for space in ("global", "shared")
        for access in ("read", "write")
    }
    assert sum(line.requests for line in of["global", "read"]) == 2 * 64 * 64 * 2 // 32  # each tile by 2 blocks
    assert sum(line.requests for line in of["shared", "read"]) == 2 * 64**3 // 32
    assert all(line.wavefronts_per_request == 1 for line in of["shared", "read"] + of["shared", "write"])


def test_registers_spare_shared_reads() -> None:
    """Shared reads for each multiply-add: 2, then 9/8, then 1/4 (16 for 64)."""

    def shared_lanes(step: str) -> float:
        return sum(line.lanes for line in lines(step, 128) if (line.space, line.access) == ("shared", "read"))

    products = 128**3
    assert shared_lanes("shared tiles") / products == 2
    assert shared_lanes("register column") / products == 9 / 8
    assert shared_lanes("register square") / products == 1 / 4


def test_upper_half_of_the_ladder() -> None:
    """One block of 8 warps computes 128 x 128 elements in 16 tiles of depth 8, or 8 of depth 16."""

    def total(step: str, what: str, space: str, access: str) -> int:
        return sum(getattr(line, what) for line in lines(step, 128) if (line.space, line.access) == (space, access))

    # A warp reads 16 rows of 8 floats of A, a sector each, and a row of 128 of B, 16 sectors; each tile, both.
    for step in ("wide loads", "warp tiles"):
        assert total(step, "requests", "global", "read") == 16 * 2 * 8
        assert total(step, "sectors", "global", "read") == 16 * 2 * 8 * 16
        assert total(step, "requests", "global", "write") == 8 * 8 * 2  # 8 rows of 2 float4 for each thread
    assert total("wide loads", "sectors", "global", "write") == 128 * 32  # every other 16 bytes: half of each sector
    assert total("warp tiles", "sectors", "global", "write") == 128 * 16  # 8 rows of 64 bytes
    assert total("warp tiles", "requests", "block", "__syncthreads") == 16 * 2 * 8
    assert total("double buffers", "requests", "block", "__syncthreads") == 8 * 8  # one a tile, of twice the depth
    reads = [line for line in lines("tensor cores", 128) if (line.space, line.access) == ("shared", "read")]
    assert all(line.wavefronts_per_request == 1 for line in reads)  # the padding that its comment counts


def test_trace_prints_a_table() -> None:
    with rv.sim.trace() as seen:
        gemm("naive", np.ones((32, 8), np.float32), np.ones((8, 8), np.float32))
    text = str(seen)
    assert "naive" in text
    assert "32.00 sectors" in text
    assert "gemm.cu:" in text
    (kernel,) = seen.kernels
    assert (kernel.launches, kernel.blocks, kernel.threads, kernel.barriers) == (1, 1, 256, 0)
