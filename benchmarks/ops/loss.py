"""Losses with their gradients, as a training step calls them."""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, torch


def prepare_cross_entropy(rows: int, classes: int) -> dict[str, Any]:
    """Losses of integer labels and the gradient of their sum with respect to the logits."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(rows, classes)).astype(dtype())
    labels = rng.integers(0, classes, rows)
    ones = np.ones(rows, dtype())
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


def prepare_pair(ours: Any, name: str, torch_name: str) -> Any:
    """``prepare`` for a loss of two arrays of one shape: the losses, and the gradient of their sum."""

    def prepare(rows: int, columns: int) -> dict[str, Any]:
        """Both arrays (rows, columns); labels in 0..1."""
        rng = np.random.default_rng(0)
        labels = rng.random((rows, columns)).astype(dtype())
        predictions = rng.normal(size=(rows, columns)).astype(dtype())
        our_labels, our_predictions = rv.Tensor(labels), rv.Tensor(predictions, requires_grad=True)
        ones = np.ones(ours(our_labels, our_predictions).shape, dtype())
        our_ones = rv.Tensor(ones)
        forward, backward = getattr(rv.reference, f"{name}_forward"), getattr(rv.reference, f"{name}_backward")
        contenders: dict[str, Any] = {
            "ranvier": lambda: rv.grad(ours(our_labels, our_predictions), our_predictions, our_ones),
            "numpy": lambda: (forward(labels, predictions), backward(labels, predictions, ones)),
        }
        if torch is not None:
            theirs = getattr(torch.nn.functional, torch_name)
            their_labels, their_predictions = (
                torch.from_numpy(labels),
                torch.from_numpy(predictions).requires_grad_(True),
            )
            contenders["torch"] = lambda: torch.autograd.grad(
                theirs(their_predictions, their_labels, reduction="sum"), their_predictions
            )
        return contenders

    return prepare


PAIRS = (
    (rv.ops.mean_squared_error, "mean_squared_error", "mse_loss"),
    (rv.ops.mean_absolute_error, "mean_absolute_error", "l1_loss"),
    (rv.ops.huber, "huber", "huber_loss"),
    (rv.ops.sigmoid_cross_entropy, "sigmoid_cross_entropy", "binary_cross_entropy_with_logits"),
)

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
    *(
        OpBench(
            name=f"{name} forward + backward",
            shapes=({"rows": 128, "columns": 1}, {"rows": 128, "columns": 784}, {"rows": 4096, "columns": 1024}),
            prepare=prepare_pair(op, name, torch_name),
            flops=lambda rows, columns: 0,
            bytes=lambda rows, columns: 5 * 4 * rows * columns,
        )
        for op, name, torch_name in PAIRS
    ),
]
