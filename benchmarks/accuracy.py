"""The course's MNIST figures, mean of three seeds: ``python -m benchmarks.accuracy [S11 S12 S21]``.

S11: validation accuracy of 784-512-10 after 5 epochs; S12: the same after 20; S21: test accuracy of the
convnet after 5.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import ranvier as rv
from ranvier.quickstart import convolutional_network, dense_network

SYSTEMS = {
    "S11": (dense_network, 128, 5, 0.978),
    "S12": (dense_network, 128, 20, 0.981),
    "S21": (convolutional_network, 64, 5, 0.990),
}


def main() -> None:
    """Trains each system asked for with seeds 1, 2 and 3, and prints its accuracies beside the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", nargs="*", metavar="S11|S12|S21", help="default: all")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    (x_train, y_train), (x_test, y_test) = rv.datasets.mnist.load_data()
    x_train, x_test = (np.ascontiguousarray((x / np.float32(255))[..., None]) for x in (x_train, x_test))
    y_train, y_test = y_train.astype(np.int32), y_test.astype(np.int32)
    for system in arguments.system or SYSTEMS:
        build, batch, epochs, target = SYSTEMS[system]
        found = []
        start = time.perf_counter()
        for seed in range(1, arguments.seeds + 1):
            rv.utils.set_random_seed(seed)
            model = build()
            model.fit(x_train, y_train, batch_size=batch, epochs=epochs, verbose=0)
            found.append(model.evaluate(x_test, y_test, batch_size=256, verbose=0)[1])
        each = ", ".join(f"{accuracy:.4f}" for accuracy in found)
        seconds = time.perf_counter() - start
        print(f"{system}: mean {np.mean(found):.4f} (target {target}; {each}) in {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
