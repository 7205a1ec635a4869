"""Softmax cross-entropy, forward and backward, as a training step calls it; and a regression loss."""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, torch


def prepare_cross_entropy(rows: int, classes: int) -> dict[str, Any]:
    """Losses of integer labels and the gradient of their sum with respect to the logits."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(rows, classes)).astype(np.float32)
    labels = rng.integers(0, classes, rows)
    ones = np.ones(rows, np.float32)
    ours, our_labels, our_ones = rv.Tensor(logits, requires_grad=True), rv.Tensor(labels), rv.Tensor(ones)

    def numpy_step() -> Any:
        losses, statistics = rv.reference.softmax_cross_entropy_forward(labels, logits)
        return losses, rv.reference.softmax_cross_entropy_backward(labels, logits, statistics, ones)

    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.grad(rv.ops.softmax_cross_entropy(our_labels, ours), ours, our_ones),
        "numpy": numpy_step,
    }
    if torch is not None:
        theirs = torch.from_numpy(logits).requires_grad_(True)
        their_labels = torch.from_numpy(labels)
        contenders["torch"] = lambda: torch.autograd.grad(
            torch.nn.functional.cross_entropy(theirs, their_labels, reduction="sum"), theirs
        )
    return contenders


def prepare_squared_error(rows: int, columns: int) -> dict[str, Any]:
    """Mean squared errors of rows and their gradient."""
    rng = np.random.default_rng(0)
    labels, predictions = (rng.normal(size=(rows, columns)).astype(np.float32) for _ in range(2))
    ones = np.ones(rows, np.float32)
    our_labels, ours, our_ones = rv.Tensor(labels), rv.Tensor(predictions, requires_grad=True), rv.Tensor(ones)

    def numpy_step() -> Any:
        losses = rv.reference.mean_squared_error_forward(labels, predictions)
        return losses, rv.reference.mean_squared_error_backward(labels, predictions, ones)

    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.grad(rv.ops.mean_squared_error(our_labels, ours), ours, our_ones),
        "numpy": numpy_step,
    }
    if torch is not None:
        their_labels, theirs = torch.from_numpy(labels), torch.from_numpy(predictions).requires_grad_(True)
        contenders["torch"] = lambda: torch.autograd.grad(
            torch.nn.functional.mse_loss(theirs, their_labels, reduction="sum"), theirs
        )
    return contenders


BENCHES = [
    OpBench(
        name="softmax_cross_entropy forward + backward",
        shapes=(
            {"rows": 128, "classes": 10},
            {"rows": 128, "classes": 10_000},
            {"rows": 4096, "classes": 1000},
        ),
        prepare=prepare_cross_entropy,
        flops=lambda rows, classes: 0,
        bytes=lambda rows, classes: 3 * 4 * rows * classes,
    ),
    OpBench(
        name="mean_squared_error forward + backward",
        shapes=({"rows": 128, "columns": 1}, {"rows": 128, "columns": 784}, {"rows": 4096, "columns": 1024}),
        prepare=prepare_squared_error,
        flops=lambda rows, columns: 0,
        bytes=lambda rows, columns: 5 * 4 * rows * columns,
    ),
]
