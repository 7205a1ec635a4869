"""Embedding and its gradient: rows read and written."""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as rv
from ranvier import _core
from ranvier.bench import OpBench, dtype, torch

SHAPES = (
    {"vocabulary": 10_000, "width": 128, "count": 6_400},
    {"vocabulary": 20_000, "width": 8, "count": 50_000},
    {"vocabulary": 1_000, "width": 512, "count": 64_000},
)


def arrays(vocabulary: int, width: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random indices and a table."""
    rng = np.random.default_rng(0)
    return rng.integers(0, vocabulary, count), rng.normal(size=(vocabulary, width)).astype(dtype())


def prepare(vocabulary: int, width: int, count: int) -> dict[str, Any]:
    """Looking up ``count`` rows of a table."""
    indices, table = arrays(vocabulary, width, count)
    ours = rv.Tensor(indices), rv.Tensor(table)
    contenders: dict[str, Any] = {"ranvier": lambda: rv.ops.embedding(*ours), "numpy": lambda: table[indices]}
    if torch is not None:
        theirs = torch.from_numpy(indices), torch.from_numpy(table)
        contenders["torch"] = lambda: torch.nn.functional.embedding(*theirs)
    return contenders


def prepare_gradient(vocabulary: int, width: int, count: int) -> dict[str, Any]:
    """The gradient of the table: zeros, and the rows that flowed back added to it."""
    indices, _ = arrays(vocabulary, width, count)
    dy = np.random.default_rng(1).normal(size=(count, width)).astype(dtype())
    places, gradient = _core.Array.from_numpy(indices), _core.Array.from_numpy(dy)
    contenders: dict[str, Any] = {"ranvier": lambda: _core.embedding_backward(places, gradient, vocabulary)}
    if torch is not None:
        there, theirs = torch.from_numpy(indices), torch.from_numpy(dy)
        contenders["torch"] = lambda: torch.zeros(vocabulary, width, dtype=theirs.dtype).index_add_(0, there, theirs)
    return contenders


BENCHES = [
    OpBench(
        name="embedding",
        shapes=SHAPES,
        prepare=prepare,
        flops=lambda vocabulary, width, count: 0,
        bytes=lambda vocabulary, width, count: 8 * count * width,
    ),
    OpBench(
        name="embedding gradient",
        shapes=SHAPES,
        prepare=prepare_gradient,
        flops=lambda vocabulary, width, count: count * width,
        bytes=lambda vocabulary, width, count: 4 * width * (3 * count + vocabulary),
    ),
]
