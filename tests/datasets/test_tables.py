"""Data sets of one or two files: what they hold, and how they are split."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier.datasets._files import CorruptFileError, FileDataset, PlainFile
from ranvier.datasets._split import columns, keras_split

DATA = os.environ.get("RANVIER_DATA", "")
here = pytest.mark.skipif(not Path(DATA, "boston").is_dir(), reason="RANVIER_DATA has no such data")


def sizes(parts: Any) -> tuple[int, int]:
    return len(parts[0][1]), len(parts[1][1])


@here
def test_boston_housing() -> None:
    (x, y), (x_test, y_test) = rv.datasets.boston_housing.load_data()
    assert x.shape == (404, 13)
    assert x_test.shape == (102, 13)
    assert np.concatenate([y, y_test]).mean() == pytest.approx(22.533, abs=1e-3)
    # Keras's first sample of this split.
    np.testing.assert_allclose(x[0, :3], [1.23247, 0.0, 8.14])
    assert y[0] == 15.2


@here
@pytest.mark.parametrize(("which", "rows", "left"), [("bank", 10_000, 2_037), ("telecom", 3_333, 483)])
def test_churn(which: str, rows: int, left: int) -> None:
    (x, y), (x_test, y_test) = rv.datasets.churn.load_data(which)
    assert len(y) + len(y_test) == rows
    assert y.sum() + y_test.sum() == left
    assert x.keys() == x_test.keys()
    assert {len(column) for column in x.values()} == {len(y)}


@here
def test_ecg() -> None:
    (x, y), (x_test, _) = rv.datasets.ecg.load_data("ECG200")
    assert x.shape == x_test.shape == (100, 96)
    assert np.unique(y).tolist() == [-1, 1]
    parts = rv.datasets.ecg.load_data()
    assert sizes(parts) == (400, 100)
    counts = np.bincount(np.concatenate([parts[0][1], parts[1][1]]))
    assert counts.tolist() == [0, 292, 177, 10, 19, 2]


@here
def test_movielens() -> None:
    (x, y), (_, y_test) = rv.datasets.movielens.load_data()
    assert len(y) + len(y_test) == 100_836
    assert np.concatenate([y, y_test]).mean() == pytest.approx(3.5016, abs=1e-4)
    assert x.shape == (len(y), 2)
    assert rv.datasets.movielens.load_titles()[1] == "Toy Story (1995)"


@here
def test_sentence_polarity() -> None:
    (x, y), (x_test, y_test) = rv.datasets.sentence_polarity.load_data(test_split=0.1)
    assert len(x) + len(x_test) == 10_662
    assert y.sum() + y_test.sum() == 5_331


@pytest.mark.parametrize("name", ["churn", "ecg"])
def test_unknown_ones_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="which must be"):
        getattr(rv.datasets, name).load_data("other")


def test_files_are_checked_and_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANVIER_DATA", raising=False)
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path / "home"))
    data = b"a,b\n1,x\n2.5,y\n"
    dataset = FileDataset("small", (), (PlainFile("table.csv", hashlib.sha256(data).hexdigest()),))
    with pytest.raises(FileNotFoundError, match=r"table\.csv"):
        dataset.read(None, True, None)
    (tmp_path / "table.csv").write_bytes(data)
    (found,) = dataset.read(tmp_path, True, None)
    table = columns(found)
    assert table["a"].tolist() == [1, 2.5]
    assert table["b"].tolist() == ["x", "y"]
    assert dataset.read(None, True, [tmp_path.as_uri()]) == [data]
    assert (tmp_path / "home" / "datasets" / "small" / "table.csv").read_bytes() == data
    (tmp_path / "table.csv").write_bytes(data + b"!")
    with pytest.raises(CorruptFileError, match="wrong content"):
        dataset.read(tmp_path, True, None)


def test_splits() -> None:
    (x, y), (x_test, y_test) = keras_split(np.arange(10), np.arange(10) * 2, 0.25, 1)
    assert (len(x), len(x_test)) == (7, 3)
    np.testing.assert_array_equal(np.concatenate([y, y_test]), np.concatenate([x, x_test]) * 2)
    with pytest.raises(ValueError, match="test_split"):
        keras_split(x, y, 1.0, 1)
