"""Softmax: one read and one write of the rows, should they not stay in a cache."""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, torch


def prepare(rows: int, columns: int) -> dict[str, Any]:
    """Softmax over the last axis of (rows, columns)."""
    x = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
    ours = rv.Tensor(x)
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.ops.softmax(ours),
        "numpy": lambda: rv.reference.softmax_forward(x),
    }
    if torch is not None:
        theirs = torch.from_numpy(x)
        contenders["torch"] = lambda: torch.softmax(theirs, -1)
    return contenders


BENCHES = [
    OpBench(
        name="softmax",
        shapes=(
            {"rows": 128, "columns": 10},
            {"rows": 128, "columns": 10_000},
            {"rows": 8192, "columns": 1024},
            {"rows": 64, "columns": 262_144},
        ),
        prepare=prepare,
        flops=lambda rows, columns: 0,
        bytes=lambda rows, columns: 2 * 4 * rows * columns,
    )
]
