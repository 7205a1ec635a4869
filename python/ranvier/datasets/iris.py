"""150 irises of three kinds, four lengths each, bundled with scikit-learn."""

from __future__ import annotations

import numpy as np

from ranvier.datasets._sklearn import bundled, split

__all__ = ["load_data"]


def load_data(test_split: float = 0.2, seed: int = 113) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """((x_train, y_train), (x_test, y_test)): float32 (n, 4) in cm, uint8 labels 0 setosa, 1 versicolor, 2 virginica.

    Columns: length and width of the sepal, then of the petal. Shuffled by ``seed``. Raises ImportError that names
    the extra where scikit-learn is absent, ValueError for a ``test_split`` outside [0, 1). Source: Fisher 1936.
    """
    data = bundled("iris")
    return split(data.data.astype(np.float32), data.target.astype(np.uint8), test_split, seed)
