"""Reductions: one read of the array. Rows and columns of the shapes that training meets, and one long row."""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, torch

SHAPES: tuple[dict[str, int], ...] = (
    {"rows": 1, "columns": 4_194_304, "axis": 1},
    {"rows": 128, "columns": 10, "axis": 0},  # the bias gradient of a classifier
    {"rows": 43_264, "columns": 32, "axis": 0},  # that of a convolution
    {"rows": 4096, "columns": 1024, "axis": 0},
    {"rows": 4096, "columns": 1024, "axis": 1},
    {"rows": 1_000_000, "columns": 3, "axis": 0},
)


def bench(name: str, of_torch: str | None = None) -> OpBench:
    """``name`` of rv.ops beside NumPy's and PyTorch's function of that name."""

    def prepare(rows: int, columns: int, axis: int) -> dict[str, Any]:
        x = np.random.default_rng(0).normal(size=(rows, columns)).astype(dtype())
        ours, op = rv.Tensor(x), getattr(rv.ops, name)
        contenders: dict[str, Any] = {"ranvier": lambda: op(ours, axis)}
        if hasattr(np, name):
            contenders["numpy"] = lambda: getattr(np, name)(x, axis)
        if torch is not None:
            theirs, function = torch.from_numpy(x), getattr(torch, of_torch or name)
            contenders["torch"] = lambda: function(theirs, axis)
        return contenders

    return OpBench(
        name=name,
        shapes=SHAPES,
        prepare=prepare,
        flops=lambda rows, columns, axis: rows * columns,
        bytes=lambda rows, columns, axis: 4 * rows * columns,
    )


def prepare_norm(rows: int, columns: int, axis: int) -> dict[str, Any]:
    """The Euclidean norm along an axis of (rows, columns)."""
    x = np.random.default_rng(0).normal(size=(rows, columns)).astype(dtype())
    ours = rv.Tensor(x)
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.ops.norm(ours, axis=axis),
        "numpy": lambda: np.linalg.norm(x, axis=axis),
    }
    if torch is not None:
        theirs = torch.from_numpy(x)
        contenders["torch"] = lambda: torch.linalg.vector_norm(theirs, dim=axis)
    return contenders


BENCHES = [
    bench("sum"),
    bench("mean"),
    bench("max", "amax"),
    bench("min", "amin"),
    bench("prod"),
    bench("var"),
    bench("std"),
    bench("logsumexp"),
    bench("argmax"),
    bench("argmin"),
    bench("any"),
    bench("all"),
    OpBench(
        name="norm",
        shapes=SHAPES,
        prepare=prepare_norm,
        flops=lambda rows, columns, axis: 2 * rows * columns,
        bytes=lambda rows, columns, axis: 4 * rows * columns,
    ),
]
