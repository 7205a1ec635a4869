"""Batch normalisation over all axes but the last, and its gradients, in NumPy."""

from __future__ import annotations

import numpy as np

__all__ = ["batch_norm_backward", "batch_norm_forward"]


def batch_norm_forward(
    x: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    moving_mean: np.ndarray,
    moving_variance: np.ndarray,
    training: bool = False,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    activation: str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, and the mean and 1 / sqrt(variance + epsilon) that it was made with; moves the statistics in place."""
    rows = x.reshape(_row_count(x), x.shape[-1])
    mean, variance = moving_mean.copy(), moving_variance
    if training and len(rows) == 0:  # an empty batch says nothing
        mean, variance = np.zeros_like(moving_mean), np.zeros_like(moving_variance)
    elif training:
        mean, variance = rows.mean(0), rows.var(0)
        moving_mean[...] = moving_mean * momentum + mean * (1 - momentum)
        moving_variance[...] = moving_variance * momentum + variance * (1 - momentum)
    rstd = 1 / np.sqrt(variance + epsilon)
    y = _scaled(x, gamma, beta, mean, rstd)
    return np.maximum(y, 0) if activation == "relu" else y, mean, rstd


def batch_norm_backward(
    x: np.ndarray,
    gamma: np.ndarray | None,
    mean: np.ndarray,
    rstd: np.ndarray,
    dy: np.ndarray,
    training: bool,
    input_gradient: bool = True,
    beta: np.ndarray | None = None,
    activation: str | None = None,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """dx, dgamma and dbeta; what relu held back is found again from x."""
    if activation == "relu":
        dy = np.where(_scaled(x, gamma, beta, mean, rstd) <= 0, 0, dy)
    axes = tuple(range(x.ndim - 1))
    normal = (x - mean) * rstd
    dgamma, dbeta = (dy * normal).sum(axes), dy.sum(axes)
    if not input_gradient:
        return None, dgamma, dbeta
    dx = dy
    if training:  # the statistics depend on x too
        dx = dy - (dbeta + normal * dgamma) / max(_row_count(x), 1)
    return dx * (rstd if gamma is None else rstd * gamma), dgamma, dbeta


def _scaled(
    x: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None, mean: np.ndarray, rstd: np.ndarray
) -> np.ndarray:
    y = (x - mean) * (rstd if gamma is None else rstd * gamma)
    return y if beta is None else y + beta


def _row_count(x: np.ndarray) -> int:
    return int(np.prod(x.shape[:-1], dtype=np.int64))
