"""Customers who left: of a bank (10,000 rows), of a telephone company (3,333 rows)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.datasets._files import FileDataset, PlainFile
from ranvier.datasets._split import columns, keras_split

__all__ = ["load_data"]

_MIRRORS = ("https://raw.githubusercontent.com/ywchiu/tibamedl/master/Data",)
_DATASETS = {
    "bank": (
        FileDataset(
            "churn",
            _MIRRORS,
            (PlainFile("Churn_Modelling.csv", "ee2a5c9d8daf3aed0d91c4d883a84ebb77d271447bebc0f0c80aafb0f288ceab"),),
        ),
        "Exited",
        ("RowNumber", "CustomerId", "Surname"),
    ),
    "telecom": (
        FileDataset(
            "churn",
            _MIRRORS,
            (PlainFile("customer_churn.csv", "652b72d7747e2944a5bee68fa1a1ace01023ee302fecfb26ce15381b6450fe51"),),
        ),
        "churn",
        ("",),
    ),
}


def load_data(
    which: str = "bank",
    path: str | os.PathLike[str] | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """((x_train, y_train), (x_test, y_test)): columns by name, and uint8 labels, 1 for those who left.

    ``which`` is ``"bank"`` or ``"telecom"``. Columns are arrays of int64, float64 or strings; what only names a row is
    left out.
    The file is looked for in ``path`` (a folder) where given, else in ``$RANVIER_DATA/churn``, then in the cache,
    then, if ``download``, on ``mirrors``; its SHA-256 is checked. Raises FileNotFoundError, which says where to put
    which file, if it cannot be had; ValueError for a different one, or another ``which`` or ``test_split``.
    """
    if which not in _DATASETS:
        raise ValueError(f"churn.load_data: which must be 'bank' or 'telecom', got {which!r}")
    dataset, target, names = _DATASETS[which]
    (data,) = dataset.read(path, download, mirrors)
    table = {name: column for name, column in columns(data).items() if name not in names}
    labels = table.pop(target)
    y = (labels == "yes" if labels.dtype.kind == "U" else labels).astype(np.uint8)
    (train, y_train), (test, y_test) = keras_split(np.arange(len(y)), y, test_split, seed)
    x_train, x_test = ({name: column[rows] for name, column in table.items()} for rows in (train, test))
    return (x_train, y_train), (x_test, y_test)
