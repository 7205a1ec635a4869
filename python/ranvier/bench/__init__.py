"""Measuring kernels: warm-up, interleaved repeats, medians, and the machine's own ceilings to judge them by."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ranvier.bench.harness import Ceilings, OpBench, Row, measure_ceilings, run_bench, table, time_interleaved

# A peer is measured where it is installed.
torch: Any = import_module("torch") if find_spec("torch") else None

__all__ = ["Ceilings", "OpBench", "Row", "measure_ceilings", "run_bench", "table", "time_interleaved", "torch"]
