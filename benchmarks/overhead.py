"""What ``fit`` costs around the kernels: ``python -m benchmarks.overhead``.

S11 (784-512-10, batch 128, RMSprop) and a 4-5-3 net (batch 8, SGD) by ``fit`` replayed, by ``fit`` without replay, by a
loop of ops written by hand, and by the replayed calls alone. Interleaved, medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.optimizers import SGD, RMSprop


def data(samples: int, inputs: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Random rows and classes."""
    rng = np.random.default_rng(0)
    return rng.random((samples, inputs), np.float32), rng.integers(0, classes, samples)


def network(inputs: int, hidden: int, classes: int, optimizer: Any, replay: bool) -> Any:
    """One hidden layer of relu units and a softmax."""
    layers = [rv.layers.Dense(hidden, "relu"), rv.layers.Dense(classes, "softmax")]
    model = rv.Sequential([rv.Input((inputs,)), *layers])
    model.compile(optimizer(), "sparse_categorical_crossentropy", jit_compile="auto" if replay else False)
    return model


def by_hand(inputs: int, hidden: int, classes: int, optimizer: Any, batch: int, x: Any, y: Any) -> Callable[[], None]:
    """An epoch of the same training in plain ops."""
    shapes = [(inputs, hidden), (hidden,), (hidden, classes), (classes,)]
    weights = [rv.Variable(rv.random.normal(shape, stddev=0.05)) for shape in shapes]
    stepper, xs, ys = optimizer(), rv.Tensor(x), rv.Tensor(y)

    def epoch() -> None:
        order = rv.random.permutation(len(x))
        for start in range(0, len(x), batch):
            rows = rv.Tensor(order.numpy()[start : start + batch])
            h = rv.ops.dense(rv.ops.take(xs, rows, axis=0), weights[0], weights[1], activation="relu")
            logits = rv.ops.dense(h, weights[2], weights[3])
            loss = rv.ops.mean(rv.ops.softmax_cross_entropy(rv.ops.take(ys, rows, axis=0), logits))
            stepper.apply(rv.grad(loss, weights), weights)

    return epoch


def compare(name: str, sizes: tuple[int, int, int], batch: int, samples: int, optimizer: Any) -> None:
    """Prints microseconds per step of each way."""
    x, y = data(samples, sizes[0], sizes[2])
    models = {"fit, replayed": network(*sizes, optimizer, True), "fit, eager": network(*sizes, optimizer, False)}
    ways: dict[str, Callable[[], Any]] = {
        way: (lambda m=model: m.fit(x, y, batch_size=batch, epochs=1, verbose=0)) for way, model in models.items()
    }
    ways["ops by hand"] = by_hand(*sizes, optimizer, batch, x, y)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(9):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            if repeat > 1:
                seconds[way].append(time.perf_counter() - start)
    steps = samples // batch
    for way, found in seconds.items():
        print(f"{name:<6} {way:<14} {statistics.median(found) / steps * 1e6:8.1f} us/step")


def main() -> None:
    """Both networks."""
    compare("S11", (784, 512, 10), 128, 12_800, RMSprop)
    compare("4-5-3", (4, 5, 3), 8, 4_000, SGD)


if __name__ == "__main__":
    main()
