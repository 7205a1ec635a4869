"""Losses per sample and their gradients with respect to the predictions, in NumPy."""

from __future__ import annotations

import numpy as np

__all__ = [
    "huber_backward",
    "huber_forward",
    "mean_absolute_error_backward",
    "mean_absolute_error_forward",
    "mean_squared_error_backward",
    "mean_squared_error_forward",
    "sigmoid_cross_entropy_backward",
    "sigmoid_cross_entropy_forward",
    "softmax_cross_entropy_backward",
    "softmax_cross_entropy_forward",
]


def _targets(labels: np.ndarray, logits: np.ndarray, label_smoothing: float) -> np.ndarray:
    """One weight per class: integer labels become one-hot rows; smoothing moves a part to all classes alike."""
    classes = logits.shape[-1]
    weights = labels
    if labels.dtype.kind == "i":
        weights = (labels[..., None] == np.arange(classes)).astype(logits.dtype)
    return weights * (1 - label_smoothing) + label_smoothing / classes


def softmax_cross_entropy_forward(
    labels: np.ndarray, logits: np.ndarray, label_smoothing: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    targets = _targets(labels, logits, label_smoothing)
    peak = logits.max(-1, keepdims=True)
    shifted = logits - peak
    logsum = np.log(np.exp(shifted).sum(-1, keepdims=True))
    costs = targets * (logsum - shifted)
    losses = np.where(targets == 0, 0, costs).sum(-1)  # 0 * Inf: a class ruled out and without weight costs nothing
    return losses, np.concatenate([peak, logsum], -1)


def softmax_cross_entropy_backward(
    labels: np.ndarray, logits: np.ndarray, statistics: np.ndarray, dy: np.ndarray, label_smoothing: float = 0.0
) -> np.ndarray:
    targets = _targets(labels, logits, label_smoothing)
    peak, logsum = statistics[..., :1], statistics[..., 1:]
    p = np.exp(logits - peak - logsum)
    return dy[..., None] * (p * targets.sum(-1, keepdims=True) - targets)


def sigmoid_cross_entropy_forward(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))


def sigmoid_cross_entropy_backward(labels: np.ndarray, logits: np.ndarray, dy: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(logits))  # never overflows
    sigmoid = np.where(logits >= 0, 1 / (1 + e), e / (1 + e))
    return dy * (sigmoid - labels)


def mean_squared_error_forward(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    return _mean(np.square(predictions - labels))


def mean_squared_error_backward(labels: np.ndarray, predictions: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return _share(dy, predictions) * 2 * (predictions - labels)


def mean_absolute_error_forward(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    return _mean(np.abs(predictions - labels))


def mean_absolute_error_backward(labels: np.ndarray, predictions: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return _share(dy, predictions) * np.sign(predictions - labels)


def huber_forward(labels: np.ndarray, predictions: np.ndarray, delta: float = 1.0) -> np.ndarray:
    size = np.abs(predictions - labels)
    return _mean(np.where(size <= delta, size * size / 2, delta * size - delta * delta / 2))


def huber_backward(labels: np.ndarray, predictions: np.ndarray, dy: np.ndarray, delta: float = 1.0) -> np.ndarray:
    return _share(dy, predictions) * np.clip(predictions - labels, -delta, delta)


def _mean(penalties: np.ndarray) -> np.ndarray:
    return np.asarray(penalties.sum(-1) / penalties.dtype.type(penalties.shape[-1]), penalties.dtype)


def _share(dy: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Each column's part of the gradient of a mean over columns."""
    return dy[..., None] / dy.dtype.type(predictions.shape[-1])
