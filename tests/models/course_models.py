"""Models of the course: S11, S21, S24 and VGG16's base."""

from __future__ import annotations

from typing import Any

import ranvier as rv
from ranvier import layers


def s11() -> Any:
    return rv.Sequential(
        [rv.Input((784,)), layers.Dense(512, activation="relu"), layers.Dense(10, activation="softmax")]
    )


def s21() -> Any:
    model = rv.Sequential()
    model.add(layers.Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Conv2D(64, (3, 3), activation="relu"))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Conv2D(64, (3, 3), activation="relu"))
    model.add(layers.Flatten())
    model.add(layers.Dense(64, activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    return model


def s24() -> Any:
    model = rv.Sequential([rv.Input((150, 150, 3))])
    for filters in (32, 64, 128, 128):
        model.add(layers.Conv2D(filters, 3, activation="relu"))
        model.add(layers.MaxPooling2D(2))
    for layer in (layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dense(1, activation="sigmoid")):
        model.add(layer)
    return model


def vgg16_base() -> Any:
    x = inputs = rv.Input((150, 150, 3))
    for block, (convolutions, filters) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        for k in range(1, convolutions + 1):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv{k}")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    return rv.Model(inputs, x, name="vgg16")


def s11_like() -> Any:
    return rv.Sequential([layers.Dense(4, activation="relu"), layers.Dense(3, activation="softmax")])
