"""Training without the trainer: layers, tape and weights alone; and the same steps on two devices."""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as rv
from ranvier import layers, ops


def convnet(dtype: str) -> Any:
    options = {"dtype": dtype}
    return rv.Sequential(
        [
            rv.Input((8, 8, 1), dtype=dtype),
            layers.Conv2D(4, 3, activation="relu", **options),
            layers.BatchNormalization(**options),
            layers.MaxPooling2D(2, **options),
            layers.Dropout(0.25, **options),
            layers.Flatten(**options),
            layers.Dense(3, activation="softmax", kernel_regularizer="l2", **options),
        ],
        dtype=dtype,
    )


def train(model: Any, x: np.ndarray, labels: np.ndarray, steps: int, rate: float = 0.1) -> list[float]:
    losses = []
    for _ in range(steps):
        probabilities = model(x, training=True)
        picked = ops.log(ops.sum(probabilities * ops.one_hot(labels, 3, dtype=probabilities.dtype), axis=-1))
        loss = -ops.mean(picked)
        for penalty in model.losses:
            loss = loss + penalty
        gradients = rv.grad(loss, model.trainable_weights)
        with rv.no_grad():
            for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
                weight.assign_sub(gradient * rate)
        losses.append(loss.item())
    return losses


def data(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(24) % 3
    x = np.random.default_rng(0).standard_normal((24, 8, 8, 1)) * 0.5
    for row, label in enumerate(labels):
        x[row, 2 * label : 2 * label + 2] += 1.0
    return x.astype(dtype), labels.astype(np.int32)


def test_loss_falls_and_classes_are_learnt() -> None:
    rv.utils.set_random_seed(0)
    model = convnet("float32")
    x, labels = data("float32")
    losses = train(model, x, labels, 60)
    assert losses[-1] < losses[0] / 3
    assert (model(x).numpy().argmax(-1) == labels).all()


def test_cpu_and_reference_take_the_same_steps() -> None:
    weights = {}
    for device in ("cpu", "reference"):
        with rv.device(device):
            rv.utils.set_random_seed(1)
            model = convnet("float64")
            x, labels = data("float64")
            train(model, x, labels, 20)
            weights[device] = model.get_weights()
    for a, b in zip(weights["cpu"], weights["reference"], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


def test_frozen_layers_do_not_move() -> None:
    model = convnet("float32")
    model.layers[0].trainable = False
    before = [np.array(w) for w in model.layers[0].get_weights()]
    x, labels = data("float32")
    train(model, x, labels, 2)
    for a, b in zip(before, model.layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not model.layers[0](x).requires_grad  # nothing of it is on the tape
