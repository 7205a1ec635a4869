"""Rows of a table by their numbers, in NumPy."""

from __future__ import annotations

import numpy as np

__all__ = ["embedding_backward", "embedding_forward"]


def embedding_forward(indices: np.ndarray, table: np.ndarray) -> np.ndarray:
    return table[indices]


def embedding_backward(indices: np.ndarray, dy: np.ndarray, vocabulary: int) -> np.ndarray:
    dtable = np.zeros((vocabulary, dy.shape[-1]), dy.dtype)
    np.add.at(dtable, indices, dy)  # repeated indices add up, in their order
    return dtable
