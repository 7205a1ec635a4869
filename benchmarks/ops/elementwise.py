"""Elementwise ops: bound by memory once arrays leave the caches, by the call itself while they are tiny."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, torch

SIZES = ({"n": 16}, {"n": 65_536}, {"n": 4_194_304})


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Positive normal numbers in these shapes."""
    rng = np.random.default_rng(0)
    return [np.abs(rng.normal(size=shape)).astype(np.float32) for shape in shapes]


def contenders(ours: Any, numpy: Any, theirs: Any, values: list[np.ndarray]) -> dict[str, Callable[[], Any]]:
    """The same function of the same arrays, as each library spells it."""
    tensors = [rv.Tensor(v) for v in values]
    found: dict[str, Callable[[], Any]] = {"ranvier": lambda: ours(*tensors), "numpy": lambda: numpy(*values)}
    if torch is not None:
        peers = [torch.from_numpy(v) for v in values]
        found["torch"] = lambda: theirs(*peers)
    return found


def function(name: str) -> OpBench:
    """A function of one array of n elements."""
    return OpBench(
        name=name,
        shapes=SIZES,
        prepare=lambda n: contenders(
            getattr(rv.ops, name), getattr(np, name), getattr(torch, name, None), arrays((n,))
        ),
        flops=lambda n: 0,
        bytes=lambda n: 2 * 4 * n,
    )


def same_shape(name: str) -> OpBench:
    """Two arrays of n elements."""
    return OpBench(
        name=name,
        shapes=SIZES,
        prepare=lambda n: contenders(
            getattr(rv.ops, name), getattr(np, name), getattr(torch, name, None), arrays((n,), (n,))
        ),
        flops=lambda n: n,
        bytes=lambda n: 3 * 4 * n,
    )


def row_added(rows: int, columns: int) -> dict[str, Callable[[], Any]]:
    """A row added to every row, as a bias is."""
    return contenders(rv.ops.add, np.add, getattr(torch, "add", None), arrays((rows, columns), (columns,)))


def column_added(rows: int, columns: int) -> dict[str, Callable[[], Any]]:
    """A number per row taken from its elements, as in centring."""
    return contenders(
        rv.ops.subtract, np.subtract, getattr(torch, "subtract", None), arrays((rows, columns), (rows, 1))
    )


def narrowed(n: int) -> dict[str, Callable[[], Any]]:
    """float32 to bfloat16 (NumPy: float16; it has no other)."""
    return contenders(
        lambda x: rv.ops.cast(x, "bfloat16"),
        lambda x: x.astype(np.float16),
        lambda x: x.to(torch.bfloat16),
        arrays((n,)),
    )


MATRICES = ({"rows": 64, "columns": 10}, {"rows": 512, "columns": 512}, {"rows": 8192, "columns": 512})

BENCHES = [
    *[same_shape(name) for name in ("add", "multiply", "divide", "maximum")],
    *[function(name) for name in ("exp", "log", "sqrt")],
    *[
        OpBench(
            name=name,
            shapes=MATRICES,
            prepare=prepare,
            flops=lambda rows, columns: rows * columns,
            bytes=lambda rows, columns: 2 * 4 * rows * columns,
        )
        for name, prepare in (("add_row", row_added), ("subtract_column", column_added))
    ],
    OpBench(name="cast_bfloat16", shapes=SIZES, prepare=narrowed, flops=lambda n: 0, bytes=lambda n: 6 * n),
]
