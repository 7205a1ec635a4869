"""``ranvier bench gemm --variants``: the teaching ladder of an op, step by step, with the production kernel on top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ranvier import _core
from ranvier.bench import report
from ranvier.bench.harness import Shape, Thunk, selected, summary, time_interleaved
from ranvier.bench.machine import Ceilings

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Climb:
    """A ladder: its arrays, its steps, the production kernel, and the benchmark whose peers stand beside it."""

    shapes: tuple[Shape, ...]
    arrays: Callable[..., list[np.ndarray]]
    step: Callable[..., Any]
    production: Callable[..., Any] | None
    flops: Callable[..., float]
    bytes: Callable[..., float]
    bench: str = ""  # the OpBench that brings the peers, of the same shape and data of the same size


@dataclass(frozen=True)
class Height:
    """One contender of a climb measured."""

    ladder: str
    shape: Shape
    name: str
    threads: int
    seconds: float
    spread: float
    gflops: float
    gbytes: float
    gain: float  # over the step before; for the production kernel and the peers, over the last step


def _normal(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def _convolution_flops(images: int, size: int, channels: int, filters: int) -> float:
    return 2.0 * images * (size - 2) ** 2 * filters * 9 * channels


def _relu_batch_norm(x: Any, gamma: Any, beta: Any) -> Any:
    """The production kernel, which also keeps moving averages and what the gradient will need."""
    mean, variance = (_core.Array.zeros([x.shape[1]], "float32") for _ in range(2))
    return _core.batch_norm_forward(x, gamma, beta, mean, variance, True, activation="relu")


CLIMBS = {
    "gemm": Climb(
        shapes=({"m": 1024, "n": 1024, "k": 1024}, {"m": 512, "n": 512, "k": 512}),
        arrays=lambda m, n, k: _normal((m, k), (k, n)),
        step=_core._ladder_gemm,
        production=lambda a, b: _core.matmul_forward(a, b, False, False),
        flops=lambda m, n, k: 2.0 * m * n * k,
        bytes=lambda m, n, k: 4.0 * (m * k + k * n + m * n),
        bench="matmul",
    ),
    "conv2d": Climb(
        shapes=({"images": 64, "size": 13, "channels": 32, "filters": 64},),
        arrays=lambda images, size, channels, filters: _normal(
            (images, size, size, channels), (3, 3, channels, filters)
        ),
        step=_core._ladder_conv2d,
        production=lambda x, w: _core.conv2d_forward(x, w, None, [1, 1], "valid", [1, 1], 1),
        flops=_convolution_flops,
        bytes=lambda images, size, channels, filters: (
            4.0 * (images * (size**2 * channels + (size - 2) ** 2 * filters) + 9 * channels * filters)
        ),
        bench="conv2d",
    ),
    "softmax": Climb(
        shapes=({"rows": 8192, "columns": 1024}, {"rows": 64, "columns": 262_144}),
        arrays=lambda rows, columns: _normal((rows, columns)),
        step=_core._ladder_softmax,
        production=lambda x: _core.softmax_forward(x, -1),
        flops=lambda rows, columns: 0.0,
        bytes=lambda rows, columns: 8.0 * rows * columns,
        bench="softmax",
    ),
    "batch_norm": Climb(
        shapes=({"rows": 32 * 56 * 56, "channels": 64},),
        arrays=lambda rows, channels: _normal((rows, channels), (channels,), (channels,)),
        step=lambda step, x, gamma, beta: _core._ladder_batch_norm(step, x, gamma, beta, 1e-3),
        production=_relu_batch_norm,
        flops=lambda rows, channels: 0.0,
        bytes=lambda rows, channels: 12.0 * rows * channels,
    ),
}
FAMILIES = {"matmul": "gemm", "dense": "gemm", "norm": "batch_norm"}


def peers_of(climb: Climb, shape: Shape, peers: Sequence[str]) -> dict[str, Thunk]:
    """The peers' thunks for this shape, from the op's own benchmark."""
    if not climb.bench or not peers:
        return {}
    bench = next(b for _, b in selected([climb.bench]) if b.name == climb.bench)
    known = {key: value for key, value in bench.shapes[0].items() if key not in shape}  # t="", padding="valid"
    thunks = bench.prepare(**shape, **known)
    return {name: thunk for name, thunk in thunks.items() if name in peers}


def climb(name: str, shape: Shape, repeats: int, peers: Sequence[str]) -> list[Height]:
    """Measures every step, the production kernel and the peers, interleaved."""
    ladder = CLIMBS[name]
    arrays = [_core.Array.from_numpy(values) for values in ladder.arrays(**shape)]
    steps = _core._ladder_steps()[name]
    contenders: dict[str, Thunk] = {}
    for number, step in enumerate(steps):
        contenders[f"{number + 1} {step}"] = partial(ladder.step, number, *arrays)
    if ladder.production is not None:
        contenders["production kernel"] = partial(ladder.production, *arrays)
    contenders.update(peers_of(ladder, shape, peers))
    seconds, spread = summary(time_interleaved(contenders, repeats))
    names = list(contenders)
    heights = []
    for i, key in enumerate(names):
        before = names[min(i, len(steps)) - 1] if i else key
        heights.append(
            Height(
                ladder=name,
                shape=shape,
                name=key,
                threads=_core.num_threads(),
                seconds=seconds[key],
                spread=spread[key],
                gflops=ladder.flops(**shape) / seconds[key] / 1e9,
                gbytes=ladder.bytes(**shape) / seconds[key] / 1e9,
                gain=seconds[before] / seconds[key],
            )
        )
    return heights


def rate(height: Height, roof: Ceilings) -> tuple[float, str, float]:
    """What limits this op: GFLOP/s where flops are counted, else GB/s; and the fraction of the ceiling."""
    if height.gflops:
        return height.gflops, "GFLOP/s", height.gflops / roof.gflops
    return height.gbytes, "GB/s", height.gbytes / roof.gbytes


def table(heights: Sequence[Height], roof: Ceilings) -> str:
    """The climb as text, from the first step up."""
    first = heights[0]
    lines = [f"the {first.ladder} ladder, {report.words(first.shape)}"]
    steps = len(_core._ladder_steps()[first.ladder])
    for i, height in enumerate(heights):
        value, unit, fraction = rate(height, roof)
        gain = f"x{height.gain:.2f} over the " + ("step before" if 0 < i < steps else "last step") if i else ""
        time = report.duration(height.seconds)
        lines.append(f"  {height.name:<26} {time:>9}  {value:7.1f} {unit} ({fraction:4.0%})  {gain}".rstrip())
    return "\n".join(lines)
