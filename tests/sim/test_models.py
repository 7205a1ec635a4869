"""Whole models train on the simulator for a few steps and agree with the NumPy reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from tests.models.course_models import s21


def images() -> tuple[Any, np.ndarray, np.ndarray, str]:
    rng = np.random.default_rng(0)
    layers = [
        *(rv.layers.Conv2D(4, 3, activation="relu"), rv.layers.BatchNormalization(), rv.layers.MaxPooling2D(2)),
        *(rv.layers.Flatten(), rv.layers.Dropout(0.2), rv.layers.Dense(10, activation="softmax")),
    ]
    x = rng.normal(size=(24, 8, 8, 1)).astype(np.float32)
    return layers, x, rng.integers(0, 10, 24), "sparse_categorical_crossentropy"


def sequences() -> tuple[Any, np.ndarray, np.ndarray, str]:
    rng = np.random.default_rng(1)
    layers = [rv.layers.Embedding(20, 4), rv.layers.LSTM(5), rv.layers.Dense(1, activation="sigmoid")]
    return layers, rng.integers(0, 20, (24, 6)), rng.integers(0, 2, 24).astype(np.float32), "binary_crossentropy"


def trained(make: Any, device: str, jit: Any = "auto", epochs: int = 2) -> tuple[list[float], list[np.ndarray], Any]:
    with rv.device(device):
        rv.utils.set_random_seed(3)
        layers, x, y, loss = make()
        model = rv.Sequential(layers)
        model.compile(optimizer="adam", loss=loss, jit_compile=jit)
        history = model.fit(x, y, batch_size=8, epochs=epochs, shuffle=True, verbose=0)
        return history.history["loss"], [w.numpy().copy() for w in model.weights], model


@pytest.mark.parametrize("make", [images, sequences])
def test_six_steps_agree_with_the_reference(make: Any) -> None:
    losses, weights, _ = trained(make, "sim")
    right_losses, right_weights, _ = trained(make, "reference")
    np.testing.assert_allclose(losses, right_losses, rtol=1e-5)
    for ours, right in zip(weights, right_weights, strict=True):
        # Adam's steps are 0.001 each; what differs is float32 sums in another order.
        np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [images, sequences])
def test_replayed_steps_are_eager_steps_bit_for_bit(make: Any) -> None:
    eager_losses, eager_weights, _ = trained(make, "sim", jit=False, epochs=3)
    losses, weights, model = trained(make, "sim", epochs=3)
    info = model.replay_info()
    assert [k for k, v in info.items() if k.startswith("train") and v.startswith("replayed")], info
    assert losses == eager_losses
    for ours, eager in zip(weights, eager_weights, strict=True):
        np.testing.assert_array_equal(ours, eager)


def enlarged_digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's 8 x 8 digits at MNIST's size: each pixel three times, and a margin of two."""
    pytest.importorskip("sklearn")
    (x, y), _ = rv.datasets.digits.load_data()
    wide = np.kron(x[:count].reshape(-1, 8, 8), np.ones((3, 3))) / max(x.max(), 1)
    return np.pad(wide, ((0, 0), (2, 2), (2, 2)))[..., None].astype(np.float32), y[:count]


def test_the_convnet_of_the_course_trains() -> None:
    """Three steps of S21: 93,322 parameters, every load and store watched."""
    x, y = enlarged_digits(6)
    found: dict[str, Any] = {}
    for device in ("sim", "reference"):
        with rv.device(device):
            rv.utils.set_random_seed(5)
            model = s21()
            assert model.count_params() == 93_322
            model.compile(rv.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
            losses = model.fit(x, y, batch_size=2, epochs=1, verbose=0).history["loss"]
            found[device] = losses, [w.numpy().copy() for w in model.weights], model.predict(x[:2], verbose=0)
    (losses, weights, outputs), (right_losses, right_weights, right_outputs) = found["sim"], found["reference"]
    np.testing.assert_allclose(losses, right_losses, rtol=1e-5)
    np.testing.assert_allclose(outputs, right_outputs, rtol=1e-4, atol=1e-6)
    for ours, right in zip(weights, right_weights, strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-6)
