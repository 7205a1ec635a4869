"""Matrix products: squares, the layers of the course's nets with their gradients, and skinny ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import ranvier as rv
from ranvier import _core
from ranvier.bench import OpBench, dtype, jax, jitted, torch

# m, n, k; t: which operand is stored transposed ("a": A^T B, a kernel's gradient; "b": A B^T, an input's).
SHAPES = (
    {"m": 4096, "n": 4096, "k": 4096, "t": ""},
    {"m": 2048, "n": 2048, "k": 2048, "t": ""},
    {"m": 1024, "n": 1024, "k": 1024, "t": ""},
    {"m": 512, "n": 512, "k": 512, "t": ""},
    {"m": 128, "n": 512, "k": 784, "t": ""},
    {"m": 128, "n": 784, "k": 512, "t": "b"},
    {"m": 784, "n": 512, "k": 128, "t": "a"},
    {"m": 20, "n": 1024, "k": 256, "t": ""},
    {"m": 64, "n": 2048, "k": 512, "t": ""},
    {"m": 128, "n": 10, "k": 512, "t": ""},
    {"m": 1, "n": 1024, "k": 1024, "t": ""},
    {"m": 1024, "n": 1, "k": 1024, "t": ""},
    {"m": 1, "n": 1024, "k": 1024, "t": "b"},
    {"m": 1024, "n": 1, "k": 1024, "t": "a"},
)
COLUMN_SHAPES = ({"rows": 438080, "columns": 32}, {"rows": 128, "columns": 512}, {"rows": 4096, "columns": 4096})
EINSUM_SHAPES = (
    {"equation": "btc,chd->bthd", "b": 8, "t": 128, "c": 256, "h": 8, "d": 32},
    {"equation": "bthd,bshd->bhts", "b": 8, "t": 128, "s": 128, "h": 8, "d": 32},
    {"equation": "bhts,bshd->bthd", "b": 8, "t": 128, "s": 128, "h": 8, "d": 32},
)
DENSE_SHAPES = (
    {"rows": 128, "inputs": 784, "outputs": 512},
    {"rows": 64, "inputs": 576, "outputs": 64},
    {"rows": 20, "inputs": 6272, "outputs": 512},
)


def random(*shape: int) -> np.ndarray:
    """Normal numbers."""
    return np.random.default_rng(0).normal(size=shape).astype(dtype())


def prepare_matmul(m: int, n: int, k: int, t: str) -> dict[str, Any]:
    """One product."""
    a, b = random(k, m) if t == "a" else random(m, k), random(n, k) if t == "b" else random(k, n)
    our_a, our_b = rv.Tensor(a).array, rv.Tensor(b).array
    view_a, view_b = a.T if t == "a" else a, b.T if t == "b" else b
    thunks: dict[str, Any] = {
        "ranvier": lambda: _core.matmul_forward(our_a, our_b, t == "a", t == "b"),
        "numpy": lambda: view_a @ view_b,
    }
    if torch is not None:
        torch_a, torch_b = torch.from_numpy(a), torch.from_numpy(b)
        torch_a, torch_b = torch_a.t() if t == "a" else torch_a, torch_b.t() if t == "b" else torch_b
        thunks["torch"] = lambda: torch.mm(torch_a, torch_b)
    if jax is not None:
        thunks["jax"] = jitted(lambda x, y: (x.T if t == "a" else x) @ (y.T if t == "b" else y), a, b)
    return thunks


def prepare_dense(rows: int, inputs: int, outputs: int) -> dict[str, Any]:
    """Product, bias and relu."""
    x, w, b = random(rows, inputs), random(inputs, outputs), random(outputs)
    ours = [rv.Tensor(v).array for v in (x, w, b)]
    thunks: dict[str, Any] = {
        "ranvier": lambda: _core.dense_forward(*ours, "relu"),
        "numpy": lambda: np.maximum(x @ w + b, 0),
    }
    if torch is not None:
        tx, tw, tb = (torch.from_numpy(v) for v in (x, w, b))
        thunks["torch"] = lambda: torch.relu_(torch.addmm(tb, tx, tw))
    return thunks


def prepare_dense_gradient(rows: int, inputs: int, outputs: int) -> dict[str, Any]:
    """Gradients of x, kernel and bias from that of relu's output."""
    x, w, b, dy = random(rows, inputs), random(inputs, outputs), random(outputs), random(rows, outputs)
    ours = [rv.Tensor(v).array for v in (x, w)]
    saved, _ = _core.dense_forward(*ours, rv.Tensor(b).array, "relu")
    our_dy = rv.Tensor(dy).array
    thunks: dict[str, Any] = {
        "ranvier": lambda: _core.dense_backward(*ours, saved, our_dy, "relu", True, True, True),
    }
    if torch is not None:
        tx, tw, ty, tdy = (torch.from_numpy(v) for v in (x, w, saved.numpy(), dy))

        def torch_gradient() -> Any:
            dz = torch.where(ty > 0, tdy, 0)
            return dz @ tw.t(), tx.t() @ dz, dz.sum(0)

        thunks["torch"] = torch_gradient
    return thunks


