"""The trace's further columns, and pictures of addresses: what they draw is what was counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core
from ranvier.sim import counting, picture

pytest.importorskip("matplotlib")


def sim_array(*shape: int) -> _core.Array:
    return _core.Array.from_numpy(np.ones(shape, np.float32), True, "sim")


def traced(run: Callable[[], Any], **options: Any) -> rv.sim.Trace:
    with rv.sim.trace(**options) as seen:
        run()
    return seen


def ladder(op: str, step: int, *shape: int) -> Callable[[], Any]:
    return lambda: getattr(_core, f"_ladder_{op}")(step, sim_array(*shape))


def test_barriers_exchanges_and_divergence_have_lines() -> None:
    seen = traced(ladder("sum", 3, 1024))  # 4 blocks of 8 warps, and a last one
    (barrier,) = seen.of("block")
    assert (barrier.access, barrier.requests, barrier.lanes) == ("__syncthreads", 5 * 8, 5 * 256)
    (shuffle,) = seen.of("warp")  # five in each of 8 warps, then five in the first
    assert (shuffle.access, shuffle.requests, shuffle.divergent) == ("__shfl_down_sync", 5 * (5 * 8 + 5), 0)
    (write,) = seen.of("shared", "write")
    assert write.divergent == write.requests == 40  # one lane of 32
    assert "__shfl_down_sync" in str(seen)
    assert "100%" in str(seen)


@pytest.mark.parametrize("schedule", ["forward", "reverse", "random"])
def test_what_is_drawn_is_what_was_counted(schedule: str) -> None:
    """One block, so the requests that were kept are all that there were."""
    for op, step, shape in (
        *(("transpose", step, (32, 32)) for step in range(4)),
        *(("sum", step, (256,)) for step in range(5)),
        *(("softmax", step, (1, 64)) for step in range(4)),
    ):
        with rv.sim.options(schedule=schedule, seed=5):
            seen = traced(ladder(op, step, *shape))
        for line in seen.of("global") + seen.of("shared"):
            same = [r for r in seen.requests if (r.place, r.space, r.access) == (line.place, line.space, line.access)]
            lines = [
                other
                for other in seen.lines
                if (other.place, other.space, other.access) == (line.place, line.space, line.access)
            ]
            assert len(same) == sum(other.requests for other in lines)
            if line.space == "global":
                assert sum(len(picture.sectors_of(r)) for r in same) == sum(other.sectors for other in lines)
            else:
                assert sum(picture.wavefronts_of(r) for r in same) == sum(other.wavefronts for other in lines)


def test_requests_know_lane_address_and_time() -> None:
    seen = traced(ladder("transpose", 1, 64, 64), block=(1, 0))
    assert seen.block == (1, 0, 0)
    (read,) = (r for r in seen.requests if (r.space, r.access, r.warp) == ("shared", "read", 3))
    offsets = dict(zip(read.lanes, read.offsets, strict=True))
    assert (read.object, read.object_bytes, read.bytes, read.time) == ("tile", 4096, 4, 0)
    assert offsets == {lane: 4 * (32 * lane + 3) for lane in range(32)}
    (write,) = (r for r in seen.requests if (r.space, r.access, r.warp) == ("global", "write", 0))
    assert dict(zip(write.lanes, write.offsets, strict=True)) == {lane: 4 * (64 * 32 + lane) for lane in range(32)}
    tree = traced(ladder("sum", 2, 256)).requests
    added = [r for r in tree if (r.space, r.access, r.warp) == ("shared", "read", 0) and r.place == tree_line(tree)]
    assert sorted(r.time for r in added) == sorted([*range(8)] * 2)  # two operands, eight rounds, a barrier between
    assert {r.time: len(r.lanes) for r in added} == {0: 32, 1: 32, 2: 32, 3: 16, 4: 8, 5: 4, 6: 2, 7: 1}


def tree_line(requests: list[rv.sim.Request]) -> str:
    """The line that is passed most often."""
    return max(requests, key=lambda r: r.time).place


def texts(figure: Any) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_pictures(tmp_path: Path) -> None:
    traced(ladder("transpose", 1, 32, 64))
    figure = rv.sim.show("tiled_transpose", path=tmp_path / "all.png")
    assert (tmp_path / "all.png").stat().st_size > 10_000
    read, write, column, out = texts(figure)
    assert "global read of an array (8,192 bytes), 32 lanes x 4 bytes: 4 sectors" in read
    assert "shared write of tile (4,096 bytes), 32 lanes x 4 bytes: 1 wavefront" in write
    assert column.endswith("32 wavefronts")
    assert "global write" in out
    number = column.split()[0].rpartition(":")[2]
    assert len(rv.sim.show("tiled_transpose", line=int(number), warp=31).axes) == 2
    assert texts(rv.sim.show("tiled_transpose", block=0, line=column.split()[0]))[0] == column


def test_pictures_of_wide_and_of_shared_words() -> None:
    seen = traced(ladder("transpose", 3, 32, 32))
    assert "16 sectors" in texts(rv.sim.show("vectorised", trace=seen))[0]
    traced(lambda: _core._ladder_gemm(0, sim_array(32, 8), sim_array(8, 8)))
    titles = texts(rv.sim.show("naive", time=7))
    assert any("32 sectors, 4 would do" in title for title in titles)
    assert any(title.endswith("1 sector") for title in titles)  # all lanes read one number
    with rv.device("sim"):
        x = rv.Tensor(np.ones((2, 64), np.float64))
        traced(lambda: rv.ops.softmax(x))
    assert "32 lanes x 8 bytes: 8 sectors" in texts(rv.sim.show("softmax_rows"))[0]


def test_what_cannot_be_shown_is_said() -> None:
    counting._finished.clear()
    with pytest.raises(ValueError, match="nothing was traced yet"):
        rv.sim.show("anything")
    traced(ladder("transpose", 1, 32, 32))
    for arguments, match in (
        ({"kernel": "nonsense"}, "'nonsense' is not among those that touched memory.*tiled_transpose<0>"),
        ({"block": 1}, r"kept block \(0, 0, 0\); run the kernel in rv.sim.trace\(block=1\)"),
        ({"line": 1}, r"line 1 of tiled_transpose<0> touches no memory.*transpose.cu:\d+"),
        ({"warp": 99}, "warp 99, time 0 was not kept; warps 0 to 31"),
        ({"time": 5}, "up to 1 times"),
    ):
        with pytest.raises(ValueError, match=match):
            rv.sim.show(**{"kernel": "tiled", **arguments})
    for block in (-1, (0, 0, 0, 0), "a", 1.5):
        with pytest.raises(ValueError, match="block: expected a number, or up to three"), rv.sim.trace(block=block):  # type: ignore[arg-type]
            pass
