"""Batch normalisation in training: statistics, the output, and all gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, odd, torch


def prepare(rows: int, channels: int, activation: str | None = None) -> dict[str, Any]:
    """Forward and backward of (rows, channels), with gamma and beta, and relu after it in one op where there is one."""
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=(rows, channels)).astype(dtype()) for _ in range(2))
    gamma, beta = (rng.normal(size=channels).astype(dtype()) for _ in range(2))
    mean, variance = np.zeros(channels, dtype()), np.ones(channels, dtype())
    inputs = [rv.Tensor(v, requires_grad=True) for v in (x, gamma, beta)]
    moving, our_dy = [rv.Tensor(v) for v in (mean, variance)], rv.Tensor(dy)

    def numpy_step() -> Any:
        _, batch_mean, rstd = rv.reference.batch_norm_forward(
            x, gamma, beta, mean, variance, True, activation=activation
        )
        return rv.reference.batch_norm_backward(x, gamma, batch_mean, rstd, dy, True, True, beta, activation)

    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.grad(
            rv.ops.batch_norm(*inputs, *moving, training=True, activation=activation), inputs, our_dy
        ),
        "numpy": numpy_step,
    }
    if torch is not None:
        theirs = [torch.from_numpy(v).requires_grad_(True) for v in (x, gamma, beta)]
        their_moving, their_dy = [torch.from_numpy(v.copy()) for v in (mean, variance)], torch.from_numpy(dy)

        def torch_step() -> Any:
            y = torch.nn.functional.batch_norm(theirs[0], *their_moving, *theirs[1:], training=True, eps=1e-3)
            y = torch.relu(y) if activation else y
            return torch.autograd.grad(y, theirs, their_dy)

        contenders["torch"] = torch_step
    return contenders


SHAPES = (
    {"rows": 32 * 56 * 56, "channels": 64},
    {"rows": 64 * 13 * 13, "channels": 64},
    {"rows": 8 * 14 * 14, "channels": 256},
    {"rows": 128, "channels": 512},
)


def drawn(rng: np.random.Generator) -> dict[str, Any]:
    """Two rows at least: PyTorch refuses one."""
    return {"rows": odd(rng, 3, 100_000), "channels": odd(rng, 1, 512)}


BENCHES = [
    OpBench(
        name=f"batch_norm{' + relu' if activation else ''} training forward + backward",
        shapes=SHAPES,
        prepare=partial(prepare, activation=activation),
        flops=lambda rows, channels: 0,
        bytes=lambda rows, channels: 8 * 4 * rows * channels,
        draw=drawn,
    )
    for activation in ("relu", None)
]
