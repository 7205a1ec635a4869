"""OpBench, and how it is run: every contender of a shape interleaved in one process, so that noise hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ranvier import _core

Thunk = Callable[[], Any]


@dataclass(frozen=True)
class OpBench:
    """The shapes of an op that matter, what moves and what is computed, and how each peer says it.

    ``prepare(**shape)`` returns a thunk per contender (``"ranvier"``, ``"numpy"``, ``"torch"``); ``flops(**shape)``
    and ``bytes(**shape)`` count what the op must compute and move, 0 where that says nothing.
    """

    name: str
    shapes: tuple[dict[str, Any], ...]
    prepare: Callable[..., dict[str, Thunk]]
    flops: Callable[..., float]
    bytes: Callable[..., float]


@dataclass(frozen=True)
class Ceilings:
    """What the machine can do: GFLOP/s of a register-resident FMA loop, GB/s of a streaming triad."""

    gflops: float
    gbytes: float


@dataclass(frozen=True)
class Row:
    """One shape measured: seconds (median) and spread (interquartile range / median) per contender."""

    bench: str
    shape: dict[str, Any]
    seconds: dict[str, float]
    spread: dict[str, float]
    gflops: float
    gbytes: float


def _seconds_of(thunk: Thunk, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        thunk()
    return (time.perf_counter() - start) / calls


def time_interleaved(contenders: dict[str, Thunk], repeats: int = 9, budget: float = 0.03) -> dict[str, list[float]]:
    """Seconds per call, ``repeats`` samples per contender, one of each in turn; a sample lasts about ``budget`` s.

    A short pause before each sample lets the previous contender's worker threads go to sleep.
    """
    calls = {}
    for name, thunk in contenders.items():
        thunk()  # warm-up: caches, allocators, lazily made kernels
        once = min(_seconds_of(thunk, 1) for _ in range(3))
        calls[name] = max(1, min(10_000, int(budget / max(once, 1e-7))))
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, thunk in contenders.items():
            time.sleep(0.008)
            thunk()  # wakes our own workers
            samples[name].append(_seconds_of(thunk, calls[name]))
    return samples


def measure_ceilings() -> Ceilings:
    """The FMA loop and the triad on all threads, each the best of several runs."""
    rounds = 2_000_000
    flops = _core._fma_loop(rounds)
    fma = min(_seconds_of(lambda: _core._fma_loop(rounds), 1) for _ in range(5))
    n = 1 << 25  # 128 MiB an array: beyond every cache
    a, b = _core.Array.zeros([n], "float32"), _core.Array.zeros([n], "float32")
    _core._triad(a, b, 0.5)
    triad = min(_seconds_of(lambda: _core._triad(a, b, 0.5), 1) for _ in range(5))
    return Ceilings(flops / fma / 1e9, 3 * 4 * n / triad / 1e9)


def run_bench(bench: OpBench, repeats: int = 9, peers: Sequence[str] | None = None) -> list[Row]:
    """Measures every shape of ``bench`` beside the peers asked for (all installed ones by default)."""
    rows = []
    for shape in bench.shapes:
        contenders = bench.prepare(**shape)
        if peers is not None:
            contenders = {k: v for k, v in contenders.items() if k == "ranvier" or k in peers}
        samples = time_interleaved(contenders, repeats)
        seconds = {k: statistics.median(v) for k, v in samples.items()}
        spread = {k: (sorted(v)[3 * len(v) // 4] - sorted(v)[len(v) // 4]) / seconds[k] for k, v in samples.items()}
        ours = seconds["ranvier"]
        gflops, gbytes = bench.flops(**shape) / ours / 1e9, bench.bytes(**shape) / ours / 1e9
        rows.append(Row(bench.name, shape, seconds, spread, gflops, gbytes))
    return rows


def table(rows: list[Row], ceilings: Ceilings) -> str:
    """Rows as text: time, GFLOP/s and GB/s as fractions of the ceilings, and each peer's time over ours."""
    lines = [f"ceilings: {ceilings.gflops:.0f} GFLOP/s (FMA loop), {ceilings.gbytes:.0f} GB/s (triad)"]
    for row in rows:
        shape = " ".join(f"{k}={v}" for k, v in row.shape.items())
        ours = row.seconds["ranvier"]
        text = f"{row.bench:<24} {shape:<44} {ours * 1e6:10.1f} us +-{row.spread['ranvier']:4.0%}"
        if row.gflops:
            text += f"  {row.gflops:7.1f} GFLOP/s ({row.gflops / ceilings.gflops:4.0%})"
        if row.gbytes:
            text += f"  {row.gbytes:6.1f} GB/s ({row.gbytes / ceilings.gbytes:4.0%})"
        for peer, seconds in row.seconds.items():
            if peer != "ranvier":
                text += f"  {peer} x{seconds / ours:.2f}"
        lines.append(text)
    return "\n".join(lines)
