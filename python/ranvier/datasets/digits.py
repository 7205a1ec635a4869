"""1,797 handwritten digits of 8 x 8 pixels, bundled with scikit-learn."""

from __future__ import annotations

import numpy as np

from ranvier.datasets._sklearn import bundled, split

__all__ = ["load_data"]


def load_data(test_split: float = 0.2, seed: int = 113) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """((x_train, y_train), (x_test, y_test)): uint8 pictures (n, 8, 8) with values 0-16, uint8 labels 0-9.

    Shuffled by ``seed``. Raises ImportError that names the extra where scikit-learn is absent, ValueError for a
    ``test_split`` outside [0, 1). Source: UCI optical recognition of handwritten digits (Alpaydin, Kaynak 1998).
    """
    data = bundled("digits")
    return split(data.images.astype(np.uint8), data.target.astype(np.uint8), test_split, seed)
