"""``ranvier quickstart``: a dense network and a convnet on MNIST, trained on our own kernels, and what they misread."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

import ranvier as rv

Digits = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def dense_network() -> Any:
    """784-512-10, 407,050 parameters (the course's S11)."""
    model = rv.Sequential(
        [
            rv.Input((28, 28, 1)),
            rv.layers.Flatten(),
            rv.layers.Dense(512, activation="relu"),
            rv.layers.Dense(10, activation="softmax"),
        ],
        name="dense_network",
    )
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def convolutional_network() -> Any:
    """Three convolutions and two dense layers, 93,322 parameters (the course's S21)."""
    model = rv.Sequential(
        [
            rv.Input((28, 28, 1)),
            rv.layers.Conv2D(32, 3, activation="relu"),
            rv.layers.MaxPooling2D(2),
            rv.layers.Conv2D(64, 3, activation="relu"),
            rv.layers.MaxPooling2D(2),
            rv.layers.Conv2D(64, 3, activation="relu"),
            rv.layers.Flatten(),
            rv.layers.Dense(64, activation="relu"),
            rv.layers.Dense(10, activation="softmax"),
        ],
        name="convolutional_network",
    )
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def enlarged_digits() -> Digits:
    """scikit-learn's 1,797 digits of 8x8, each pixel made 3x3 and framed to 28x28."""
    (x_train, y_train), (x_test, y_test) = rv.datasets.digits.load_data()

    def enlarge(x: np.ndarray) -> np.ndarray:
        grown = np.kron(x.reshape(-1, 8, 8), np.ones((1, 3, 3))) * (255.0 / 16.0)
        return np.pad(grown, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)

    return (enlarge(x_train), y_train), (enlarge(x_test), y_test)


def load(data: str, download: bool) -> tuple[str, Digits]:
    """A line that says which digits these are, and the digits."""
    if data != "digits":
        try:
            return "MNIST: 60,000 digits to train on, 10,000 to test", rv.datasets.mnist.load_data(download=download)
        except FileNotFoundError as error:
            if data == "mnist":
                raise SystemExit(f"ranvier quickstart: {error}") from None
    line = (
        "MNIST is not here, so these are scikit-learn's 1,797 small digits enlarged to 28x28\n"
        "(--download fetches MNIST, 11 MB; or point RANVIER_DATA at a folder that has mnist/)"
    )
    return line, enlarged_digits()


def train(model: Any, digits: Digits, epochs: int, batch_size: int) -> tuple[Any, np.ndarray]:
    """Fits the model, prints its figures, and returns its history and its predictions on the test digits."""
    (x_train, y_train), (x_test, y_test) = digits
    print(f"\n{model.name}: {model.count_params():,} parameters, {epochs} epochs of batches of {batch_size}")
    start = time.perf_counter()
    history = model.fit(x_train, y_train, batch_size, epochs, validation_data=(x_test, y_test))
    seconds = time.perf_counter() - start
    predicted = model.predict(x_test, batch_size=256, verbose=0).argmax(-1)
    wrong = int((predicted != y_test).sum())
    print(
        f"{model.name}: test accuracy {1 - wrong / len(y_test):.4f} ({wrong} of {len(y_test)} misread), "
        f"{1e6 * seconds / (epochs * len(x_train)):.1f} us per sample with validation"
    )
    return history, predicted


def run(
    quick: bool = False,
    epochs: int = 5,
    seed: int = 1,
    data: str = "auto",
    picture: str = "ranvier-quickstart.png",
    download: bool = False,
) -> int:
    """Trains both networks, draws their curves, confusions and first errors into ``picture``; 0 if all went well."""
    facts = rv.build_info()
    print(f"Ranvier {facts['version']}, {facts['compiler']}, {facts['isa']} kernels on {facts['threads']} threads")
    rv.utils.set_random_seed(seed)
    line, ((x_train, y_train), (x_test, y_test)) = load(data, download)
    print(line)
    if quick:
        x_train, y_train, x_test, y_test, epochs = x_train[:6000], y_train[:6000], x_test[:1000], y_test[:1000], 1

    def scaled(x: np.ndarray) -> np.ndarray:
        return (x.astype(np.float32) / 255.0)[..., None]

    digits = (scaled(x_train), y_train.astype(np.int32)), (scaled(x_test), y_test.astype(np.int32))
    results = [
        (model.name, *train(model, digits, epochs, batch_size))
        for model, batch_size in ((dense_network(), 128), (convolutional_network(), 64))
    ]
    _draw(results, x_test, y_test, picture)
    print(
        "\nWhat to try next:\n"
        "  ranvier info                     what was built, and for which processor\n"
        "  ranvier quickstart --epochs 20   and watch the dense network memorise its digits\n"
        "  ranvier where conv2d             in a checkout: the C++, gradient, reference and test of an op\n"
        "  python -m pydoc ranvier.layers   the layers, with examples"
    )
    return 0


def _draw(results: list[Any], x_test: np.ndarray, y_test: np.ndarray, picture: str) -> None:
    try:
        rv.visualize.quickstart_picture(results, x_test, y_test, picture)
    except ImportError as error:
        print(f"\nno picture: {error}")
    else:
        print(f"\nloss curves, confusion matrix and the first misread digits: {Path(picture).resolve()}")
