"""Measuring kernels: warm-up, interleaved repeats, medians, and the machine's own ceilings to judge them by.

``ranvier bench`` is the way in. What it measures stands in ``ranvier.bench.ops``, one file per family of ops; in a
checkout that folder is ``benchmarks/ops``, and the wheel carries a copy.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ranvier.bench.harness import (
    OpBench,
    Row,
    dtype,
    families,
    jitted,
    measuring,
    run_bench,
    selected,
    time_interleaved,
)
from ranvier.bench.machine import Ceilings, measure_ceilings
from ranvier.bench.report import table
from ranvier.bench.sweep import odd

if not (Path(__file__).parent / "ops").is_dir():
    __path__.append(str(Path(__file__).parents[3] / "benchmarks"))


def __getattr__(name: str) -> Any:
    """``torch`` and ``jax``, loaded when a benchmark asks; None where one is not installed."""
    if name not in ("torch", "jax"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    peer: Any = import_module(name) if find_spec(name) else None
    if name == "jax" and peer is not None:
        peer.config.update("jax_enable_x64", True)
    return peer


__all__ = [
    "Ceilings",
    "OpBench",
    "Row",
    "dtype",
    "families",
    "jitted",
    "measure_ceilings",
    "measuring",
    "odd",
    "run_bench",
    "selected",
    "table",
    "time_interleaved",
]
