"""Normalisation of each sample by itself, in groups of channels, and its gradients, in NumPy."""

from __future__ import annotations

import numpy as np

__all__ = ["group_norm_backward", "group_norm_forward"]


def group_norm_forward(
    x: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None, groups: int, epsilon: float = 1e-3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, and the mean and 1 / sqrt(variance + epsilon) of each sample's groups, (N, groups)."""
    grouped = _grouped(x, groups)
    if grouped.size:
        mean, variance = grouped.mean((1, 3)), grouped.var((1, 3))
    else:
        mean = variance = np.zeros((x.shape[0], groups), x.dtype)
    rstd = 1 / np.sqrt(variance + x.dtype.type(epsilon))
    y = _normal(x, mean, rstd)
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta, mean, rstd


def group_norm_backward(
    x: np.ndarray,
    gamma: np.ndarray | None,
    mean: np.ndarray,
    rstd: np.ndarray,
    dy: np.ndarray,
    input_gradient: bool = True,
    parameter_gradients: bool = True,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """dx, dgamma and dbeta, None where not asked for."""
    groups = mean.shape[1]
    normal = _normal(x, mean, rstd)
    dx = dgamma = dbeta = None
    if parameter_gradients:
        axes = tuple(range(x.ndim - 1))
        dgamma, dbeta = (dy * normal).sum(axes), dy.sum(axes)
    if input_gradient:
        scaled = _grouped(dy if gamma is None else dy * gamma, groups)
        normal = _grouped(normal, groups)
        count = max(scaled.shape[1] * scaled.shape[3], 1)
        shared = scaled.sum((1, 3), keepdims=True) + normal * (scaled * normal).sum((1, 3), keepdims=True)
        dx = ((scaled - shared / count) * rstd[:, None, :, None]).reshape(x.shape)
    return dx, dgamma, dbeta


def _grouped(x: np.ndarray, groups: int) -> np.ndarray:
    """(N, ..., C) as (N, positions, groups, channels of a group)."""
    positions = int(np.prod(x.shape[1:-1], dtype=np.int64))
    return x.reshape(x.shape[0], positions, groups, x.shape[-1] // groups)


def _normal(x: np.ndarray, mean: np.ndarray, rstd: np.ndarray) -> np.ndarray:
    normal = (_grouped(x, mean.shape[1]) - mean[:, None, :, None]) * rstd[:, None, :, None]
    return normal.reshape(x.shape)
