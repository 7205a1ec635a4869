"""Measuring kernels: warm-up, interleaved repeats, medians, and the machine's own ceilings to judge them by."""

from __future__ import annotations

from ranvier.bench.harness import Ceilings, OpBench, Row, measure_ceilings, run_bench, table, time_interleaved

try:
    import torch
except ImportError:  # a peer is measured where it is installed
    torch = None  # type: ignore[assignment]

__all__ = ["Ceilings", "OpBench", "Row", "measure_ceilings", "run_bench", "table", "time_interleaved", "torch"]
