"""A convnet on MNIST, from data to a saved model, in the Keras vocabulary: ``python examples/mnist_convnet.py``."""

from __future__ import annotations

import argparse

import numpy as np

import ranvier as rv


def main() -> None:
    """Trains, evaluates, saves and loads again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--save", default="mnist_convnet.rv")
    arguments = parser.parse_args()
    rv.utils.set_random_seed(1)

    (x_train, y_train), (x_test, y_test) = rv.datasets.mnist.load_data()
    x_train = x_train[: arguments.samples, ..., None].astype(np.float32) / 255
    x_test = x_test[..., None].astype(np.float32) / 255

    model = rv.Sequential(
        [
            rv.Input((28, 28, 1)),
            rv.layers.Conv2D(32, 3, use_bias=False),
            rv.layers.BatchNormalization(),
            rv.layers.Activation("relu"),
            rv.layers.MaxPooling2D(),
            rv.layers.Conv2D(64, 3, activation="relu"),
            rv.layers.MaxPooling2D(),
            rv.layers.Flatten(),
            rv.layers.Dropout(0.3),
            rv.layers.Dense(10, activation="softmax"),
        ]
    )
    model.summary()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = rv.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    labels = y_train[: arguments.samples]
    model.fit(x_train, labels, batch_size=64, epochs=arguments.epochs, validation_split=0.1, callbacks=[stop])

    model.save(arguments.save)
    again = rv.models.load_model(arguments.save)
    loss, accuracy = again.evaluate(x_test, y_test, verbose=0)
    print(f"{arguments.save}: test loss {loss:.4f}, test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
