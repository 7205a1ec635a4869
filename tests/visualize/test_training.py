"""Pictures are made without a screen, say what is in them, and name what is missing."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")

HISTORY = {"loss": [1.0, 0.5, 0.3], "accuracy": [0.5, 0.7, 0.9], "val_loss": [1.1, 0.7, 0.6]}


def is_picture(path: Path) -> bool:
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 5000


def test_history(tmp_path: Path) -> None:
    figure = rv.visualize.history(HISTORY, tmp_path / "h.png")
    assert is_picture(tmp_path / "h.png")
    loss, accuracy = figure.axes
    assert (loss.get_xlabel(), loss.get_ylabel(), loss.get_title()) == ("epoch", "loss", "Loss by epoch")
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    np.testing.assert_array_equal(loss.lines[1].get_ydata(), HISTORY["val_loss"])
    assert len(accuracy.lines) == 1


def test_validation_every_second_epoch_stands_at_its_epochs() -> None:
    figure = rv.visualize.history({"loss": [4.0, 3.0, 2.0, 1.0], "val_loss": [3.5, 1.5]})
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_xdata(), [2, 4])


def test_confusion_matrix(tmp_path: Path) -> None:
    true = np.array([0, 0, 1, 1, 2, 2])
    figure = rv.visualize.confusion_matrix(true, [0, 1, 1, 1, 2, 0], tmp_path / "c.png", class_names="abc")
    assert is_picture(tmp_path / "c.png")
    (axes,) = figure.axes
    assert "66.67% right" in axes.get_title()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert {t.get_text() for t in axes.texts} == {"1", "2"}
    with pytest.raises(ValueError, match="2 class_names for 3 classes"):
        rv.visualize.confusion_matrix(true, true, class_names="ab")


def test_misread_digits(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((6, 8, 8, 1))
    scores = np.eye(10)[[0, 1, 2, 3, 4, 7]]
    figure = rv.visualize.misread_digits(images, [0, 1, 5, 3, 4, 8], scores, tmp_path / "m.png")
    assert is_picture(tmp_path / "m.png")
    assert [a.get_title() for a in figure.axes] == ["is 5, read as 2", "is 8, read as 7"]
    none = rv.visualize.misread_digits(images, range(6), range(6))
    assert none.get_suptitle() == "First misread digits: none"


def test_quickstart_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, true = rng.random((50, 28, 28)), rng.integers(0, 10, 50)
    results = [("dense_network", HISTORY, rng.integers(0, 10, 50)), ("convolutional_network", HISTORY, true)]
    rv.visualize.quickstart_picture(results, images, true, tmp_path / "q.png")
    assert is_picture(tmp_path / "q.png")


def test_refusals() -> None:
    with pytest.raises(ValueError, match="expected the History"):
        rv.visualize.history({})
    with pytest.raises(ValueError, match="no results"):
        rv.visualize.quickstart_picture([], np.zeros((1, 2, 2)), [0])
    with pytest.raises(ValueError, match="2 labels but 3 predictions"):
        rv.visualize.misread_digits(np.zeros((3, 2, 2)), [0, 1], [0, 1, 2])


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install 'ranvier\[plot\]'"):
        rv.visualize.history(HISTORY)