def prepare_column_sums(rows: int, columns: int) -> dict[str, Any]:
    """The gradient of a bias."""
    x = random(rows, columns)
    ours = rv.Tensor(x).array
    thunks: dict[str, Any] = {"ranvier": lambda: _core.column_sums(ours), "numpy": lambda: x.sum(0)}
    if torch is not None:
        peer = torch.from_numpy(x)
        thunks["torch"] = lambda: peer.sum(0)
    return thunks


def prepare_einsum(equation: str, **sizes: int) -> dict[str, Any]:
    """Attention's products: projections to heads, scores, and what the scores weigh."""
    first, second = (random(*(sizes[c] for c in part)) for part in equation.split("->")[0].split(","))
    ours = [rv.Tensor(v) for v in (first, second)]
    thunks: dict[str, Any] = {
        "ranvier": lambda: rv.ops.einsum(equation, *ours),
        "numpy": lambda: np.einsum(equation, first, second, optimize=True),
    }
    if torch is not None:
        peers = [torch.from_numpy(v) for v in (first, second)]
        thunks["torch"] = lambda: torch.einsum(equation, *peers)
    return thunks


def einsum_flops(equation: str, **sizes: int) -> float:
    """Twice the product of all sizes."""
    return 2.0 * math.prod(sizes.values())


def einsum_bytes(equation: str, **sizes: int) -> float:
    """Of each array once."""
    return 4.0 * sum(math.prod(sizes[c] for c in part) for part in equation.replace("->", ",").split(","))


def dense_flops(rows: int, inputs: int, outputs: int) -> float:
    """Of the product alone."""
    return 2.0 * rows * inputs * outputs


def dense_bytes(rows: int, inputs: int, outputs: int) -> float:
    """Of each array once."""
    return 4.0 * (rows * inputs + inputs * outputs + rows * outputs)


BENCHES = [
    OpBench(
        name="matmul",
        shapes=SHAPES,
        prepare=prepare_matmul,
        flops=lambda m, n, k, t: 2.0 * m * n * k,
        bytes=lambda m, n, k, t: 4.0 * (m * k + k * n + m * n),
    ),
    OpBench(name="dense", shapes=DENSE_SHAPES, prepare=prepare_dense, flops=dense_flops, bytes=dense_bytes),
    OpBench(
        name="dense gradient",
        shapes=DENSE_SHAPES,
        prepare=prepare_dense_gradient,
        flops=lambda **shape: 2 * dense_flops(**shape),
        bytes=lambda **shape: 2 * dense_bytes(**shape),
    ),
    OpBench(
        name="column sums",
        shapes=COLUMN_SHAPES,
        prepare=prepare_column_sums,
        flops=lambda rows, columns: 1.0 * rows * columns,
        bytes=lambda rows, columns: 4.0 * rows * columns,
    ),
    OpBench(
        name="einsum",
        shapes=EINSUM_SHAPES,
        prepare=prepare_einsum,
        flops=einsum_flops,
        bytes=einsum_bytes,
        draw=lambda rng: dict(EINSUM_SHAPES[rng.integers(len(EINSUM_SHAPES))]),
    ),
]
