"""Matrix products in NumPy."""

from __future__ import annotations

import numpy as np

__all__ = ["matmul_forward"]


def matmul_forward(
    x1: np.ndarray, x2: np.ndarray, transpose_x1: bool = False, transpose_x2: bool = False
) -> np.ndarray:
    a = np.swapaxes(x1, -1, -2) if transpose_x1 else x1
    b = np.swapaxes(x2, -1, -2) if transpose_x2 else x2
    return np.matmul(a, b)
