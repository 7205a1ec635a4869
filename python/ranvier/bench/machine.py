"""The machine that is measured: what it is, what it could do at most, and how many threads each library may use."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ranvier import _core

# What limits the peers to an instruction set; each reads its variable when it is loaded.
LIMITED = {
    "avx2": {
        "RANVIER_ISA": "avx2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
    "avx512": {"RANVIER_ISA": "avx512"},
    "baseline": {"RANVIER_ISA": "baseline"},
}

# A malloc that keeps its pages: otherwise a peer pays for page faults each time that it makes a large array.
KEPT_PAGES = {
    "MALLOC_TOP_PAD_": str(1 << 28),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
}


@dataclass(frozen=True)
class Ceilings:
    """What the machine can do: GFLOP/s of a register-resident FMA loop, GB/s of a streaming triad."""

    gflops: float  # float32
    gbytes: float  # from memory
    gbytes_cached: float = 0.0  # the same triad on arrays that stay in the second-level caches
    threads: int = 1

    def peak(self, dtype: str) -> float:
        """GFLOP/s in this type: a vector holds half as many doubles."""
        return self.gflops / (2 if dtype == "float64" else 1)

    def seconds(self, flops: float, nbytes: float, dtype: str = "float32") -> float:
        """The least time that so many flops and bytes can take; less than a MiB a thread may stay in the caches."""
        cached = self.gbytes_cached > 0 and nbytes <= self.threads << 20
        return max(flops / self.peak(dtype), nbytes / (self.gbytes_cached if cached else self.gbytes)) / 1e9


def settle(slice_seconds: float = 0.004, limit: float = 0.4) -> None:
    """Waits until this process uses no processor: a library's workers spin on after a call and rob the next one.

    PyTorch's spin for some 5 ms, OpenBLAS's for 30 to 100; a fixed pause long enough for all would be a waste.
    """
    for _ in range(int(limit / slice_seconds)):
        used = time.process_time()
        time.sleep(slice_seconds)
        if time.process_time() - used < slice_seconds / 10:
            return


def _best(thunk: Callable[[], object], runs: int) -> float:
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        thunk()
        best = min(best, time.perf_counter() - start)
    return best


def _triad(n: int, calls: int) -> float:
    """GB/s of b = a * s + b over n floats; three of them move for each."""
    a, b = _core.Array.zeros([n], "float32"), _core.Array.zeros([n], "float32")

    def run() -> None:
        for _ in range(calls):
            _core._triad(a, b, 0.5)

    run()
    seconds = _best(run, 12) / calls
    return 3 * 4 * n / seconds / 1e9


def measure_ceilings() -> Ceilings:
    """The FMA loop and the triads on the threads in use, each the best of many short runs."""
    settle()
    rounds = 1_000_000
    flops = _core._fma_loop(rounds)
    fma = _best(lambda: _core._fma_loop(rounds), 80)
    threads = _core.num_threads()
    cached = _triad(threads << 16, 200)  # 2 x 256 KiB for each thread
    return Ceilings(flops / fma / 1e9, _triad(1 << 25, 1), cached, threads)  # 128 MiB an array: beyond every cache


def _openblas() -> list[Any]:
    """The functions that set the threads of each OpenBLAS in this process (NumPy's wheel brings one)."""
    try:
        loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "openblas" in line}
    except OSError:  # no Linux
        return []
    names = ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads", "openblas_set_num_threads")
    libraries = [ctypes.CDLL(path) for path in sorted(loaded)]
    return [getattr(library, name) for library in libraries for name in names if hasattr(library, name)]


def set_threads(threads: int) -> None:
    """The same number of threads for us, PyTorch and NumPy. JAX's follow the machine and cannot be changed."""
    _core.set_num_threads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    for setter in _openblas():
        setter(threads)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def describe() -> dict[str, Any]:
    """The processor, what is installed, and which malloc and instruction set this process has."""
    versions = {"ranvier": str(_core._build_facts()["version"])}
    for name in ("numpy", "torch", "jax"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "isa": _core._isa(),
        "malloc": "keeps its pages" if "MALLOC_TOP_PAD_" in os.environ else "default",
        "python": platform.python_version(),
        **versions,
    }
