"""Train and test parts of samples that come in one file."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np


def keras_split(x: Any, y: Any, test_split: float, seed: int) -> tuple[Any, Any]:
    """Shuffled as Keras shuffles (NumPy's legacy generator), the last ``test_split`` for the test."""
    if not 0 <= test_split < 1:
        raise ValueError(f"load_data: test_split must be in [0, 1) but is {test_split}")
    order = np.arange(len(y))
    np.random.RandomState(seed).shuffle(order)
    x, y = np.asarray(x)[order], np.asarray(y)[order]
    train = int(len(x) * (1 - test_split))
    return (x[:train], y[:train]), (x[train:], y[train:])


def columns(data: bytes) -> dict[str, np.ndarray]:
    """The columns of a CSV file with a header: int64 or float64 where all fields are numbers, else strings."""
    header, *rows = csv.reader(io.StringIO(data.decode("utf-8")))
    return {name: _column([row[i] for row in rows]) for i, name in enumerate(header)}


def _column(fields: list[str]) -> np.ndarray:
    for kind in (np.int64, np.float64):
        try:
            return np.array(fields, dtype=str).astype(kind)
        except ValueError:
            continue
    return np.array(fields)
