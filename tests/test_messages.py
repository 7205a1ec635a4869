"""What a beginner gets wrong in compile and fit: the message says what is there, what was wanted, and what to write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv

X = np.zeros((8, 3), "float32")
PAIRS, CLASSES, ONE = np.zeros((8, 2)), np.zeros(8, int), np.zeros((8, 1))


def model(optimizer: Any = "adam", loss: Any = "mse", **options: Any) -> Any:
    made = rv.Sequential([rv.Input((3,)), rv.layers.Dense(2, name="last")])
    made.compile(optimizer, loss, **options)
    return made


def fit(loss: Any = "mse", y: Any = PAIRS, **options: Any) -> Any:
    more = {name: options.pop(name) for name in ("callbacks",) if name in options}
    return model(loss=loss, **options).fit(X, y, verbose=0, **more)


SCHEDULE = {"class_name": "CosineDecy", "config": {}}
NAMES = {
    "optimizer": (lambda: model("nadm"), "Unknown optimizer: 'nadm'. Did you mean 'nadam'"),
    "loss": (
        lambda: fit("categorical_crosentropy"),
        "Did you mean 'categorical_crossentropy'",
    ),
    "metric": (lambda: fit(metrics=["acuracy"]), "Unknown metric: 'acuracy'. Did you mean 'accuracy'"),
    "callback": (lambda: fit(callbacks=["EarlyStop"]), "Unknown callback: 'EarlyStop'. Did you mean 'EarlyStopping'"),
    "schedule": (lambda: rv.optimizers.schedules.deserialize(SCHEDULE), "Did you mean 'CosineDecay'"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_unknown_names_get_the_nearest(kind: str) -> None:
    call, message = NAMES[kind]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        call()


SHAPES = [
    ("mse", np.zeros((8, 3)), "labels must have shape 8x2 but has shape 8x3"),
    ("mse", ONE, "labels must have shape 8x2 but has shape 8x1"),
    ("mae", np.zeros((8, 2, 2)), "(8, 2, 2)"),
    ("categorical_crossentropy", CLASSES, "for class numbers use sparse_categorical_crossentropy"),
    ("sparse_categorical_crossentropy", PAIRS, "expected (8,), one class number per sample"),
    ("sparse_categorical_crossentropy", np.full(8, 5), "label 5 at position 0 is out of range for 2 classes"),
    ("binary_crossentropy", ONE, "y_true has shape (8, 1) but y_pred has shape (8, 2)"),
]


@pytest.mark.parametrize(("loss", "y", "message"), SHAPES, ids=[f"{s[0]}-{s[1].shape}" for s in SHAPES])
def test_targets_of_the_wrong_shape_are_named_beside_the_output(loss: str, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"{loss} of output 'last' .*{re.escape(message)}"):
        fit(loss, y)


def test_one_optimizer_for_two_models_is_refused() -> None:
    first = model()
    first.fit(X, PAIRS, verbose=0)
    with pytest.raises(ValueError, match=r"Adam: unknown variable .*/kernel'; .* so make a new one for others"):
        model(first.optimizer).fit(X, PAIRS, verbose=0)


def test_the_saved_state_of_another_optimizer_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    saved = model("adam")
    saved.fit(X, PAIRS + 1, verbose=0)
    backup = rv.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    saved.fit(X, PAIRS + 1, verbose=0, callbacks=[backup])
    other = model("rmsprop")
    before = [w.numpy().copy() for w in other.weights]
    message = r"RMSprop: a state of 6 arrays for 4 variables \(iteration, learning_rate, .*\); was it saved by another"
    with pytest.raises(ValueError, match=message):
        other.fit(X, PAIRS, verbose=0, callbacks=[rv.callbacks.BackupAndRestore(tmp_path / "backup")])
    for now, then in zip(other.weights, before, strict=True):
        np.testing.assert_array_equal(now.numpy(), then)
