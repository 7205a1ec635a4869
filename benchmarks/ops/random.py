"""Random arrays and dropout, beside NumPy and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, torch


def _uniform(n: int) -> dict[str, Callable[[], Any]]:
    ours, numpys = rv.random.Generator(1), np.random.default_rng(1)
    thunks = {"ranvier": lambda: ours.uniform(n), "numpy": lambda: numpys.random(n, np.float32)}
    if torch is not None:
        thunks["torch"] = lambda: torch.rand(n)
    return thunks


def _normal(n: int) -> dict[str, Callable[[], Any]]:
    ours, numpys = rv.random.Generator(1), np.random.default_rng(1)
    thunks = {"ranvier": lambda: ours.normal(n), "numpy": lambda: numpys.standard_normal(n, np.float32)}
    if torch is not None:
        thunks["torch"] = lambda: torch.randn(n)
    return thunks


def _permutation(n: int) -> dict[str, Callable[[], Any]]:
    ours, numpys = rv.random.Generator(1), np.random.default_rng(1)
    thunks = {"ranvier": lambda: ours.permutation(n), "numpy": lambda: numpys.permutation(n)}
    if torch is not None:
        thunks["torch"] = lambda: torch.randperm(n)
    return thunks


def _dropout(n: int) -> dict[str, Callable[[], Any]]:
    values, numpys = np.ones(n, np.float32), np.random.default_rng(1)
    x = rv.Tensor(values)
    thunks = {
        "ranvier": lambda: rv.ops.dropout(x, 0.5),
        "numpy": lambda: np.where(numpys.random(n, np.float32) < 0.5, np.float32(0), values * np.float32(2)),
    }
    if torch is not None:
        tensor = torch.from_numpy(values)
        thunks["torch"] = lambda: torch.nn.functional.dropout(tensor, 0.5)
    return thunks


BENCHES: list[OpBench] = [
    OpBench("random_uniform", ({"n": 1 << 20},), _uniform, lambda n: 0, lambda n: 4 * n),
    OpBench("random_normal", ({"n": 1 << 20},), _normal, lambda n: 0, lambda n: 4 * n),
    OpBench("random_permutation", ({"n": 60000},), _permutation, lambda n: 0, lambda n: 8 * n),
    OpBench("dropout", ({"n": 128 * 9216}, {"n": 1 << 24}), _dropout, lambda n: n, lambda n: 8 * n),
]
