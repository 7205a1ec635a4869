"""OpBench, and how it is run: every contender of a shape interleaved in one process, so that noise hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ranvier import _core, rooms
from ranvier.bench.machine import settle

Thunk = Callable[[], Any]
Shape = dict[str, Any]


@dataclass(frozen=True)
class OpBench:
    """The shapes of an op that matter, what moves and what is computed, and how each peer says it.

    ``prepare(**shape)`` returns a thunk per contender (``"ranvier"``, ``"numpy"``, ``"torch"``, ``"jax"``) and makes
    its arrays of the type that ``dtype()`` says; ``flops(**shape)`` and ``bytes(**shape)`` count what the op must
    compute and move in float32, 0 where that says nothing. ``draw(rng)`` gives a random shape for ``--sweep``; without
    one, shapes are drawn between those listed, and the parameters in ``kept`` are as listed (``sweep.drawn``).
    """

    name: str
    shapes: tuple[Shape, ...]
    prepare: Callable[..., dict[str, Thunk]]
    flops: Callable[..., float]
    bytes: Callable[..., float]
    draw: Callable[[np.random.Generator], Shape] | None = None
    kept: tuple[str, ...] = ("axis",)


@dataclass(frozen=True)
class Row:
    """One shape measured: seconds (median) and spread (interquartile range / median) per contender."""

    bench: str
    shape: Shape
    seconds: dict[str, float]
    spread: dict[str, float]
    flops: float
    bytes: float
    threads: int
    dtype: str = "float32"
    isa: str = ""

    @property
    def gflops(self) -> float:
        """What we reach, in GFLOP/s."""
        return self.flops / self.seconds["ranvier"] / 1e9

    @property
    def gbytes(self) -> float:
        """What we move, in GB/s."""
        return self.bytes / self.seconds["ranvier"] / 1e9

    @property
    def best_peer(self) -> str | None:
        """The fastest of the others."""
        peers = [name for name in self.seconds if name != "ranvier"]
        return min(peers, key=lambda name: self.seconds[name]) if peers else None

    @property
    def ratio(self) -> float | None:
        """The best peer's time over ours: above one, we are ahead."""
        peer = self.best_peer
        return self.seconds[peer] / self.seconds["ranvier"] if peer else None


_measured = np.dtype("float32")
_asked = False


def dtype() -> np.dtype:
    """The floating type being measured; a benchmark that never asks is measured in float32 only."""
    global _asked
    _asked = True
    return _measured


@contextmanager
def measuring(name: str) -> Iterator[None]:
    """Benchmarks inside measure this floating type."""
    global _measured
    before, _measured = _measured, np.dtype(name)
    try:
        yield
    finally:
        _measured = before


def jitted(function: Callable[..., Any], *arrays: np.ndarray) -> Thunk:
    """JAX's thunk: ``function`` compiled for these arrays, each call waiting for its result."""
    jax = import_module("jax")
    compiled, ours = jax.jit(function), [jax.device_put(array) for array in arrays]
    return lambda: jax.block_until_ready(compiled(*ours))


def families() -> list[str]:
    """The families that have a benchmark."""
    folder = import_module("ranvier.bench.ops").__path__[0]
    return sorted(p.stem for p in Path(folder).glob("*.py") if p.stem != "__init__")


def selected(names: Sequence[str]) -> list[tuple[str, OpBench]]:
    """The benchmarks, each with its family, of ops (``leaky_relu``) and families (``activation``); all by default.

    An op without a benchmark of that name stands for its family. Raises ValueError for a name that nothing has.
    """
    everything = [(f, b) for f in families() for b in import_module(f"ranvier.bench.ops.{f}").BENCHES]
    if not names:
        return everything
    ops = rooms.public_ops()
    chosen: list[tuple[str, OpBench]] = []
    for name in names:
        found = [(f, b) for f, b in everything if f == name]
        if not found:
            spelled = (f"{name} ", f"{name}_gradient", f"{name}_input", f"{name}_kernel")
            found = [(f, b) for f, b in everything if b.name == name or b.name.startswith(spelled)]
        if not found:
            found = [(f, b) for f, b in everything if f == ops.get(name)]
        if not found:
            known = ", ".join([*families(), *sorted({b.name for _, b in everything})])
            raise ValueError(f"no op or family is called {name!r}; there are {known}")
        chosen += [pair for pair in found if pair not in chosen]
    return chosen


def seconds_of(thunk: Thunk, calls: int) -> float:
    """Seconds per call, over so many."""
    start = time.perf_counter()
    for _ in range(calls):
        thunk()
    return (time.perf_counter() - start) / calls


PATIENCE = 2.0  # seconds; a slow contender gets fewer repeats, but three at least


def time_interleaved(contenders: dict[str, Thunk], repeats: int = 9, budget: float = 0.03) -> dict[str, list[float]]:
    """Seconds per call, ``repeats`` samples per contender, one of each in turn; a sample lasts about ``budget`` s.

    Before each sample the previous contender's worker threads go to sleep.
    """
    calls, wanted = {}, {}
    for name, thunk in contenders.items():
        settle()
        thunk()  # warm-up: caches, allocators, lazily made kernels
        once = seconds_of(thunk, 1)
        if once < 0.1:
            once = min(once, *(seconds_of(thunk, 1) for _ in range(2)))
        calls[name] = max(1, min(10_000, int(budget / max(once, 1e-7))))
        wanted[name] = max(3, min(repeats, int(PATIENCE / max(once, budget))))
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(repeats):
        for name, thunk in contenders.items():
            if repeat < wanted[name]:
                settle()
                if calls[name] > 1:
                    thunk()  # wakes our own workers
                samples[name].append(seconds_of(thunk, calls[name]))
    return samples


def summary(samples: dict[str, list[float]]) -> tuple[dict[str, float], dict[str, float]]:
    """The median and the spread (interquartile range over median) of each contender's samples."""
    seconds = {k: statistics.median(v) for k, v in samples.items()}
    spread = {k: (sorted(v)[3 * len(v) // 4] - sorted(v)[len(v) // 4]) / seconds[k] for k, v in samples.items()}
    return seconds, spread


def run_bench(
    bench: OpBench, repeats: int = 9, peers: Sequence[str] | None = None, shapes: Sequence[Shape] | None = None
) -> Iterator[Row]:
    """Measures every shape of ``bench`` (or those given) beside the peers asked for (all installed ones by default).

    In another type than float32 a benchmark that makes no arrays of it yields nothing.
    """
    global _asked
    for shape in bench.shapes if shapes is None else shapes:
        _asked = False
        contenders = bench.prepare(**shape)
        if _measured != np.float32 and not _asked:
            return
        if peers is not None:
            contenders = {k: v for k, v in contenders.items() if k == "ranvier" or k in peers}
        seconds, spread = summary(time_interleaved(contenders, repeats))
        yield Row(
            bench=bench.name,
            shape=shape,
            seconds=seconds,
            spread=spread,
            flops=bench.flops(**shape),
            bytes=bench.bytes(**shape) * _measured.itemsize / 4,
            threads=_core.num_threads(),
            dtype=_measured.name,
            isa=_core._isa(),
        )
