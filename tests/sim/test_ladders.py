"""The ladders of transpose, sum and softmax: exact or within the bound on ragged sizes, traced as a person counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core, reference
from ranvier.bench import ladder_sim
from ranvier.sim import Line, Trace

STEPS = _core._ladder_steps("sim")
UNIT = 2.0**-24
schedules = pytest.mark.parametrize("schedule", ["forward", "reverse", "random"])


def steps(op: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("step", range(len(STEPS[op])), ids=STEPS[op])


def on_sim(run: Callable[[int, _core.Array], _core.Array], step: int, x: np.ndarray) -> np.ndarray:
    return np.array(run(step, _core.Array.from_numpy(np.ascontiguousarray(x, np.float32), True, "sim")).numpy())


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@schedules
@steps("transpose")
def test_transpose(step: int, schedule: str) -> None:
    for shape in [(1, 1), (1, 40), (40, 1), (33, 31), (36, 64), (64, 100), (7, 130), (0, 3), (3, 0)]:
        x = numbers(*shape)
        with rv.sim.options(schedule=schedule, seed=1):
            np.testing.assert_array_equal(on_sim(_core._ladder_transpose, step, x), x.T)


def test_transpose_from_an_address_off_sixteen_bytes() -> None:
    """This slice begins 4 bytes after a multiple of 16: wide loads must notice."""
    values = numbers(65)
    tail = _core.Array.from_numpy(values, True, "sim").slice_leading(1, 65).reshape([8, 8])
    np.testing.assert_array_equal(_core._ladder_transpose(3, tail).numpy(), values[1:].reshape(8, 8).T)


@schedules
@steps("sum")
def test_sum(step: int, schedule: str) -> None:
    for count in (0, 1, 31, 256, 257, 2048, 2049, 70_001):
        small = np.random.default_rng(count).integers(-9, 10, count).astype(np.float32)
        x = numbers(count)
        with rv.sim.options(schedule=schedule, seed=count, check=count < 3000):
            assert on_sim(_core._ladder_sum, step, small) == small.sum()
            found = on_sim(_core._ladder_sum, step, x)
        assert abs(found - x.astype(np.float64).sum()) <= count * UNIT * np.abs(x).sum() * 1.01


@schedules
@steps("softmax")
def test_softmax(step: int, schedule: str) -> None:
    for shape in [(1, 1), (5, 3), (3, 40), (130, 7), (2, 300), (1, 1025), (0, 3), (3, 0)]:
        x = 10 * numbers(*shape)
        with rv.sim.options(schedule=schedule, seed=1):
            y = on_sim(_core._ladder_softmax, step, x)
        exact = reference.softmax_forward(x.astype(np.float64), -1)
        # The subtraction rounds an argument of up to `spread`, which the exponential turns into a relative error of
        # that many units; the online step does so again for each maximum that a number meets on its way.
        spread = float(np.ptp(x)) if x.size else 0.0
        often = shape[1] if STEPS["softmax"][step] == "online" else 1
        bound = (2 * often * (spread + 4) + shape[1] + 8) * UNIT
        assert (np.abs(y - exact) <= bound * exact + np.finfo(np.float32).tiny).all()


@steps("softmax")
def test_softmax_of_masked_scores_and_of_nan(step: int) -> None:
    x = np.full((5, 600), -np.inf, np.float32)
    x[:, [3, 20, 599]] = [1.0, 2.0, 0.0]
    x[2, 300] = np.nan
    x[3, 5] = np.inf
    x[4] = -np.inf
    with np.errstate(invalid="ignore"):
        right = reference.softmax_forward(x, -1)
    np.testing.assert_allclose(on_sim(_core._ladder_softmax, step, x), right, rtol=1e-6)


# --- what the memory system would have to do, counted by hand ---


def traced(op: str, step: str, *shape: int) -> Trace:
    with rv.sim.trace() as seen:
        on_sim(getattr(_core, f"_ladder_{op}"), STEPS[op].index(step), np.ones(shape, np.float32))
    return seen


def of(seen: Trace, space: str, access: str) -> list[Line]:
    return [line for line in seen.lines if (line.space, line.access) == (space, access)]


def test_transpose_trace() -> None:
    """64 x 128 numbers: 256 warps of 32; each number read and written once."""
    naive = traced("transpose", "naive", 64, 128)
    assert [(line.requests, line.sectors) for line in of(naive, "global", "read")] == [(256, 256 * 4)]
    assert [(line.requests, line.sectors) for line in of(naive, "global", "write")] == [(256, 256 * 32)]
    for step, conflicts in (("shared tile", 32), ("padded tile", 1)):
        seen = traced("transpose", step, 64, 128)
        for access in ("read", "write"):
            assert [(line.requests, line.sectors) for line in of(seen, "global", access)] == [(256, 256 * 4)]
        assert [(line.requests, line.wavefronts) for line in of(seen, "shared", "write")] == [(256, 256)]
        assert [(line.requests, line.wavefronts) for line in of(seen, "shared", "read")] == [(256, 256 * conflicts)]
    wide = traced("transpose", "vectorised", 64, 128)
    for access in ("read", "write"):  # a quarter of the requests, as many sectors
        assert [(line.requests, line.sectors) for line in of(wide, "global", access)] == [(64, 256 * 4)]
        assert [(line.requests, line.wavefronts) for line in of(wide, "shared", access)] == [(64, 64)] * 4


TREE = {  # requests, lanes and wavefronts of a block of 256 that adds up in shared memory, for one of the operands
    # 8 warps with 16, 8, 4, 2 and 1 lanes, then 4, 2 and 1 warps with one
    "interleaved": (5 * 8 + 4 + 2 + 1, 255, 5 * 8 + 4 + 2 + 1),
    # 4 warps, 2, 1, then one with 16, 8, 4, 2, 1 lanes; strides of 2, 4, ... 256 numbers
    "strided": (4 + 2 + 6, 255, 4 * 2 + 2 * 4 + 8 + 8 + 8 + 4 + 2 + 1),
    "sequential": (4 + 2 + 6, 255, 4 + 2 + 6),
}


@pytest.mark.parametrize("step", TREE)
def test_trace_of_trees(step: str) -> None:
    """2^16 numbers: 256 blocks, and a last one for their sums."""
    seen = traced("sum", step, 1 << 16)
    (kernel,) = seen.kernels
    assert (kernel.launches, kernel.blocks, kernel.barriers) == (2, 257, 257 * 9)
    first, second = (line for line in of(seen, "shared", "read") if line.requests > 257)  # both operands of +=
    for line in (first, second):
        assert (line.requests, line.lanes, line.wavefronts) == tuple(257 * n for n in TREE[step])


def test_trace_of_shuffled_sums() -> None:
    """Shared memory: one number of each warp written, 8 read by the first warp; one barrier."""
    for step, blocks in (("shuffles", 257), ("several a thread", 33)):
        seen = traced("sum", step, 1 << 16)
        (kernel,) = seen.kernels
        assert (kernel.launches, kernel.blocks, kernel.barriers) == (2, blocks, blocks)
        (write,), (read,) = of(seen, "shared", "write"), of(seen, "shared", "read")
        assert (write.requests, write.lanes) == (8 * blocks, 8 * blocks)
        assert (read.requests, read.lanes) == (blocks, 8 * blocks)
        (loads,) = of(seen, "global", "read")
        assert loads.bytes == 4 * ((1 << 16) + blocks - 1)  # and the partial sums again
        assert loads.sectors_per_request == 4


def test_softmax_trace() -> None:
    """64 rows of 512: 1024 requests a pass. Three reads, in 32 sectors, in 4; two when online."""
    for step, reads, sectors, barriers in (
        ("three passes", 3, 32, 0),
        ("block per row", 3, 4, 20),
        ("shuffles", 3, 4, 4),
        ("online", 2, 4, 1),
    ):
        seen = traced("softmax", step, 64, 512)
        assert [line.requests for line in of(seen, "global", "read")] == [1024] * reads
        assert all(line.sectors == 1024 * sectors for line in of(seen, "global", "read") + of(seen, "global", "write"))
        assert seen.kernels[0].barriers == 64 * barriers
        assert all(line.wavefronts_per_request == 1 for line in of(seen, "shared", "read"))


def test_what_a_ladder_refuses() -> None:
    flat, matrix = (_core.Array.from_numpy(np.ones(shape, np.float32), True, "sim") for shape in ((4,), (2, 2)))
    with pytest.raises(ValueError, match="step must be between 0 and 3 but is 4"):
        _core._ladder_transpose(4, matrix)
    with pytest.raises(ValueError, match="x must have rank 1"):
        _core._ladder_sum(0, matrix)
    with pytest.raises(ValueError, match="x must have rank 2"):
        _core._ladder_softmax(0, flat)
    with pytest.raises(rv.DeviceError, match="x must be on sim or cuda but is on cpu"):
        _core._ladder_transpose(0, _core.Array.from_numpy(np.ones((2, 2), np.float32)))


@pytest.mark.parametrize("op", ladder_sim.LADDERS)
def test_the_chapter_has_these_counts(op: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "ladder-cuda.md").read_text()
    rows = ladder_sim.climb(op, ladder_sim.LADDERS[op].shape)
    assert ladder_sim.markdown(rows) in page, "run `python tools/ladder_cuda.py`"
