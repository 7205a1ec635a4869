"""Matrix products in NumPy: matmul, dense and their gradients."""

from __future__ import annotations

import numpy as np

from ranvier.reference.activation import named_activation, slope_from_output

__all__ = ["column_sums", "dense_backward", "dense_forward", "matmul_forward"]


def matmul_forward(
    x1: np.ndarray, x2: np.ndarray, transpose_x1: bool = False, transpose_x2: bool = False
) -> np.ndarray:
    a = np.swapaxes(x1, -1, -2) if transpose_x1 else x1
    b = np.swapaxes(x2, -1, -2) if transpose_x2 else x2
    return np.matmul(a, b)


def dense_forward(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, activation: str, keep_sum: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    z = x @ kernel if bias is None else x @ kernel + bias
    if activation == "linear":
        return z, None
    y = named_activation(activation, "forward")(z)
    return y, z if keep_sum and not slope_from_output(activation) else None


def dense_backward(
    x: np.ndarray,
    kernel: np.ndarray,
    saved: np.ndarray,
    dy: np.ndarray,
    activation: str,
    want_x: bool,
    want_kernel: bool,
    want_bias: bool,
) -> tuple[np.ndarray | None, ...]:
    dz = dy if activation == "linear" else named_activation(activation, "backward")(saved, dy)
    flat_x, flat_dz = x.reshape(_rows(x), x.shape[-1]), dz.reshape(_rows(x), dz.shape[-1])
    return (
        dz @ kernel.T if want_x else None,
        flat_x.T @ flat_dz if want_kernel else None,
        flat_dz.sum(0) if want_bias else None,
    )


def _rows(x: np.ndarray) -> int:
    return int(np.prod(x.shape[:-1]))


def column_sums(x: np.ndarray) -> np.ndarray:
    return x.sum(0)
