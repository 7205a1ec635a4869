"""Softmax: one read and one write of the rows, should they not stay in a cache."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, jax, jitted, torch


def prepare(rows: int, columns: int, name: str = "softmax") -> dict[str, Any]:
    """Softmax, or log_softmax, over the last axis of (rows, columns)."""
    x = np.random.default_rng(0).normal(size=(rows, columns)).astype(dtype())
    ours = rv.Tensor(x)
    contenders: dict[str, Any] = {
        "ranvier": lambda: getattr(rv.ops, name)(ours),
        "numpy": lambda: getattr(rv.reference, f"{name}_forward")(x),
    }
    if torch is not None:
        theirs = torch.from_numpy(x)
        contenders["torch"] = lambda: getattr(torch, name)(theirs, -1)
    if jax is not None:
        contenders["jax"] = jitted(getattr(jax.nn, name), x)
    return contenders


BENCHES = [
    OpBench(
        name=name,
        shapes=(
            {"rows": 128, "columns": 10},
            {"rows": 128, "columns": 10_000},
            {"rows": 8192, "columns": 1024},
            {"rows": 64, "columns": 262_144},
        ),
        prepare=partial(prepare, name=name),
        flops=lambda rows, columns: 0,
        bytes=lambda rows, columns: 2 * 4 * rows * columns,
    )
    for name in ("softmax", "log_softmax")
]
