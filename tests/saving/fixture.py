"""How ``data/format1.rv`` was made, once: a file of a format that was released is never written again.

``python -m tests.saving.fixture PATH`` writes the file of the present format, for the next one.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import ranvier as rv


def data() -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels made of exact numbers."""
    x = (np.arange(12 * 6 * 6).reshape(12, 6, 6, 1) % 7 / 8).astype(np.float32)
    return x, np.arange(12) % 3


def model() -> Any:
    """A functional model with a bit of everything that files hold."""
    inputs = rv.Input((6, 6, 1))
    x = rv.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    x = rv.layers.Add()([x, rv.layers.BatchNormalization()(x)])
    x = rv.layers.Dropout(0.25, seed=3)(rv.layers.GlobalAveragePooling2D()(x))
    made = rv.Model(inputs, rv.layers.Dense(3, activation="softmax", kernel_regularizer="l2")(x))
    rate = rv.optimizers.schedules.ExponentialDecay(0.01, 4, 0.5)
    made.compile(rv.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def rules(path: str) -> list[Any]:
    """The callbacks of the training that wrote the file."""
    stop = rv.callbacks.EarlyStopping(monitor="loss", restore_best_weights=True, patience=3)
    return [stop, rv.callbacks.ModelCheckpoint(path, save_freq=5)]


if __name__ == "__main__":
    rv.utils.set_random_seed(1)
    x, y = data()
    made = model()
    made.fit(x, y, batch_size=4, epochs=2, verbose=0, callbacks=rules(sys.argv[1]))
